//! What lists show of a manifest, in Harbor's words: what it is, what it is to another one, and
//! what its configuration says. Read once, when it is pushed.

use sealock_metadata::manifests::Shown;
use sealock_oci::{Manifest, ManifestKind, media_type};
use sealock_signing::{Accessory, AccessoryKind, COSIGN_SIGNATURE};
use serde_json::{Map, Value};

/// Longest attributes that are kept, in bytes. Of a longer image configuration the part that says
/// how to run it is left out, of any other everything.
const MAX_ATTRIBUTES_BYTES: usize = 32 * 1024;

const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const WASM_CONFIG: &str = "application/vnd.wasm.config.v1+json";
const CNAB: &str = "application/vnd.cnab.manifest.v1";
const HARBOR_SBOM: &str = "application/vnd.goharbor.harbor.sbom.v1";
const NOTATION_SIGNATURE: &str = "application/vnd.cncf.notary.signature";
/// Where a bundle says at its surface what kind of statement it holds.
const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";
/// Where an index says what it is, as CNAB does.
const INDEX_TYPE: &str = "org.opencontainers.artifactType";
/// Annotations by which an image of plain layers says that it is a WebAssembly module.
const WASM: [(&str, &str); 2] =
    [("module.wasm.image/variant", "compat"), ("run.oci.handler", "wasm")];

/// What lists show of a manifest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Described {
    kind: String,
    media_type: String,
    accessory: Option<&'static str>,
    attributes: Option<String>,
}

impl Described {
    /// Of a manifest with the bytes of its configuration, where they were read.
    pub(crate) fn of(
        manifest: &Manifest,
        config: Option<&[u8]>,
        accessory: Option<Accessory>,
    ) -> Self {
        let media_type = shown_media_type(manifest);
        let kind = kind(manifest, &media_type);
        Self {
            attributes: config.map(|config| attributes(&kind, config).unwrap_or_else(nothing)),
            accessory: accessory.map(|accessory| word(manifest, accessory.kind)),
            kind,
            media_type,
        }
    }

    pub(crate) fn row(&self) -> Shown<'_> {
        Shown {
            kind: &self.kind,
            media_type: &self.media_type,
            accessory: self.accessory,
            attributes: self.attributes.as_deref(),
        }
    }
}

fn nothing() -> String {
    "{}".to_owned()
}

/// The media type that says what an artifact is: its configuration's, or of an index its own.
fn shown_media_type(manifest: &Manifest) -> String {
    let is_wasm = |(key, value): &(&str, &str)| {
        manifest.annotations.get(*key).is_some_and(|found| found == value)
    };
    match &manifest.config {
        Some(_) if WASM.iter().any(is_wasm) => WASM_CONFIG.to_owned(),
        Some(config) => config.media_type.clone(),
        None => {
            let named = manifest.annotations.get(INDEX_TYPE).filter(|name| name.len() <= 255);
            named.unwrap_or(&manifest.media_type).clone()
        }
    }
}

fn kind(manifest: &Manifest, shown: &str) -> String {
    let known = match shown {
        media_type::OCI_CONFIG | media_type::DOCKER_CONFIG => "IMAGE",
        CNAB => "CNAB",
        HELM_CONFIG => "CHART",
        WASM_CONFIG => "WASM",
        HARBOR_SBOM => "SBOM",
        _ if manifest.kind == ManifestKind::Index && shown == manifest.media_type => "IMAGE",
        _ => return derived(shown).unwrap_or_else(|| "UNKNOWN".to_owned()),
    };
    known.to_owned()
}

/// `NAME` of `application/vnd.ORG.NAME.config.VERSION+json`.
fn derived(media_type: &str) -> Option<String> {
    let rest = media_type.strip_prefix("application/vnd.")?.strip_suffix("+json")?;
    let (_, rest) = rest.split_once('.')?;
    let (name, version) = rest.rsplit_once(".config.")?;
    (!name.is_empty() && !version.contains('.')).then(|| name.to_ascii_uppercase())
}

/// What an accessory is. A bundle that says it holds an attestation is not called a signature.
fn word(manifest: &Manifest, kind: AccessoryKind) -> &'static str {
    match kind {
        AccessoryKind::CosignSignature => "signature.cosign",
        AccessoryKind::SigstoreBundle => {
            let says = manifest.annotations.get(PREDICATE_TYPE);
            match says.is_none_or(|predicate| predicate == COSIGN_SIGNATURE) {
                true => "signature.cosign",
                false => "subject.accessory",
            }
        }
        AccessoryKind::CosignAttestation | AccessoryKind::CosignSbom => "subject.accessory",
        AccessoryKind::Referrer => match manifest.referrer_type() {
            Some(NOTATION_SIGNATURE) => "signature.notation",
            Some(HARBOR_SBOM) => "sbom.harbor",
            _ => "subject.accessory",
        },
    }
}

/// What lists show of a configuration: of an image who made it for what and how it runs, of a chart
/// and what else has a type of its own all of it.
pub(crate) fn attributes(kind: &str, config: &[u8]) -> Option<String> {
    let Ok(Value::Object(said)) = serde_json::from_slice(config) else { return None };
    let mut shown = match kind {
        "IMAGE" => image(said),
        "UNKNOWN" => return None,
        _ => said,
    };
    let text = |shown: &Map<String, Value>| serde_json::to_string(shown).ok();
    let fits = |text: &String| text.len() <= MAX_ATTRIBUTES_BYTES;
    text(&shown).filter(fits).or_else(|| {
        shown.remove("config")?;
        text(&shown).filter(fits)
    })
}

fn image(mut said: Map<String, Value>) -> Map<String, Value> {
    let mut shown = Map::new();
    for name in ["architecture", "os", "author", "created", "config"] {
        let value = said.remove(name).unwrap_or(Value::Null);
        if !value.is_null() || matches!(name, "architecture" | "os" | "author") {
            let value = if value.is_null() { Value::String(String::new()) } else { value };
            shown.insert(name.to_owned(), value);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_type_is_derived_from_the_media_type() {
        for (media_type, word) in [
            ("application/vnd.caicloud.model.config.v1alpha1+json", Some("MODEL")),
            ("application/vnd.org.a.b.config.v1+json", Some("A.B")),
            ("application/vnd.oci.empty.v1+json", None),
            ("application/vnd.org.config.v1+json", None),
            ("application/vnd.org.x.config.v1.2+json", None),
            ("text/plain", None),
        ] {
            assert_eq!(derived(media_type).as_deref(), word, "{media_type}");
        }
    }

    #[test]
    fn attributes_are_bounded_and_those_of_an_image_chosen() {
        let config = json!({
            "architecture": "arm64", "os": "linux", "created": "2026-01-02T03:04:05Z",
            "config": {"Env": ["A=1"]}, "rootfs": {"diff_ids": []}, "history": [],
        });
        let bytes = |config: &Value| serde_json::to_vec(config).unwrap();
        let read = |text: Option<String>| serde_json::from_str::<Value>(&text.unwrap()).unwrap();
        let shown = read(attributes("IMAGE", &bytes(&config)));
        let expected = json!({
            "architecture": "arm64", "os": "linux", "author": "",
            "created": "2026-01-02T03:04:05Z", "config": {"Env": ["A=1"]},
        });
        assert_eq!(shown, expected);
        let mut long = config;
        long["config"]["Env"] = json!(["x".repeat(MAX_ATTRIBUTES_BYTES)]);
        let shown = read(attributes("IMAGE", &bytes(&long)));
        assert_eq!((&shown["os"], shown.get("config")), (&json!("linux"), None));
        assert_eq!(attributes("CHART", &bytes(&json!({"x": "y".repeat(40_000)}))), None);
        assert!(attributes("UNKNOWN", b"{}").is_none() && attributes("IMAGE", b"[]").is_none());
    }
}

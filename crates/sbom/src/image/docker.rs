use super::{
    Config, ImageInspection, ImageSelection, InspectError, Layout, MAX_CONFIG_BYTES, inspect_hashed,
};
use crate::{LayerContents, Limits, merge, reasons::code};
use sealock_oci::{Algorithm, Digest, MAX_MANIFEST_BYTES};
use serde::Deserialize;

/// One image of a Docker archive (`manifest.json` of `docker save`).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Reads an image from a Docker archive. Its layers have no descriptors, so each layer's digest is
/// that of the file in the archive, and the configuration's diff_ids say whether it is right.
pub(super) fn inspect(
    layout: &Layout<'_>,
    selection: &ImageSelection,
    limits: &Limits,
) -> Result<ImageInspection, InspectError> {
    let bytes = layout
        .store
        .small("manifest.json", MAX_MANIFEST_BYTES as u64)
        .map_err(|_| layout.wrong("it has no index.json and no manifest.json".to_owned()))?;
    let entries: Vec<Entry> =
        serde_json::from_slice(&bytes).map_err(|e| layout.wrong(format!("manifest.json: {e}")))?;
    let entry = choose(&entries, selection)?;
    let bytes = layout
        .store
        .small(&entry.config, MAX_CONFIG_BYTES)
        .map_err(|e| layout.wrong(format!("{}: {e}", entry.config)))?;
    let config: Config = serde_json::from_slice(&bytes)
        .map_err(|e| layout.wrong(format!("{}: {e}", entry.config)))?;
    let layers: Vec<(Digest, LayerContents)> =
        entry.layers.iter().map(|name| layer(layout, name, limits)).collect();
    Ok(ImageInspection {
        manifest: Digest::sha256(&bytes),
        name: entry.repo_tags.iter().flatten().next().cloned(),
        platform: Some(config.platform()),
        contents: merge(&layers, config.diff_ids()),
        layers,
    })
}

fn choose<'a>(entries: &'a [Entry], selection: &ImageSelection) -> Result<&'a Entry, InspectError> {
    let tags = |entry: &Entry| entry.repo_tags.clone().unwrap_or_default();
    let meant: Vec<&Entry> = entries
        .iter()
        .filter(|entry| {
            selection.reference.as_ref().is_none_or(|wanted| tags(entry).contains(wanted))
        })
        .collect();
    match meant.as_slice() {
        [one] => Ok(one),
        found => Err(InspectError::Selection {
            detail: match found.len() {
                0 => "the archive has no such image".to_owned(),
                _ => "several images fit; choose one by its tag".to_owned(),
            },
            known: entries.iter().flat_map(tags).collect(),
        }),
    }
}

fn layer(layout: &Layout<'_>, name: &str, limits: &Limits) -> (Digest, LayerContents) {
    match layout.store.file(name) {
        Ok(reader) => {
            let (mut contents, digest) = inspect_hashed(reader, Algorithm::Sha256, limits);
            let digest = digest.unwrap_or_else(|| {
                super::add_reason(&mut contents, code::READ_ERROR, || {
                    format!("{name} could not be read to its end")
                });
                Digest::sha256(name.as_bytes())
            });
            (digest, contents)
        }
        Err(e) => {
            let mut contents = LayerContents::empty();
            super::add_reason(&mut contents, code::MISSING_BLOB, || format!("{name}: {e}"));
            (Digest::sha256(name.as_bytes()), contents)
        }
    }
}

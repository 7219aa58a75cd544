//! Root filesystems, OCI layouts and image archives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use sealock_oci::Digest;
use sealock_sbom::{
    ImageSelection, InspectError, Limits, code, inspect_oci_layout, inspect_root_filesystem,
    is_image_folder, merge,
};
use serde_json::{Value, json};
use std::{fs, io::Write as _, os::unix::fs::symlink, path::Path};
use support::*;

fn write(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn a_root_filesystem_gives_what_its_layer_gives() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let files = [
        ("usr/lib/os-release", DEBIAN.to_owned()),
        ("var/lib/dpkg/status", status(&[("bash", "5.2"), ("python3-six", "1")])),
        ("var/lib/dpkg/info/python3-six.list", "/x/six-1.dist-info/METADATA\n".to_owned()),
        ("x/six-1.dist-info/METADATA", metadata("six", "1")),
        ("app/node_modules/a/package.json", package_json("a", "1")),
        ("app/node_modules/a/test/package.json", package_json("fixture", "1")),
        ("store/00ff", package_json("linked", "1")),
    ];
    let mut layer = Layer::new();
    for (path, content) in &files {
        write(root, path, content);
        layer = layer.file(path, content);
    }
    write(root, "proc/1/node_modules/p/package.json", package_json("p", "1"));
    fs::create_dir_all(root.join("etc")).unwrap();
    symlink("../usr/lib/os-release", root.join("etc/os-release")).unwrap();
    layer = layer.symlink("etc/os-release", "../usr/lib/os-release");
    let here = inspect_root_filesystem(root, &Limits::default()).unwrap();
    let there = merge(&[layer.pair()], None);
    assert_eq!(packages(&here), packages(&there));
    assert_eq!(packages(&here), ["bash@5.2", "python3-six@1", "six@1", "a@1"]);
    assert_eq!((&here.distro, &here.completeness), (&there.distro, &there.completeness));
    let owners = |c: &sealock_facts::ImageContents| {
        c.components.iter().filter(|c| c.owner.is_some()).count()
    };
    assert_eq!(owners(&there), 1);
}

#[test]
fn links_never_lead_out_of_the_root() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "outside/node_modules/o/package.json", package_json("o", "1"));
    write(folder.path(), "outside/status", status(&[("stolen", "1")]));
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("var/lib/dpkg")).unwrap();
    symlink(folder.path().join("outside"), root.join("app")).unwrap();
    symlink("../../../../outside/status", root.join("var/lib/dpkg/status")).unwrap();
    symlink(".", root.join("loop")).unwrap();
    let contents = inspect_root_filesystem(&root, &Limits::default()).unwrap();
    assert_eq!(packages(&contents), [""; 0]);
    let missing = inspect_root_filesystem(&folder.path().join("no"), &Limits::default());
    assert!(matches!(missing, Err(InspectError::Unreadable { .. })));
    let file = inspect_root_filesystem(&folder.path().join("outside/status"), &Limits::default());
    assert!(matches!(file, Err(InspectError::Unreadable { .. })));
}

/// An OCI layout as files.
#[derive(Default)]
struct Layout(Vec<(String, Vec<u8>)>);

impl Layout {
    fn blob(&mut self, bytes: &[u8], media_type: &str) -> Value {
        let digest = Digest::sha256(bytes);
        self.0.push((format!("blobs/sha256/{}", digest.hex()), bytes.to_vec()));
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    fn json(&mut self, value: &Value, media_type: &str) -> Value {
        self.blob(&serde_json::to_vec(value).unwrap(), media_type)
    }

    fn image(&mut self, architecture: &str, layers: Vec<Layer>) -> Value {
        let tars: Vec<Vec<u8>> = layers.into_iter().map(Layer::tar).collect();
        let config = json!({
            "os": "linux", "architecture": architecture,
            "rootfs": {"type": "layers", "diff_ids": tars.iter().map(|t| Digest::sha256(t)).collect::<Vec<_>>()},
        });
        let layers: Vec<Value> = tars
            .iter()
            .map(|tar| self.blob(&gzip(tar), "application/vnd.oci.image.layer.v1.tar+gzip"))
            .collect();
        let config = self.json(&config, "application/vnd.oci.image.config.v1+json");
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let mut descriptor = self.json(
            &json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers}),
            kind,
        );
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        descriptor
    }

    fn index(&mut self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        self.0.push(("index.json".to_owned(), serde_json::to_vec(&index).unwrap()));
        self.0.push(("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    }

    fn folder(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in &self.0 {
            write(folder.path(), path, content);
        }
        folder
    }

    fn archive(&self) -> Vec<u8> {
        self.0.iter().fold(Layer::new(), |layer, (path, bytes)| layer.file(path, bytes)).tar()
    }
}

fn npm(name: &str) -> Layer {
    Layer::new().file(&format!("node_modules/{name}/package.json"), package_json(name, "1"))
}

fn select(reference: Option<&str>, platform: Option<&str>) -> ImageSelection {
    ImageSelection {
        reference: reference.map(str::to_owned),
        platform: platform.map(str::to_owned),
    }
}

fn inspect(path: &Path, selection: &ImageSelection) -> Result<Vec<String>, InspectError> {
    let found = inspect_oci_layout(path, selection, &Limits::default())?;
    assert_eq!(image_codes(&found.contents), [""; 0]);
    Ok(packages(&found.contents))
}

fn two_platforms() -> (Layout, Value) {
    let mut layout = Layout::default();
    let amd = layout.image("amd64", vec![npm("base"), npm("amd")]);
    let arm = layout.image("arm64", vec![npm("base"), npm("arm")]);
    let mut attestation = layout.image("unknown", vec![npm("attestation")]);
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let kind = "application/vnd.oci.image.index.v1+json";
    let mut index = layout.json(
        &json!({"schemaVersion": 2, "mediaType": kind, "manifests": [amd, arm, attestation]}),
        kind,
    );
    index["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
    let mut other = layout.image("amd64", vec![npm("other")]);
    other["annotations"] = json!({"org.opencontainers.image.ref.name": "v2"});
    layout.index(&[index, other.clone()]);
    (layout, other)
}

#[test]
fn layouts_by_reference_and_platform() {
    let (layout, other) = two_platforms();
    let folder = layout.folder();
    let archive = tempfile::NamedTempFile::new().unwrap();
    fs::write(archive.path(), layout.archive()).unwrap();
    let digest = other["digest"].as_str().unwrap();
    for path in [folder.path(), archive.path()] {
        let get = |reference, platform| inspect(path, &select(reference, platform));
        assert_eq!(get(Some("v2"), None).unwrap(), ["other@1"]);
        assert_eq!(get(Some(digest), None).unwrap(), ["other@1"]);
        assert_eq!(get(Some("v1"), Some("linux/arm64")).unwrap(), ["arm@1", "base@1"]);
        assert_eq!(get(Some("v1"), Some("linux/amd64")).unwrap(), ["amd@1", "base@1"]);
        assert_eq!(get(None, Some("linux/arm64")).unwrap(), ["arm@1", "base@1"]);
        for (reference, platform) in
            [(Some("v3"), None), (Some("v1"), Some("linux/s390x")), (None, Some("linux/amd64"))]
        {
            match get(reference, platform) {
                Err(InspectError::Selection { known, .. }) => assert_eq!(known.len(), 4),
                other => panic!("{reference:?} {platform:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn damaged_layouts() {
    let mut layout = Layout::default();
    let image = layout.image("amd64", vec![npm("a"), npm("b")]);
    layout.index(std::slice::from_ref(&image));
    let folder = layout.folder();
    let any = select(None, None);
    assert_eq!(inspect(folder.path(), &any).unwrap(), ["a@1", "b@1"]);
    // The layers are the first blobs.
    let layer = folder.path().join(&layout.0[1].0);
    let good = fs::read(&layer).unwrap();
    fs::write(&layer, gzip(&npm("evil").tar())).unwrap();
    let found = inspect_oci_layout(folder.path(), &any, &Limits::default()).unwrap();
    assert_eq!(image_codes(&found.contents), [code::DIFF_ID_MISMATCH, code::DIGEST_MISMATCH]);
    fs::remove_file(&layer).unwrap();
    let found = inspect_oci_layout(folder.path(), &any, &Limits::default()).unwrap();
    assert_eq!(image_codes(&found.contents), [code::MISSING_BLOB]);
    assert_eq!(packages(&found.contents), ["a@1"]);
    fs::write(&layer, good).unwrap();
    let manifest = image["digest"].as_str().unwrap().replace(':', "/");
    let manifest = folder.path().join("blobs").join(manifest);
    let mut bytes = fs::read(&manifest).unwrap();
    bytes.push(b' ');
    fs::write(&manifest, bytes).unwrap();
    let error = inspect(folder.path(), &any).unwrap_err();
    assert!(matches!(&error, InspectError::NotALayout { .. }), "{error}");
    assert!(error.to_string().contains("other content"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(inspect(empty.path(), &any), Err(InspectError::NotALayout { .. })));
    let text = tempfile::NamedTempFile::new().unwrap();
    fs::write(text.path(), "no archive at all").unwrap();
    assert!(matches!(inspect(text.path(), &any), Err(InspectError::NotALayout { .. })));
}

#[test]
fn docker_archives() {
    let (one, two) = (npm("one").tar(), npm("two").tar());
    let config = json!({
        "os": "linux", "architecture": "amd64",
        "rootfs": {"diff_ids": [Digest::sha256(&one), Digest::sha256(&two)]},
    });
    let manifest = json!([{
        "Config": "c.json", "RepoTags": ["app:1"], "Layers": ["1/layer.tar", "2/layer.tar"],
    }]);
    let archive = Layer::new()
        .file("shared.tar", &one)
        .symlink("1/layer.tar", "../shared.tar")
        .file("2/layer.tar", &two)
        .file("c.json", serde_json::to_vec(&config).unwrap())
        .file("manifest.json", serde_json::to_vec(&manifest).unwrap())
        .tar();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), archive).unwrap();
    assert_eq!(inspect(file.path(), &select(None, None)).unwrap(), ["one@1", "two@1"]);
    assert_eq!(inspect(file.path(), &select(Some("app:1"), None)).unwrap().len(), 2);
    assert!(inspect(file.path(), &select(Some("app:2"), None)).is_err());
    // As `docker save | gzip` and `| zstd` write it.
    let plain = fs::read(file.path()).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    for packed in [&gzip, &zstd] {
        fs::write(file.path(), packed).unwrap();
        assert_eq!(inspect(file.path(), &select(None, None)).unwrap(), ["one@1", "two@1"]);
        fs::write(file.path(), &packed[..packed.len() / 2]).unwrap();
        let error = inspect(file.path(), &select(None, None)).unwrap_err().to_string();
        assert!(error.contains("ends before its end"), "{error}");
    }
    let limits = Limits { max_expanded_bytes: 1024, ..Limits::default() };
    fs::write(file.path(), &gzip).unwrap();
    let error = inspect_oci_layout(file.path(), &select(None, None), &limits).unwrap_err();
    assert!(error.to_string().contains("more than 1024 bytes"), "{error}");
    fs::write(file.path(), b"BZh91AY&SY").unwrap();
    let error = inspect(file.path(), &select(None, None)).unwrap_err().to_string();
    assert!(error.contains("give a plain, gzip or zstd archive"), "{error}");
}

#[test]
fn folders_as_skopeo_copies_them() {
    let one = npm("one").tar();
    let config = json!({
        "os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [Digest::sha256(&one)]},
    });
    let config = serde_json::to_vec(&config).unwrap();
    let describe = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": Digest::sha256(bytes), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": describe("application/vnd.oci.image.config.v1+json", &config),
        "layers": [describe("application/vnd.oci.image.layer.v1.tar", &one)],
    });
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    assert!(!is_image_folder(folder.path()));
    write("version", b"Directory Transport Version: 1.1\n");
    write("manifest.json", manifest.to_string().as_bytes());
    write(&Digest::sha256(&config).hex(), &config);
    write(&Digest::sha256(&one).hex(), &one);
    assert!(is_image_folder(folder.path()));
    assert_eq!(inspect(folder.path(), &select(None, None)).unwrap(), ["one@1"]);
}

//! What of this crate is read from outside, as entries for fuzzing.

use crate::{
    Digest, ImageReference, Manifest, Reference, RepositoryName, Tag, media_type, read_diff_ids,
};
use serde_json::{Map, Value};

/// Reads an input as a manifest under each media type, and checks that a reader who ignores the
/// case of fields, as Go's does, sees the same layers, children and digests.
#[doc(hidden)]
pub fn fuzz_manifest(bytes: &[u8]) {
    for media_type in [
        "",
        media_type::OCI_MANIFEST,
        media_type::OCI_INDEX,
        media_type::DOCKER_MANIFEST,
        media_type::DOCKER_MANIFEST_LIST,
    ] {
        let Ok(manifest) = Manifest::parse(media_type, bytes) else { continue };
        // Numbers that no reader can hold stand in fields that nobody reads.
        let Ok(document) = serde_json::from_slice::<Map<String, Value>>(bytes) else { continue };
        let document = without_case(document);
        let digests = |field: &str| -> Vec<Value> {
            let list = document.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
            let objects = list.into_iter().filter_map(|entry| match entry {
                Value::Object(entry) => Some(without_case(entry)),
                _ => None,
            });
            objects.filter_map(|entry| entry.get("digest").cloned()).collect()
        };
        for (field, ours) in [("layers", &manifest.layers), ("manifests", &manifest.manifests)] {
            let ours: Vec<Value> = ours.iter().map(|d| d.digest.to_string().into()).collect();
            assert_eq!(digests(field), ours, "{field} read in two ways");
        }
        assert!(manifest.referrer_type().is_none_or(|kind| kind.len() <= 255));
    }
}

/// Reads an input as an image configuration; what is read stands in it.
#[doc(hidden)]
pub fn fuzz_config(bytes: &[u8]) {
    let Some(diff_ids) = read_diff_ids(bytes) else { return };
    // Numbers that no reader can hold stand in fields that nobody reads.
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else { return };
    let stated = document["rootfs"]["diff_ids"].as_array().map(Vec::len);
    assert_eq!(stated, Some(diff_ids.len()));
}

/// Of several spellings of a field the last one counts.
fn without_case(object: Map<String, Value>) -> Map<String, Value> {
    let plain = |key: String| key.to_lowercase().replace('\u{17f}', "s");
    object.into_iter().map(|(key, value)| (plain(key), value)).collect()
}

/// Reads an input as each kind of name; what is read is written as it was.
#[doc(hidden)]
pub fn fuzz_reference(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(name) = text.parse::<RepositoryName>() {
        assert_eq!(name.to_string(), text);
        let inside = name.within_project().map_or(String::new(), |rest| format!("/{rest}"));
        assert_eq!(format!("{}{inside}", name.project()), text);
    }
    if let Ok(tag) = text.parse::<Tag>() {
        assert!(tag.as_str() == text && !text.contains(['/', ':', '@']));
    }
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string(), text);
    }
    if let Ok(image) = text.parse::<ImageReference>() {
        assert_eq!(image.to_string().parse::<ImageReference>().as_ref(), Ok(&image), "{text:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(target: &str, fuzz: fn(&[u8])) {
        let corpus = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut replayed = 0;
        for file in std::fs::read_dir(corpus).expect("a corpus") {
            let bytes = std::fs::read(file.expect("a file").path()).expect("its bytes");
            fuzz(&bytes);
            // Every cut of it as well: what a client sends may end anywhere.
            for end in 0..bytes.len().min(2_000) {
                fuzz(&bytes[..end]);
            }
            replayed += 1;
        }
        assert!(replayed >= 8, "{target}: {replayed}");
    }

    #[test]
    fn the_corpus_of_manifests_holds() {
        replay("manifest", fuzz_manifest);
    }

    #[test]
    fn the_corpus_of_configurations_holds() {
        replay("config", fuzz_config);
    }

    #[test]
    fn the_corpus_of_references_holds() {
        replay("reference", fuzz_reference);
    }
}

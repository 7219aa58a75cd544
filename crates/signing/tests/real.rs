//! A repository signed with cosign 2 and 3 under four keys, where the shared test data lies beside
//! the checkout. Its contents: four legacy signatures, four bundles, two kinds of attestation, an
//! image with only an attestation, and one with nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(clippy::print_stdout, reason = "says what is skipped")]

mod support;
use jiff::Timestamp;
use sealock_facts::EvidenceState;
use sealock_oci::{Digest, Manifest, Tag};
use sealock_signing::{
    AccessoryFacts, AccessoryInput, Limits, Lookup, PublicKey, classify, verify_accessory,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

struct Repository {
    root: PathBuf,
    index: Value,
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/testdata/signing")
        .join(path);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: the shared signing data is not beside this checkout");
    None
}

impl Repository {
    fn open() -> Option<Self> {
        let root = shared("cosign-keyed")?;
        let index = fs::read(root.join("repo/index.json")).unwrap();
        Some(Self { root, index: serde_json::from_slice(&index).unwrap() })
    }

    fn key(&self, name: &str) -> PublicKey {
        let pem = fs::read_to_string(self.root.join("keys").join(name)).unwrap();
        let key = PublicKey::from_pem(&pem).unwrap();
        assert_eq!(key.to_pem(), pem);
        key
    }

    fn image(&self, tag: &str) -> Digest {
        self.index["tags"][tag].as_str().unwrap().parse().unwrap()
    }

    /// Every manifest with the tag it has, if one.
    fn manifests(&self) -> Vec<(Digest, Manifest, Option<Tag>)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.root.join("repo/manifests")).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            let digest = Digest::sha256(&bytes);
            let manifest = Manifest::parse("", &bytes).unwrap();
            let tags = self.index["tags"].as_object().unwrap();
            let tag = tags.iter().find(|(_, value)| **value == digest.to_string());
            found.push((digest, manifest, tag.map(|(name, _)| name.parse().unwrap())));
        }
        found
    }

    /// The facts about one image from all accessories.
    fn facts(&self, subject: &Digest, keys: &[PublicKey]) -> AccessoryFacts {
        let mut all = AccessoryFacts::default();
        for (digest, manifest, tag) in self.manifests() {
            let Some(accessory) = classify(&manifest, tag.as_ref()) else { continue };
            if accessory.subject != *subject {
                continue;
            }
            let input = AccessoryInput {
                accessory,
                digest,
                manifest: &manifest,
                subject_bytes: None,
                blobs: &|digest, _| {
                    fs::read(self.root.join("repo/blobs").join(digest.hex()))
                        .map_or(Lookup::Missing, Lookup::Found)
                },
            };
            let facts = verify_accessory(&input, keys, Timestamp::UNIX_EPOCH, &Limits::default());
            all.signatures.extend(facts.signatures);
            all.attestations.extend(facts.attestations);
        }
        all
    }
}

const KEYS: [&str; 4] = ["cosign.pub", "ed.pub", "p384.pub", "rsa.pub"];

#[test]
fn each_key_verifies_its_own_signatures_in_both_forms() {
    let Some(repository) = Repository::open() else { return };
    let subject = repository.image("v1");
    for name in KEYS {
        let key = repository.key(name);
        let facts = repository.facts(&subject, std::slice::from_ref(&key));
        assert_eq!(facts.signatures.len(), 8, "four legacy, four bundles");
        let verified = EvidenceState::Verified { key: key.id().clone() };
        let formats: BTreeSet<_> = facts
            .signatures
            .iter()
            .filter(|fact| fact.status == verified)
            .map(|fact| fact.format)
            .collect();
        assert_eq!(formats.len(), 2, "{name}: legacy and bundle");
        let valid = facts.signatures.iter().filter(|fact| fact.status == verified).count();
        assert_eq!(valid, 2, "{name}");
        let attested = facts.attestations.iter().filter(|fact| fact.status == verified).count();
        assert_eq!(attested, if name == "cosign.pub" { 2 } else { 0 }, "{name}");
    }
    let all: Vec<_> = KEYS.iter().map(|name| repository.key(name)).collect();
    let facts = repository.facts(&subject, &all);
    let refused = facts
        .signatures
        .iter()
        .filter(|fact| matches!(fact.status, EvidenceState::Rejected { .. }))
        .count();
    assert_eq!(refused, 0);
    for fact in &facts.attestations {
        assert_eq!(fact.predicate_type, support::VULN);
    }
}

#[test]
fn an_attestation_alone_is_no_signature() {
    let Some(repository) = Repository::open() else { return };
    let keys: Vec<_> = KEYS.iter().map(|name| repository.key(name)).collect();
    let facts = repository.facts(&repository.image("attest-only"), &keys);
    assert_eq!(facts.signatures, []);
    assert_eq!(facts.attestations.len(), 1);
    assert!(matches!(facts.attestations[0].status, EvidenceState::Verified { .. }));
    assert_eq!(repository.facts(&repository.image("unsigned"), &keys), AccessoryFacts::default());
}

#[test]
fn bundles_for_clients_with_a_managed_key() {
    let Some(root) = shared("sigstore-conformance") else { return };
    let artifact = fs::read(root.join("a.txt")).unwrap();
    let subject = Digest::sha256(&artifact);
    for (name, expected) in [
        ("managed-key-happy-path", true),
        ("managed-key-and-trusted-root", true),
        ("managed-key-no-key_fail", false),
    ] {
        let folder = root.join(name);
        let Ok(bundle) = fs::read(folder.join("bundle.sigstore.json")) else {
            panic!("{name} has no bundle")
        };
        let keys: Vec<_> = fs::read_to_string(folder.join("key.pub"))
            .iter()
            .map(|pem| PublicKey::from_pem(pem).unwrap())
            .collect();
        let layer = support::Layer::bundle(bundle);
        let stored = support::store(vec![layer], &subject, "");
        let facts = support::verify(&stored, &keys);
        let (_, state) = support::only(&facts);
        assert_eq!(matches!(state, EvidenceState::Verified { .. }), expected, "{name}: {state:?}");
    }
}

/// Keyless bundles are for a later piece of work: none of them may count, and those whose JSON is
/// broken must be told from those that only are not judged.
#[test]
fn no_keyless_bundle_counts() {
    let Some(root) = shared("sigstore-conformance") else { return };
    let key = support::TestKey::p256().public();
    let mut seen = 0;
    for entry in fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bundle) = fs::read(path.join("bundle.sigstore.json")) else { continue };
        seen += 1;
        let layer = support::Layer::bundle(bundle);
        let stored = support::store(vec![layer], &support::subject(), "");
        let facts = support::verify(&stored, std::slice::from_ref(&key));
        let (_, state) = support::only(&facts);
        assert!(matches!(state, EvidenceState::Rejected { .. }), "{path:?}");
    }
    assert!(seen >= 30, "{seen}");
}

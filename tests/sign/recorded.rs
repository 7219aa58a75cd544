//! A repository signed with cosign 2 and 3 under four keys, where the shared test data lies beside
//! the checkout. Its contents: four legacy signatures, four bundles, two kinds of attestation, an
//! image with only an attestation, and one with nothing.
use jiff::Timestamp;
use sealock_facts::EvidenceState;
use sealock_oci::{Digest, Manifest, Tag};
use sealock_signing::{
    AccessoryFacts, AccessoryInput, Limits, Lookup, PublicKey, SigningKey, classify,
    verify_accessory,
};
use sealock_tests::skips;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

struct Repository {
    root: PathBuf,
    index: Value,
}

impl Repository {
    fn open() -> Option<Self> {
        let root = skips::shared_data("testdata/signing/cosign-keyed")?;
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
        assert_eq!(fact.predicate_type, "https://cosign.sigstore.dev/attestation/vuln/v1");
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

/// The state of the only fact in a bundle that is attached to `subject`.
fn bundle_state(bundle: &[u8], subject: &Digest, keys: &[PublicKey]) -> EvidenceState {
    let state = crate::attached(bundle, subject, keys);
    assert_eq!(state.signatures.len() + state.attestations.len(), 1);
    let signature = state.signatures.first().map(|fact| fact.status.clone());
    signature.or_else(|| Some(state.attestations.first()?.status.clone())).unwrap()
}

#[test]
fn bundles_for_clients_with_a_managed_key() {
    let Some(root) = skips::shared_data("testdata/signing/sigstore-conformance") else { return };
    let subject = Digest::sha256(&fs::read(root.join("a.txt")).unwrap());
    for (name, expected) in [
        ("managed-key-happy-path", true),
        ("managed-key-and-trusted-root", true),
        ("managed-key-no-key_fail", false),
    ] {
        let bundle = fs::read(root.join(name).join("bundle.sigstore.json")).unwrap();
        let keys: Vec<_> = fs::read_to_string(root.join(name).join("key.pub"))
            .iter()
            .map(|pem| PublicKey::from_pem(pem).unwrap())
            .collect();
        let state = bundle_state(&bundle, &subject, &keys);
        assert_eq!(matches!(state, EvidenceState::Verified { .. }), expected, "{name}: {state:?}");
    }
}

/// Keyless bundles are not judged yet: none of them may count.
#[test]
fn no_keyless_bundle_counts() {
    let Some(root) = skips::shared_data("testdata/signing/sigstore-conformance") else { return };
    let key = SigningKey::generate().unwrap().public_key().clone();
    let mut seen = 0;
    for entry in fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bundle) = fs::read(path.join("bundle.sigstore.json")) else { continue };
        seen += 1;
        let subject = Digest::sha256(b"a.txt");
        let state = bundle_state(&bundle, &subject, std::slice::from_ref(&key));
        assert!(matches!(state, EvidenceState::Rejected { .. }), "{path:?}");
    }
    assert!(seen >= 30, "{seen}");
}

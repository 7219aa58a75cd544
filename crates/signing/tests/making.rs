//! The product's own evidence: it verifies here, and under cosign 3 where that is installed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;
use jiff::Timestamp;
use sealock_facts::{EvidenceFormat, EvidenceState};
use sealock_oci::{Descriptor, Digest, Manifest, media_type};
use sealock_signing::{
    BundleManifest, InputAttestation, MasterKey, SigningKey, Statement, Summary,
    VERIFICATION_SUMMARY, bundle_manifest, classify, read_statement,
};
use serde_json::Value;
use support::*;

fn summary() -> Summary {
    Summary {
        subject: subject(),
        verifier: "https://registry.example".to_owned(),
        verifier_version: "0.1.0".to_owned(),
        time_verified: "2026-11-22T04:00:00.123456Z".parse().unwrap(),
        resource_uri: format!("oci://registry.example/release/app@{}", subject()),
        policy_uri: "https://registry.example/api/sealock/v1/policies/release".to_owned(),
        policy_digest: Digest::sha256(b"policy"),
        inputs: vec![InputAttestation {
            uri: "oci://registry.example/sandbox/app@sha256:1".to_owned(),
            digest: Digest::sha256(b"attestation"),
        }],
        passed: true,
        levels: vec!["SEALOCK_TIER_RELEASE".to_owned()],
    }
}

fn descriptor() -> Descriptor {
    let text = format!(
        r#"{{"mediaType":"{}","digest":"{}","size":7,"annotations":{{"a":"b"}}}}"#,
        media_type::OCI_MANIFEST,
        subject()
    );
    serde_json::from_str(&text).unwrap()
}

#[test]
fn our_bundle_verifies_as_an_attestation() {
    let key = SigningKey::generate().unwrap();
    let bundle = key.sign_statement(&summary().to_statement()).unwrap();
    let created: Timestamp = "2026-11-22T04:00:00.9Z".parse().unwrap();
    let made = bundle_manifest(&bundle, &descriptor(), VERIFICATION_SUMMARY, created);
    assert_eq!(made.digest, Digest::sha256(&made.bytes));
    assert_eq!(made.config.digest, Digest::sha256(BundleManifest::CONFIG));
    let manifest = Manifest::parse(media_type::OCI_MANIFEST, &made.bytes).unwrap();
    assert_eq!(manifest.referrer_type(), Some(media_type::SIGSTORE_BUNDLE_V03));
    assert_eq!(manifest.layers, std::slice::from_ref(&made.layer));
    assert_eq!(manifest.annotations["org.opencontainers.image.created"], "2026-11-22T04:00:00Z");
    assert_eq!(manifest.annotations["dev.sigstore.bundle.predicateType"], VERIFICATION_SUMMARY);
    assert_eq!(classify(&manifest, None).unwrap().subject, subject());

    let stored = store(vec![Layer::bundle(bundle.clone())], &subject(), "");
    let facts = verify(&stored, &[key.public_key().clone()]);
    let expected = EvidenceState::Verified { key: key.public_key().id().clone() };
    assert_eq!(only(&facts), (false, &expected), "a summary is never a signature");
    assert_eq!(facts.attestations[0].predicate_type, VERIFICATION_SUMMARY);
    let read = read_statement(EvidenceFormat::SigstoreBundle, &bundle).unwrap();
    let predicate: Value = serde_json::from_str(read.predicate.get()).unwrap();
    assert_eq!(predicate["verificationResult"], "PASSED");
    assert_eq!(predicate["timeVerified"], "2026-11-22T04:00:00.123456Z");
    assert_eq!(
        predicate["inputAttestations"][0]["digest"]["sha256"],
        Digest::sha256(b"attestation").hex()
    );
    assert!(read.is_about(&subject()));
}

#[test]
fn a_summary_is_the_same_each_time_and_its_parts_are_all_or_none() {
    assert_eq!(summary().to_statement(), summary().to_statement());
    let failed = Summary { passed: false, inputs: Vec::new(), ..summary() };
    let read = Statement::parse(&failed.to_statement()).unwrap();
    let predicate: Value = serde_json::from_str(read.predicate.get()).unwrap();
    assert_eq!(predicate["verificationResult"], "FAILED");
    assert_eq!(predicate.get("inputAttestations"), None);
}

#[test]
fn a_sealed_key_signs_after_a_restart() {
    let (master, key) = (MasterKey::generate().unwrap(), SigningKey::generate().unwrap());
    let sealed = master.seal("evidence", &key.to_pkcs8()).unwrap();
    let again = SigningKey::from_pkcs8(&master.unseal("evidence", &sealed).unwrap()).unwrap();
    assert_eq!(again.public_key(), key.public_key());
    let bundle = again.sign_statement(&summary().to_statement()).unwrap();
    let stored = store(vec![Layer::bundle(bundle)], &subject(), "");
    let facts = verify(&stored, &[key.public_key().clone()]);
    assert!(reason(only(&facts).1).is_none());
    assert!(!format!("{again:?}").contains(&hex::encode(&*key.to_pkcs8())[60..80]));
    assert!(SigningKey::from_pkcs8(b"nonsense").is_err());
}

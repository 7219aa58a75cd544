//! Cosign 3 accepts what the product signs, and the product accepts what cosign 3 signs.

use crate::attached;
use sealock_facts::EvidenceState;
use sealock_oci::Digest;
use sealock_signing::{PublicKey, SigningKey, Summary, VERIFICATION_SUMMARY};
use sealock_tests::skips;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn cosign(cosign: &Path, folder: &Path, arguments: &[&str]) -> Output {
    Command::new(cosign)
        .args(arguments)
        .current_dir(folder)
        .env("COSIGN_PASSWORD", "")
        .env("HOME", folder)
        .output()
        .unwrap()
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn summary(artifact: &[u8]) -> Summary {
    Summary {
        subject: Digest::sha256(artifact),
        verifier: "https://registry.example".to_owned(),
        verifier_version: "0.1.0".to_owned(),
        time_verified: "2026-11-22T04:00:00Z".parse().unwrap(),
        resource_uri: "oci://registry.example/release/app".to_owned(),
        policy_uri: "https://registry.example/api/sealock/v1/policies/release".to_owned(),
        policy_digest: Digest::sha256(b"policy"),
        inputs: Vec::new(),
        passed: true,
        levels: vec!["SEALOCK_TIER_RELEASE".to_owned()],
    }
}

#[test]
fn cosign_accepts_our_summary_and_refuses_it_elsewhere() {
    let Some(tool) = skips::require_tool("cosign") else { return };
    let folder = tempfile::tempdir().unwrap();
    let artifact = b"an image manifest";
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let bundle = key.sign_statement(&summary(artifact).to_statement()).unwrap();
    for (name, content) in [
        ("artifact", artifact.to_vec()),
        ("another", b"another image manifest".to_vec()),
        ("bundle.json", bundle),
        ("key.pub", key.public_key().to_pem().into_bytes()),
        ("other.pub", other.public_key().to_pem().into_bytes()),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let verify = |key: &str, predicate_type: &str, artifact: &str| {
        let arguments = [
            "verify-blob-attestation",
            "--key",
            key,
            "--bundle",
            "bundle.json",
            "--insecure-ignore-tlog",
            "--type",
            predicate_type,
            artifact,
        ];
        cosign(&tool, folder.path(), &arguments)
    };
    succeeds(&verify("key.pub", VERIFICATION_SUMMARY, "artifact"));
    assert!(!verify("other.pub", VERIFICATION_SUMMARY, "artifact").status.success());
    assert!(!verify("key.pub", "https://slsa.dev/provenance/v1", "artifact").status.success());
    assert!(!verify("key.pub", VERIFICATION_SUMMARY, "another").status.success());
}

#[test]
fn we_accept_what_cosign_signs_under_every_kind_of_key() {
    let Some(tool) = skips::require_tool("cosign") else { return };
    let Some(openssl) = skips::require_tool("openssl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let artifact = b"an image manifest";
    fs::write(folder.path().join("artifact"), artifact).unwrap();
    fs::write(folder.path().join("predicate.json"), r#"{"a":1}"#).unwrap();
    for options in [
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..],
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        &["-algorithm", "ed25519"],
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
    ] {
        let make = Command::new(&openssl)
            .args(["genpkey", "-out", "key.pem"])
            .args(options)
            .current_dir(folder.path())
            .output()
            .unwrap();
        succeeds(&make);
        let import = ["import-key-pair", "--key", "key.pem", "--output-key-prefix", "key", "-y"];
        succeeds(&cosign(&tool, folder.path(), &import));
        let attest = [
            "attest-blob",
            "--key",
            "key.key",
            "--predicate",
            "predicate.json",
            "--type",
            "https://example.com/x",
            "--use-signing-config=false",
            "--tlog-upload=false",
            "--bundle",
            "bundle.json",
            "-y",
            "artifact",
        ];
        succeeds(&cosign(&tool, folder.path(), &attest));
        let pem = fs::read_to_string(folder.path().join("key.pub")).unwrap();
        let key = PublicKey::from_pem(&pem).unwrap();
        let bundle = fs::read(folder.path().join("bundle.json")).unwrap();
        let facts = attached(&bundle, &Digest::sha256(artifact), std::slice::from_ref(&key));
        let verified = EvidenceState::Verified { key: key.id().clone() };
        assert_eq!(facts.attestations.len(), 1, "{key:?}");
        assert_eq!(facts.attestations[0].status, verified, "{key:?}");
        assert_eq!(facts.attestations[0].predicate_type, "https://example.com/x");
    }
}

//! Sigstore bundles as referrers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;
use sealock_facts::{EvidenceFormat, RejectReason};
use sealock_oci::{Digest, media_type};
use sealock_signing::{AccessoryKind, read_statement};
use serde_json::{Value, json};
use support::*;

fn stored(content: &Value) -> Stored {
    store(vec![Layer::bundle(content.to_string())], &subject(), "")
}

#[test]
fn the_predicate_decides_signature_or_attestation() {
    for key in [
        TestKey::p256(),
        TestKey::p384(),
        TestKey::p521_sha512(),
        TestKey::p521_sha256(),
        TestKey::ed25519(),
        TestKey::ed25519ph(),
        TestKey::rsa(),
    ] {
        let keys = [TestKey::rsa().public(), key.public()];
        let signature = stored(&bundle(&key, &statement(SIGN, &subject())));
        assert_eq!(signature.accessory.kind, AccessoryKind::SigstoreBundle);
        let facts = verify(&signature, &keys);
        assert_eq!(only(&facts), (true, &verified(&key)));
        assert_eq!(facts.signatures[0].format, EvidenceFormat::SigstoreBundle);
        let facts = verify(&stored(&bundle(&key, &statement(VULN, &subject()))), &keys);
        assert_eq!(only(&facts), (false, &verified(&key)));
        assert_eq!(facts.attestations[0].predicate_type, VULN);
    }
}

/// GHSA-w6c6-c85g-mmv6: what the annotation claims is not what is signed.
#[test]
fn annotations_do_not_make_an_attestation_a_signature() {
    let key = TestKey::p256();
    for (signed, claimed) in [(VULN, SIGN), (SIGN, VULN)] {
        let mut stored = stored(&bundle(&key, &statement(signed, &subject())));
        stored
            .manifest
            .annotations
            .insert("dev.sigstore.bundle.predicateType".to_owned(), claimed.to_owned());
        let facts = verify(&stored, &[key.public()]);
        assert_eq!(only(&facts), (signed == SIGN, &verified(&key)));
    }
}

#[test]
fn every_changed_byte_of_what_is_signed_is_noticed() {
    let key = TestKey::p256();
    let keys = [key.public()];
    let good = bundle(&key, &statement(SIGN, &subject()));
    assert_eq!(bundle_reason(&good, &keys), None);
    let payload = statement(SIGN, &subject()).to_string().into_bytes();
    for i in 0..payload.len() {
        let mut changed = payload.clone();
        changed[i] ^= 1;
        let mut bad = good.clone();
        bad["dsseEnvelope"]["payload"] = json!(b64(&changed));
        assert_eq!(bundle_reason(&bad, &keys), Some(RejectReason::Forged), "payload byte {i}");
    }
    let signature = key.sign(&pae(IN_TOTO, &payload));
    for i in 0..signature.len() {
        let mut changed = signature.clone();
        changed[i] ^= 1;
        let mut bad = good.clone();
        bad["dsseEnvelope"]["signatures"][0]["sig"] = json!(b64(&changed));
        assert_eq!(bundle_reason(&bad, &keys), Some(RejectReason::Forged), "signature byte {i}");
    }
    let mut bad = good.clone();
    bad["dsseEnvelope"]["payloadType"] = json!("application/vnd.in-toto+jsom");
    assert_eq!(bundle_reason(&bad, &keys), Some(RejectReason::Forged));
}

#[test]
fn a_hint_helps_to_find_a_key_and_no_more() {
    let (key, other) = (TestKey::p256(), TestKey::p256());
    let payload = statement(SIGN, &subject()).to_string();
    let content = |hint: &str| bundle_with_hint(hint, envelope(&key, IN_TOTO, payload.as_bytes()));
    for hint in ["", "nonsense", &other.public().hint(), &key.public().hint()] {
        assert_eq!(bundle_reason(&content(hint), &[other.public(), key.public()]), None);
    }
    let unknown = bundle_reason(&content("nonsense"), &[other.public()]);
    assert_eq!(unknown, Some(RejectReason::NoKeyMatches));
    let forged = bundle_reason(&content(&other.public().hint()), &[other.public()]);
    assert_eq!(forged, Some(RejectReason::Forged));
}

#[test]
fn transplanted_and_foreign_payloads_have_their_own_reasons() {
    let key = TestKey::p256();
    let keys = [key.public()];
    for kind in [SIGN, VULN] {
        let content = bundle(&key, &statement(kind, &other_subject()));
        let facts = verify(&stored(&content), &keys);
        let (is_signature, state) = only(&facts);
        assert_eq!(
            (is_signature, reason(state)),
            (kind == SIGN, Some(RejectReason::SubjectMismatch))
        );
    }
    // The digest under another algorithm's name is another digest.
    let mut renamed = statement(SIGN, &subject());
    renamed["subject"][0]["digest"] = json!({ "sha512": subject().hex() });
    assert_eq!(bundle_reason(&bundle(&key, &renamed), &keys), Some(RejectReason::SubjectMismatch));
    // Any subject may be the one.
    let mut several = statement(SIGN, &other_subject());
    several["subject"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "digest": { "sha256": subject().hex() } }));
    assert_eq!(bundle_reason(&bundle(&key, &several), &keys), None);

    let payload = statement(SIGN, &subject()).to_string();
    let other_type = bundle_with_hint("", envelope(&key, "text/plain", payload.as_bytes()));
    assert_eq!(bundle_reason(&other_type, &keys), Some(RejectReason::OtherPayload));
    assert_eq!(bundle_reason(&other_type, &[]), Some(RejectReason::NoKeyMatches));
}

#[test]
fn statements_that_two_readers_could_take_for_two_things_are_refused() {
    let key = TestKey::p256();
    let keys = [key.public()];
    let good = statement(SIGN, &subject()).to_string();
    let signed = |payload: &str| bundle_with_hint("", envelope(&key, IN_TOTO, payload.as_bytes()));
    assert_eq!(bundle_reason(&signed(&good), &keys), None);
    let twice = good.replacen(
        "\"predicateType\"",
        &format!("\"predicateType\":\"{VULN}\",\"predicateType\""),
        1,
    );
    let deep = good.replacen("{}", &format!("{}1{}", "[".repeat(200), "]".repeat(200)), 1);
    let version = good.replace("Statement/v1", "Statement/v2");
    let nobody =
        good.replace(&json!([{ "digest": { "sha256": subject().hex() } }]).to_string(), "[]");
    for bad in [twice, deep, version, nobody, format!("{good}{good}"), "[]".to_owned()] {
        assert_ne!(bad, good);
        assert_eq!(bundle_reason(&signed(&bad), &keys), Some(RejectReason::Malformed), "{bad}");
    }
}

#[test]
fn versions_and_shapes() {
    let key = TestKey::p256();
    let keys = [key.public()];
    let good = bundle(&key, &statement(SIGN, &subject()));
    for version in ["0.1", "0.2", "0.3"] {
        let mut old = good.clone();
        old["mediaType"] =
            json!(format!("application/vnd.dev.sigstore.bundle+json;version={version}"));
        assert_eq!(bundle_reason(&old, &keys), None, "{version}");
    }
    let set = |path: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(path).unwrap() = value;
        changed
    };
    let signature = good["dsseEnvelope"]["signatures"][0].clone();
    for bad in [
        set("/mediaType", json!("application/vnd.dev.sigstore.bundle+json;version=0.4")),
        set("/mediaType", json!("application/vnd.dev.sigstore.bundle.v0.4+json")),
        set("/verificationMaterial", json!({})),
        set("/verificationMaterial", json!({ "x509CertificateChain": { "certificates": [] } })),
        set(
            "/verificationMaterial",
            json!({ "publicKey": { "hint": "" }, "certificate": { "rawBytes": "AA==" } }),
        ),
        set("/dsseEnvelope/signatures", json!([])),
        set("/dsseEnvelope/signatures", json!([signature, signature])),
        set("/dsseEnvelope/payload", json!("%")),
        set("/dsseEnvelope/signatures/0/sig", json!("%")),
        set("/dsseEnvelope", Value::Null),
    ] {
        assert_eq!(bundle_reason(&bad, &keys), Some(RejectReason::Malformed), "{bad}");
    }
    let mut both = good.clone();
    both["messageSignature"] = json!({ "signature": "AA==" });
    assert_eq!(bundle_reason(&both, &keys), Some(RejectReason::Malformed));
    let mut unknown = good.clone();
    unknown["surprise"] = json!(1);
    assert_eq!(bundle_reason(&unknown, &keys), Some(RejectReason::Malformed));
    for text in ["", "{", "null", "[]", "{}"] {
        let stored = store(vec![Layer::bundle(text)], &subject(), "");
        assert_eq!(reason(only(&verify(&stored, &keys)).1), Some(RejectReason::Malformed));
    }
}

#[test]
fn a_keyless_bundle_is_neither_counted_nor_condemned() {
    let (key, listed) = (TestKey::p256(), TestKey::p256());
    let mut content = bundle(&key, &statement(SIGN, &subject()));
    content["verificationMaterial"] = json!({ "certificate": { "rawBytes": b64(&key.spki()) } });
    let facts = verify(&stored(&content), &[listed.public()]);
    let (is_signature, state) = only(&facts);
    assert_eq!((is_signature, reason(state)), (true, Some(RejectReason::Unsupported)));
}

#[test]
fn a_log_entry_must_speak_about_this_signature() {
    let key = TestKey::p256();
    let keys = [key.public()];
    let good = bundle(&key, &statement(SIGN, &subject()));
    let signature = good["dsseEnvelope"]["signatures"][0]["sig"].clone();
    let payload = statement(SIGN, &subject()).to_string();
    let with = |body: &Value, index: Value| {
        let mut content = good.clone();
        content["verificationMaterial"]["tlogEntries"] = json!([{
            "logIndex": index, "logId": { "keyId": "AA==" }, "integratedTime": "1700000000",
            "kindVersion": { "kind": "dsse", "version": "0.0.1" },
            "canonicalizedBody": b64(body.to_string().as_bytes()),
        }]);
        bundle_reason(&content, &keys)
    };
    let hash = Digest::sha256(payload.as_bytes()).hex();
    let dsse = |signature: &Value, hash: &str| {
        json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "payloadHash": { "algorithm": "sha256", "value": hash },
            "signatures": [{ "signature": signature, "verifier": "AA==" }],
        }})
    };
    assert_eq!(with(&dsse(&signature, &hash), json!("12")), None);
    let other = json!(b64(&key.sign(b"something else")));
    let malformed = Some(RejectReason::Malformed);
    assert_eq!(with(&dsse(&other, &hash), json!("12")), malformed);
    assert_eq!(with(&dsse(&signature, &other_subject().hex()), json!("12")), malformed);
    assert_eq!(with(&dsse(&signature, &hash), json!("-1")), malformed);
    assert_eq!(with(&json!("not an entry"), json!(1)), None, "an unknown kind says nothing");
    // Version 2 of the log writes raw digests where version 1 has hex.
    let version_2 = |signature: &Value, payload: &[u8]| {
        json!({ "apiVersion": "0.0.2", "kind": "dsse", "spec": { "dsseV002": {
            "payloadHash": {
                "algorithm": "SHA2_256", "digest": b64(Digest::sha256(payload).as_bytes()),
            },
            "signatures": [{ "content": signature, "verifier": {} }],
        }}})
    };
    assert_eq!(with(&version_2(&signature, payload.as_bytes()), json!(1)), None);
    assert_eq!(with(&version_2(&other, payload.as_bytes()), json!(1)), malformed);
    assert_eq!(with(&version_2(&signature, b"another"), json!(1)), malformed);
    // The signatures of `intoto` entries are base64 of the envelope's own base64.
    let intoto = |signature: &Value, hash: &str| {
        let twice = b64(signature.as_str().unwrap().as_bytes());
        json!({ "apiVersion": "0.0.2", "kind": "intoto", "spec": { "content": {
            "envelope": { "signatures": [{ "sig": twice }] },
            "payloadHash": { "algorithm": "sha256", "value": hash },
        }}})
    };
    assert_eq!(with(&intoto(&signature, &hash), json!(1)), None);
    assert_eq!(with(&intoto(&other, &hash), json!(1)), malformed);
    assert_eq!(with(&intoto(&signature, &other_subject().hex()), json!(1)), malformed);
    let long = |bytes: usize| json!({ "kind": "unknown", "spec": "x".repeat(bytes) });
    assert_eq!(with(&long(1 << 19), json!(1)), None);
    assert_eq!(with(&long(1 << 20), json!(1)), malformed, "longer than an entry may be");
}

#[test]
fn a_message_signature_under_other_hashes_needs_the_subjects_bytes() {
    let image = b"the image that is signed";
    for key in [TestKey::p384(), TestKey::p521_sha512(), TestKey::ed25519(), TestKey::ed25519ph()] {
        let keys = [key.public()];
        let content = |message: &[u8]| {
            json!({
                "mediaType": media_type::SIGSTORE_BUNDLE_V03,
                "verificationMaterial": { "publicKey": { "hint": key.public().hint() } },
                "messageSignature": { "messageDigest": {}, "signature": b64(&key.sign(message)) },
            })
        };
        assert_eq!(bundle_reason(&content(image), &keys), Some(RejectReason::Unsupported));
        let with_bytes = |content: &Value| {
            let stored = stored(content);
            let facts = verify_with_subject(&stored, &keys, Some(image));
            reason(only(&facts).1)
        };
        assert_eq!(with_bytes(&content(image)), None, "{:?}", key.public());
        assert_eq!(with_bytes(&content(b"another image")), Some(RejectReason::Forged));
    }
}

#[test]
fn a_message_signature_signs_the_subject() {
    for key in [TestKey::p256(), TestKey::rsa()] {
        let keys = [key.public()];
        let image = b"the image that is signed";
        let content = |message: &[u8], digest: &Digest| {
            json!({
                "mediaType": media_type::SIGSTORE_BUNDLE_V03,
                "verificationMaterial": { "publicKey": { "hint": key.public().hint() } },
                "messageSignature": {
                    "messageDigest": { "algorithm": "SHA2_256", "digest": b64(digest.as_bytes()) },
                    "signature": b64(&key.sign(message)),
                },
            })
        };
        let facts = verify(&stored(&content(image, &subject())), &keys);
        assert_eq!(only(&facts), (true, &verified(&key)));
        // Put together from parts: the entry of a log is about another signature.
        let logged = |signature: &Value| {
            let mut content = content(image, &subject());
            content["messageSignature"]["signature"] = signature.clone();
            let hash = json!({ "algorithm": "sha256", "value": subject().hex() });
            let body = json!({ "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
                "signature": { "content": b64(&key.sign(b"something else")) },
                "data": { "hash": hash },
            }});
            let entry =
                json!({ "logIndex": "1", "canonicalizedBody": b64(body.to_string().as_bytes()) });
            content["verificationMaterial"]["tlogEntries"] = json!([entry]);
            bundle_reason(&content, &keys)
        };
        let signature = content(image, &subject())["messageSignature"]["signature"].clone();
        assert_eq!(logged(&signature), Some(RejectReason::Malformed));
        let transplanted = content(b"another image", &other_subject());
        assert_eq!(bundle_reason(&transplanted, &keys), Some(RejectReason::SubjectMismatch));
        let forged = content(b"another image", &subject());
        assert_eq!(bundle_reason(&forged, &keys), Some(RejectReason::Forged));
        let lying = content(image, &other_subject());
        assert_eq!(bundle_reason(&lying, &keys), Some(RejectReason::Forged));
    }
}

#[test]
fn the_statement_can_be_read_back() {
    let key = TestKey::p256();
    let claim = statement(VULN, &subject());
    let content = bundle(&key, &claim).to_string();
    let read = read_statement(EvidenceFormat::SigstoreBundle, content.as_bytes()).unwrap();
    assert_eq!(read.predicate_type, VULN);
    assert!(read.is_about(&subject()));
    assert!(!read.is_about(&other_subject()));
    assert!(!read.is_signature());
    assert_eq!(read.digest, Digest::sha256(claim.to_string().as_bytes()));
    let layer = envelope(&key, IN_TOTO, claim.to_string().as_bytes()).to_string();
    let read = read_statement(EvidenceFormat::CosignLegacyAttestation, layer.as_bytes()).unwrap();
    assert_eq!(read.predicate_type, VULN);
    assert!(read_statement(EvidenceFormat::CosignLegacy, b"{}").is_err());
}

proptest::proptest! {
    /// Whatever is done to a bundle's bytes, it verifies only when what is signed is unchanged.
    #[test]
    fn damaged_bundles_never_verify_another_statement(
        position in 0_usize..10_000, byte in proptest::prelude::any::<u8>(),
    ) {
        thread_local! {
            static KEY: TestKey = TestKey::ed25519();
        }
        KEY.with(|key| {
            let good = bundle(key, &statement(SIGN, &subject()));
            let mut text = good.to_string().into_bytes();
            let position = position % text.len();
            text[position] = byte;
            let stored = store(vec![Layer::bundle(text.clone())], &subject(), "");
            let facts = verify(&stored, &[key.public()]);
            let (is_signature, state) = only(&facts);
            if reason(state).is_none() {
                assert!(is_signature);
                let read: Value = serde_json::from_slice(&text).unwrap();
                let text = |value: &Value| {
                    value.as_str().map(|text| text.trim_end_matches('=').to_owned())
                };
                let (was, is) = (&good["dsseEnvelope"], &read["dsseEnvelope"]);
                assert_eq!(text(&was["payload"]), text(&is["payload"]));
            }
        });
    }
}

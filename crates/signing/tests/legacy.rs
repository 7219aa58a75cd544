//! Cosign's legacy tags: `.sig` and `.att`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;
use sealock_facts::RejectReason;
use sealock_oci::{Digest, Manifest, Tag, media_type};
use sealock_signing::{AccessoryKind, Limits, PublicKey, classify};
use serde_json::{Value, json};
use support::*;

fn sig(layers: Vec<Layer>) -> Stored {
    store(layers, &subject(), ".sig")
}

fn sig_reason(layer: Layer, keys: &[PublicKey]) -> Option<RejectReason> {
    let facts = verify(&sig(vec![layer]), keys);
    let (is_signature, state) = only(&facts);
    assert!(is_signature, "a .sig layer is never an attestation");
    reason(state)
}

#[test]
fn every_kind_of_key_signs() {
    // P-384 keys sign legacy payloads over SHA-256, which aws-lc-rs does not make: see `p384`.
    for key in [TestKey::p256(), TestKey::p521_sha256(), TestKey::ed25519(), TestKey::rsa()] {
        let others = [TestKey::p256().public(), TestKey::rsa().public()];
        let stored = sig(vec![Layer::simple(&key, &simple_payload(&subject()))]);
        let listed = [&others[..], &[key.public()]].concat();
        let facts = verify(&stored, &listed);
        assert_eq!(only(&facts), (true, &verified(&key)));
        assert_eq!(facts.signatures[0].subject, subject());
        assert_eq!(facts.signatures[0].accessory, stored.digest);
        assert_eq!(reason(only(&verify(&stored, &others)).1), Some(RejectReason::NoKeyMatches));
        assert_eq!(reason(only(&verify(&stored, &[])).1), Some(RejectReason::NoKeyMatches));
    }
}

/// Made with `openssl dgst -sha256 -sign` under a throw-away P-384 key.
#[test]
fn p384_signs_legacy_payloads_over_sha256() {
    let key = PublicKey::from_pem(include_str!("data/p384.pub")).unwrap();
    let payload = include_bytes!("data/p384-payload.json");
    let signature = include_str!("data/p384-payload.sig").trim();
    let layer = |signature: &str| Layer {
        media_type: media_type::COSIGN_SIMPLE_SIGNING,
        content: payload.to_vec(),
        annotations: json!({ "dev.cosignproject.cosign/signature": signature }),
    };
    assert_eq!(sig_reason(layer(signature), std::slice::from_ref(&key)), None);
    let mut changed = signature.to_owned().into_bytes();
    changed[20] = if changed[20] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    assert_eq!(sig_reason(layer(&changed), &[key]), Some(RejectReason::NoKeyMatches));
}

/// Cosign signs these payloads over SHA-256 under every curve; a longer hash is that of bundles.
#[test]
fn longer_hashes_do_not_sign_legacy_payloads() {
    for key in [TestKey::p384(), TestKey::p521_sha512()] {
        let layer = Layer::simple(&key, &simple_payload(&subject()));
        assert_eq!(sig_reason(layer, &[key.public()]), Some(RejectReason::NoKeyMatches));
    }
}

#[test]
fn legacy_payloads_are_signed_pure() {
    let key = TestKey::ed25519ph();
    let layer = Layer::simple(&key, &simple_payload(&subject()));
    assert_eq!(sig_reason(layer, &[key.public()]), Some(RejectReason::NoKeyMatches));
}

#[test]
fn every_changed_byte_of_payload_or_signature_is_noticed() {
    let key = TestKey::p256();
    let keys = [key.public()];
    let good = || Layer::simple(&key, &simple_payload(&subject()));
    assert_eq!(sig_reason(good(), &keys), None);
    for i in 0..good().content.len() {
        let mut layer = good();
        layer.content[i] ^= 1;
        assert_eq!(sig_reason(layer, &keys), Some(RejectReason::NoKeyMatches), "payload byte {i}");
    }
    let signature = key.sign(&good().content);
    for i in 0..signature.len() {
        let mut changed = signature.clone();
        changed[i] ^= 1;
        let mut layer = good();
        layer.annotations["dev.cosignproject.cosign/signature"] = json!(b64(&changed));
        let found = sig_reason(layer, &keys);
        assert_eq!(found, Some(RejectReason::NoKeyMatches), "signature byte {i}");
    }
}

#[test]
fn transplanted_and_foreign_payloads_have_their_own_reasons() {
    let key = TestKey::p256();
    let keys = [key.public()];
    let transplanted = Layer::simple(&key, &simple_payload(&other_subject()));
    assert_eq!(sig_reason(transplanted, &keys), Some(RejectReason::SubjectMismatch));
    let mut other_type = simple_payload(&subject());
    other_type["critical"]["type"] = json!("atomic container signature");
    assert_eq!(
        sig_reason(Layer::simple(&key, &other_type), &keys),
        Some(RejectReason::OtherPayload)
    );
    let mut capital = simple_payload(&subject());
    let image = capital["critical"]["image"].as_object_mut().unwrap();
    let digest = image.remove("docker-manifest-digest").unwrap();
    image.insert("Docker-manifest-digest".to_owned(), digest);
    assert_eq!(sig_reason(Layer::simple(&key, &capital), &keys), Some(RejectReason::OtherPayload));
    assert_eq!(
        sig_reason(Layer::simple(&key, &json!({ "release": "notes" })), &keys),
        Some(RejectReason::OtherPayload)
    );
}

#[test]
fn a_key_given_twice_is_refused_even_when_signed() {
    let key = TestKey::p256();
    let text = simple_payload(&subject()).to_string();
    let twice = text.replace(
        "\"docker-manifest-digest\"",
        &format!("\"docker-manifest-digest\":\"{}\",\"docker-manifest-digest\"", other_subject()),
    );
    let layer = Layer {
        media_type: media_type::COSIGN_SIMPLE_SIGNING,
        annotations: json!({
            "dev.cosignproject.cosign/signature": b64(&key.sign(twice.as_bytes())),
        }),
        content: twice.into_bytes(),
    };
    assert_eq!(sig_reason(layer, &[key.public()]), Some(RejectReason::Malformed));
}

/// GHSA-fx35-mq7g-6g98: a bare key in the certificate's place became the verifier.
#[test]
fn a_key_that_comes_with_the_signature_never_verifies() {
    let (attacker, listed) = (TestKey::p256(), TestKey::p256());
    for (pem, expected) in [
        (attacker.public().to_pem(), RejectReason::Malformed),
        (
            attacker.public().to_pem().replace("PUBLIC KEY", "CERTIFICATE"),
            RejectReason::Unsupported,
        ),
    ] {
        let mut layer = Layer::simple(&attacker, &simple_payload(&subject()));
        layer.annotations["dev.sigstore.cosign/certificate"] = json!(pem);
        let stored = sig(vec![layer]);
        assert_eq!(reason(only(&verify(&stored, &[listed.public()])).1), Some(expected));
        assert_eq!(reason(only(&verify(&stored, &[])).1), Some(expected));
        // The same bytes count once the project lists the key itself.
        assert_eq!(only(&verify(&stored, &[attacker.public()])).1, &verified(&attacker));
    }
}

#[test]
fn unreadable_and_missing_parts_are_reasons() {
    let key = TestKey::p256();
    let keys = [key.public()];
    let good = || Layer::simple(&key, &simple_payload(&subject()));
    for annotations in [
        json!({}),
        json!({ "dev.cosignproject.cosign/signature": "" }),
        json!({ "dev.cosignproject.cosign/signature": "%%%" }),
    ] {
        let layer = Layer { annotations, ..good() };
        assert_eq!(sig_reason(layer, &keys), Some(RejectReason::Malformed));
    }
    let mut stored = sig(vec![good()]);
    let digest = *stored.blobs.keys().next().unwrap();
    stored.blobs.insert(digest, b"other bytes".to_vec());
    assert_eq!(reason(only(&verify(&stored, &keys)).1), Some(RejectReason::Malformed));
    stored.blobs.clear();
    assert_eq!(reason(only(&verify(&stored, &keys)).1), Some(RejectReason::Missing));
    let small = Limits { payload_bytes: 10, ..Limits::default() };
    let facts = verify_with(&sig(vec![good()]), &keys, &small);
    assert_eq!(reason(only(&facts).1), Some(RejectReason::LimitExceeded));
}

#[test]
fn a_thousand_and_one_layers_block_nothing() {
    let key = TestKey::p256();
    let signed_first = Layer::simple(&key, &simple_payload(&subject()));
    let mut layers = vec![signed_first];
    for _ in 0..1_000 {
        let mut junk = Layer::simple(&key, &simple_payload(&subject()));
        junk.annotations["dev.cosignproject.cosign/signature"] = json!("AAAA");
        layers.push(junk);
    }
    let facts = verify(&sig(layers), &[key.public()]);
    assert_eq!(facts.signatures.len(), 1_001);
    assert_eq!(facts.signatures[0].status, verified(&key));
    assert_eq!(reason(&facts.signatures[999].status), Some(RejectReason::NoKeyMatches));
    assert_eq!(reason(&facts.signatures[1_000].status), Some(RejectReason::LimitExceeded));
    assert_eq!(facts.signatures[1_000].position, 1_000);

    // However many there are, the facts stay bounded, and what lies behind the limit never counts.
    let few = Limits { layers: 3, ..Limits::default() };
    let mut layers: Vec<_> = (0..9)
        .map(|_| Layer {
            annotations: json!({}),
            ..Layer::simple(&key, &simple_payload(&subject()))
        })
        .collect();
    layers.push(Layer::simple(&key, &simple_payload(&subject())));
    let facts = verify_with(&sig(layers), &[key.public()], &few);
    assert_eq!(facts.signatures.len(), 4);
    assert!(facts.signatures.iter().all(|fact| reason(&fact.status).is_some()));
}

#[test]
fn all_layers_together_are_limited() {
    let key = TestKey::p256();
    let layers: Vec<_> =
        (0..10).map(|_| Layer::simple(&key, &simple_payload(&subject()))).collect();
    let size = layers[0].content.len() as u64;
    let limits = Limits { total_bytes: size * 4, ..Limits::default() };
    let facts = verify_with(&sig(layers), &[key.public()], &limits);
    let good = facts.signatures.iter().filter(|fact| reason(&fact.status).is_none()).count();
    assert_eq!((good, facts.signatures.len()), (4, 10));
}

#[test]
fn the_work_on_one_accessory_is_limited() {
    let key = TestKey::ed25519();
    let keys = [TestKey::p256().public(), TestKey::p256().public(), key.public()];
    let layers = || -> Vec<_> {
        (0..10).map(|_| Layer::simple(&key, &simple_payload(&subject()))).collect()
    };
    let size = layers()[0].content.len() as u64;
    for limits in [
        Limits { checks: 12, ..Limits::default() },
        Limits { hashed_bytes: size * 4, ..Limits::default() },
    ] {
        let facts = verify_with(&sig(layers()), &keys, &limits);
        let reasons: Vec<_> = facts.signatures.iter().map(|fact| reason(&fact.status)).collect();
        assert_eq!(reasons[..4], [None; 4]);
        assert_eq!(reasons[4..], [Some(RejectReason::LimitExceeded); 6]);
    }
}

fn att_reason(content: &Value, keys: &[PublicKey]) -> (bool, Option<RejectReason>) {
    let stored = store(vec![Layer::dsse(content)], &subject(), ".att");
    let facts = verify(&stored, keys);
    let (is_signature, state) = only(&facts);
    (is_signature, reason(state))
}

#[test]
fn legacy_attestations_are_attestations() {
    for (key, kind) in [
        (TestKey::p256(), "https://in-toto.io/Statement/v0.1"),
        (TestKey::p384(), "https://in-toto.io/Statement/v1"),
        (TestKey::p521_sha512(), "https://in-toto.io/Statement/v0.1"),
        (TestKey::p521_sha256(), "https://in-toto.io/Statement/v0.1"),
        (TestKey::ed25519(), "https://in-toto.io/Statement/v0.1"),
        (TestKey::rsa(), "https://in-toto.io/Statement/v0.1"),
    ] {
        let mut claim = statement(VULN, &subject());
        claim["_type"] = json!(kind);
        let content = envelope(&key, IN_TOTO, claim.to_string().as_bytes());
        let stored = store(vec![Layer::dsse(&content)], &subject(), ".att");
        let facts = verify(&stored, &[key.public()]);
        assert_eq!(only(&facts), (false, &verified(&key)));
        assert_eq!(facts.attestations[0].predicate_type, VULN);
        let claimed = Digest::sha256(claim.to_string().as_bytes());
        assert_eq!(facts.attestations[0].statement, claimed);
        let others = [TestKey::p256().public()];
        assert_eq!(att_reason(&content, &others), (false, Some(RejectReason::NoKeyMatches)));
    }
}

#[test]
fn any_of_several_signatures_in_an_envelope_suffices() {
    let (one, two) = (TestKey::p256(), TestKey::ed25519());
    let payload = statement(VULN, &subject()).to_string();
    let mut content = envelope(&one, IN_TOTO, payload.as_bytes());
    let second = envelope(&two, IN_TOTO, payload.as_bytes());
    content["signatures"].as_array_mut().unwrap().push(second["signatures"][0].clone());
    assert_eq!(att_reason(&content, &[two.public()]), (false, None));
    assert_eq!(att_reason(&content, &[one.public()]), (false, None));
    content["signatures"] = json!([]);
    assert_eq!(att_reason(&content, &[one.public()]), (false, Some(RejectReason::Malformed)));
    content["signatures"] = Value::Array(vec![second["signatures"][0].clone(); 17]);
    assert_eq!(att_reason(&content, &[two.public()]), (false, Some(RejectReason::Malformed)));
}

#[test]
fn legacy_tags_need_their_layers_and_the_whole_name() {
    let key = TestKey::p256();
    let stored = sig(vec![Layer::simple(&key, &simple_payload(&subject()))]);
    let hex = subject().hex();
    let kind = |manifest: &Manifest, tag: &str| {
        classify(manifest, Some(&tag.parse::<Tag>().unwrap())).map(|found| found.kind)
    };
    assert_eq!(
        kind(&stored.manifest, &format!("sha256-{hex}.sig")),
        Some(AccessoryKind::CosignSignature)
    );
    for tag in [
        format!("sha256-{hex}.att"),
        format!("sha256-{hex}"),
        format!("x-sha256-{hex}.sig"),
        format!("sha256-{}.sig", &hex[1..]),
        format!("sha256-{}.sig", hex.to_uppercase()),
        format!("sha256-{hex}.sig.sig"),
    ] {
        assert_eq!(kind(&stored.manifest, &tag), None, "{tag}");
    }
    let mut image = stored.manifest.clone();
    image.layers[0].media_type = "application/vnd.oci.image.layer.v1.tar+gzip".to_owned();
    assert_eq!(kind(&image, &format!("sha256-{hex}.sig")), None, "an image cannot hide there");
}

#[test]
fn a_layer_of_another_type_is_no_evidence_even_when_it_is_signed() {
    let key = TestKey::p256();
    let layer = |media_type| {
        let mut layer = Layer::simple(&key, &simple_payload(&subject()));
        layer.media_type = media_type;
        layer
    };
    let stored = sig(vec![layer(media_type::COSIGN_SIMPLE_SIGNING), layer("application/json")]);
    let facts = verify(&stored, &[key.public()]);
    assert_eq!(facts.signatures[0].status, verified(&key));
    assert_eq!(reason(&facts.signatures[1].status), Some(RejectReason::Unsupported));
}

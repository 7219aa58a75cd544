//! Public keys from PEM.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;
use aws_lc_rs::{encoding::AsDer, rsa, signature::KeyPair};
use sealock_oci::Digest;
use sealock_signing::{KeyAlgorithm, KeyError, PublicKey};
use support::*;

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", b64(der))
}

#[test]
fn every_accepted_kind_round_trips() {
    for (key, algorithm) in [
        (TestKey::p256(), KeyAlgorithm::EcdsaP256),
        (TestKey::p384(), KeyAlgorithm::EcdsaP384),
        (TestKey::p521_sha512(), KeyAlgorithm::EcdsaP521),
        (TestKey::ed25519(), KeyAlgorithm::Ed25519),
        (TestKey::rsa(), KeyAlgorithm::Rsa { bits: 2048 }),
    ] {
        let public = key.public();
        assert_eq!(public.algorithm(), algorithm);
        assert_eq!(public.id(), &Digest::sha256(&key.spki()).hex());
        assert_eq!(public.to_pem().parse::<PublicKey>().unwrap(), public);
        let spaced = format!("\n  {}\r\n\n", public.to_pem().replace('\n', "\r\n"));
        assert_eq!(PublicKey::from_pem(&spaced).unwrap().id(), public.id());
    }
}

#[test]
fn a_key_has_one_encoding() {
    for key in [TestKey::p256(), TestKey::ed25519(), TestKey::rsa()] {
        let der = key.spki();
        for bad in [&der[1..], &der[..der.len() - 1], &[&der[..], &[0]].concat()] {
            assert_eq!(PublicKey::from_spki(bad).unwrap_err(), KeyError::Unsupported);
        }
        // The header byte by byte: no other spelling of the same key is taken.
        let header = if matches!(key, TestKey::Ed25519(_)) { 12 } else { 20 };
        for i in 0..header {
            let mut changed = der.clone();
            changed[i] ^= 1;
            assert!(PublicKey::from_spki(&changed).is_err(), "{:?} byte {i}", key.public());
        }
    }
    // The neutral element: any signature would be "valid" under it.
    let header = &TestKey::ed25519().spki()[..12];
    let weak = [header, &[1], &[0; 31]].concat();
    assert_eq!(PublicKey::from_spki(&weak).unwrap_err(), KeyError::Unsupported);
    let mut off_curve = TestKey::p256().spki();
    *off_curve.last_mut().unwrap() ^= 1;
    assert_eq!(PublicKey::from_spki(&off_curve).unwrap_err(), KeyError::Unsupported);
}

#[test]
fn weak_and_foreign_keys_are_refused() {
    // RSA 1024, made by openssl.
    let weak = include_str!("data/rsa1024.pub");
    assert_eq!(PublicKey::from_pem(weak).unwrap_err(), KeyError::Unsupported);
    let secp256k1 = include_str!("data/secp256k1.pub");
    assert_eq!(PublicKey::from_pem(secp256k1).unwrap_err(), KeyError::Unsupported);
    let large = aws_lc_rs::signature::RsaKeyPair::generate(rsa::KeySize::Rsa4096).unwrap();
    let spki = large.public_key().as_der().unwrap();
    let key = PublicKey::from_spki(spki.as_ref()).unwrap();
    assert_eq!(key.algorithm(), KeyAlgorithm::Rsa { bits: 4096 });
}

/// DER, definite lengths.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ 0..=127 => vec![u8::try_from(short).unwrap()],
        long => {
            let bytes: Vec<u8> = long.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
            [&[0x80 | u8::try_from(bytes.len()).unwrap()], &bytes[..]].concat()
        }
    };
    [&[tag], &length[..], content].concat()
}

/// The encoding of an RSA key whose modulus has so many bits. Nobody knows its factors.
fn rsa_spki(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0xb5; bits.div_ceil(8)];
    let top = (bits - 1) % 8;
    modulus[0] = (1 << top) | (modulus[0] & ((1 << top) - 1));
    *modulus.last_mut().unwrap() |= 1;
    if top == 7 {
        // An integer is signed.
        modulus.insert(0, 0);
    }
    let key = der(0x30, &[der(2, &modulus), der(2, &[1, 0, 1])].concat());
    let algorithm = [&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1][..], &[5, 0]].concat();
    der(0x30, &[der(0x30, &algorithm), der(3, &[&[0][..], &key].concat())].concat())
}

#[test]
fn an_rsa_modulus_has_2048_to_8192_bits() {
    for bits in [2048, 2049, 3072, 8191, 8192] {
        let key = PublicKey::from_spki(&rsa_spki(bits));
        assert_eq!(key.map(|key| key.algorithm()), Ok(KeyAlgorithm::Rsa { bits }));
    }
    for bits in [512, 1024, 2040, 2047, 8193, 8200, 16_384] {
        let refused = PublicKey::from_spki(&rsa_spki(bits));
        assert_eq!(refused.unwrap_err(), KeyError::Unsupported, "{bits} bits");
    }
}

#[test]
fn errors_say_what_was_sent() {
    let der = TestKey::p256().spki();
    let error = |text: &str| PublicKey::from_pem(text).unwrap_err();
    assert_eq!(error(&pem("PRIVATE KEY", &der)), KeyError::Private);
    assert_eq!(error(&pem("ENCRYPTED SIGSTORE PRIVATE KEY", &der)), KeyError::Private);
    assert_eq!(error(&pem("CERTIFICATE", &der)), KeyError::Label("CERTIFICATE".to_owned()));
    assert_eq!(error(&pem("RSA PUBLIC KEY", &der)), KeyError::Label("RSA PUBLIC KEY".to_owned()));
    assert_eq!(error(&pem("PUBLIC KEY", &der).repeat(2)), KeyError::Pem);
    for text in ["", "hello", "-----BEGIN PUBLIC KEY-----\n%%%\n-----END PUBLIC KEY-----\n"] {
        assert_eq!(error(text), KeyError::Pem, "{text}");
    }
    assert_eq!(error(&" ".repeat(100_000)), KeyError::TooLong);
}

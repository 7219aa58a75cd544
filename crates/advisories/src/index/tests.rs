use super::*;
use crate::matching::MatchOptions;
use crate::starter::starter_index;
use jiff::Timestamp;
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn bytes() -> Vec<u8> {
    starter_index(now()).unwrap().into_bytes()
}

#[test]
fn opens_what_was_written_and_nothing_else() {
    let good = bytes();
    let folder = tempfile::tempdir().unwrap();
    let digest = sealock_oci::Digest::sha256(&good);
    let path = folder.path().join(format!("{}.idx", digest.hex()));
    std::fs::write(&path, &good).unwrap();
    let index = Index::open(&path).unwrap();
    assert_eq!(index.digest(), &digest);
    assert_eq!(index.snapshot().digest, digest.to_string());
    drop(index);
    // Under the name of another digest.
    let other = folder.path().join(format!("{}.idx", "0".repeat(64)));
    std::fs::copy(&path, &other).unwrap();
    assert!(Index::open(&other).is_err());
    // One bit anywhere.
    for at in (0..good.len()).step_by(good.len() / 97) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let error = Index::open(&path).unwrap_err().to_string();
        assert!(error.contains("cannot be used"), "{error}");
    }
    for length in [0, 1, 7, HEADER, good.len() - 1] {
        std::fs::write(&path, &good[..length]).unwrap();
        assert!(Index::open(&path).is_err(), "{length}");
    }
}

/// Makes the trailer right again, so that damage is met by the readers behind it.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let body = bytes.len() - TRAILER;
    let hash = Sha256::digest(&bytes[..body]);
    bytes[body..].copy_from_slice(&hash);
    bytes
}

/// Uses everything that an index offers.
fn exercise(index: &Index) {
    let _ = index.snapshot();
    let _ = index.lookup("CVE-2022-0778");
    let components: Vec<_> = [
        ("Debian:12", "openssl", "3.0.1-1"),
        ("Alpine:v3.20", "xz", "5.6.1-r0"),
        ("PyPI", "urllib3", "1.24"),
        ("npm", "lodash", "4.17.0"),
    ]
    .map(|(e, n, v)| crate::matching::tests::component(e, n, v))
    .into();
    let _ = index.match_components(&components, now(), MatchOptions { comprehensive: true });
    let _ = crate::matching::changed_packages(index, index);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damage_behind_the_checksum_is_an_error_and_no_more(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        near in any::<bool>(),
    ) {
        let mut bytes = BYTES.with(Clone::clone);
        let span = if near { HEADER.min(bytes.len()) } else { bytes.len() };
        for (at, value) in changes {
            let at = at.index(span);
            bytes[at] = value;
        }
        if let Ok(index) = Index::from_bytes(seal(bytes)) {
            exercise(&index);
        }
    }
}

thread_local! {
    static BYTES: Vec<u8> = bytes();
}

//! The corpora of the fuzz targets under `fuzz/`, replayed on every toolchain.

use std::fs;
use std::path::PathBuf;

fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut seen = 0;
    for file in fs::read_dir(&folder).unwrap().flatten() {
        let bytes = fs::read(file.path()).unwrap();
        run(&bytes);
        // Every input cut short, and with one byte changed, at a few places.
        for at in (0..bytes.len()).step_by((bytes.len() / 16).max(1)) {
            run(&bytes[..at]);
            let mut changed = bytes.clone();
            changed[at] ^= 0x55;
            run(&changed);
        }
        seen += 1;
    }
    assert!(seen > 0, "{} is empty", folder.display());
}

#[test]
fn records() {
    replay("record", crate::fuzz_record);
}

#[test]
fn indexes() {
    replay("index", crate::fuzz_index);
}

#[test]
fn versions() {
    replay("version", crate::fuzz_versions);
}

#[test]
fn archives() {
    replay("zip", crate::fuzz_zip);
}

#[test]
fn lines() {
    replay("lines", crate::fuzz_lines);
}

/// The seed of the index target is written by `SEALOCK_WRITE_CORPUS=1 cargo test`; it must still
/// open.
#[test]
fn index_seed_is_of_this_format() {
    let now = "2026-11-22T12:00:00Z".parse().unwrap();
    let records: Vec<serde_json::Value> =
        crate::starter_records().take(4).map(|r| serde_json::from_str(r).unwrap()).collect();
    let index = crate::index_of_records(&records, now).unwrap();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/index/starter.idx");
    if std::env::var_os("SEALOCK_WRITE_CORPUS").is_some() {
        fs::write(&path, index.into_bytes()).unwrap();
    }
    assert!(crate::Index::from_bytes(fs::read(&path).unwrap()).is_ok());
}

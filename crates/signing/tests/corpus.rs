//! The kept inputs of the fuzz targets, replayed on the stable toolchain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use sealock_signing::fuzz;
use std::{fs, path::Path};

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 5, "{target} has too few inputs");
    for path in inputs {
        let input = fs::read(&path).unwrap();
        run(&input);
        // Cut and damaged at every place, which costs little and finds much.
        for cut in 0..input.len().min(2_000) {
            run(&input[..cut]);
        }
        for position in 0..input.len().min(2_000) {
            let mut damaged = input.clone();
            damaged[position] ^= 0x11;
            run(&damaged);
        }
    }
}

#[test]
fn bundles() {
    replay("bundle", fuzz::bundle);
}

#[test]
fn envelopes() {
    replay("envelope", fuzz::envelope);
}

#[test]
fn simple_signing() {
    replay("simple_signing", fuzz::simple_signing);
}

#[test]
fn statements() {
    replay("statement", fuzz::statement);
}

#[test]
fn public_keys() {
    replay("public_key", fuzz::public_key);
}

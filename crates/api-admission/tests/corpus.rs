//! The kept inputs of the fuzz target, replayed on the stable toolchain.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

#[test]
fn reviews() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/review");
    let mut inputs: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 6);
    for path in inputs {
        let input = fs::read(path).unwrap();
        sealock_api_admission::fuzz::review(&input);
        for position in 0..input.len() {
            sealock_api_admission::fuzz::review(&input[..position]);
            let mut damaged = input.clone();
            damaged[position] ^= 0x11;
            sealock_api_admission::fuzz::review(&damaged);
        }
    }
}

//! The fuzz targets' corpora, replayed on the stable toolchain.

use std::{fs, path::Path};

fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        run(&bytes);
        // What a fuzzer would try first: cut it, and turn each of its bits in turn.
        for cut in (0..bytes.len()).step_by(17) {
            run(&bytes[..cut]);
        }
        for position in (0..bytes.len()).step_by(5) {
            let mut changed = bytes.clone();
            changed[position] ^= 1 << (position % 8);
            run(&changed);
        }
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
}

#[test]
fn policies() {
    replay("policy", sealock_policy::fuzz_policy);
}

#[test]
fn decision_documents() {
    replay("gate_input", sealock_policy::fuzz_gate_input);
}

//! Whatever the bytes are, reading them ends, and what it says can be written and read back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use proptest::prelude::*;
use sealock_oci::Digest;
use sealock_sbom::{LayerContents, fuzz_image, fuzz_layer, merge};
use std::path::Path;
use support::*;

/// A layer with every kind of entry and package file.
fn rich() -> Vec<u8> {
    let deep = "d/".repeat(80);
    Layer::new()
        .directory("etc")
        .file("etc/os-release", DEBIAN)
        .file("var/lib/dpkg/status", status(&[("bash", "5.2"), ("g++", "1:2+b1")]))
        .file("var/lib/dpkg/info/bash.list", "/x/six.egg-info\n")
        .file("usr/share/doc/bash/copyright", "License: MIT\n")
        .file("lib/apk/db/installed", "P:musl\nV:1\nF:x\nR:six.egg-info\n\n")
        .file("etc/apk/repositories", "http://x/v3.20/main\n")
        .file("x/six.egg-info", metadata("six", "1"))
        .file(&format!("{deep}/package.json"), package_json("deep", "1"))
        .pax(&[("path", "p/node_modules/a/package.json"), ("mtime", "1.5")])
        .file("short", package_json("a", "1"))
        .symlink("lib64", "usr/lib64")
        .hard_link("y/package.json", "p/node_modules/a/package.json")
        .file("var/.wh.gone", "")
        .file("opt/.wh..wh..opq", "")
        .header(b'3', b"dev/null", b"", 0)
        .tar()
}

fn check(contents: LayerContents) {
    let written = serde_json::to_string(&contents).unwrap();
    assert_eq!(serde_json::from_str::<LayerContents>(&written).unwrap(), contents);
    assert!(contents.reasons.len() < 40);
    if contents.diff_id.is_none() {
        assert!(!contents.is_complete(), "a layer that was not read to its end must say so");
    }
    let layers = [(Digest::sha256(b"1"), contents.clone()), (Digest::sha256(b"2"), contents)];
    let image = merge(&layers, None);
    for component in &image.components {
        assert!(component.purl.starts_with("pkg:"));
        assert!(!component.name.is_empty() && !component.version.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn byte_soup(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        check(fuzz_layer(&bytes));
    }

    #[test]
    fn soup_behind_a_magic(magic in 0..4usize, bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let magic: &[u8] = [&b"\x1f\x8b\x08\0\0\0\0\0\0\0"[..], b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"BZh91AY"][magic];
        check(fuzz_layer(&[magic, &bytes].concat()));
    }

    #[test]
    fn a_mutated_layer(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        zip in 0..3u8,
    ) {
        let mut bytes = rich();
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if zip == 1 {
            bytes.truncate(cut.index(bytes.len()));
        }
        if zip == 2 {
            bytes = gzip(&bytes);
            let at = changes[0].0.index(bytes.len());
            bytes[at] = changes[0].1;
        }
        check(fuzz_layer(&bytes));
    }

    /// Headers are mutated with a right checksum, so that what stands behind it is reached.
    #[test]
    fn a_mutated_header(entry in 0..30usize, at in 0..512usize, byte in any::<u8>()) {
        let mut bytes = rich();
        let block = (entry % (bytes.len() / 512)) * 512;
        bytes[block + at] = byte;
        let mut sum = 0u32;
        for (i, b) in bytes[block..block + 512].iter().enumerate() {
            sum += if (148..156).contains(&i) { 32 } else { u32::from(*b) };
        }
        bytes[block + 148..block + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        check(fuzz_layer(&bytes));
    }
}

#[test]
fn the_kept_corpus_is_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/layer");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        check(fuzz_layer(&std::fs::read(entry.unwrap().path()).unwrap()));
        count += 1;
    }
    assert!(count >= 10, "only {count} files in the corpus");
}

#[test]
fn the_kept_corpus_of_images_is_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/image");
    let (mut count, mut read) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        read += usize::from(fuzz_image(&bytes).is_some());
        // Cut short, and with one byte changed, at a few places.
        for at in (0..bytes.len()).step_by((bytes.len() / 32).max(1)) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x15;
            for (_, layer) in
                [&bytes[..at], &changed].iter().filter_map(|b| fuzz_image(b)).flat_map(|i| i.layers)
            {
                check(layer);
            }
        }
        count += 1;
    }
    assert!(count >= 8 && read >= 5, "{read} of {count} are images");
}

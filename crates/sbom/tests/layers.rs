//! What one layer gives, whole and hostile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use sealock_oci::Digest;
use sealock_sbom::{Compression, LayerContents, Limits, code, inspect_layer, merge};
use std::io::{self, Read, Write};
use support::*;

fn sample() -> Layer {
    Layer::new()
        .directory("./etc/")
        .file("./etc/os-release", DEBIAN)
        .file("./usr/bin/tool", vec![7; 100_000])
        .file("./var/lib/dpkg/status", status(&[("bash", "5.2"), ("tar", "1.34")]))
        .file(
            "usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA",
            metadata("six", "1.16.0"),
        )
        .file("app/node_modules/left-pad/package.json", package_json("left-pad", "1.3.0"))
}

fn found(contents: &LayerContents) -> Vec<String> {
    packages(&merge(&[(Digest::sha256(b"x"), contents.clone())], None))
}

const SAMPLE: [&str; 4] = ["bash@5.2", "tar@1.34", "six@1.16.0", "left-pad@1.3.0"];

#[test]
fn plain_gzip_and_zstd_are_told_by_their_bytes() {
    let tar = sample().tar();
    let (front, back) = tar.split_at(70_000);
    let members = [gzip(front), gzip(b""), gzip(back)].concat();
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let skippable = [&[0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd(front), &zstd(back)];
    for (bytes, compression) in [
        (tar.clone(), Compression::None),
        (gzip(&tar), Compression::Gzip),
        (members, Compression::Gzip),
        (zstd(&tar), Compression::Zstd),
        ([zstd(front), zstd(back)].concat(), Compression::Zstd),
        (skippable.concat(), Compression::Zstd),
    ] {
        let contents = inspect(&bytes);
        assert_eq!(contents.compression, compression);
        assert_eq!(codes(&contents), [""; 0]);
        assert_eq!(contents.diff_id, Some(Digest::sha256(&tar)));
        assert_eq!(contents.expanded_bytes, tar.len() as u64);
        assert_eq!(contents.compressed_bytes, bytes.len() as u64);
        assert_eq!(found(&contents), SAMPLE);
        assert_eq!(contents.entries, 6);
    }
}

#[test]
fn bytes_that_come_one_by_one_give_the_same() {
    struct Slow<'a>(&'a [u8]);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(1).min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }
    for bytes in
        [gzip(&sample().tar()), zstd::encode_all(&sample().tar()[..], 3).unwrap(), sample().tar()]
    {
        assert_eq!(inspect_layer(Slow(&bytes), &Limits::default()), inspect(&bytes));
    }
}

#[test]
fn what_is_no_archive_is_not_read_to_its_end() {
    let bytes: Vec<u8> =
        (0..8_u32 << 18).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    for (blob, limit) in [(&bytes, 1 << 20), (&gzip(&bytes), 2 << 20)] {
        let mut rest = blob.as_slice();
        let contents = inspect_layer(&mut rest, &Limits::default());
        assert_eq!(codes(&contents), [code::NOT_A_TAR]);
        assert_eq!(contents.diff_id, None);
        let read = blob.len() - rest.len();
        assert!(read < limit && limit < blob.len(), "{read} of {}", blob.len());
    }
}

#[test]
fn truncation_keeps_what_was_read_and_says_so() {
    let tar = sample().tar();
    let zipped = gzip(&tar);
    let contents = inspect(&zipped[..zipped.len() - 9]);
    assert_eq!(codes(&contents), [code::TRUNCATED_COMPRESSION]);
    assert_eq!(contents.diff_id, None);
    let frame = zstd::encode_all(&tar[..], 3).unwrap();
    let contents = inspect(&frame[..frame.len() - 5]);
    assert_eq!(codes(&contents), [code::TRUNCATED_COMPRESSION]);
    let contents = inspect(&tar[..tar.len() - 1024 - 700]);
    assert_eq!(codes(&contents), [code::TRUNCATED_ARCHIVE]);
    assert_eq!(found(&contents), SAMPLE[..3]);
    // Go's reader accepts an archive that ends cleanly without its marker.
    let contents = inspect(&tar[..tar.len() - 1024]);
    assert_eq!(codes(&contents), [""; 0]);
    // Cut within a package database: what was read counts, and the fact is partial.
    let at = tar.windows(12).position(|w| w == b"Package: tar").unwrap();
    let contents = inspect(&tar[..at]);
    assert_eq!(codes(&contents), [code::TRUNCATED_ARCHIVE]);
    assert_eq!(found(&contents), SAMPLE[..1]);
}

#[test]
fn damage_in_the_compressed_stream() {
    let mut zipped = gzip(&sample().tar());
    let last = zipped.len() - 6;
    zipped[last] ^= 1;
    assert_eq!(codes(&inspect(&zipped)), [code::DAMAGED_COMPRESSION]);
    zipped[last] ^= 1;
    assert_eq!(codes(&inspect(&zipped)), [""; 0]);
    zipped.extend_from_slice(b"trailing garbage");
    assert_eq!(codes(&inspect(&zipped)), [code::DAMAGED_COMPRESSION]);
}

#[test]
fn what_is_no_layer() {
    assert_eq!(codes(&inspect(b"")), [""; 0]);
    assert_eq!(codes(&inspect(&[0; 1024])), [""; 0]);
    assert_eq!(codes(&inspect(b"hello")), [code::NOT_A_TAR]);
    assert_eq!(codes(&inspect(&[b'x'; 4096])), [code::NOT_A_TAR]);
    assert_eq!(codes(&inspect(&gzip(b"{\"a\": 1}"))), [code::NOT_A_TAR]);
    for magic in
        [&b"BZh91AY&SY......"[..], b"\xfd7zXZ\0......", b"PK\x03\x04....", b"\x04\x22\x4d\x18...."]
    {
        let contents = inspect(magic);
        assert_eq!(codes(&contents), [code::UNSUPPORTED_COMPRESSION]);
        assert_eq!(contents.compression, Compression::Unsupported);
    }
}

#[test]
fn a_failing_reader_is_told_from_a_short_one() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let bytes = gzip(&sample().tar());
    let contents = inspect_layer(bytes[..200].chain(Failing), &Limits::default());
    assert_eq!(codes(&contents), [code::READ_ERROR]);
    let contents = inspect_layer(Failing, &Limits::default());
    assert_eq!(codes(&contents), [code::READ_ERROR]);
}

#[test]
fn long_names_and_pax_records() {
    let long = format!("{}/node_modules/a/package.json", "d".repeat(200));
    let body = package_json("a", "1.0.0");
    let size = body.len().to_string();
    let gnu = Layer::new().file(&long, &body);
    let pax = Layer::new().pax(&[("path", &long), ("mtime", "1.5")]).file("short", &body);
    // The true size stands in the record, as for files over 8 GiB.
    let sized = Layer::new()
        .pax(&[("path", &long), ("size", &size)])
        .header(b'0', b"short", b"", 0)
        .body(body.as_bytes())
        .file("x", "y");
    for layer in [gnu, pax, sized] {
        let contents = layer.inspect();
        assert_eq!(codes(&contents), [""; 0]);
        assert_eq!(found(&contents), ["a@1.0.0"]);
    }
}

#[test]
fn headers_that_readers_disagree_on() {
    let body = package_json("a", "1.0.0");
    let path = "node_modules/a/package.json";
    for layer in [
        Layer::new().pax(&[("path", "x")]).pax(&[("path", path)]).file("y", &body),
        Layer::new()
            .pax(&[("path", "other")])
            .header(b'L', b"l", b"", path.len() as u64)
            .body(path.as_bytes())
            .file("y", &body),
        Layer::new().file(path, &body).file("etc/dir/", "x"),
        Layer::new().file(path, &body).header(b'Z', b"odd", b"", 3).body(b"abc"),
        Layer::new().file(path, &body).header(b'g', b"g", b"", 10).body(b"10 path=a\n"),
    ] {
        let contents = layer.inspect();
        assert_eq!(codes(&contents), [code::AMBIGUOUS_HEADER]);
        assert_eq!(found(&contents), ["a@1.0.0"]);
    }
    let comment =
        Layer::new().header(b'g', b"g", b"", 14).body(b"14 comment=ab\n").file(path, &body);
    assert_eq!(codes(&comment.inspect()), [""; 0]);
    let hidden = Layer::new().raw(&[0; 1024]).file(path, &body).inspect();
    assert_eq!((codes(&hidden), found(&hidden).len()), (vec![code::DATA_AFTER_END], 0));
    let broken = Layer::new().file(path, &body).pax(&[("size", "-1")]).file("x", "y").inspect();
    assert_eq!(codes(&broken), [code::DAMAGED_ARCHIVE]);
    assert_eq!(found(&broken), ["a@1.0.0"]);
}

#[test]
fn sizes_that_lie() {
    let path = "node_modules/a/package.json";
    // Larger than the stream, in octal and in base 256.
    for size in [9_000_000_000_000, 8 << 30, i64::MAX as u64] {
        let contents =
            Layer::new().file("x", "y").header(b'0', path.as_bytes(), b"", size).inspect();
        assert_eq!(codes(&contents), [code::TRUNCATED_ARCHIVE], "{size}");
    }
    // An extension header that asks for more than is held.
    let contents = Layer::new().header(b'L', b"l", b"", 1 << 40).raw(&[b'a'; 4096]).inspect();
    assert_eq!(codes(&contents), [code::EXTENSION_LIMIT]);
    // Links and directories have no body whatever they say.
    let contents = Layer::new()
        .header(b'2', b"l", b"t", 5000)
        .header(b'5', b"d", b"", 1 << 40)
        .file(path, package_json("a", "1"))
        .inspect();
    assert_eq!((codes(&contents), found(&contents).len()), (vec![], 1));
    // A negative size and a wrong checksum end the reading.
    let mut bytes = Layer::new().file("x", "y").file("z", "y").tar();
    bytes[1024 + 124] = 0xff;
    assert_eq!(codes(&inspect(&bytes)), [code::DAMAGED_ARCHIVE]);
}

#[test]
fn absurd_paths() {
    let body = package_json("a", "1.0.0");
    let deep = format!("{}node_modules/a/package.json", "d/".repeat(3000));
    let contents = Layer::new().pax(&[("path", &deep)]).file("x", &body).file("y", "z").inspect();
    assert_eq!((codes(&contents), found(&contents).len()), (vec![code::PATH_TOO_LONG], 0));
    let contents =
        Layer::new().pax(&[("path", "node_modules/a\0b/package.json")]).file("x", &body).inspect();
    assert_eq!((codes(&contents), found(&contents).len()), (vec![code::BAD_PATH], 0));
    // A runtime clamps these at the root or refuses the layer, so it is found and told.
    let contents = Layer::new().file("../../node_modules/a/package.json", &body).inspect();
    assert_eq!((codes(&contents), found(&contents).len()), (vec![code::PATH_OUTSIDE_ROOT], 1));
    let contents = Layer::new().file("/node_modules/a/../a/./package.json", &body).inspect();
    assert_eq!((codes(&contents), found(&contents).len()), (vec![], 1));
    let contents = Layer::new().header(b'0', b"a\xff\xfe/.wh..", b"", 0).inspect();
    assert_eq!(codes(&contents), [code::BAD_PATH]);
}

#[test]
fn loops_of_links() {
    let contents = Layer::new()
        .symlink("a", "b")
        .symlink("b", "a")
        .file("a/node_modules/x/package.json", package_json("x", "1"))
        .symlink("etc/os-release", "os-release")
        .symlink("var/lib/dpkg/status", "../../../var/lib/dpkg/status")
        .inspect();
    assert_eq!(codes(&contents), [code::UNREAD_LINK]);
    let image = merge(&[(Digest::sha256(b"x"), contents)], None);
    assert_eq!(image_codes(&image), [code::UNREAD_LINK]);
    assert_eq!(packages(&image).len(), 0);
}

#[test]
fn bombs_stop_at_the_total_and_at_the_ratio() {
    let zeros = vec![0u8; 8 << 20];
    let bomb = zstd::encode_all(&Layer::new().file("zero", &zeros).tar()[..], 3).unwrap();
    let total = Limits { max_expanded_bytes: 1 << 20, ..Limits::default() };
    let ratio = Limits { ratio_floor_bytes: 1 << 20, ..Limits::default() };
    for limits in [total, ratio] {
        let contents = inspect_layer(&bomb[..], &limits);
        assert_eq!(codes(&contents), [code::EXPANSION_LIMIT]);
        assert!(contents.expanded_bytes <= 3 << 20, "{}", contents.expanded_bytes);
    }
    assert_eq!(codes(&inspect_layer(&bomb[..], &Limits::default())), [""; 0]);
    // A frame that demands a window of 2 GiB is refused before memory is taken.
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.write_all(&sample().tar()).unwrap();
    let contents = inspect(&encoder.finish().unwrap());
    assert_eq!(codes(&contents), [code::DAMAGED_COMPRESSION]);
}

#[test]
fn caps_on_what_is_kept() {
    let mut layer = Layer::new();
    for n in 0..50 {
        let path = format!("node_modules/p{n}/package.json");
        layer = layer.file(&path, package_json(&format!("p{n}"), "1"));
    }
    let bytes = layer.tar();
    for (limits, code, kept) in [
        (Limits { max_components: 10, ..Limits::default() }, code::TOO_MANY_COMPONENTS, 10),
        (Limits { max_evidence: 7, ..Limits::default() }, code::TOO_MANY_COMPONENTS, 7),
        (Limits { max_entries: 20, ..Limits::default() }, code::TOO_MANY_ENTRIES, 20),
        (Limits { max_links: 1, ..Limits::default() }, "", 50),
    ] {
        let contents = inspect_layer(&bytes[..], &limits);
        assert_eq!(codes(&contents), if code.is_empty() { vec![] } else { vec![code] });
        assert_eq!(found(&contents).len(), kept);
    }
    let limits = Limits { max_components: 3, ..Limits::default() };
    let many = Layer::new()
        .file("var/lib/dpkg/status", status(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]));
    let contents = inspect_layer(&many.tar()[..], &limits);
    assert_eq!(codes(&contents), [""; 0]);
    assert_eq!(found(&contents).len(), 3);
    assert!(!contents.is_complete(), "what was left out must be told");
    let whiteouts = Layer::new().file("a/.wh.b", "").file("a/.wh.c", "").tar();
    let limits = Limits { max_whiteouts: 1, ..Limits::default() };
    assert_eq!(codes(&inspect_layer(&whiteouts[..], &limits)), [code::TOO_MANY_WHITEOUTS]);
}

#[test]
fn a_package_file_that_is_too_large_is_told() {
    let limits =
        Limits { max_package_file_bytes: 1000, max_database_bytes: 90, ..Limits::default() };
    let padding = " ".repeat(1000);
    let layer = Layer::new()
        .file("node_modules/a/package.json", package_json("a", "1") + &padding)
        .file("var/lib/dpkg/status", status(&[("a", "1"), ("b", "1")]))
        .file("x/y-1.dist-info/METADATA", metadata("y", "1") + &padding);
    let contents = inspect_layer(&layer.tar()[..], &limits);
    assert!(!contents.is_complete());
    let image = merge(&[(Digest::sha256(b"x"), contents)], None);
    assert_eq!(image_codes(&image), [code::PACKAGE_FILE_TOO_LARGE]);
    assert!(packages(&image).contains(&"y@1".to_owned()));
}

#[test]
fn sparse_files_are_skipped_by_their_stored_size() {
    let mut header = tar::Header::new_gnu();
    header.set_path("var/lib/dpkg/status").unwrap();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(512);
    header.as_gnu_mut().unwrap().isextended[0] = 1;
    header.set_cksum();
    let bytes = *header.as_bytes();
    let contents = Layer::new()
        .raw(&bytes)
        .raw(&[0; 512])
        .raw(&[b'x'; 512])
        .file("node_modules/a/package.json", package_json("a", "1"))
        .inspect();
    assert_eq!(found(&contents), ["a@1"]);
    let image = merge(&[(Digest::sha256(b"x"), contents)], None);
    assert_eq!(image_codes(&image), [code::SPARSE_PACKAGE_FILE]);
}

#[test]
fn linked_evidence_in_one_layer() {
    let json = package_json("linked", "2.0.0");
    // pnpm: the body lies in a store under a meaningless name, met before or linked to later.
    let contents = Layer::new()
        .file("a/store/v3/00/abcdef", &json)
        .hard_link("app/node_modules/linked/package.json", "a/store/v3/00/abcdef")
        .inspect();
    assert_eq!((codes(&contents), found(&contents)), (vec![], vec!["linked@2.0.0".to_owned()]));
    let contents = Layer::new()
        .symlink("var/lib/dpkg/status", "/data/packages")
        .file("data/packages", status(&[("bash", "5.2")]))
        .inspect();
    assert_eq!(found(&contents), ["bash@5.2"]);
    // A link to bytes that were not kept is told.
    let contents = Layer::new()
        .file("data/packages", "no package file by its first bytes")
        .hard_link("var/lib/dpkg/status", "data/packages")
        .inspect();
    let image = merge(&[(Digest::sha256(b"x"), contents)], None);
    assert_eq!(image_codes(&image), [code::UNREAD_LINK]);
    // A dangling link is nothing.
    let contents = Layer::new().symlink("etc/os-release", "../usr/lib/os-release").inspect();
    let image = merge(&[(Digest::sha256(b"x"), contents)], None);
    assert_eq!(image_codes(&image), [""; 0]);
}

/// Writes a layer of many entries without holding it.
struct Many {
    left: u64,
    kind: u8,
    buffer: Vec<u8>,
    at: usize,
}

impl Read for Many {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.buffer.len() {
            self.at = 0;
            self.buffer.clear();
            while self.left > 0 && self.buffer.len() < 64 << 10 {
                self.left -= 1;
                let name = format!(
                    "d{}/e{}/node_modules/f{}",
                    self.left % 97,
                    self.left % 1009,
                    self.left
                );
                let layer = Layer(std::mem::take(&mut self.buffer));
                self.buffer = layer.header(self.kind, name.as_bytes(), b"t", 0).0;
            }
        }
        let count = out.len().min(self.buffer.len() - self.at);
        out[..count].copy_from_slice(&self.buffer[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[test]
fn a_million_entries_stay_small() {
    for kind in [b'0', b'2', b'5'] {
        let many = Many { left: 60_000, kind, buffer: Vec::new(), at: 0 };
        let contents = inspect_layer(many, &Limits::default());
        assert_eq!(contents.entries, 60_000);
        assert_eq!(codes(&contents), [""; 0]);
        let record = serde_json::to_vec(&contents).unwrap().len();
        assert!(record < 60_000 * 8, "{record} bytes");
    }
    let limits = Limits { max_entries: 1000, ..Limits::default() };
    let many = Many { left: 60_000, kind: b'0', buffer: Vec::new(), at: 0 };
    let contents = inspect_layer(many, &limits);
    assert_eq!((codes(&contents), contents.entries), (vec![code::TOO_MANY_ENTRIES], 1001));
}

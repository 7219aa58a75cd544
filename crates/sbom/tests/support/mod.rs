//! Builders of layers for the tests of this crate.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::print_stderr,
    reason = "each test file uses a part of it"
)]

use sealock_facts::{Completeness, ImageContents};
use sealock_oci::Digest;
use sealock_sbom::{LayerContents, Limits, inspect_layer};
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use tar::{EntryType, Header};

/// A tar archive under construction; every entry may be wrong on purpose.
#[derive(Default)]
pub struct Layer(pub Vec<u8>);

impl Layer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A header with this type, name and size, whatever they are.
    pub fn header(self, kind: u8, name: &[u8], link: &[u8], size: u64) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len().min(100)]
            .copy_from_slice(&name[..name.len().min(100)]);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(EntryType::new(kind));
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        let bytes = *header.as_bytes();
        self.raw(&bytes)
    }

    pub fn body(self, content: &[u8]) -> Self {
        let padding = content.len().next_multiple_of(512) - content.len();
        self.raw(content).raw(&vec![0; padding])
    }

    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.long_name(path)
            .header(b'0', path.as_bytes(), b"", content.as_ref().len() as u64)
            .body(content.as_ref())
    }

    /// GNU's extension, only where the name needs it.
    fn long_name(self, path: &str) -> Self {
        if path.len() <= 100 {
            return self;
        }
        self.header(b'L', b"././@LongLink", b"", path.len() as u64 + 1)
            .body(&[path.as_bytes(), b"\0"].concat())
    }

    pub fn directory(self, path: &str) -> Self {
        self.header(b'5', path.as_bytes(), b"", 0)
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.header(b'2', path.as_bytes(), target.as_bytes(), 0)
    }

    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.header(b'1', path.as_bytes(), target.as_bytes(), 0)
    }

    pub fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut body = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + rest.to_string().len();
            if length.to_string().len() + rest != length {
                length += 1;
            }
            body.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
        }
        self.header(b'x', b"PaxHeaders/x", b"", body.len() as u64).body(&body)
    }

    /// The archive with its end marker.
    pub fn tar(self) -> Vec<u8> {
        self.raw(&[0; 1024]).0
    }

    pub fn inspect(self) -> LayerContents {
        inspect(&self.tar())
    }

    pub fn pair(self) -> (Digest, LayerContents) {
        let bytes = self.tar();
        (Digest::sha256(&bytes), inspect(&bytes))
    }
}

pub fn inspect(bytes: &[u8]) -> LayerContents {
    let contents = inspect_layer(bytes, &Limits::default());
    let written = serde_json::to_string(&contents).unwrap();
    assert_eq!(serde_json::from_str::<LayerContents>(&written).unwrap(), contents);
    contents
}

pub fn codes(contents: &LayerContents) -> Vec<&str> {
    contents.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

pub fn image_codes(contents: &ImageContents) -> Vec<&str> {
    match &contents.completeness {
        Completeness::Complete => Vec::new(),
        Completeness::Partial { reasons } => reasons.iter().map(|r| r.code.as_str()).collect(),
    }
}

/// `name@version`, sorted as the components are.
pub fn packages(contents: &ImageContents) -> Vec<String> {
    contents.components.iter().map(|c| format!("{}@{}", c.name, c.version)).collect()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn status(packages: &[(&str, &str)]) -> String {
    packages
        .iter()
        .map(|(name, version)| {
            format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n")
        })
        .collect()
}

pub fn metadata(name: &str, version: &str) -> String {
    format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: MIT\n\ntext\n")
}

pub fn package_json(name: &str, version: &str) -> String {
    format!("{{\"name\": \"{name}\", \"version\": \"{version}\", \"license\": \"MIT\"}}")
}

pub const DEBIAN: &str = "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n";

/// The shared test data, where it lies beside the checkout. Its absence is told.
pub fn shared(part: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/testdata").join(part);
    if !path.exists() {
        eprintln!("skipped: the shared test data {part} is not beside this checkout");
        return None;
    }
    Some(path)
}

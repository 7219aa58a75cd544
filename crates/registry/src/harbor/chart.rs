//! The files of a Helm chart that people read, out of its layer. The layer is somebody's upload: a
//! name or a size in it is believed for nothing.

use crate::{Error, Result};
use flate2::read::MultiGzDecoder;
use sealock_blobs::{BlobKey, BlobStore};
use sealock_oci::{Descriptor, Manifest, media_type};
use serde_json::{Value, json};
use std::io::Read;

/// Largest layer that is looked into, in bytes: Helm itself takes no larger chart.
pub(crate) const MAX_CHART_BYTES: u64 = 20 * 1024 * 1024;
/// Most bytes that a layer may expand to before what is looked for was found.
pub(crate) const MAX_EXPANDED_BYTES: u64 = 100 * 1024 * 1024;
/// Largest file that is told, in bytes.
pub(crate) const MAX_CHART_FILE_BYTES: u64 = 5 * 1024 * 1024;
/// Most entries that are passed over.
const MAX_ENTRIES: usize = 10_000;
/// Most dependencies that are told.
const MAX_DEPENDENCIES: usize = 1_000;

const CONTENT: [&str; 2] =
    ["application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip"];

/// The layer that holds a chart's files.
pub(crate) fn layer(manifest: &Manifest) -> Option<&Descriptor> {
    let is_content =
        |layer: &&Descriptor| CONTENT.contains(&media_type::essence(&layer.media_type).as_str());
    manifest.layers.iter().find(is_content)
}

/// A file that stands right in the chart's folder, by its name in whatever case.
pub(crate) fn file(store: &BlobStore, layer: &BlobKey, name: &str) -> Result<Option<Vec<u8>>> {
    let layer = store.open_sync(layer)?;
    if layer.size() > MAX_CHART_BYTES {
        return Err(too_large("the chart's layer", MAX_CHART_BYTES));
    }
    find(layer.take(MAX_CHART_BYTES), name)
}

fn find(layer: impl Read, name: &str) -> Result<Option<Vec<u8>>> {
    let expanded = Counted { inner: MultiGzDecoder::new(layer), left: MAX_EXPANDED_BYTES };
    let mut archive = tar::Archive::new(expanded);
    let entries = archive.entries().map_err(damaged)?;
    for (at, entry) in entries.enumerate() {
        let mut entry = entry.map_err(damaged)?;
        if at >= MAX_ENTRIES {
            return Err(too_large("the number of the chart's files", MAX_ENTRIES as u64));
        }
        let path = entry.path_bytes().into_owned();
        let path = path.strip_prefix(b"./").unwrap_or(&path);
        let mut parts = path.splitn(3, |byte| *byte == b'/');
        let (folder, file, deeper) = (parts.next(), parts.next(), parts.next());
        let is_it = file.is_some_and(|file| file.eq_ignore_ascii_case(name.as_bytes()))
            && folder.is_some_and(|folder| !folder.is_empty())
            && deeper.is_none()
            && entry.header().entry_type().is_file();
        if is_it {
            let mut content = Vec::new();
            entry
                .by_ref()
                .take(MAX_CHART_FILE_BYTES + 1)
                .read_to_end(&mut content)
                .map_err(damaged)?;
            return match content.len() as u64 > MAX_CHART_FILE_BYTES {
                true => Err(too_large(name, MAX_CHART_FILE_BYTES)),
                false => Ok(Some(content)),
            };
        }
    }
    Ok(None)
}

/// What a chart depends on, as Harbor tells it.
pub(crate) fn dependencies(config: &Value) -> Value {
    let listed = config["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
    let one = |dependency: &Value| {
        let text = |field: &str| dependency[field].as_str().unwrap_or_default().to_owned();
        json!({
            "name": text("name"), "version": text("version"), "repository": text("repository"),
        })
    };
    listed.iter().take(MAX_DEPENDENCIES).map(one).collect()
}

fn too_large(what: &str, limit: u64) -> Error {
    super::bad(format!("{what} is larger than what is looked into ({limit})"))
}

fn damaged(error: std::io::Error) -> Error {
    super::bad(format!("the chart's layer cannot be read: {error}"))
}

/// Ends with an error where it expands to more than it may.
struct Counted<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            std::io::Error::other(format!("it expands to more than {MAX_EXPANDED_BYTES} bytes"))
        })?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn packed(write: impl FnOnce(&mut tar::Builder<GzEncoder<Vec<u8>>>)) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        write(&mut builder);
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn add(
        builder: &mut tar::Builder<GzEncoder<Vec<u8>>>,
        path: &str,
        content: impl Read,
        size: u64,
    ) {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, content).unwrap();
    }

    #[test]
    fn a_file_is_found_in_the_charts_own_folder_only() {
        let chart = packed(|builder| {
            for (path, text) in [
                ("front/charts/db/values.yaml", "of another chart"),
                ("values.yaml", "of none"),
                ("front/values.yaml", "replicas: 1\n"),
                ("front/README.md", "# Front\n"),
            ] {
                add(builder, path, text.as_bytes(), text.len() as u64);
            }
        });
        let found = |name: &str| find(chart.as_slice(), name).unwrap();
        assert_eq!(found("values.yaml").unwrap(), b"replicas: 1\n");
        assert_eq!(found("readme.md").unwrap(), b"# Front\n");
        assert_eq!(found("LICENSE"), None);
    }

    #[test]
    fn a_bomb_is_put_down() {
        let zeros = |size: u64| std::io::repeat(0).take(size);
        let long = MAX_EXPANDED_BYTES + 1024;
        let bomb = packed(|builder| add(builder, "x/filler", zeros(long), long));
        assert!(bomb.len() < 1024 * 1024);
        assert!(find(bomb.as_slice(), "values.yaml").is_err());
        let long = MAX_CHART_FILE_BYTES + 1;
        let bomb = packed(|builder| add(builder, "x/values.yaml", zeros(long), long));
        assert!(find(bomb.as_slice(), "values.yaml").is_err());
        let many = packed(|builder| {
            (0..=MAX_ENTRIES).for_each(|n| add(builder, &format!("x/{n}"), &b""[..], 0));
        });
        assert!(find(many.as_slice(), "values.yaml").is_err());
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        assert!(find(&b"no gzip"[..], "values.yaml").is_err());
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&[0x41; 2048]).unwrap();
        assert!(find(encoder.finish().unwrap().as_slice(), "values.yaml").is_err());
    }
}

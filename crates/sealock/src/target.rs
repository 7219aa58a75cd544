//! What `scan` and `sbom` are asked to look at.

use crate::commands::scan::Target;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sealock_facts::ImageContents;
use sealock_oci::Digest;
use sealock_sbom::{ImageSelection, Limits};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Something read on this machine.
pub(crate) struct Local {
    /// A name for it.
    pub(crate) name: String,
    /// The reference within a layout.
    pub(crate) tag: Option<String>,
    /// The manifest's digest, for an image.
    pub(crate) digest: Option<Digest>,
    /// What is in it.
    pub(crate) contents: ImageContents,
}

enum Place {
    Layout(PathBuf, Option<String>),
    RootFilesystem(PathBuf),
}

/// Reads the target if it lies on this machine; `None` means that it is an image on the server.
pub(crate) async fn local(target: &Target, quiet: bool) -> Result<Option<Local>> {
    let Some(place) = place(&target.target)? else { return Ok(None) };
    let progress = spinner(quiet, &target.target);
    let platform = target.platform.clone();
    let read = tokio::task::spawn_blocking(move || read(place, platform)).await;
    progress.finish_and_clear();
    read.context("reading the target")?.map(Some)
}

fn read(place: Place, platform: Option<String>) -> Result<Local> {
    let limits = Limits::default();
    match place {
        Place::Layout(path, reference) => {
            let selection = ImageSelection { reference: reference.clone(), platform };
            let image = sealock_sbom::inspect_oci_layout(&path, &selection, &limits)?;
            Ok(Local {
                name: file_name(&path),
                tag: image.name.or(reference),
                digest: Some(image.manifest),
                contents: image.contents,
            })
        }
        Place::RootFilesystem(path) => {
            let contents = sealock_sbom::inspect_root_filesystem(&path, &limits)?;
            Ok(Local { name: file_name(&path), tag: None, digest: None, contents })
        }
    }
}

/// `oci:PATH[:REF]` and `dir:PATH` say what they are; a bare path is recognised by what is there.
fn place(text: &str) -> Result<Option<Place>> {
    if let Some(rest) = text.strip_prefix("oci:").or_else(|| text.strip_prefix("oci-archive:")) {
        let (path, reference) = split_reference(rest);
        if !exists(&path) {
            bail!("{} does not exist", path.display());
        }
        return Ok(Some(Place::Layout(path, reference)));
    }
    if let Some(rest) = text.strip_prefix("dir:") {
        let path = PathBuf::from(rest);
        if !path.is_dir() {
            bail!("{rest} is not a folder");
        }
        return Ok(Some(Place::RootFilesystem(path)));
    }
    let path = PathBuf::from(text);
    if path.is_dir() && !sealock_sbom::is_image_folder(&path) {
        return Ok(Some(Place::RootFilesystem(path)));
    }
    Ok(exists(&path).then_some(Place::Layout(path, None)))
}

/// A reference may itself hold colons, a path seldom does: the longest existing path wins.
fn split_reference(text: &str) -> (PathBuf, Option<String>) {
    if exists(Path::new(text)) {
        return (PathBuf::from(text), None);
    }
    text.rmatch_indices(':')
        .map(|(at, _)| (PathBuf::from(&text[..at]), Some(text[at + 1..].to_owned())))
        .find(|(path, _)| exists(path))
        .unwrap_or_else(|| (PathBuf::from(text), None))
}

fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

fn file_name(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn spinner(quiet: bool, what: &str) -> ProgressBar {
    if !crate::output::interactive(quiet) {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(format!("reading {what}"));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_split_from_an_existing_path() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().to_str().expect("UTF-8");
        assert_eq!(split_reference(path), (dir.path().to_owned(), None));
        let tagged = format!("{path}:registry:5000/app:1.0");
        let (found, reference) = split_reference(&tagged);
        assert_eq!(found, dir.path());
        assert_eq!(reference.as_deref(), Some("registry:5000/app:1.0"));
        assert!(matches!(place(path), Ok(Some(Place::RootFilesystem(_)))));
        std::fs::write(dir.path().join("oci-layout"), b"{}").expect("written");
        assert!(matches!(place(path), Ok(Some(Place::Layout(_, None)))));
        assert!(matches!(place("library/app:1.0"), Ok(None)));
        assert!(place("oci:/nowhere:1.0").is_err());
    }
}

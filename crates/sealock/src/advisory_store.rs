//! The advisories on this machine, for scans without a server.

use crate::commands::advisories::{Import, Update, source_name};
use anyhow::{Context, Result, bail};
use sealock_advisories::{
    CoverageStatement, Download, EgressPolicy, FILE_ENDINGS, ImportMode, ImportReport,
    ImportRequest, Index, SnapshotStore, file_ending, starter_index,
};
use sealock_facts::Coverage;
use sealock_metadata::{Clock as _, SystemClock};
use serde_json::{Value, json};
use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Deepest folder that is looked into.
const MAX_DEPTH: usize = 16;

/// `SEALOCK_ADVISORIES_DIR`, else the user's data directory.
fn folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("SEALOCK_ADVISORIES_DIR") {
        return Ok(folder.into());
    }
    if let Some(data) = std::env::var_os("XDG_DATA_HOME") {
        return Ok(PathBuf::from(data).join("sealock/advisories"));
    }
    let home = std::env::var_os("HOME").context("set HOME or SEALOCK_ADVISORIES_DIR")?;
    Ok(PathBuf::from(home).join(".local/share/sealock/advisories"))
}

/// The index that an offline scan uses: the given folder's, else the user's, else the starter set.
pub(crate) fn for_scans(given: Option<&Path>) -> Result<Arc<Index>> {
    let folder = match given {
        Some(folder) => folder.to_owned(),
        None => folder()?,
    };
    // Nothing is made by a scan: it must work where the user's folder cannot be written.
    if folder.join("current").exists() {
        let index = SnapshotStore::open(&folder)?.current()?;
        return index.with_context(|| format!("{} holds no advisories", folder.display()));
    }
    if given.is_some() {
        bail!("{} holds no advisories; import some with --local", folder.display());
    }
    Ok(Arc::new(starter_index(SystemClock.now())?))
}

/// Imports into the user's store.
pub(crate) async fn import(args: Import) -> Result<Value> {
    let request = ImportRequest {
        source: args.source.clone().unwrap_or_else(|| source_name(&args.path)),
        paths: vec![args.path],
        mode: if args.add { ImportMode::Add } else { ImportMode::Replace },
        coverage: CoverageStatement {
            default: if args.coverage == "full" { Coverage::Full } else { Coverage::Partial },
            ..CoverageStatement::default()
        },
        force: args.force,
        ..ImportRequest::default()
    };
    publish(request).await
}

/// Fetches archives into the user's store.
pub(crate) async fn update(args: Update) -> Result<Value> {
    let source = args.base.host_str().unwrap_or("download").to_owned();
    let store = SnapshotStore::open(&folder()?)?;
    let scratch = store.work_folder()?;
    let download = Download {
        known: store.fetched(&source)?,
        url: args.base.to_string(),
        ecosystems: args.ecosystems,
        // The person at the terminal named the address; what they may reach is their own affair.
        egress: EgressPolicy::anywhere(),
        ..Download::default()
    };
    let got = sealock_advisories::download(&download, scratch.path()).await?;
    if got.is_unchanged() {
        let report = ImportReport { unchanged: true, ..ImportReport::default() };
        return Ok(serde_json::to_value(report)?);
    }
    let coverage = CoverageStatement { default: Coverage::Full, ..CoverageStatement::default() };
    publish(ImportRequest {
        source,
        paths: got.files,
        fetched: got.versions,
        coverage,
        force: args.force,
        ..Default::default()
    })
    .await
}

async fn publish(request: ImportRequest) -> Result<Value> {
    let store = SnapshotStore::open(&folder()?)?;
    let imported = tokio::task::spawn_blocking(move || {
        let now = SystemClock.now();
        store.ensure_starter(now)?;
        store.import(&request, now)
    });
    let imported = imported.await.context("the import was interrupted")??;
    Ok(serde_json::to_value(imported.report)?)
}

/// What the user's store holds.
pub(crate) fn status() -> Result<Value> {
    Ok(json!({"snapshot": for_scans(None)?.snapshot()}))
}

/// Packs every file below a folder that an import reads into one temporary archive, as it is.
/// Links are not followed.
pub(crate) fn pack(folder: &Path) -> Result<tempfile::NamedTempFile> {
    let mut packed = tempfile::NamedTempFile::new()?;
    let mut archive = zip::ZipWriter::new(BufWriter::new(packed.as_file_mut()));
    // What is worth compressing is so already, or is small.
    let as_it_is = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .large_file(true);
    let mut found = 0_u64;
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((inner, depth)) = open.pop() {
        let entries = std::fs::read_dir(&inner).with_context(|| inner.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_dir() && depth < MAX_DEPTH {
                open.push((path, depth + 1));
            } else if kind.is_file() && file_ending(&name).is_some() {
                let context = || format!("cannot read {}", path.display());
                archive.start_file(name, as_it_is)?;
                let mut file = std::fs::File::open(&path).with_context(context)?;
                std::io::copy(&mut file, &mut archive).with_context(context)?;
                found += 1;
            }
        }
    }
    archive.finish()?.flush()?;
    if found == 0 {
        bail!("{} holds no files that end in .{}", folder.display(), FILE_ENDINGS.join(", ."));
    }
    Ok(packed)
}

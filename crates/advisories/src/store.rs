//! Snapshots on disk: sources, the indexes built from them, and which one is current.
//!
//! ```text
//! DIR/current                 JSON: the digest of the current snapshot; replaced by rename
//! DIR/snapshots/HEX.idx       an index, named by its digest; HEX.json says what it was built from
//! DIR/sources/NAME-HEX.…      normalised records of a source, named by their digest
//! ```
//!
//! An import of few records does not build everything again: its snapshot holds what has changed,
//! and stands on the one that was built last. When the changes have become many, the next import
//! builds everything.

mod small;

use crate::coverage::{CoverageStatement, covered};
use crate::error::{AdvisoryError, Result};
use crate::import::{Collected, Collector, FileVersion, ImportLimits, ImportReport, read_path};
use crate::index::{BuildSource, Index, build};
use crate::osv::parse_record;
use crate::record::Record;
use crate::segment::SegmentReader;
use crate::starter;
use jiff::Timestamp;
use sealock_facts::{EcosystemCoverage, Kev};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Snapshots that are kept besides the current one.
const KEPT: usize = 3;
/// Name of the source that ships with the product.
pub const STARTER: &str = "starter";

/// What happens to records that the source gave before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImportMode {
    /// They are replaced: the input is the whole source.
    #[default]
    Replace,
    /// They stay: the input adds to the source; of records with one id the newer counts.
    Add,
}

/// One import.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// Name of the source, `a-z0-9._-`.
    pub source: String,
    /// Files or folders that make up the source.
    pub paths: Vec<PathBuf>,
    /// Replace or add.
    pub mode: ImportMode,
    /// What it covers.
    pub coverage: CoverageStatement,
    /// Accept a loss of more than 10 % of an ecosystem's records.
    pub force: bool,
    /// Bounds.
    pub limits: ImportLimits,
    /// The versions of the files, when they were downloaded.
    pub fetched: BTreeMap<String, FileVersion>,
}

/// What an import led to.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The source's records.
    pub report: ImportReport,
    /// The snapshot that is current now.
    pub index: Arc<Index>,
    /// The one before, if there was one.
    pub previous: Option<Arc<Index>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Current {
    digest: String,
}

/// What a snapshot was built from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Manifest {
    built_at: Timestamp,
    /// Digest (hex) of the index that this one holds changes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    sources: BTreeMap<String, Source>,
}

/// One source of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// File of its records.
    segment: String,
    /// Files of records that were added since, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    added: Vec<String>,
    /// File of its KEV entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kev: Option<String>,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// Number of records.
    pub records: u64,
    /// Per ecosystem: what it covers.
    pub ecosystems: BTreeMap<String, EcosystemCoverage>,
    /// The versions of the files that it was fetched as, by URL; none when it was not, or when
    /// something else was added since.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    fetched: BTreeMap<String, FileVersion>,
}

/// Snapshots of advisories in one folder. Clones of an `Arc` of it may be used by any number of
/// threads; imports in several processes wait for one another.
pub struct SnapshotStore {
    folder: PathBuf,
    /// The current snapshot and those before it, as far as they are in use.
    opened: Mutex<Vec<Arc<Index>>>,
    /// Records from which on a small import does not build everything again.
    whole_below: u64,
}

/// Number of records that are indexed again faster than it takes to bother.
const WHOLE_BELOW: u64 = 2_000;
/// Snapshots that are held open.
const HELD_OPEN: usize = 2;

/// When the index at `path` was built, if its description lies beside it.
pub(crate) fn built_at(path: &Path) -> Option<Timestamp> {
    let text = fs::read(path.with_extension("json")).ok()?;
    serde_json::from_slice::<Manifest>(&text).ok().map(|m| m.built_at)
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(AdvisoryError::file(folder))
}

/// Writes a small file so that it is there whole or not at all.
fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let error = || AdvisoryError::file(path);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(error())?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(error())?;
    file.persist(path).map_err(|e| error()(e.error))?;
    sync_folder(folder)
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| AdvisoryError::input("description", e))
}

fn file_mark(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(AdvisoryError::file(path))?;
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block).map_err(AdvisoryError::file(path))? {
            0 => return Ok(hex::encode(&hash.finalize()[..16])),
            read => hash.update(&block[..read]),
        }
    }
}

impl SnapshotStore {
    /// Opens the store, making its folders. Reads nothing else.
    pub fn open(folder: &Path) -> Result<Self> {
        for part in ["snapshots", "sources", "tmp"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).map_err(AdvisoryError::file(&part))?;
        }
        Ok(Self { folder: folder.to_owned(), opened: Mutex::default(), whole_below: WHOLE_BELOW })
    }

    /// Makes small imports small whatever the number of records.
    #[cfg(test)]
    pub(crate) fn with_whole_below(mut self, records: u64) -> Self {
        self.whole_below = records;
        self
    }

    fn index_path(&self, hex: &str) -> PathBuf {
        self.folder.join("snapshots").join(format!("{hex}.idx"))
    }

    fn current_hex(&self) -> Result<Option<String>> {
        let path = self.folder.join("current");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(AdvisoryError::file(path)(e)),
        };
        let bad = || AdvisoryError::CorruptIndex {
            path: path.clone(),
            reason: "it does not name a snapshot".to_owned(),
        };
        let current: Current = serde_json::from_slice(&text).map_err(|_| bad())?;
        let digest: sealock_oci::Digest = current.digest.parse().map_err(|_| bad())?;
        Ok(Some(digest.hex()))
    }

    /// The current snapshot, opened once; a swap by another process is seen by the next call.
    pub fn current(&self) -> Result<Option<Arc<Index>>> {
        let Some(hex) = self.current_hex()? else { return Ok(None) };
        self.opened(&hex).map(Some)
    }

    /// An index that is in use or can be opened.
    fn opened(&self, hex: &str) -> Result<Arc<Index>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = opened.iter().position(|index| index.digest().hex() == hex) {
            return Ok(opened[at].clone());
        }
        let path = self.index_path(hex);
        let known = opened.first().map(Arc::as_ref);
        let index = Arc::new(Index::open_beside(&path, &path, known)?);
        opened.insert(0, index.clone());
        opened.truncate(HELD_OPEN);
        Ok(index)
    }

    /// A kept snapshot by its digest, for the replay of a decision.
    pub fn get(&self, digest: &sealock_oci::Digest) -> Result<Option<Arc<Index>>> {
        if !self.index_path(&digest.hex()).exists() {
            return Ok(None);
        }
        self.opened(&digest.hex()).map(Some)
    }

    /// The sources of the current snapshot by name.
    pub fn sources(&self) -> Result<BTreeMap<String, Source>> {
        Ok(self.manifest()?.map(|m| m.sources).unwrap_or_default())
    }

    /// What the current snapshot's source of this name was fetched as: the next download asks
    /// whether that has changed.
    pub fn fetched(&self, source: &str) -> Result<BTreeMap<String, FileVersion>> {
        Ok(self.sources()?.remove(source).map(|source| source.fetched).unwrap_or_default())
    }

    fn manifest(&self) -> Result<Option<Manifest>> {
        let Some(hex) = self.current_hex()? else { return Ok(None) };
        let path = self.index_path(&hex).with_extension("json");
        let text = fs::read(&path).map_err(AdvisoryError::file(&path))?;
        serde_json::from_slice(&text).map(Some).map_err(|e| AdvisoryError::CorruptIndex {
            path,
            reason: format!("its description cannot be read: {e}"),
        })
    }

    /// Makes sure that there is a snapshot: without any, or after an update of the product, the
    /// starter set is imported. It replaces nothing but its own earlier version.
    pub fn ensure_starter(&self, now: Timestamp) -> Result<Arc<Index>> {
        let request =
            ImportRequest { source: STARTER.to_owned(), force: true, ..Default::default() };
        let held = self.sources().unwrap_or_default().remove(STARTER);
        if let (Some(held), Ok(Some(index))) = (held, self.current())
            && held.records == starter::records() as u64
            && held.added.is_empty()
            && self.starter_is(&held)?
        {
            return Ok(index);
        }
        let import = self.run(&request, now, starter::feed)?;
        Ok(import.index)
    }

    /// Whether the starter set on disk is that of this program.
    fn starter_is(&self, held: &Source) -> Result<bool> {
        let mut own: Vec<_> =
            starter::lines().filter_map(|(_, l)| parse_record(l.as_bytes()).ok()).collect();
        own.sort_by(|a, b| a.id.cmp(&b.id));
        let path = self.folder.join("sources").join(&held.segment);
        let mut own = own.into_iter();
        for record in SegmentReader::<Record>::open(&path)? {
            if Some(record?) != own.next() {
                return Ok(false);
            }
        }
        Ok(own.next().is_none())
    }

    /// Imports a source, builds a snapshot from it and the other sources, and makes it current.
    /// On any error the current snapshot stays.
    pub fn import(&self, request: &ImportRequest, now: Timestamp) -> Result<Imported> {
        self.run(request, now, |collector| {
            request.paths.iter().try_for_each(|path| read_path(path, collector))
        })
    }

    /// Forgets a source.
    pub fn remove_source(
        &self,
        name: &str,
        force: bool,
        now: Timestamp,
    ) -> Result<Option<Arc<Index>>> {
        let _lock = self.lock()?;
        let Some(mut manifest) = self.manifest()? else { return Ok(None) };
        if manifest.sources.remove(name).is_none() {
            return Ok(None);
        }
        manifest.built_at = now;
        self.publish(manifest, force).map(Some)
    }

    /// A folder for downloads that are to be imported here; it goes when the value is dropped.
    pub fn work_folder(&self) -> Result<tempfile::TempDir> {
        tempfile::tempdir_in(self.folder.join("tmp")).map_err(AdvisoryError::file(&self.folder))
    }

    /// Removes what processes that were killed left behind more than a day before `now`.
    fn sweep(&self, now: Timestamp) {
        let Ok(entries) = fs::read_dir(self.folder.join("tmp")) else { return };
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|m| m.modified()).ok();
            let modified = modified.and_then(|m| Timestamp::try_from(m).ok());
            if modified.is_some_and(|m| now.as_second() - m.as_second() > 86_400) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// One import at a time, whichever process it runs in.
    fn lock(&self) -> Result<File> {
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(AdvisoryError::file(&path))?;
        file.lock().map_err(AdvisoryError::file(&path))?;
        Ok(file)
    }

    fn run(
        &self,
        request: &ImportRequest,
        now: Timestamp,
        feed: impl FnOnce(&mut Collector) -> Result<()>,
    ) -> Result<Imported> {
        check_name(&request.source)?;
        let _lock = self.lock()?;
        // A damaged snapshot must not stop the import that mends it.
        let previous = self.current().ok().flatten();
        let mut manifest = self.manifest().ok().flatten().unwrap_or_default();
        self.sweep(now);
        let work = self.work_folder()?;
        let mut collector = Collector::new(work.path(), request.limits);
        feed(&mut collector)?;
        let segment = work.path().join("segment");
        let Collected { report, mut kev } = collector.finish(&segment, now)?;
        if report.records == 0 && kev.is_empty() {
            let first = report.examples.first().map(|s| format!(" ({}: {})", s.origin, s.detail));
            let reason = format!("no advisories found{}", first.unwrap_or_default());
            return Err(AdvisoryError::input(&request.source, reason));
        }
        if let Some(previous) = previous.as_ref().filter(|_| kev.is_empty())
            && let Some(small) =
                small::prepare(self, request, &manifest, previous, &report, &segment)?
        {
            manifest.built_at = now;
            let index = small.publish(self, manifest, previous, now)?;
            return Ok(Imported { report, index, previous: Some(previous.clone()) });
        }
        let (mut whole, mut stated) = (report.clone(), BTreeMap::new());
        if let (ImportMode::Add, Some(old)) = (request.mode, manifest.sources.get(&request.source))
        {
            let mut collector = Collector::new(work.path(), request.limits);
            self.feed_again(old, &mut collector)?;
            for record in SegmentReader::<Record>::open(&segment)? {
                collector.record(&record?)?;
            }
            kev.into_iter().try_for_each(|(id, entry)| collector.kev(id, entry))?;
            let both = work.path().join("both");
            Collected { report: whole, kev } = collector.finish(&both, now)?;
            fs::rename(&both, &segment).map_err(AdvisoryError::file(&both))?;
            stated = old.ecosystems.clone();
        }
        let mut source = Source {
            segment: self.keep(&segment, &request.source, "jsonl.zst")?,
            added: Vec::new(),
            kev: None,
            imported_at: now,
            records: whole.records,
            ecosystems: covered(&request.coverage, &whole, stated),
            fetched: fetched(request),
        };
        if !kev.is_empty() {
            let path = work.path().join("kev");
            write_atomically(&path, &json(&kev)?)?;
            source.kev = Some(self.keep(&path, &request.source, "kev.json")?);
        }
        manifest.sources.insert(request.source.clone(), source);
        manifest.built_at = now;
        let index = self.publish(manifest, request.force)?;
        Ok(Imported { report, index, previous })
    }

    fn feed_again(&self, old: &Source, into: &mut Collector) -> Result<()> {
        // In the order in which they came: of equally new records the later counts.
        for segment in std::iter::once(&old.segment).chain(&old.added) {
            for record in SegmentReader::<Record>::open(&self.folder.join("sources").join(segment))?
            {
                into.record(&record?)?;
            }
        }
        for (id, kev) in self.kev_of(old)? {
            into.kev(id, kev)?;
        }
        Ok(())
    }

    fn kev_of(&self, source: &Source) -> Result<BTreeMap<String, Kev>> {
        let Some(name) = &source.kev else { return Ok(BTreeMap::new()) };
        let path = self.folder.join("sources").join(name);
        let text = fs::read(&path).map_err(AdvisoryError::file(&path))?;
        serde_json::from_slice(&text).map_err(|e| AdvisoryError::input(path.to_string_lossy(), e))
    }

    /// Moves a finished file among the sources, named by its content.
    fn keep(&self, file: &Path, source: &str, end: &str) -> Result<String> {
        let name = format!("{source}-{}.{end}", file_mark(file)?);
        let folder = self.folder.join("sources");
        fs::rename(file, folder.join(&name)).map_err(AdvisoryError::file(file))?;
        sync_folder(&folder)?;
        Ok(name)
    }

    /// The sources as an index is built from them, and all KEV entries.
    fn build_sources(
        &self,
        manifest: &Manifest,
    ) -> Result<(Vec<BuildSource>, BTreeMap<String, Kev>)> {
        let mut kev: BTreeMap<String, Kev> = BTreeMap::new();
        let mut sources = Vec::new();
        for (name, source) in &manifest.sources {
            for (id, entry) in self.kev_of(source)? {
                let slot = kev.entry(id).or_insert_with(|| entry.clone());
                *slot = entry.min(slot.clone());
            }
            let folder = self.folder.join("sources");
            let segments = source.added.iter().rev().chain([&source.segment]);
            sources.push(BuildSource {
                name: name.clone(),
                segments: segments.map(|segment| folder.join(segment)).collect(),
                coverage: source.ecosystems.clone(),
            });
        }
        Ok((sources, kev))
    }

    /// Builds the snapshot from everything, checks it and swaps it in.
    fn publish(&self, manifest: Manifest, force: bool) -> Result<Arc<Index>> {
        let work = self.work_folder()?;
        let (sources, kev) = self.build_sources(&manifest)?;
        let (built, digest) = build(&sources, &kev, work.path())?;
        let candidate = Index::open(&built)?;
        if !force && let Ok(Some(current)) = self.current() {
            refuse_shrinking(&current, &candidate)?;
        }
        drop(candidate);
        self.put_in_force(&built, &digest, Manifest { base: None, ..manifest })
    }

    /// Makes a finished index the current snapshot.
    fn put_in_force(
        &self,
        built: &Path,
        digest: &sealock_oci::Digest,
        mut manifest: Manifest,
    ) -> Result<Arc<Index>> {
        let path = self.index_path(&digest.hex());
        // The same content was built before: its date stays.
        manifest.built_at = built_at(&path).unwrap_or(manifest.built_at);
        write_atomically(&path.with_extension("json"), &json(&manifest)?)?;
        // Always the new file: the one that is there may be damaged. Who has it mapped keeps it.
        fs::rename(built, &path).map_err(AdvisoryError::file(built))?;
        sync_folder(&self.folder.join("snapshots"))?;
        let current = Current { digest: digest.to_string() };
        write_atomically(&self.folder.join("current"), &json(&current)?)?;
        self.discard_old(&digest.hex())?;
        self.current()?.ok_or_else(|| AdvisoryError::input("current", "the snapshot is gone"))
    }

    /// Removes all but the newest snapshots, and sources that none of them names.
    fn discard_old(&self, current: &str) -> Result<()> {
        let folder = self.folder.join("snapshots");
        let list = |folder: &Path| -> Result<Vec<PathBuf>> {
            let entries = fs::read_dir(folder).map_err(AdvisoryError::file(folder))?;
            Ok(entries.flatten().map(|e| e.path()).collect())
        };
        let mut kept = Vec::new();
        for path in list(&folder)? {
            if path.extension().is_some_and(|e| e == "json")
                && let Ok(text) = fs::read(&path)
                && let Ok(manifest) = serde_json::from_slice::<Manifest>(&text)
            {
                let is_current = path.file_stem().is_some_and(|s| s == current);
                kept.push((is_current, manifest.built_at, path, manifest));
            }
        }
        kept.sort_by(|a, b| (b.0, b.1, &b.2).cmp(&(a.0, a.1, &a.2)));
        let old = kept.split_off(kept.len().min(KEPT + 1));
        let bases: BTreeSet<&str> = kept.iter().filter_map(|k| k.3.base.as_deref()).collect();
        let (bases, old): (Vec<_>, Vec<_>) = old.into_iter().partition(|(_, _, path, _)| {
            path.file_stem().and_then(|s| s.to_str()).is_some_and(|hex| bases.contains(hex))
        });
        for (_, _, path, _) in old {
            for file in [path.with_extension("idx"), path] {
                let _ = fs::remove_file(file);
            }
        }
        kept.extend(bases);
        let named: BTreeSet<&str> = kept
            .iter()
            .flat_map(|k| k.3.sources.values())
            .flat_map(|s| [&s.segment].into_iter().chain(&s.added).chain(&s.kev))
            .map(String::as_str)
            .collect();
        for path in list(&self.folder.join("sources"))? {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if !named.contains(name) {
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }
}

/// Only what replaces a source is the whole of it.
fn fetched(request: &ImportRequest) -> BTreeMap<String, FileVersion> {
    match request.mode {
        ImportMode::Replace => request.fetched.clone(),
        ImportMode::Add => BTreeMap::new(),
    }
}

fn check_name(name: &str) -> Result<()> {
    let fine = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    let good = (1..=64).contains(&name.len()) && name.bytes().all(fine) && !name.starts_with('.');
    if good { Ok(()) } else { Err(AdvisoryError::SourceName(name.to_owned())) }
}

fn refuse_shrinking(current: &Index, candidate: &Index) -> Result<()> {
    let after = candidate.snapshot().ecosystems;
    for (ecosystem, before) in current.snapshot().ecosystems {
        let left = after.get(&ecosystem).map_or(0, |e| e.records);
        if left.saturating_mul(10) < before.records.saturating_mul(9) {
            return Err(AdvisoryError::Shrinks { ecosystem, before: before.records, after: left });
        }
    }
    Ok(())
}

/// Builds an index in memory from OSV records: for tests and for tools without a store.
pub fn index_of_records(records: &[serde_json::Value], now: Timestamp) -> Result<Index> {
    let work = tempfile::tempdir().map_err(AdvisoryError::file("."))?;
    let mut collector = Collector::new(work.path(), ImportLimits::default());
    for (at, record) in records.iter().enumerate() {
        collector.osv(&format!("record {at}"), record.to_string().as_bytes())?;
    }
    index_of(collector, &CoverageStatement::default(), work.path(), now)
}

pub(crate) fn index_of(
    collector: Collector,
    statement: &CoverageStatement,
    work: &Path,
    now: Timestamp,
) -> Result<Index> {
    let segment = work.join("segment");
    let Collected { report, kev } = collector.finish(&segment, now)?;
    let source = BuildSource {
        name: "records".to_owned(),
        segments: vec![segment],
        coverage: covered(statement, &report, BTreeMap::new()),
    };
    let (path, _) = build(&[source], &kev, work)?;
    Index::from_bytes(fs::read(&path).map_err(AdvisoryError::file(&path))?)
}

#[cfg(test)]
mod tests;

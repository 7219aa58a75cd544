//! Advisory snapshots: import, swap, and matching again what changed, no more.
//!
//! The snapshot that findings were made with is named in the database, under the key below. A swap
//! matches the components that a changed record names, and stores findings, revisions and the
//! snapshot's name in one transaction: no door ever sees a mixture.

use crate::{Error, Kind, Registry, Result, audit::Event, inspect::blocking};
use jiff::Timestamp;
use sealock_advisories::{
    AdvisoryError, Download, ImportReport, ImportRequest, Imported, Index, SCANNER, Source,
    changed_packages,
};
use sealock_auth::Caller;
use sealock_facts::{AdvisorySnapshot, Component, Finding};
use sealock_metadata::{
    self as metadata, Tx, components::ComponentRow, findings::Changed, impact::Affected,
};
use sealock_oci::{Digest, ErrorCode};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Where the snapshot in force is named.
const SETTING: &str = "advisories.snapshot";
/// Components read at a time.
const BATCH: u32 = 5_000;
/// Most events that one swap writes about new findings; the last one says that there are more.
const MAX_EVENTS: usize = 10_000;
/// Images read, and events written, at a time.
const EVENTS_AT_A_TIME: u32 = 1_000;

/// The snapshot in force, as the database names it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct InForce {
    digest: String,
    since: Timestamp,
}

/// The snapshot that all findings agree with.
#[derive(Debug, Clone)]
pub(crate) struct Matched {
    pub(crate) snapshot: AdvisorySnapshot,
    /// Since when findings agree with it.
    pub(crate) as_of: Timestamp,
}

/// Advisory data as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct AdvisoryStatus {
    /// The snapshot in force; none when nothing was imported.
    pub snapshot: Option<AdvisorySnapshot>,
    /// Since when findings agree with it.
    pub matched_at: Option<Timestamp>,
    /// What it was built from, by name.
    pub sources: BTreeMap<String, Source>,
}

/// What an import led to.
#[derive(Debug, Clone, Serialize)]
pub struct AdvisoryImport {
    /// The snapshot in force now.
    pub snapshot: AdvisorySnapshot,
    /// Records that were read, kept and skipped.
    pub report: ImportReport,
    /// Components that were matched again.
    pub rematched: u64,
    /// Findings that were not there before.
    pub new_findings: u64,
}

/// What a swap did.
#[derive(Debug, Clone, Copy, Default)]
struct Swapped {
    rematched: u64,
    added: u64,
}

impl Registry {
    /// Imports advisories and puts the new snapshot in force. For system administrators and
    /// security officers; a source that shrinks an ecosystem by more than 10 % needs `force`
    /// (decision D12).
    pub async fn import_advisories(
        &self,
        caller: &Caller,
        request: ImportRequest,
    ) -> Result<AdvisoryImport> {
        self.require_operator(caller)?;
        let (store, now) = (self.snapshots().clone(), self.now());
        let (source, force) = (request.source.clone(), request.force);
        let imported = blocking(move || Ok(store.import(&request, now)?)).await?;
        self.adopt_import(Some(caller), &source, force, imported).await
    }

    /// Downloads advisories and puts the new snapshot in force.
    pub async fn update_advisories(
        &self,
        caller: &Caller,
        download: &Download,
        mut request: ImportRequest,
    ) -> Result<AdvisoryImport> {
        self.require_operator(caller)?;
        let (store, source) = (self.snapshots().clone(), request.source.clone());
        let (folder, known) =
            blocking(move || Ok((store.work_folder()?, store.fetched(&source)?))).await?;
        let download = Download { known, ..download.clone() };
        let got = sealock_advisories::download(&download, folder.path()).await?;
        if got.is_unchanged() {
            return self.keep_advisories(caller, &request.source).await;
        }
        (request.paths, request.fetched) = (got.files, got.versions);
        self.import_advisories(caller, request).await
    }

    /// Notes that a source was asked for and has not changed.
    async fn keep_advisories(&self, caller: &Caller, source: &str) -> Result<AdvisoryImport> {
        let store = self.snapshots().clone();
        let index = blocking(move || Ok(store.current()?)).await?;
        let index = index.ok_or_else(|| Error::internal("there is no advisory snapshot"))?;
        let snapshot = index.snapshot();
        let event = Event::new(caller, "import-advisories")
            .detail("source", source)
            .detail("unchanged", true)
            .detail("snapshot", snapshot.digest.clone());
        self.record_now(&event).await?;
        let report = ImportReport { unchanged: true, ..ImportReport::default() };
        Ok(AdvisoryImport { snapshot, report, rematched: 0, new_findings: 0 })
    }

    /// Advisory data as it stands. For everybody who is logged in.
    pub async fn advisory_status(&self, caller: &Caller) -> Result<AdvisoryStatus> {
        if caller.principal.is_anonymous() {
            return Err(Error::unauthenticated());
        }
        let mut tx = self.database().read().await?;
        let matched = self.matched_snapshot(&mut tx).await?;
        drop(tx);
        let store = self.snapshots().clone();
        let sources = blocking(move || Ok(store.sources()?)).await?;
        Ok(AdvisoryStatus {
            matched_at: matched.as_ref().map(|matched| matched.as_of),
            snapshot: matched.map(|matched| matched.snapshot),
            sources,
        })
    }

    /// Makes sure that there is a snapshot and that findings agree with the current one: at start,
    /// and after another process has imported.
    pub async fn catch_up_advisories(&self) -> Result<()> {
        let (store, now) = (self.snapshots().clone(), self.now());
        let index = blocking(move || Ok(store.ensure_starter(now)?)).await?;
        self.swap(&index).await.map(|_| ())
    }

    async fn adopt_import(
        &self,
        caller: Option<&Caller>,
        source: &str,
        force: bool,
        imported: Imported,
    ) -> Result<AdvisoryImport> {
        let swapped = self.swap(&imported.index).await?;
        let snapshot = imported.index.snapshot();
        if let Some(caller) = caller {
            let event = Event::new(caller, "import-advisories")
                .detail("source", source)
                .detail("force", force)
                .detail("snapshot", snapshot.digest.clone())
                .detail("records", imported.report.records);
            self.record_now(&event).await?;
        }
        Ok(AdvisoryImport {
            snapshot,
            report: imported.report,
            rematched: swapped.rematched,
            new_findings: swapped.added,
        })
    }

    /// Puts a snapshot in force.
    async fn swap(&self, index: &Arc<Index>) -> Result<Swapped> {
        let _single = self.flights().enter("advisories").await;
        let mut tx = self.database().read().await?;
        let before = in_force(&mut tx).await?;
        drop(tx);
        let digest = index.digest().to_string();
        if before.as_ref().is_some_and(|before| before.digest == digest) {
            return Ok(Swapped::default());
        }
        let packages = self.packages_to_match(before.as_ref(), index).await?;
        // The long work first, with nothing locked; then once more for what came meanwhile.
        let mut results = Vec::new();
        self.match_again(index, packages.as_deref(), &mut results, None).await?;
        let mut tx = self.database().write().await?;
        let locked = lock(&mut tx).await?;
        if locked.map(|locked| locked.digest) != before.map(|before| before.digest) {
            return Err(Error::new(
                Kind::Conflict,
                ErrorCode::Denied,
                "another import put a snapshot in force meanwhile; import again",
            ));
        }
        self.match_again(index, packages.as_deref(), &mut results, Some(&mut tx)).await?;
        let changed = metadata::findings::store(&mut tx, SCANNER, &digest, &results).await?;
        metadata::findings::bump_holders(&mut tx, &changed.components).await?;
        // A refusal for want of fresh data may be none under the new data; what is allowed stays
        // allowed until its own end, unless coverage was lost.
        metadata::verdicts::forget_closed(&mut tx).await?;
        if self.loses_coverage(&mut tx, index).await? {
            metadata::settings::bump_system_rev(&mut tx).await?;
        }
        let now = tx.now();
        let setting = InForce { digest, since: now };
        let text = serde_json::to_string(&setting).map_err(Error::internal)?;
        metadata::settings::put(&mut tx, SETTING, &text).await?;
        let swapped =
            Swapped { rematched: results.len() as u64, added: changed.added.len() as u64 };
        self.tell_new_findings(&mut tx, &changed, &setting.digest).await?;
        tx.commit().await?;
        Ok(swapped)
    }

    /// What must be matched again; none for everything.
    async fn packages_to_match(
        &self,
        before: Option<&InForce>,
        index: &Arc<Index>,
    ) -> Result<Option<Vec<(String, String)>>> {
        let Some(before) = before else { return Ok(None) };
        let Ok(digest) = before.digest.parse::<Digest>() else { return Ok(None) };
        let (store, index) = (self.snapshots().clone(), index.clone());
        blocking(move || {
            let Some(old) = store.get(&digest)? else { return Ok(None) };
            Ok(Some(changed_packages(&old, &index)?))
        })
        .await
    }

    /// Adds to `results` what components of these packages have now, of those that are not in it.
    async fn match_again(
        &self,
        index: &Arc<Index>,
        packages: Option<&[(String, String)]>,
        results: &mut Vec<(i64, Vec<Finding>)>,
        mut tx: Option<&mut Tx>,
    ) -> Result<()> {
        let known: std::collections::HashSet<i64> = results.iter().map(|(id, _)| *id).collect();
        let mut after = 0;
        loop {
            let rows = match &mut tx {
                Some(tx) => metadata::components::of_packages(tx, packages, after, BATCH).await?,
                None => {
                    let mut tx = self.database().read().await?;
                    metadata::components::of_packages(&mut tx, packages, after, BATCH).await?
                }
            };
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.id;
            let rows = rows.into_iter().filter(|row| !known.contains(&row.id)).collect();
            results.extend(self.match_rows(index.clone(), rows).await?);
        }
    }

    /// Matches components one by one.
    pub(crate) async fn match_rows(
        &self,
        index: Arc<Index>,
        rows: Vec<ComponentRow>,
    ) -> Result<Vec<(i64, Vec<Finding>)>> {
        let now = self.now();
        blocking(move || {
            let mut results = Vec::with_capacity(rows.len());
            for row in rows {
                let id = row.id;
                results.push((id, index.findings(&[component_of(row)], now)?));
            }
            Ok(results)
        })
        .await
    }

    /// The index of the snapshot in force.
    pub(crate) async fn index_in_force(&self) -> Result<Option<Arc<Index>>> {
        let mut tx = self.database().read().await?;
        let Some(in_force) = in_force(&mut tx).await? else { return Ok(None) };
        drop(tx);
        self.open_index(&in_force.digest).await.map(Some)
    }

    async fn open_index(&self, digest: &str) -> Result<Arc<Index>> {
        let digest: Digest = digest.parse()?;
        let store = self.snapshots().clone();
        blocking(move || {
            if let Some(index) = store.current()?.filter(|index| *index.digest() == digest) {
                return Ok(index);
            }
            store.get(&digest)?.ok_or_else(|| {
                Error::internal(format!("the advisory snapshot {digest} is not on this machine"))
            })
        })
        .await
    }

    /// The snapshot that findings agree with.
    pub(crate) async fn matched_snapshot(&self, tx: &mut Tx) -> Result<Option<Matched>> {
        let Some(in_force) = in_force(tx).await? else { return Ok(None) };
        let index = self.open_index(&in_force.digest).await?;
        Ok(Some(Matched { snapshot: index.snapshot(), as_of: in_force.since }))
    }

    /// The digest of the snapshot in force, which stays so until the transaction ends.
    pub(crate) async fn lock_snapshot(&self, tx: &mut Tx) -> Result<Option<String>> {
        Ok(lock(tx).await?.map(|in_force| in_force.digest))
    }

    /// Whether an ecosystem is covered less than before, or no more.
    async fn loses_coverage(&self, tx: &mut Tx, index: &Arc<Index>) -> Result<bool> {
        let Some(before) = self.matched_snapshot(tx).await? else { return Ok(false) };
        Ok(before
            .snapshot
            .ecosystems
            .iter()
            .any(|(ecosystem, before)| index.coverage(ecosystem) < before.coverage))
    }

    /// The event `finding.new` for each image that holds a component with a finding that was not
    /// there before. The number of statements grows with the events by a few for each thousand.
    async fn tell_new_findings(
        &self,
        tx: &mut Tx,
        changed: &Changed,
        snapshot: &str,
    ) -> Result<()> {
        use metadata::{impact, projects::Visible};
        let mut added: BTreeMap<i64, Vec<&Finding>> = BTreeMap::new();
        for (component, finding) in &changed.added {
            added.entry(*component).or_default().push(finding);
        }
        let components: Vec<i64> = added.keys().copied().collect();
        let (mut after, mut told) = (impact::Cursor::default(), 0);
        while !components.is_empty() {
            let all = &Visible::All;
            let images =
                impact::by_components(tx, all, &components, after, EVENTS_AT_A_TIME).await?;
            let Some(last) = images.last() else { break };
            after = last.cursor;
            let pairs = images.iter().flat_map(|image| {
                let findings = added.get(&image.component_id).into_iter().flatten();
                findings.map(move |finding| (image, *finding))
            });
            let mut events: Vec<Event> = pairs
                .take(MAX_EVENTS - told + 1)
                .map(|(image, finding)| new_finding(image, finding, snapshot))
                .collect();
            told += events.len();
            if told > MAX_EVENTS {
                events.pop();
                events.push(more_findings(changed.added.len(), snapshot));
            }
            Event::record_all(tx, &events).await?;
            if told > MAX_EVENTS {
                break;
            }
        }
        Ok(())
    }

    fn require_operator(&self, caller: &Caller) -> Result<()> {
        self.require_security(caller).or_else(|_| self.require_admin(caller))
    }
}

fn new_finding(image: &Affected, finding: &Finding, snapshot: &str) -> Event {
    Event::by_system("finding.new")
        .place(image.project_id, &image.project, &image.repository)
        .digest(&image.digest)
        .detail("vulnerability", finding.vulnerability.clone())
        .detail("severity", finding.severity.as_str())
        .detail("purl", finding.purl.clone())
        .detail("path", image.path.clone())
        .detail("tags", image.tags.clone())
        .detail("tier", image.tier.as_str())
        .detail("snapshot", snapshot)
}

/// Ends a list of events that is cut: `affected` still finds every image.
fn more_findings(findings: usize, snapshot: &str) -> Event {
    Event::by_system("finding.new")
        .detail("more", true)
        .detail("findings", findings)
        .detail("snapshot", snapshot)
}

pub(crate) async fn in_force(tx: &mut Tx) -> Result<Option<InForce>> {
    parse(metadata::settings::get(tx, SETTING).await?)
}

async fn lock(tx: &mut Tx) -> Result<Option<InForce>> {
    parse(metadata::settings::lock(tx, SETTING).await?)
}

fn parse(text: Option<String>) -> Result<Option<InForce>> {
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => serde_json::from_str(text).map(Some).map_err(Error::internal),
    }
}

/// A row as the matcher takes it. Where it lies plays no part in matching.
fn component_of(row: ComponentRow) -> Component {
    Component {
        kind: row.kind,
        name: row.name,
        version: row.version,
        purl: row.purl,
        match_key: row.match_key,
        architecture: None,
        licences: Vec::new(),
        path: String::new(),
        layer: Digest::sha256(b""),
        owner: None,
    }
}

impl From<AdvisoryError> for Error {
    fn from(error: AdvisoryError) -> Self {
        let text = error.to_string();
        if error.is_disk_full() {
            let what = "there is no room on the disk for the advisories; nothing was imported";
            return Self::new(Kind::Full, ErrorCode::Unknown, what).with_log(text);
        }
        let callers = matches!(
            error,
            AdvisoryError::Input { .. }
                | AdvisoryError::Limit { .. }
                | AdvisoryError::Shrinks { .. }
                | AdvisoryError::SourceName(_)
                | AdvisoryError::Download { .. }
        );
        if callers {
            return Self::new(Kind::Unprocessable, ErrorCode::Unsupported, text);
        }
        Self::internal(text)
    }
}

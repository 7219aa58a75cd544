//! How many findings artifacts have, for whole pages of them. What was counted is kept until the
//! facts change (decision D4).

use crate::{Error, Registry, Result, advisories::in_force};
use jiff::Timestamp;
use sealock_facts::Severity;
use sealock_metadata::{
    self as metadata, Tx,
    manifests::Manifest as ManifestRow,
    overviews::{Count, Kept, Matched, Part},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Most images of the artifacts of one page that are counted.
const MAX_PARTS: u32 = 20_000;

/// How far the findings of an artifact are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ScanState {
    /// All are.
    Success,
    /// Its components are still being matched with advisories.
    Running,
    /// Its layers are still being read.
    Pending,
    /// No advisories were imported, so that nothing can be said.
    Error,
}

impl ScanState {
    /// Harbor's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Running => "Running",
            Self::Pending => "Pending",
            Self::Error => "Error",
        }
    }
}

/// How many findings an artifact has; an index those of all its images together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// How far they are known.
    pub state: ScanState,
    /// By severity.
    pub counts: BTreeMap<Severity, u64>,
    /// Those with a fixed version.
    pub fixable: u64,
    /// When its contents were found out; none while they are not.
    pub contents_at: Option<Timestamp>,
    /// When a component was matched last.
    pub matched_at: Option<Timestamp>,
}

impl Overview {
    /// Findings in all.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The worst severity; none without findings.
    pub fn severity(&self) -> Option<Severity> {
        self.counts.keys().next_back().copied()
    }
}

/// Overviews, and those of them that were made just now.
#[derive(Default)]
pub(super) struct Overviews {
    pub(super) all: HashMap<i64, Overview>,
    made: Vec<Kept>,
}

impl Registry {
    /// The overviews of these artifacts: of those that have images to look into. A number of
    /// statements that does not depend on how many they are.
    pub(super) async fn overviews(&self, tx: &mut Tx, rows: &[ManifestRow]) -> Result<Overviews> {
        let shown = rows.iter().filter(|row| matches!(row.shown_type.as_str(), "IMAGE" | "CNAB"));
        let wanted: HashMap<i64, i64> = shown.map(|row| (row.id, row.facts_rev)).collect();
        let ids: Vec<i64> = wanted.keys().copied().collect();
        let mut overviews = Overviews::default();
        for kept in metadata::overviews::kept(tx, &ids).await? {
            // One that this version does not read is made anew.
            if let Ok(overview) = serde_json::from_str(&kept.overview) {
                overviews.all.insert(kept.manifest_id, overview);
            }
        }
        let missing: Vec<i64> =
            ids.into_iter().filter(|id| !overviews.all.contains_key(id)).collect();
        if missing.is_empty() {
            return Ok(overviews);
        }
        for (id, overview) in make(tx, &missing).await? {
            if overview.state == ScanState::Success {
                overviews.made.push(Kept {
                    manifest_id: id,
                    facts_rev: wanted.get(&id).copied().unwrap_or_default(),
                    overview: serde_json::to_string(&overview).map_err(Error::internal)?,
                });
            }
            overviews.all.insert(id, overview);
        }
        Ok(overviews)
    }

    /// Keeps what was counted. That it could not be kept is no fault of who asked.
    pub(super) async fn keep_overviews(&self, overviews: &Overviews) {
        if overviews.made.is_empty() {
            return;
        }
        let keep = async {
            let mut tx = self.database().write().await?;
            metadata::overviews::keep(&mut tx, &overviews.made).await?;
            tx.commit_soon().await
        };
        if let Err(error) = keep.await {
            tracing::warn!(%error, "overviews of findings could not be kept");
        }
    }
}

async fn make(tx: &mut Tx, ids: &[i64]) -> Result<BTreeMap<i64, Overview>> {
    let parts = metadata::overviews::parts(tx, ids, MAX_PARTS).await?;
    let contents: BTreeSet<i64> = parts.iter().filter_map(|part| part.contents_id).collect();
    let contents: Vec<i64> = contents.into_iter().collect();
    let matched = metadata::overviews::matched(tx, &contents).await?;
    let counts = metadata::overviews::counts(tx, &contents).await?;
    let mut by_contents: HashMap<i64, Vec<Count>> = HashMap::new();
    for count in counts {
        by_contents.entry(count.contents_id).or_default().push(count);
    }
    let advised = in_force(tx).await?.is_some();
    let mut made = BTreeMap::new();
    for part in parts.iter().filter(|part| part.has_layers) {
        let overview = made.entry(part.root).or_insert(Overview {
            state: if advised { ScanState::Success } else { ScanState::Error },
            counts: BTreeMap::new(),
            fixable: 0,
            contents_at: Some(Timestamp::MIN),
            matched_at: None,
        });
        add(overview, part, &matched, &by_contents);
    }
    Ok(made)
}

fn add(
    overview: &mut Overview,
    part: &Part,
    matched: &BTreeMap<i64, Matched>,
    counts: &HashMap<i64, Vec<Count>>,
) {
    let found = part.contents_id.and_then(|id| Some((id, matched.get(&id)?)));
    let Some((id, matched)) = found else {
        overview.state = overview.state.max(ScanState::Pending);
        overview.contents_at = None;
        return;
    };
    if matched.unmatched > 0 {
        overview.state = overview.state.max(ScanState::Running);
    }
    overview.contents_at = overview.contents_at.map(|at| at.max(matched.found_at));
    overview.matched_at = overview.matched_at.max(matched.last);
    for count in counts.get(&id).map_or(&[][..], Vec::as_slice) {
        let severity = Severity::ALL.into_iter().find(|one| *one as i64 == count.severity);
        *overview.counts.entry(severity.unwrap_or_default()).or_default() += count.found;
        overview.fixable += count.fixable;
    }
}

//! What an artifact holds besides its manifest, as Harbor's API tells it: how an image was built,
//! its bill of materials, what was found in it, and the files of a chart that people read.

use super::{artifacts::Found, bad, missing};
use crate::{
    Error, Registry, Result, access::Need, artifacts::parts, harbor::chart, inspect::blocking,
};
use sealock_auth::{Act, Caller, Resource, Right};
use sealock_blobs::BlobKey;
use sealock_facts::Finding;
use sealock_metadata::{
    self as metadata, Tx,
    findings::{FindingsCursor, FindingsFilter},
    manifests::Kind as RowKind,
};
use sealock_oci::{Descriptor, Digest, Manifest, Reference};
use serde_json::Value;
use std::collections::HashMap;

/// Most findings in one report, the worst first.
pub const MAX_REPORTED: usize = 10_000;
/// Findings read at a time.
const BATCH: u32 = 1_000;
/// Longest configuration, and longest bill of materials that somebody pushed, in bytes.
const MAX_READ_BYTES: u64 = 32 * 1024 * 1024;

const JSON: &str = "application/json; charset=utf-8";

/// A part of what an artifact holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// Its media type.
    pub content_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl Addition {
    pub(super) fn new(content_type: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { content_type: content_type.to_owned(), content: content.into() }
    }

    fn json(value: &Value) -> Self {
        Self::new(JSON, value.to_string())
    }
}

/// What was found in an artifact.
#[derive(Debug, Clone)]
pub struct Report {
    /// The artifact.
    pub digest: Digest,
    /// Full name of its repository.
    pub repository: String,
    /// When the findings were made.
    pub at: jiff::Timestamp,
    /// Each with the image that holds its component, the worst first; at most [`MAX_REPORTED`].
    pub findings: Vec<(Digest, Finding)>,
}

impl Registry {
    /// A part of what an artifact holds, by Harbor's name for it.
    pub async fn harbor_addition(
        &self,
        caller: &Caller,
        place: (&str, &str, &str),
        name: &str,
    ) -> Result<Addition> {
        let mut tx = self.database().read().await?;
        let what = (Resource::ArtifactAddition, Act::Read);
        let found = self.artifact_for(&mut tx, caller, place, what).await?;
        drop(tx);
        let is_image = found.row.kind == RowKind::Image;
        match (found.row.shown_type.as_str(), name) {
            ("IMAGE", "sbom") => {
                let reference = Reference::Digest(found.row.digest);
                let sbom = self.artifact_sbom(caller, &found.name()?, &reference, None).await?;
                Ok(Addition::json(&sbom))
            }
            ("IMAGE", "build_history") if is_image => {
                let manifest = self.opened_manifest(caller, &found).await?;
                let config = manifest.config.as_ref().ok_or_else(|| not_there(name))?;
                let config = self.read_blob(&found, config, MAX_READ_BYTES).await?;
                let config: Value = serde_json::from_slice(&config).map_err(|_| not_there(name))?;
                let history = config["history"].as_array().cloned().unwrap_or_default();
                Ok(Addition::json(&history.into()))
            }
            ("SBOM", "sbom") => {
                let manifest = self.opened_manifest(caller, &found).await?;
                let layer = manifest.layers.first().ok_or_else(|| not_there(name))?;
                let content = self.read_blob(&found, layer, MAX_READ_BYTES).await?;
                Ok(Addition::new(&layer.media_type, content))
            }
            ("CHART", "dependencies") => {
                let manifest = self.opened_manifest(caller, &found).await?;
                let config = manifest.config.as_ref().ok_or_else(|| not_there(name))?;
                let config = self.read_blob(&found, config, chart::MAX_CHART_FILE_BYTES).await?;
                let config: Value = serde_json::from_slice(&config).map_err(|_| not_there(name))?;
                Ok(Addition::json(&chart::dependencies(&config)))
            }
            ("CHART", "values.yaml" | "readme.md") => {
                let manifest = self.opened_manifest(caller, &found).await?;
                let layer = chart::layer(&manifest).ok_or_else(|| not_there(name))?;
                let key = self.held_blob(&found, layer).await?;
                let store = self.blobs().clone();
                let wanted = name.to_owned();
                let content = blocking(move || chart::file(&store, &key, &wanted)).await?;
                let content_type = match name {
                    "readme.md" => "text/markdown; charset=utf-8",
                    _ => "text/plain; charset=utf-8",
                };
                let content = content.ok_or_else(|| not_there(name))?;
                Ok(Addition::new(content_type, content))
            }
            (kind, _) => Err(bad(format!("an artifact of the type {kind} has no {name}"))),
        }
    }

    /// What was found in an artifact; none while that is not known, which is not the same as
    /// nothing.
    pub async fn harbor_report(
        &self,
        caller: &Caller,
        place: (&str, &str, &str),
    ) -> Result<Option<Report>> {
        let what = (Resource::ArtifactAddition, Act::Read);
        let mut tx = self.database().read().await?;
        let found = self.artifact_for(&mut tx, caller, place, what).await?;
        drop(tx);
        let (id, digest) = (found.repository.id, found.row.digest);
        self.settle(id, &digest, self.door_wait()).await?;
        let mut tx = self.database().read().await?;
        let row = metadata::manifests::find(&mut tx, id, &digest).await?;
        let row = row.ok_or_else(|| missing("artifact", digest))?;
        let overviews = self.overviews(&mut tx, std::slice::from_ref(&row)).await?;
        let overview = overviews.all.get(&row.id);
        let Some(overview) = overview.filter(|one| one.state == super::ScanState::Success) else {
            return Ok(None);
        };
        let parts = parts(&mut tx, &row).await?;
        let holders: HashMap<i64, Digest> =
            parts.iter().map(|part| (part.row.id, part.row.digest)).collect();
        let ids: Vec<i64> = holders.keys().copied().collect();
        let findings = all_findings(&mut tx, &ids).await?;
        let at = overview.matched_at.max(overview.contents_at).unwrap_or_else(|| self.now());
        let with_holder =
            |(id, finding): (i64, Finding)| (holders.get(&id).copied().unwrap_or(digest), finding);
        Ok(Some(Report {
            digest,
            repository: found.repository.name,
            at,
            findings: findings.into_iter().map(with_holder).collect(),
        }))
    }

    /// The manifest of an artifact whose bytes the pull door opens to the caller: what is told of
    /// them here is as closed as they are.
    async fn opened_manifest(&self, caller: &Caller, found: &Found) -> Result<Manifest> {
        let mut tx = self.database().read().await?;
        let scope = self.scope(&mut tx, caller, &found.name()?, Need::Has(Right::Pull)).await?;
        let stored = metadata::manifests::load(&mut tx, found.repository.id, &found.row.digest);
        let stored = stored.await?.ok_or_else(|| missing("artifact", found.row.digest))?;
        drop(tx);
        self.require_open(caller, &scope, &found.row, None).await?;
        Ok(Manifest::parse(&stored.manifest.media_type, &stored.payload)?)
    }

    async fn held_blob(&self, found: &Found, blob: &Descriptor) -> Result<BlobKey> {
        let mut tx = self.database().read().await?;
        let held = metadata::blobs::find(&mut tx, found.repository.id, &blob.digest).await?;
        let held = held.ok_or_else(|| missing("blob", blob.digest))?;
        Ok(BlobKey { digest: held.digest, generation: held.generation })
    }

    async fn read_blob(&self, found: &Found, blob: &Descriptor, limit: u64) -> Result<Vec<u8>> {
        let key = self.held_blob(found, blob).await?;
        let reader = self.blobs().open_blob(&key).await?;
        if reader.size() > limit {
            return Err(bad(format!("{} has more than {limit} bytes", blob.digest)));
        }
        Ok(reader.read_all(limit).await?.to_vec())
    }
}

async fn all_findings(tx: &mut Tx, ids: &[i64]) -> Result<Vec<(i64, Finding)>> {
    let (mut all, mut after) = (Vec::new(), FindingsCursor::default());
    let mut last = 0;
    while all.len() < MAX_REPORTED {
        let filter = FindingsFilter::default();
        let rows = metadata::findings::page(tx, ids, filter, &after, BATCH).await?;
        let Some((cursor, _)) = rows.last() else { break };
        after = cursor.clone();
        for (cursor, found) in rows {
            // The same component in several places is one finding.
            let key = (cursor.finding_id, cursor.manifest_id);
            if last != 0 && all.last().is_some_and(|(seen, _, _): &(_, _, _)| *seen == key) {
                continue;
            }
            last = cursor.finding_id;
            all.push((key, cursor.manifest_id, found.finding));
        }
    }
    all.truncate(MAX_REPORTED);
    Ok(all.into_iter().map(|(_, id, finding)| (id, finding)).collect())
}

fn not_there(name: &str) -> Error {
    missing("addition", format!("{name} in this artifact"))
}

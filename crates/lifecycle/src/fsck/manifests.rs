//! Manifests: their bytes against their digest, their rows against their bytes.

use super::{Check, Example, Kind, PAGE, Step, remember};
use sealock_blobs::BlobKey;
use sealock_metadata::{
    fsck::manifests::{self as rows, Columns, RawManifest},
    manifests::{Child, ManifestBlob, NewManifest, State},
};
use sealock_oci::{Digest, Manifest, ManifestError};
use sealock_registry::{MAX_CONFIG_BYTES, ManifestRows, queue_judge};
use std::collections::BTreeMap;

/// Bytes of manifests that are read at a time; one manifest may be larger.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
/// Most manifests that are read at a time.
const BATCH: usize = 200;
/// Most copies of a manifest that are looked at for its bytes.
const MAX_TWINS: u32 = 8;

/// What the rows of some manifests say that they name, by manifest.
#[derive(Default)]
struct Named {
    blobs: BTreeMap<i64, Vec<ManifestBlob>>,
    children: BTreeMap<i64, Vec<(Child, i64)>>,
}

/// The configuration of an image, as far as its rows depend on it.
enum Configuration {
    Known(Option<Vec<u8>>),
    /// It is here, and cannot be read now.
    Unknown,
}

impl Check<'_> {
    pub(super) async fn manifests(&mut self) -> Step<()> {
        if self.quick() {
            return Ok(());
        }
        self.progress.stage("manifests", self.totals.manifests, "manifests");
        let mut after = 0;
        loop {
            let mut tx = self.read().await?;
            let page = rows::lengths(&mut tx, after, PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.0;
            let mut page = page.as_slice();
            while !page.is_empty() {
                let mut bytes = 0;
                let fits = page.iter().take(BATCH).take_while(|(_, length)| {
                    bytes += length.unwrap_or(0);
                    bytes <= BATCH_BYTES
                });
                let (batch, rest) = page.split_at(fits.count().max(1));
                page = rest;
                let ids: Vec<i64> = batch.iter().map(|(id, _)| *id).collect();
                self.batch(&ids).await?;
                self.progress.advance(ids.len() as u64);
            }
        }
    }

    async fn batch(&mut self, ids: &[i64]) -> Step<()> {
        let mut tx = self.read().await?;
        let manifests = rows::load(&mut tx, ids).await?;
        drop(tx);
        let mut named = Named::default();
        for id in self.named(ids, &mut named).await? {
            // A row that cannot even be read is not what a push wrote.
            named.blobs.remove(&id);
        }
        for manifest in manifests {
            self.report.checked.manifests += 1;
            self.manifest(manifest, &mut named).await?;
        }
        Ok(())
    }

    /// Reads what manifests name. Those of which a row cannot be read are returned.
    async fn named(&self, ids: &[i64], named: &mut Named) -> Step<Vec<i64>> {
        let mut unreadable = Vec::new();
        let mut tx = self.read().await?;
        let read = rows::parts(&mut tx, ids).await;
        drop(tx);
        let single: Vec<&[i64]> = ids.chunks(1).collect();
        let (parts, again) = match read {
            Ok(parts) => (vec![parts], &[][..]),
            Err(sealock_metadata::Error::Column { .. }) => (Vec::new(), single.as_slice()),
            Err(error) => return Err(error.into()),
        };
        let mut all = parts;
        for id in again {
            let mut tx = self.read().await?;
            match rows::parts(&mut tx, id).await {
                Ok(parts) => all.push(parts),
                Err(sealock_metadata::Error::Column { .. }) => unreadable.extend(*id),
                Err(error) => return Err(error.into()),
            }
        }
        for (blobs, children) in all {
            for blob in blobs {
                named.blobs.entry(blob.manifest_id).or_default().push(blob);
            }
            for child in children {
                named.children.entry(child.0.parent_id).or_default().push(child);
            }
        }
        Ok(unreadable)
    }

    async fn manifest(&mut self, mut row: RawManifest, named: &mut Named) -> Step<()> {
        let example =
            Example::default().digest(&row.digest).repository(Some(row.repository.clone()));
        let Ok(digest) = row.digest.parse::<Digest>() else {
            let example = Example { detail: "its digest is none".to_owned(), ..example };
            self.note(Kind::ManifestColumns, 0, example);
            return Ok(());
        };
        let right = |payload: &[u8]| Digest::of(digest.algorithm(), payload) == digest;
        let isolated = row.state == State::Isolated.as_str();
        let kind = match row.payload.as_deref() {
            None => Some(Kind::PayloadMissing),
            Some(payload) if !right(payload) && isolated => Some(Kind::PayloadIsolated),
            Some(payload) if !right(payload) => Some(Kind::PayloadCorrupt),
            // Right bytes again: only the word is left to take back.
            Some(_) if isolated => Some(Kind::PayloadIsolated),
            Some(_) => None,
        };
        if let Some(kind) = kind {
            row.payload = self.payload(kind, &row, digest, example.clone()).await?;
        }
        let Some(payload) = row.payload.take() else { return Ok(()) };
        self.compare(&row, digest, &payload, named, example).await
    }

    /// A manifest without its right bytes. What it has afterwards.
    async fn payload(
        &mut self,
        kind: Kind,
        row: &RawManifest,
        digest: Digest,
        mut example: Example,
    ) -> Step<Option<Vec<u8>>> {
        let mut tx = self.read().await?;
        let twins = rows::twins(&mut tx, &row.digest, row.id, MAX_TWINS).await?;
        drop(tx);
        let own = row.payload.clone();
        let good = own
            .into_iter()
            .chain(twins)
            .find(|payload| Digest::of(digest.algorithm(), payload) == digest);
        if !self.repair() {
            self.report.add(kind, 0, example);
            return Ok(None);
        }
        let restored = match &good {
            Some(good) => Some(self.restore(row, &digest, good).await),
            None if kind == Kind::PayloadCorrupt => Some(self.isolate_manifest(row.id).await),
            None => None,
        };
        match restored {
            Some(mended) => {
                example.outcome = self.outcome(mended);
                self.report.add(kind, 0, example);
            }
            None => self.note(kind, 0, example),
        }
        Ok(good)
    }

    async fn restore(&self, row: &RawManifest, digest: &Digest, payload: &[u8]) -> Step<bool> {
        let mut tx = self.write().await?;
        if rows::restore_payload(&mut tx, row.id, payload).await? {
            queue_judge(&mut tx, row.repository_id, digest).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn isolate_manifest(&self, id: i64) -> Step<bool> {
        let mut tx = self.write().await?;
        let done = rows::isolate(&mut tx, id).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// The rows of a manifest against its bytes.
    async fn compare(
        &mut self,
        row: &RawManifest,
        digest: Digest,
        payload: &[u8],
        named: &mut Named,
        example: Example,
    ) -> Step<()> {
        let mut wrong_type = false;
        let parsed = match Manifest::parse(&row.media_type, payload) {
            Err(ManifestError::MediaTypeMismatch { .. } | ManifestError::UnknownMediaType(_)) => {
                wrong_type = true;
                Manifest::parse("", payload)
            }
            parsed => parsed,
        };
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                let example = Example { detail: error.to_string(), ..example };
                self.note(Kind::ManifestInvalid, 0, example);
                return Ok(());
            }
        };
        let configuration = self.configuration(&parsed).await?;
        let (known, config) = match configuration {
            Configuration::Known(config) => (true, config),
            Configuration::Unknown => (false, None),
        };
        let made = ManifestRows::new(parsed, digest, config.as_deref());
        let new = made.as_new(row.repository_id, payload);
        let mut right = Columns::of(&new)?;
        if !known {
            right.chain.clone_from(&row.columns.chain);
        }
        if right.subject != row.columns.subject {
            let mut example = example.clone();
            example.detail = differs("subject", &row.columns.subject, &right.subject);
            if self.repair() {
                let columns = Columns { subject: right.subject.clone(), ..row.columns.clone() };
                example.outcome = self.outcome(self.put_columns(row.id, &columns).await);
            }
            self.report.add(Kind::ManifestSubject, 0, example);
        }
        let detail = other_columns(&row.columns, &right, wrong_type);
        if !detail.is_empty() {
            let mut example = example.clone();
            example.detail = format!("differs in: {}", detail.join(", "));
            if right.chain != row.columns.chain && !self.repair() {
                remember(&mut self.other_chain, row.id);
            }
            if self.repair() {
                let media_type = wrong_type.then_some(made.manifest.media_type.as_str());
                example.outcome = self.outcome(self.put_row(row.id, &right, media_type).await);
            }
            self.report.add(Kind::ManifestColumns, 0, example);
        }
        let blobs = named.blobs.remove(&row.id).unwrap_or_default();
        let children = named.children.remove(&row.id).unwrap_or_default();
        let same = same_blobs(&blobs, &made.blobs, known)
            && same_children(&children, &made.children, row.repository_id);
        if !same {
            let counts = (blobs.len(), children.len());
            self.other_references(row.id, counts, &new, example).await;
        }
        Ok(())
    }

    /// What is recorded as named by a manifest is not what its bytes name.
    async fn other_references(
        &mut self,
        id: i64,
        (blobs, children): (usize, usize),
        new: &NewManifest<'_>,
        mut example: Example,
    ) {
        example.detail = format!(
            "{blobs} blobs and {children} children recorded, {} and {} in its bytes",
            new.blobs.len(),
            new.children.len()
        );
        if self.repair() {
            let mended = async {
                let mut tx = self.write().await?;
                rows::put_parts(&mut tx, id, new).await?;
                tx.commit().await?;
                Ok(true)
            };
            example.outcome = self.outcome(mended.await);
        }
        self.report.add(Kind::ManifestReferences, 0, example);
    }

    async fn put_columns(&self, id: i64, columns: &Columns) -> Step<bool> {
        self.put_row(id, columns, None).await
    }

    async fn put_row(&self, id: i64, columns: &Columns, media_type: Option<&str>) -> Step<bool> {
        let mut tx = self.write().await?;
        rows::put_columns(&mut tx, id, columns).await?;
        if let Some(media_type) = media_type {
            rows::put_media_type(&mut tx, id, media_type).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The configuration of an image that has layers: what they expand to stands there.
    async fn configuration(&self, manifest: &Manifest) -> Step<Configuration> {
        let Some(config) = &manifest.config else { return Ok(Configuration::Known(None)) };
        if manifest.layers.is_empty() || config.size > MAX_CONFIG_BYTES {
            return Ok(Configuration::Known(None));
        }
        let mut tx = self.read().await?;
        let row = sealock_metadata::fsck::blobs::get(&mut tx, &config.digest).await?;
        drop(tx);
        let Some(row) = row else { return Ok(Configuration::Unknown) };
        let key = BlobKey { digest: config.digest, generation: row.generation };
        let path = self.inventory.path_of(&key);
        let bytes = self.on_disk(move |store| store.read(&path, MAX_CONFIG_BYTES)).await;
        Ok(match bytes {
            Ok(Some(bytes)) if Digest::of(config.digest.algorithm(), &bytes) == config.digest => {
                Configuration::Known(Some(bytes))
            }
            _ => Configuration::Unknown,
        })
    }
}

fn differs(name: &str, row: &Option<String>, right: &Option<String>) -> String {
    let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    format!("the row's {name} is {}, the manifest's {}", word(row), word(right))
}

/// Names of the columns, but for the subject, that are not as they should be.
fn other_columns(row: &Columns, right: &Columns, wrong_type: bool) -> Vec<&'static str> {
    let compared = [
        ("media type", !wrong_type),
        ("artifact type", row.artifact_type == right.artifact_type),
        ("kind", row.kind == right.kind),
        ("size", row.size == right.size),
        ("configuration", row.config_digest == right.config_digest),
        ("configuration's media type", row.config_media_type == right.config_media_type),
        ("annotations", Columns::same_annotations(&row.annotations, &right.annotations)),
        ("chain of layers", row.chain == right.chain),
    ];
    compared.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}

fn same_blobs(rows: &[ManifestBlob], right: &[ManifestBlob], diff_ids: bool) -> bool {
    rows.len() == right.len()
        && rows.iter().zip(right).all(|(row, right)| {
            let mut right = ManifestBlob { manifest_id: row.manifest_id, ..right.clone() };
            if !diff_ids {
                right.diff_id = row.diff_id;
            }
            *row == right
        })
}

fn same_children(rows: &[(Child, i64)], right: &[Child], repository_id: i64) -> bool {
    rows.len() == right.len()
        && rows.iter().zip(right).all(|((row, of), right)| {
            *of == repository_id && *row == Child { parent_id: row.parent_id, ..right.clone() }
        })
}

//! Accessories: what they prove about their subject, under the keys that the project lists.

use crate::{Error, Registry, Result, inspect::blocking, jobs};
use jiff::Timestamp;
use sealock_blobs::{BlobError, BlobKey};
use sealock_metadata::{
    self as metadata, Tx,
    evidence::Evidence,
    manifests::{Manifest as ManifestRow, State, Stored},
};
use sealock_oci::{Digest, Manifest, Tag};
use sealock_signing::{
    Accessory, AccessoryFacts, AccessoryInput, Limits, Lookup, PublicKey, classify,
    verify_accessory,
};
use std::{
    collections::{BTreeSet, HashMap},
    io::Read,
    sync::Arc,
};

/// Most accessories of one subject that are looked at.
const MAX_ACCESSORIES: usize = 1_000;
/// Accessories read at a time.
const BATCH: u32 = 100;
/// Manifests held in memory at a time: each has up to 4 MiB.
const LOADED: usize = 8;
/// Keys read at a time.
const KEYS: u32 = 200;

/// An accessory with all that is needed to verify it away from the database.
struct Case {
    accessory: Accessory,
    digest: Digest,
    manifest: Manifest,
    first_seen: Timestamp,
    subject_bytes: Option<Vec<u8>>,
    blobs: HashMap<Digest, BlobKey>,
}

impl Registry {
    /// Verifies the accessories of a subject that were not verified yet. The subject need not be
    /// here: what is verified before it arrives counts when it does.
    pub(crate) async fn verify_subject(&self, repository_id: i64, subject: &Digest) -> Result<()> {
        let flight = format!("verify/{repository_id}/{subject}");
        let _single = self.flights().enter(&flight).await;
        let mut tx = self.database().read().await?;
        let Some(repository) = metadata::repositories::get(&mut tx, repository_id).await? else {
            return Ok(());
        };
        let keys = Arc::new(self.verifying_keys(&mut tx, repository.project_id).await?);
        let known = metadata::evidence::of_subjects(&mut tx, repository_id, &[*subject]).await?;
        let known = accessories_of(&known);
        let accessories = accessories(&mut tx, repository_id, subject, &known).await?;
        drop(tx);
        for (digest, accessory) in accessories {
            let mut tx = self.database().read().await?;
            let stored = metadata::manifests::load(&mut tx, repository_id, &digest).await?;
            drop(tx);
            if let Some(stored) = stored {
                self.verify_one(repository_id, stored, accessory, keys.clone()).await?;
            }
        }
        Ok(())
    }

    /// Verifies again what did not count, for instance because its key was listed later. With
    /// `also`, keys of a project that it is to be promoted into.
    pub(crate) async fn verify_again(
        &self,
        repository_id: i64,
        digest: &Digest,
        also: &[PublicKey],
    ) -> Result<()> {
        let mut tx = self.database().read().await?;
        let Some(repository) = metadata::repositories::get(&mut tx, repository_id).await? else {
            return Ok(());
        };
        let mut keys = self.verifying_keys(&mut tx, repository.project_id).await?;
        let listed: BTreeSet<_> = keys.iter().map(|key| key.id().clone()).collect();
        keys.extend(also.iter().filter(|key| !listed.contains(key.id())).cloned());
        let stored = metadata::manifests::load(&mut tx, repository_id, digest).await?;
        let Some(stored) = stored else { return Ok(()) };
        let subjects = subjects_of(&mut tx, &stored).await?;
        drop(tx);
        let keys = Arc::new(keys);
        for accessory in subjects {
            self.verify_one(repository_id, stored.clone(), accessory, keys.clone()).await?;
        }
        Ok(())
    }

    /// Verifies again every accessory of a project with evidence that did not count.
    pub(crate) async fn verify_project_again(&self, project_id: i64) -> Result<()> {
        let mut after = (0, String::new());
        loop {
            let mut tx = self.database().read().await?;
            let cursor = (after.0, after.1.as_str());
            let rows = metadata::evidence::rejected(&mut tx, project_id, cursor, BATCH).await?;
            drop(tx);
            let Some((repository_id, digest)) = rows.last() else { return Ok(()) };
            after = (*repository_id, digest.to_string());
            for (repository_id, digest) in rows {
                self.verify_again(repository_id, &digest, &[]).await?;
            }
        }
    }

    async fn verify_one(
        &self,
        repository_id: i64,
        stored: Stored,
        accessory: Accessory,
        keys: Arc<Vec<PublicKey>>,
    ) -> Result<()> {
        let row = stored.manifest.clone();
        let mut tx = self.database().read().await?;
        let case = case(&mut tx, repository_id, stored, accessory).await?;
        drop(tx);
        let store = self.blobs().clone();
        let facts = blocking(move || Ok(case.verify(&store, &keys))).await?;
        if facts.unread > 0 {
            return Err(Error::internal(format!(
                "{} layers of the accessory {} could not be read now",
                facts.unread, row.digest
            )));
        }
        let evidence = Evidence { signatures: facts.signatures, attestations: facts.attestations };
        let mut tx = self.database().write().await?;
        if metadata::evidence::put(&mut tx, repository_id, &evidence).await? > 0 {
            let digests = [accessory.subject, row.digest];
            metadata::manifests::bump_by_digest(&mut tx, repository_id, &digests).await?;
            let subject =
                metadata::manifests::find(&mut tx, repository_id, &accessory.subject).await?;
            if let Some(held) = subject.filter(|row| row.state == State::Held) {
                jobs::queue_judge(&mut tx, &held).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// What verifies in a project: the keys that it lists, and the registry's own evidence key,
    /// under which its summaries are told from forged ones. Which of them count is for policy.
    async fn verifying_keys(&self, tx: &mut Tx, project_id: i64) -> Result<Vec<PublicKey>> {
        let mut keys = project_keys(tx, project_id).await?;
        keys.push(self.product_keys().evidence_public().clone());
        Ok(keys)
    }

    /// Whether an accessory of this digest waits to be verified.
    pub(crate) async fn evidence_is_pending(
        &self,
        tx: &mut Tx,
        repository_id: i64,
        digest: &Digest,
    ) -> Result<bool> {
        let key = jobs::subject_key(repository_id, digest);
        Ok(!metadata::jobs::open(tx, jobs::VERIFY, &key).await?.is_empty())
    }
}

impl Case {
    fn verify(&self, store: &sealock_blobs::BlobStore, keys: &[PublicKey]) -> AccessoryFacts {
        let read = |digest: &Digest, limit: u64| -> Lookup {
            let Some(key) = self.blobs.get(digest) else { return Lookup::Missing };
            let reader = match store.open_sync(key) {
                Ok(reader) if reader.size() > limit => return Lookup::TooLarge,
                Ok(reader) => reader,
                Err(BlobError::NotFound(_)) => return Lookup::Missing,
                Err(_) => return Lookup::Failed,
            };
            let mut bytes = Vec::new();
            match reader.take(limit).read_to_end(&mut bytes) {
                Ok(_) => Lookup::Found(bytes),
                Err(_) => Lookup::Failed,
            }
        };
        let input = AccessoryInput {
            accessory: self.accessory,
            digest: self.digest,
            manifest: &self.manifest,
            subject_bytes: self.subject_bytes.as_deref(),
            blobs: &read,
        };
        verify_accessory(&input, keys, self.first_seen, &Limits::default())
    }
}

async fn case(
    tx: &mut Tx,
    repository_id: i64,
    stored: Stored,
    accessory: Accessory,
) -> Result<Case> {
    let manifest = Manifest::parse(&stored.manifest.media_type, &stored.payload)?;
    let layers: Vec<Digest> = manifest.layers.iter().map(|layer| layer.digest).collect();
    let held = metadata::blobs::held(tx, repository_id, &layers).await?;
    let key = |blob: metadata::blobs::Blob| {
        (blob.digest, BlobKey { digest: blob.digest, generation: blob.generation })
    };
    let subject = metadata::manifests::load(tx, repository_id, &accessory.subject).await?;
    Ok(Case {
        accessory,
        digest: stored.manifest.digest,
        manifest,
        first_seen: stored.manifest.pushed_at,
        subject_bytes: subject.map(|subject| subject.payload),
        blobs: held.into_iter().map(key).collect(),
    })
}

/// The keys that a project lists, as they verify. A key that does not parse any more verifies
/// nothing.
pub(crate) async fn project_keys(tx: &mut Tx, project_id: i64) -> Result<Vec<PublicKey>> {
    let rows = metadata::project_keys::list(tx, project_id, 0, KEYS).await?;
    Ok(rows.iter().filter_map(|row| PublicKey::from_pem(&row.pem).ok()).collect())
}

fn accessories_of(evidence: &Evidence) -> BTreeSet<Digest> {
    let signatures = evidence.signatures.iter().map(|fact| fact.accessory);
    signatures.chain(evidence.attestations.iter().map(|fact| fact.accessory)).collect()
}

/// What says something about a subject and can hold evidence, and is not known yet: referrers and
/// cosign's legacy tags. Their manifests are looked into, and not kept.
async fn accessories(
    tx: &mut Tx,
    repository_id: i64,
    subject: &Digest,
    known: &BTreeSet<Digest>,
) -> Result<Vec<(Digest, Accessory)>> {
    let mut found = Vec::new();
    let mut after = String::new();
    while found.len() < MAX_ACCESSORIES {
        let page =
            metadata::manifests::referrers(tx, repository_id, subject, None, &after, BATCH).await?;
        let Some(last) = page.last() else { break };
        after = last.digest.to_string();
        let digests = page.iter().map(|referrer| referrer.digest);
        let digests: Vec<Digest> = digests.filter(|digest| !known.contains(digest)).collect();
        for digests in digests.chunks(LOADED) {
            for stored in metadata::manifests::load_many(tx, repository_id, digests).await? {
                if let Some(accessory) = evidence_in(&stored, None) {
                    found.push((stored.manifest.digest, accessory));
                }
            }
        }
    }
    for tag in legacy_tags(subject) {
        if let Some(stored) = metadata::manifests::load_tagged(tx, repository_id, &tag).await?
            && let Some(accessory) = evidence_in(&stored, Some(&tag))
            && accessory.subject == *subject
            && !known.contains(&stored.manifest.digest)
        {
            found.push((stored.manifest.digest, accessory));
        }
    }
    Ok(found)
}

/// Cosign's legacy tags of a subject that can hold evidence.
pub(crate) fn legacy_tags(subject: &Digest) -> impl Iterator<Item = Tag> {
    let stem = subject.to_string().replacen(':', "-", 1);
    ["sig", "att"].into_iter().filter_map(move |kind| format!("{stem}.{kind}").parse().ok())
}

fn evidence_in(stored: &Stored, tag: Option<&Tag>) -> Option<Accessory> {
    let manifest = Manifest::parse(&stored.manifest.media_type, &stored.payload).ok()?;
    classify(&manifest, tag).filter(|accessory| accessory.kind.holds_evidence())
}

/// What an accessory speaks about: by its subject field, or by each legacy tag that names it. A tag
/// that was moved on leaves its facts as they were (decision D8).
async fn subjects_of(tx: &mut Tx, stored: &Stored) -> Result<Vec<Accessory>> {
    if let Some(accessory) = evidence_in(stored, None) {
        return Ok(vec![accessory]);
    }
    let ManifestRow { repository_id, id, .. } = stored.manifest;
    let tags = metadata::tags::of_manifests(tx, repository_id, &[id]).await?;
    let named = tags.iter().filter_map(|row| row.name.parse::<Tag>().ok());
    Ok(named.filter_map(|tag| evidence_in(stored, Some(&tag))).collect())
}

//! What an image holds: the merge of its layers, its components, and their findings.

use crate::{
    Error, Registry, Result,
    incoming::chain,
    inspect::{blocking, is_runnable, pack, unpack},
};
use bytes::Bytes;
use sealock_advisories::SCANNER;
use sealock_blobs::{BlobError, BlobKey};
use sealock_facts::{Component, ImageContents};
use sealock_metadata::{self as metadata, Tx};
use sealock_oci::{Digest, Manifest, read_diff_ids};
use sealock_sbom::{INSPECTOR_VERSION, LayerContents, merge};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};

/// Largest image configuration that is read for its diff_ids, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 8 * 1024 * 1024;
/// How often a match is made again because the advisories changed meanwhile.
const MATCH_ATTEMPTS: usize = 5;
/// Components written in one transaction. An image with very many must not keep all others from
/// writing until the last is stored.
const COMPONENTS_AT_A_TIME: usize = 2_000;

/// The layers of an image with what its configuration says they expand to.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    pub(crate) digests: Vec<Digest>,
    pub(crate) diff_ids: Option<Vec<Digest>>,
}

/// The merged contents of an image as they are stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredContents {
    /// Whether any layer is, or may be, one that could run.
    pub(crate) runnable: bool,
    /// When the last layer was read.
    pub(crate) inspected_at: jiff::Timestamp,
    pub(crate) contents: ImageContents,
}

impl Registry {
    /// What an image's configuration says its layers expand to. None when the config is no image
    /// configuration; that is not an error, artifacts have other ones.
    pub(crate) async fn diff_ids(
        &self,
        tx: &mut Tx,
        repository_id: i64,
        manifest: &Manifest,
    ) -> Result<Option<Vec<Digest>>> {
        if manifest.layers.is_empty() {
            return Ok(None);
        }
        let config = self.config_bytes(tx, repository_id, manifest).await?;
        Ok(config.and_then(|config| read_diff_ids(&config)))
    }

    /// The bytes of a manifest's configuration, where they are here and no more than
    /// [`MAX_CONFIG_BYTES`].
    pub(crate) async fn config_bytes(
        &self,
        tx: &mut Tx,
        repository_id: i64,
        manifest: &Manifest,
    ) -> Result<Option<Bytes>> {
        let Some(config) = &manifest.config else { return Ok(None) };
        if config.size > MAX_CONFIG_BYTES {
            return Ok(None);
        }
        let Some(blob) = metadata::blobs::find(tx, repository_id, &config.digest).await? else {
            return Ok(None);
        };
        if blob.size > MAX_CONFIG_BYTES {
            return Ok(None);
        }
        let key = BlobKey { digest: blob.digest, generation: blob.generation };
        let reader = match self.blobs().open_blob(&key).await {
            // Collected since the look: the push is told that the blob is missing.
            Err(BlobError::NotFound(_)) => return Ok(None),
            opened => opened?,
        };
        Ok(Some(reader.read_all(MAX_CONFIG_BYTES).await?))
    }

    /// Gives every image of this chain the contents that are known of it. Whether they are known.
    pub(crate) async fn adopt_contents(&self, tx: &mut Tx, chain: &Digest) -> Result<bool> {
        let found = metadata::contents::lock_image(tx, chain, INSPECTOR_VERSION).await?;
        let Some(contents) = found else { return Ok(false) };
        let changed = metadata::manifests::set_contents(tx, chain, contents.id).await?;
        metadata::manifests::bump_facts_rev(tx, &changed).await?;
        Ok(true)
    }

    /// Finds out what a stored image holds, and matches it. Does nothing when that is known.
    pub(crate) async fn make_contents(&self, repository_id: i64, digest: &Digest) -> Result<()> {
        let mut tx = self.database().read().await?;
        let Some(stored) = metadata::manifests::load(&mut tx, repository_id, digest).await? else {
            return Ok(());
        };
        let parsed = Manifest::parse(&stored.manifest.media_type, &stored.payload)?;
        let diff_ids = self.diff_ids(&mut tx, repository_id, &parsed).await?;
        drop(tx);
        let Some(key) = chain(&parsed, diff_ids.as_deref()) else { return Ok(()) };
        let digests = parsed.layers.iter().map(|layer| layer.digest).collect();
        self.contents_of(&key, &Layers { digests, diff_ids }).await?;
        Ok(())
    }

    /// The number of the contents of a chain of layers, which are found out if need be.
    /// Single-flight per chain. Nothing here waits for the disk: what is lost when the power goes
    /// is found out again by the job, whose end comes later in the same log.
    pub(crate) async fn contents_of(&self, chain: &Digest, layers: &Layers) -> Result<i64> {
        let _single = self.flights().enter(&format!("contents/{chain}")).await;
        let mut tx = self.database().read().await?;
        let known = metadata::contents::find_image(&mut tx, chain, INSPECTOR_VERSION).await?;
        drop(tx);
        let id = match known {
            Some(known) => {
                let mut tx = self.database().write().await?;
                self.adopt_contents(&mut tx, chain).await?;
                tx.commit_soon().await?;
                known.id
            }
            None => self.merge_layers(chain, layers).await?,
        };
        self.match_contents(id).await?;
        Ok(id)
    }

    async fn merge_layers(&self, chain: &Digest, layers: &Layers) -> Result<i64> {
        let mut facts: HashMap<Digest, Arc<LayerContents>> = HashMap::new();
        for digest in &layers.digests {
            if !facts.contains_key(digest) {
                facts.insert(*digest, self.layer_contents(digest).await?);
            }
        }
        let (layers, now) = (layers.clone(), self.now());
        let (bytes, contents) = blocking(move || {
            let runnable = facts.values().any(|layer| is_runnable(layer));
            let ordered: Vec<(Digest, LayerContents)> = layers
                .digests
                .iter()
                .filter_map(|digest| Some((*digest, LayerContents::clone(facts.get(digest)?))))
                .collect();
            let contents = merge(&ordered, layers.diff_ids.as_deref());
            let stored = StoredContents { runnable, inspected_at: now, contents };
            Ok((pack(&stored)?, stored.contents))
        })
        .await?;
        let complete = matches!(contents.completeness, sealock_facts::Completeness::Complete);
        let components: Vec<Component> = contents.components.iter().map(for_matching).collect();
        if components.len() > COMPONENTS_AT_A_TIME {
            for some in components.chunks(COMPONENTS_AT_A_TIME) {
                let mut tx = self.database().write().await?;
                metadata::contents::make_components(&mut tx, some).await?;
                tx.commit_soon().await?;
            }
        }
        let mut tx = self.database().write().await?;
        let (id, _) = metadata::contents::put_image(
            &mut tx,
            chain,
            INSPECTOR_VERSION,
            &bytes,
            complete,
            &components,
        )
        .await?;
        self.adopt_contents(&mut tx, chain).await?;
        tx.commit_soon().await?;
        Ok(id)
    }

    /// Matches the components of some contents that no match has seen yet. The advisories that
    /// count are locked against a swap while the result is stored, so none is missed.
    pub(crate) async fn match_contents(&self, contents_id: i64) -> Result<()> {
        let mut attempts = 0;
        while attempts < MATCH_ATTEMPTS {
            let mut tx = self.database().read().await?;
            let limit = u32::try_from(COMPONENTS_AT_A_TIME).unwrap_or(u32::MAX);
            let waiting = metadata::components::unmatched(&mut tx, &[contents_id], limit).await?;
            drop(tx);
            if waiting.is_empty() {
                return Ok(());
            }
            let Some(index) = self.index_in_force().await? else { return Ok(()) };
            let results = self.match_rows(index.clone(), waiting).await?;
            let mut tx = self.database().write().await?;
            let in_force = self.lock_snapshot(&mut tx).await?;
            let snapshot = index.digest().to_string();
            if in_force.as_deref() != Some(&snapshot) {
                attempts += 1;
                continue;
            }
            let changed = metadata::findings::store(&mut tx, SCANNER, &snapshot, &results).await?;
            metadata::findings::bump_holders(&mut tx, &changed.components).await?;
            tx.commit_soon().await?;
        }
        Err(Error::internal("the advisories changed faster than an image could be matched"))
    }

    /// The contents of a stored image.
    pub(crate) async fn read_contents(
        &self,
        tx: &mut Tx,
        contents_id: i64,
    ) -> Result<StoredContents> {
        let rows = metadata::contents::images(tx, &[contents_id]).await?;
        let row = rows
            .into_iter()
            .next()
            .ok_or_else(|| Error::internal(format!("the contents {contents_id} are gone")))?;
        blocking(move || unpack(&row.contents)).await
    }
}

/// A component as it is matched. What a distribution's package owns is judged by the distribution's
/// advisories, so it has no advisory key of its own.
fn for_matching(component: &Component) -> Component {
    let mut component = component.clone();
    if component.owner.is_some() {
        component.match_key = None;
    }
    component
}

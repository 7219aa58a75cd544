//! Manifests: what was pushed, what it names, what names it.
//!
//! One whose bytes were found damaged ([`State::Isolated`]) is found, so that it can be told and
//! deleted, and never loaded: its bytes go to nobody.

mod delete;
mod facts;
mod nesting;
mod referrers;
mod shown;

pub use delete::{Deleted, delete, delete_part};
pub use facts::{
    Facts, bump_by_blob, bump_by_digest, bump_facts_rev, facts, lock_facts_rev, set_contents,
    waiting_for_chain, without_contents,
};
pub use nesting::{is_listed, nesting, tags_above};
pub use referrers::{Referrer, has_subject_of, listed, referrers};
pub(crate) use shown::relist;
pub use shown::{Shown, attributes};

use crate::{Result, Row, Tx, blobs, engine::words, params, quotas};
use jiff::Timestamp;
use sealock_oci::{Digest, Tag};
use std::collections::BTreeMap;

/// Longest annotations that a manifest's row keeps, as JSON, in bytes. Of a manifest with longer
/// ones, only its bytes tell.
pub const MAX_ROW_ANNOTATIONS_BYTES: usize = 16 * 1024;

words! {
    /// Image or index, as `sealock_oci::ManifestKind`.
    pub enum Kind {
        /// Image or artifact.
        Image = "image",
        /// Index or manifest list.
        Index = "index",
    }
}

words! {
    /// Whether the doors are open.
    pub enum State {
        /// Judged, or not in need of it.
        Active = "active",
        /// Stored and closed until it is judged (decision D1).
        Held = "held",
        /// Its bytes were found damaged: it may not be read until they are pushed again.
        Isolated = "isolated",
    }
}

words! {
    /// What a blob is to a manifest.
    pub enum BlobRole {
        /// The configuration.
        Config = "config",
        /// A layer.
        Layer = "layer",
    }
}

/// A manifest without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Number.
    pub id: i64,
    /// The repository.
    pub repository_id: i64,
    /// The repository's project.
    pub project_id: i64,
    /// Digest.
    pub digest: Digest,
    /// As it was pushed.
    pub media_type: String,
    /// The type under which it is listed as a referrer.
    pub artifact_type: Option<String>,
    /// Image or index.
    pub kind: Kind,
    /// Size of the manifest in bytes.
    pub size: u64,
    /// The configuration's digest.
    pub config_digest: Option<Digest>,
    /// The configuration's media type.
    pub config_media_type: Option<String>,
    /// What it says something about.
    pub subject: Option<Digest>,
    /// Annotations; empty when they are longer than [`MAX_ROW_ANNOTATIONS_BYTES`].
    pub annotations: BTreeMap<String, String>,
    /// Key of its contents: a digest over its ordered layers.
    pub chain: Option<Digest>,
    /// Its merged contents, once known.
    pub contents_id: Option<i64>,
    /// Open or held.
    pub state: State,
    /// Counts changes of its own, its children's and its base's facts (decision D4).
    pub facts_rev: i64,
    /// Who pushed it first.
    pub pushed_by: String,
    /// When.
    pub pushed_at: Timestamp,
    /// Harbor's word for what it is, such as `IMAGE`.
    pub shown_type: String,
    /// The media type that this word comes from.
    pub shown_media_type: String,
    /// Its size with everything that it names, in bytes.
    pub total_size: u64,
    /// Harbor's word for what it is to another manifest; none for an artifact of its own.
    pub accessory: Option<String>,
    /// An index of its repository lists it.
    pub child: bool,
}

/// A manifest with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The row.
    pub manifest: Manifest,
    /// The bytes as they were pushed.
    pub payload: Vec<u8>,
    /// What its configuration says, as JSON, once that is known.
    pub attributes: Option<String>,
}

/// A blob that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestBlob {
    /// Which manifest.
    pub manifest_id: i64,
    /// Config or layer.
    pub role: BlobRole,
    /// Place among the layers, lowest first.
    pub position: u32,
    /// Digest.
    pub digest: Digest,
    /// Media type as declared.
    pub media_type: String,
    /// Size as declared, in bytes.
    pub size: u64,
    /// Digest of the uncompressed layer as the configuration declares it.
    pub diff_id: Option<Digest>,
}

/// A child that an index names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The index.
    pub parent_id: i64,
    /// Place in the index.
    pub position: u32,
    /// Digest.
    pub digest: Digest,
    /// Media type as declared.
    pub media_type: String,
    /// Size as declared, in bytes.
    pub size: u64,
    /// `os/architecture[/variant]`.
    pub platform: Option<String>,
}

/// A manifest to be stored.
#[derive(Debug, Clone)]
pub struct NewManifest<'a> {
    /// The repository.
    pub repository_id: i64,
    /// Digest of `payload`.
    pub digest: &'a Digest,
    /// As pushed.
    pub media_type: &'a str,
    /// The type under which it is listed as a referrer.
    pub artifact_type: Option<&'a str>,
    /// Image or index.
    pub kind: Kind,
    /// The bytes.
    pub payload: &'a [u8],
    /// Configuration.
    pub config: Option<(&'a Digest, &'a str)>,
    /// Subject.
    pub subject: Option<&'a Digest>,
    /// Annotations.
    pub annotations: &'a BTreeMap<String, String>,
    /// Key of its contents.
    pub chain: Option<&'a Digest>,
    /// Open or held.
    pub state: State,
    /// Who pushes.
    pub pushed_by: &'a str,
    /// The blobs it names (`manifest_id` is filled in here).
    pub blobs: &'a [ManifestBlob],
    /// The children it names (`parent_id` is filled in here).
    pub children: &'a [Child],
    /// What lists show of it.
    pub shown: Shown<'a>,
}

/// Columns of a manifest `m` with its repository `r`.
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT m.*, r.project_id AS project_id ", $rest)
    };
}
use select;

pub(crate) fn read(row: &Row) -> Result<Manifest> {
    Ok(Manifest {
        id: row.get("id")?,
        repository_id: row.get("repository_id")?,
        project_id: row.get("project_id")?,
        digest: row.get("digest")?,
        media_type: row.get("media_type")?,
        artifact_type: row.opt("artifact_type")?,
        kind: row.get("kind")?,
        size: row.get("size")?,
        config_digest: row.opt("config_digest")?,
        config_media_type: row.opt("config_media_type")?,
        subject: row.opt("subject_digest")?,
        annotations: row.json("annotations")?,
        chain: row.opt("chain")?,
        contents_id: row.opt("contents_id")?,
        state: row.get("state")?,
        facts_rev: row.get("facts_rev")?,
        pushed_by: row.get("pushed_by")?,
        pushed_at: row.get("pushed_at")?,
        shown_type: row.get("shown_type")?,
        shown_media_type: row.get("shown_media_type")?,
        total_size: row.get("total_size")?,
        accessory: row.opt("accessory")?,
        child: row.get("child")?,
    })
}

fn read_stored(row: &Row) -> Result<Stored> {
    let (payload, attributes) = (row.get("payload")?, row.opt("attributes")?);
    Ok(Stored { manifest: read(row)?, payload, attributes })
}

pub(crate) fn read_blob(row: &Row) -> Result<ManifestBlob> {
    Ok(ManifestBlob {
        manifest_id: row.get("manifest_id")?,
        role: row.get("role")?,
        position: row.get("position")?,
        digest: row.get("digest")?,
        media_type: row.get("media_type")?,
        size: row.get("size")?,
        diff_id: row.opt("diff_id")?,
    })
}

pub(crate) fn read_child(row: &Row) -> Result<Child> {
    Ok(Child {
        parent_id: row.get("parent_id")?,
        position: row.get("position")?,
        digest: row.get("digest")?,
        media_type: row.get("media_type")?,
        size: row.get("size")?,
        platform: row.opt("platform")?,
    })
}

/// Stores a manifest with what it names. The row, and whether it is new; one that was there stays
/// as it is (same digest, same bytes).
///
/// The caller has asked for its blobs by [`crate::blobs::present`], or linked them by
/// [`crate::blobs::link`], in the same transaction: these lock the links against collection.
pub async fn insert(tx: &mut Tx, new: &NewManifest<'_>) -> Result<(Manifest, bool)> {
    let now = tx.now();
    let children: Vec<Digest> = new.children.iter().map(|child| child.digest).collect();
    let named: u64 = new.blobs.iter().map(|blob| blob.size).sum();
    let inserted: Option<i64> = tx
        .find(
            "INSERT INTO manifests (repository_id, digest, media_type, artifact_type, kind, size, \
             config_digest, config_media_type, subject_digest, annotations, chain, state, \
             facts_rev, pushed_by, pushed_at, shown_type, shown_media_type, accessory, in_project, \
             total_size, child, listed) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13, $14, $15, $16, $17, \
             x.project_id, $18 + (SELECT CAST(coalesce(sum(c.total_size), 0) AS BIGINT) \
             FROM manifests c WHERE c.repository_id = $1 AND c.digest = ANY($19)), x.child, \
             CASE WHEN $17 IS NULL THEN 1 - x.child ELSE 0 END FROM (SELECT r.project_id, \
             CASE WHEN EXISTS (SELECT 1 FROM manifest_children c WHERE c.repository_id = $1 \
             AND c.digest = $2) THEN 1 ELSE 0 END AS child FROM repositories r \
             WHERE r.id = $1) AS x WHERE TRUE \
             ON CONFLICT (repository_id, digest) DO NOTHING RETURNING id",
            params![
                new.repository_id,
                new.digest,
                new.media_type,
                new.artifact_type,
                new.kind,
                new.payload.len(),
                new.config.map(|(digest, _)| digest),
                new.config.map(|(_, media_type)| media_type),
                new.subject,
                row_annotations(new.annotations)?,
                new.chain,
                new.state,
                new.pushed_by,
                now,
                new.shown.kind,
                new.shown.media_type,
                new.shown.accessory,
                named.saturating_add(new.payload.len() as u64),
                &children
            ],
            |row| row.get("id"),
        )
        .await?;
    if let Some(id) = inserted {
        insert_payload(tx, id, new).await?;
        insert_parts(tx, id, new).await?;
    }
    let row = find(tx, new.repository_id, new.digest).await?.ok_or(crate::Error::Retry)?;
    if inserted.is_some() {
        let itself = Some((new.digest, row.size));
        quotas::charge(tx, (row.project_id, row.repository_id), itself, new.blobs).await?;
        shown::adopt(tx, &row, &children).await?;
        return Ok((row, true));
    }
    let mut changed = heal(tx, &row, new).await?;
    if let (Some(accessory), None) = (new.shown.accessory, &row.accessory) {
        shown::make_accessory(tx, row.id, accessory).await?;
        changed = true;
    }
    match changed {
        true => {
            let row = find(tx, new.repository_id, new.digest).await?;
            Ok((row.ok_or(crate::Error::Retry)?, false))
        }
        false => Ok((row, false)),
    }
}

/// Stores the bytes; false when the same ones were there.
async fn insert_payload(tx: &mut Tx, id: i64, new: &NewManifest<'_>) -> Result<bool> {
    let sql = "INSERT INTO manifest_payloads (manifest_id, payload, attributes) VALUES ($1, $2, $3) \
               ON CONFLICT (manifest_id) DO UPDATE SET payload = excluded.payload, \
               attributes = excluded.attributes \
               WHERE manifest_payloads.payload <> excluded.payload";
    Ok(tx.execute(sql, params![id, new.payload, new.shown.attributes]).await? == 1)
}

/// Mends a manifest whose bytes were lost or damaged: the same digest was pushed again. Whether
/// there was something to mend.
async fn heal(tx: &mut Tx, row: &Manifest, new: &NewManifest<'_>) -> Result<bool> {
    let replaced = insert_payload(tx, row.id, new).await?;
    if !replaced && row.state != State::Isolated {
        return Ok(false);
    }
    replace_parts(tx, row.id, new).await?;
    if row.state == State::Isolated {
        let sql = "UPDATE manifests SET state = $2 WHERE id = $1";
        tx.execute(sql, params![row.id, new.state]).await?;
    }
    bump_facts_rev(tx, &[row.id]).await?;
    Ok(true)
}

/// Writes what a manifest names anew. What it names no more comes up for review.
pub(crate) async fn replace_parts(tx: &mut Tx, id: i64, new: &NewManifest<'_>) -> Result<()> {
    blobs::queue_links(tx, new.repository_id, &[id]).await?;
    let row = get(tx, id).await?.ok_or(crate::Error::Retry)?;
    quotas::discharge(tx, row.project_id, &[id], &[]).await?;
    tx.execute("DELETE FROM manifest_blobs WHERE manifest_id = $1", params![id]).await?;
    tx.execute("DELETE FROM manifest_children WHERE parent_id = $1", params![id]).await?;
    insert_parts(tx, id, new).await?;
    quotas::charge(tx, (row.project_id, row.repository_id), None, new.blobs).await
}

/// Annotations as the row keeps them; none when they are long, or lists of rows would hold
/// gigabytes. The payload has them.
pub(crate) fn row_annotations(annotations: &BTreeMap<String, String>) -> Result<String> {
    let text = serde_json::to_string(annotations)?;
    Ok(if text.len() > MAX_ROW_ANNOTATIONS_BYTES { "{}".to_owned() } else { text })
}

async fn insert_parts(tx: &mut Tx, id: i64, new: &NewManifest<'_>) -> Result<()> {
    let blob = |b: &ManifestBlob| {
        let media_type = b.media_type.as_str();
        let repository = new.repository_id;
        params![id, b.role, b.position, b.digest, media_type, b.size, b.diff_id, repository]
    };
    let head = "INSERT INTO manifest_blobs (manifest_id, role, position, digest, media_type, \
                size, diff_id, repository_id)";
    tx.insert_many(head, new.blobs.iter().map(blob).collect(), "").await?;
    let repository = new.repository_id;
    let child = |c: &Child| {
        let platform = c.platform.as_deref();
        params![id, c.position, repository, c.digest, c.media_type.as_str(), c.size, platform]
    };
    let head = "INSERT INTO manifest_children (parent_id, position, repository_id, digest, \
                media_type, size, platform)";
    tx.insert_many(head, new.children.iter().map(child).collect(), "").await?;
    Ok(())
}

/// A manifest of a repository.
pub async fn find(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<Option<Manifest>> {
    let sql = select!(
        "FROM manifests m JOIN repositories r ON r.id = m.repository_id \
         WHERE m.repository_id = $1 AND m.digest = $2"
    );
    tx.find(sql, params![repository_id, digest], read).await
}

/// A manifest of a repository with its bytes.
pub async fn load(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<Option<Stored>> {
    let sql = "SELECT m.*, r.project_id AS project_id, p.payload AS payload, \
               p.attributes AS attributes FROM manifests m \
               JOIN repositories r ON r.id = m.repository_id \
               JOIN manifest_payloads p ON p.manifest_id = m.id \
               WHERE m.repository_id = $1 AND m.digest = $2 AND m.state <> 'isolated'";
    tx.find(sql, params![repository_id, digest], read_stored).await
}

/// The manifest that a tag names, with its bytes: one query.
pub async fn load_tagged(tx: &mut Tx, repository_id: i64, tag: &Tag) -> Result<Option<Stored>> {
    let sql = "SELECT m.*, r.project_id AS project_id, p.payload AS payload, \
               p.attributes AS attributes FROM tags t \
               JOIN manifests m ON m.id = t.manifest_id \
               JOIN repositories r ON r.id = m.repository_id \
               JOIN manifest_payloads p ON p.manifest_id = m.id \
               WHERE t.repository_id = $1 AND t.name = $2 AND m.state <> 'isolated'";
    tx.find(sql, params![repository_id, tag], read_stored).await
}

/// Manifests of a repository with these digests.
pub async fn find_many(
    tx: &mut Tx,
    repository_id: i64,
    digests: &[Digest],
) -> Result<Vec<Manifest>> {
    let sql = select!(
        "FROM manifests m JOIN repositories r ON r.id = m.repository_id \
         WHERE m.repository_id = $1 AND m.digest = ANY($2) ORDER BY m.digest"
    );
    tx.list(sql, params![repository_id, digests], read).await
}

/// Manifests of a repository with these digests, with their bytes.
pub async fn load_many(tx: &mut Tx, repository_id: i64, digests: &[Digest]) -> Result<Vec<Stored>> {
    let sql = "SELECT m.*, r.project_id AS project_id, p.payload AS payload, \
               p.attributes AS attributes FROM manifests m \
               JOIN repositories r ON r.id = m.repository_id \
               JOIN manifest_payloads p ON p.manifest_id = m.id \
               WHERE m.repository_id = $1 AND m.digest = ANY($2) AND m.state <> 'isolated' \
               ORDER BY m.digest";
    tx.list(sql, params![repository_id, digests], read_stored).await
}

/// A manifest by number: for jobs that were queued for it, never for a caller.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Manifest>> {
    let sql =
        select!("FROM manifests m JOIN repositories r ON r.id = m.repository_id WHERE m.id = $1");
    tx.find(sql, params![id], read).await
}

/// Manifests by number: of numbers that a query found, never of a caller's own.
pub(crate) async fn get_many(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Manifest>> {
    let sql = select!(
        "FROM manifests m JOIN repositories r ON r.id = m.repository_id WHERE m.id = ANY($1)"
    );
    tx.list(sql, params![ids], read).await
}

/// A manifest of a repository by number, with its bytes.
pub async fn load_id(tx: &mut Tx, repository_id: i64, id: i64) -> Result<Option<Stored>> {
    let sql = "SELECT m.*, r.project_id AS project_id, p.payload AS payload, \
               p.attributes AS attributes FROM manifests m \
               JOIN repositories r ON r.id = m.repository_id \
               JOIN manifest_payloads p ON p.manifest_id = m.id \
               WHERE m.repository_id = $1 AND m.id = $2 AND m.state <> 'isolated'";
    tx.find(sql, params![repository_id, id], read_stored).await
}

/// Every place where this digest is stored, in the projects that the caller may see.
pub async fn places(
    tx: &mut Tx,
    visible: &crate::projects::Visible,
    digest: &Digest,
    after: i64,
    limit: u32,
) -> Result<Vec<Manifest>> {
    let (all, ids, some) = visible.repositories();
    let sql = select!(
        "FROM manifests m JOIN repositories r ON r.id = m.repository_id WHERE m.digest = $1 \
         AND m.id > $2 AND ($3 = 1 OR r.project_id = ANY($4) OR r.id = ANY($5)) \
         ORDER BY m.id LIMIT $6"
    );
    tx.list(sql, params![digest, after, all, ids, some, limit], read).await
}

/// Manifests of a repository, newest first, with a number below `before`.
pub async fn list(
    tx: &mut Tx,
    repository_id: i64,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Manifest>> {
    let sql = select!(
        "FROM manifests m JOIN repositories r ON r.id = m.repository_id \
         WHERE m.repository_id = $1 AND m.id < $2 ORDER BY m.id DESC LIMIT $3"
    );
    tx.list(sql, params![repository_id, before.unwrap_or(i64::MAX), limit], read).await
}

/// The blobs that these manifests of a repository name, in order.
pub async fn blobs(
    tx: &mut Tx,
    repository_id: i64,
    manifest_ids: &[i64],
) -> Result<Vec<ManifestBlob>> {
    let sql = "SELECT b.* FROM manifest_blobs b JOIN manifests m ON m.id = b.manifest_id \
               WHERE +m.repository_id = $1 AND b.manifest_id = ANY($2) \
               ORDER BY b.manifest_id, b.role, b.position";
    tx.list(sql, params![repository_id, manifest_ids], read_blob).await
}

/// Manifests of a repository that name this blob as config or layer: which artifacts a GET of the
/// blob would open, the newest first. Read from the blob's own rows: a repository of very many
/// manifests is not walked for one that is old.
pub async fn using_blob(
    tx: &mut Tx,
    repository_id: i64,
    digest: &Digest,
    limit: u32,
) -> Result<Vec<Manifest>> {
    let sql = select!(
        "FROM manifests m JOIN repositories r ON r.id = m.repository_id \
         WHERE m.id IN (SELECT DISTINCT b.manifest_id FROM manifest_blobs b \
         WHERE b.digest = $2 AND b.repository_id = $1 ORDER BY b.manifest_id DESC LIMIT $3) \
         ORDER BY m.id DESC"
    );
    tx.list(sql, params![repository_id, digest, limit], read).await
}

/// The children that these indexes of a repository name, in order.
pub async fn children(tx: &mut Tx, repository_id: i64, parent_ids: &[i64]) -> Result<Vec<Child>> {
    let sql = "SELECT * FROM manifest_children WHERE +repository_id = $1 AND parent_id = ANY($2) \
               ORDER BY parent_id, position";
    tx.list(sql, params![repository_id, parent_ids], read_child).await
}

/// The indexes of a repository that list this digest.
pub async fn parents(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<Vec<Manifest>> {
    let sql = select!(
        "FROM manifests m JOIN repositories r ON r.id = m.repository_id \
         WHERE +m.repository_id = $1 AND m.id IN (SELECT c.parent_id FROM manifest_children c \
         WHERE c.repository_id = $1 AND c.digest = $2) ORDER BY m.id"
    );
    tx.list(sql, params![repository_id, digest], read).await
}

/// Opens or holds a manifest, and counts it as a change of facts.
pub async fn set_state(tx: &mut Tx, repository_id: i64, id: i64, state: State) -> Result<bool> {
    let sql = "UPDATE manifests SET state = $3, facts_rev = facts_rev + 1 \
               WHERE repository_id = $1 AND id = $2 AND state <> $3";
    Ok(tx.execute(sql, params![repository_id, id, state]).await? == 1)
}

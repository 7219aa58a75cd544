//! Manifest rows with their bytes.

use crate::{
    Result, Row, Tx,
    manifests::{Child, ManifestBlob, NewManifest},
    params,
};
use sealock_oci::Digest;
use std::collections::BTreeMap;

/// A manifest's number and the length of its bytes; none when these are gone.
pub type Length = (i64, Option<u64>);

/// A manifest's row, as it stands, with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawManifest {
    /// Number.
    pub id: i64,
    /// Number of its repository.
    pub repository_id: i64,
    /// Full name of its repository; empty when that is gone.
    pub repository: String,
    /// Should be a digest.
    pub digest: String,
    /// As it was pushed.
    pub media_type: String,
    /// Word of `manifests::State`.
    pub state: String,
    /// What is derived from the bytes.
    pub columns: Columns,
    /// The bytes.
    pub payload: Option<Vec<u8>>,
}

/// The columns of a manifest's row that repeat what its bytes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The type under which it is listed as a referrer.
    pub artifact_type: Option<String>,
    /// Word of `manifests::Kind`.
    pub kind: String,
    /// Size of the bytes.
    pub size: i64,
    /// The configuration's digest.
    pub config_digest: Option<String>,
    /// The configuration's media type.
    pub config_media_type: Option<String>,
    /// What it says something about.
    pub subject: Option<String>,
    /// JSON.
    pub annotations: String,
    /// Key of its contents.
    pub chain: Option<String>,
}

impl Columns {
    /// The columns of a manifest as a push would write them.
    pub fn of(new: &NewManifest<'_>) -> Result<Self> {
        Ok(Self {
            artifact_type: new.artifact_type.map(str::to_owned),
            kind: new.kind.as_str().to_owned(),
            size: i64::try_from(new.payload.len()).unwrap_or(i64::MAX),
            config_digest: new.config.map(|(digest, _)| digest.to_string()),
            config_media_type: new.config.map(|(_, media_type)| media_type.to_owned()),
            subject: new.subject.map(Digest::to_string),
            annotations: crate::manifests::row_annotations(new.annotations)?,
            chain: new.chain.map(Digest::to_string),
        })
    }

    /// Whether two annotations columns say the same.
    pub fn same_annotations(a: &str, b: &str) -> bool {
        let read = |text| serde_json::from_str::<BTreeMap<String, String>>(text).ok();
        a == b || read(a).is_some_and(|a| Some(a) == read(b))
    }
}

/// Manifests by number, after `after`, with the lengths of their bytes.
pub async fn lengths(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<Length>> {
    let sql = "SELECT m.id AS id, CAST(length(p.payload) AS BIGINT) AS length FROM manifests m \
               LEFT JOIN manifest_payloads p ON p.manifest_id = m.id \
               WHERE m.id > $1 ORDER BY m.id LIMIT $2";
    tx.list(sql, params![after, limit], |row| Ok((row.get("id")?, row.opt("length")?))).await
}

fn read(row: &Row) -> Result<RawManifest> {
    Ok(RawManifest {
        id: row.get("id")?,
        repository_id: row.get("repository_id")?,
        repository: row.opt("repository")?.unwrap_or_default(),
        digest: row.get("digest")?,
        media_type: row.get("media_type")?,
        state: row.get("state")?,
        columns: Columns {
            artifact_type: row.opt("artifact_type")?,
            kind: row.get("kind")?,
            size: row.get("size")?,
            config_digest: row.opt("config_digest")?,
            config_media_type: row.opt("config_media_type")?,
            subject: row.opt("subject_digest")?,
            annotations: row.get("annotations")?,
            chain: row.opt("chain")?,
        },
        payload: row.opt("payload")?,
    })
}

/// These manifests with their bytes.
pub async fn load(tx: &mut Tx, ids: &[i64]) -> Result<Vec<RawManifest>> {
    let sql = "SELECT m.*, r.name AS repository, p.payload AS payload FROM manifests m \
               LEFT JOIN repositories r ON r.id = m.repository_id \
               LEFT JOIN manifest_payloads p ON p.manifest_id = m.id \
               WHERE m.id = ANY($1) ORDER BY m.id";
    tx.list(sql, params![ids], read).await
}

/// The bytes of other manifests with this digest, which should be the same; the caller checks.
pub async fn twins(tx: &mut Tx, digest: &str, id: i64, limit: u32) -> Result<Vec<Vec<u8>>> {
    let sql = "SELECT p.payload AS payload FROM manifests m \
               JOIN manifest_payloads p ON p.manifest_id = m.id \
               WHERE m.digest = $1 AND m.id <> $2 ORDER BY m.id LIMIT $3";
    tx.list(sql, params![digest, id, limit], |row| row.get("payload")).await
}

/// Gives a manifest its bytes back. One that was isolated is held from now on: whether it was open
/// before is forgotten, so the caller queues judging it. Whether that is so.
pub async fn restore_payload(tx: &mut Tx, id: i64, payload: &[u8]) -> Result<bool> {
    let sql = "INSERT INTO manifest_payloads (manifest_id, payload) VALUES ($1, $2) \
               ON CONFLICT (manifest_id) DO UPDATE SET payload = excluded.payload";
    tx.execute(sql, params![id, payload]).await?;
    let sql = "UPDATE manifests SET state = 'held', facts_rev = facts_rev + 1 \
               WHERE id = $1 AND state = 'isolated'";
    Ok(tx.execute(sql, params![id]).await? == 1)
}

/// Closes a manifest whose bytes are damaged, until they are pushed again.
pub async fn isolate(tx: &mut Tx, id: i64) -> Result<bool> {
    let sql = "UPDATE manifests SET state = 'isolated', facts_rev = facts_rev + 1 \
               WHERE id = $1 AND state <> 'isolated'";
    Ok(tx.execute(sql, params![id]).await? == 1)
}

/// Writes the derived columns anew.
pub async fn put_columns(tx: &mut Tx, id: i64, columns: &Columns) -> Result<()> {
    let sql = "UPDATE manifests SET artifact_type = $2, kind = $3, size = $4, config_digest = $5, \
               config_media_type = $6, subject_digest = $7, annotations = $8, chain = $9, \
               facts_rev = facts_rev + 1 WHERE id = $1";
    let Columns { artifact_type, kind, size, .. } = columns;
    let values = params![
        id,
        artifact_type.as_deref(),
        kind.as_str(),
        *size,
        columns.config_digest.as_deref(),
        columns.config_media_type.as_deref(),
        columns.subject.as_deref(),
        columns.annotations.as_str(),
        columns.chain.as_deref()
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Corrects the media type of a manifest whose bytes state another one.
pub async fn put_media_type(tx: &mut Tx, id: i64, media_type: &str) -> Result<()> {
    let sql = "UPDATE manifests SET media_type = $2, facts_rev = facts_rev + 1 WHERE id = $1";
    tx.execute(sql, params![id, media_type]).await?;
    Ok(())
}

/// What these manifests name, as the rows say, in order: blobs; and children, each with the
/// repository that its row names.
pub async fn parts(tx: &mut Tx, ids: &[i64]) -> Result<(Vec<ManifestBlob>, Vec<(Child, i64)>)> {
    let sql = "SELECT * FROM manifest_blobs WHERE manifest_id = ANY($1) \
               ORDER BY manifest_id, role, position";
    let blobs = tx.list(sql, params![ids], crate::manifests::read_blob).await?;
    let sql = "SELECT * FROM manifest_children WHERE parent_id = ANY($1) \
               ORDER BY parent_id, position";
    let child = |row: &Row| Ok((crate::manifests::read_child(row)?, row.get("repository_id")?));
    Ok((blobs, tx.list(sql, params![ids], child).await?))
}

/// Writes what a manifest names anew; the links of its former parts come up for review.
pub async fn put_parts(tx: &mut Tx, id: i64, new: &NewManifest<'_>) -> Result<()> {
    crate::manifests::replace_parts(tx, id, new).await?;
    crate::manifests::bump_facts_rev(tx, &[id]).await?;
    Ok(())
}

use super::{Kind, Manifest, read, select};
use crate::{Result, Tx, params};
use sealock_oci::{Digest, ReferrersTag};
use std::collections::BTreeSet;

/// Longest chain of accessories on accessories that is followed.
const MAX_DEPTH: usize = 32;

/// What a deletion removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deleted {
    /// The manifest and its accessories.
    pub manifests: Vec<Manifest>,
    /// Names of the tags that went with them.
    pub tags: Vec<String>,
    /// Those of them that named what was asked to go.
    pub own_tags: Vec<String>,
    /// An immutable tag protects one of the manifests: then nothing was removed.
    pub immutable: Option<String>,
}

/// Removes a manifest of a repository with its tags and its accessories: what refers to it by
/// `subject`, directly or through another accessory, and the legacy tags `sha256-<hex>.sig`, `.att`
/// and `.sbom` and the client-kept referrers index (decision D8). What has another tag
/// besides such a name loses the name only: a name says nothing about what it was put on. Bumps
/// the children of what it removes (decision D9). With an accessory goes what it proved about its
/// subject; one that was only overwritten keeps it. `None` when there is no such manifest.
///
/// With `force` immutable tags go too: for eradication only.
pub async fn delete(
    tx: &mut Tx,
    repository_id: i64,
    digest: &Digest,
    force: bool,
) -> Result<Option<Deleted>> {
    let Some(root) = lock(tx, repository_id, digest).await? else {
        return Ok(None);
    };
    // An accessory's own tags never protect it: immutability does not cover accessories (D8).
    let tags = crate::tags::of_manifests(tx, repository_id, &[root.id]).await?;
    if let (Some(tag), false) = (tags.iter().find(|tag| tag.immutable), force) {
        return Ok(Some(Deleted { immutable: Some(tag.name.clone()), ..Deleted::default() }));
    }
    remove(tx, repository_id, vec![root]).await.map(Some)
}

/// Removes accessories of a manifest that has very many, before itself: `limit` at a time, so that
/// others write in between, those on accessories first. `None` when so few are left that they can
/// go with it, and when it is not there or protected: [`delete`] tells.
pub async fn delete_part(
    tx: &mut Tx,
    repository_id: i64,
    digest: &Digest,
    limit: u32,
) -> Result<Option<Deleted>> {
    let Some(root) = lock(tx, repository_id, digest).await? else {
        return Ok(None);
    };
    let tags = crate::tags::of_manifests(tx, repository_id, &[root.id]).await?;
    if tags.iter().any(|tag| tag.immutable) {
        return Ok(None);
    }
    let (mut level, mut deepest, mut many) = (vec![root.digest], Vec::new(), false);
    for _ in 0..MAX_DEPTH {
        let sql = select!(
            "FROM manifests m JOIN repositories r ON r.id = m.repository_id \
             WHERE m.repository_id = $1 AND m.subject_digest = ANY($2) \
             ORDER BY m.id LIMIT $3 /*pg: FOR UPDATE OF m */"
        );
        let found = tx.list(sql, params![repository_id, &level, limit], read).await?;
        if found.is_empty() {
            break;
        }
        many |= found.len() >= limit as usize;
        level = found.iter().map(|manifest| manifest.digest).collect();
        deepest = found;
    }
    if !many {
        return Ok(None);
    }
    remove(tx, repository_id, deepest).await.map(Some)
}

/// Removes these manifests with all that lives by them.
async fn remove(tx: &mut Tx, repository_id: i64, roots: Vec<Manifest>) -> Result<Deleted> {
    let named: Vec<Digest> = roots.iter().map(|root| root.digest).collect();
    let (manifests, names) = with_accessories(tx, repository_id, roots).await?;
    let ids: Vec<i64> = manifests.iter().map(|m| m.id).collect();
    let tags = crate::tags::of_manifests(tx, repository_id, &ids).await?;
    let sql = "UPDATE manifests SET facts_rev = facts_rev + 1 WHERE repository_id = $1 \
               AND digest IN (SELECT c.digest FROM manifest_children c \
               WHERE c.parent_id = ANY($2))";
    tx.execute(sql, params![repository_id, &ids]).await?;
    // An index whose child goes has changed too: an absent child is unknown.
    super::bump_facts_rev(tx, &ids).await?;
    let digests: Vec<Digest> = manifests.iter().map(|m| m.digest).collect();
    let sql = "DELETE FROM evidence WHERE repository_id = $1 AND subject_digest = ANY($2)";
    tx.execute(sql, params![repository_id, &digests]).await?;
    let sql = "DELETE FROM evidence WHERE repository_id = $1 AND accessory_digest = ANY($2) \
               RETURNING subject_digest";
    let read_subject = |row: &crate::Row| row.get("subject_digest");
    let left: Vec<Digest> = tx.list(sql, params![repository_id, &digests], read_subject).await?;
    super::bump_by_digest(tx, repository_id, &left).await?;
    crate::blobs::queue_links(tx, repository_id, &ids).await?;
    crate::contents::queue_of_manifests(tx, &ids).await?;
    let project_id = manifests.first().map_or(0, |root| root.project_id);
    crate::quotas::discharge(tx, project_id, &ids, &digests).await?;
    let indexes = manifests.iter().filter(|m| m.kind == Kind::Index).map(|m| m.id);
    let indexes: Vec<i64> = indexes.collect();
    let sql = "SELECT DISTINCT digest FROM manifest_children WHERE parent_id = ANY($1)";
    let children: Vec<Digest> = match indexes.is_empty() {
        true => Vec::new(),
        false => tx.list(sql, params![&indexes], |row| row.get("digest")).await?,
    };
    let sql = "DELETE FROM manifests WHERE +repository_id = $1 AND id = ANY($2)";
    tx.execute(sql, params![repository_id, &ids]).await?;
    tx.execute("DELETE FROM pulls WHERE manifest_id = ANY($1)", params![&ids]).await?;
    if !children.is_empty() {
        super::shown::orphan(tx, repository_id, &children).await?;
    }
    // Names of accessories on manifests that stay.
    let sql = "DELETE FROM tags WHERE repository_id = $1 AND name = ANY($2) AND immutable = 0 \
               RETURNING name";
    let loose: Vec<String> =
        tx.list(sql, params![repository_id, &names], |row| row.get("name")).await?;
    let own = tags.iter().filter(|tag| named.contains(&tag.digest));
    let own_tags = own.map(|tag| tag.name.clone()).collect();
    let tags = tags.into_iter().map(|tag| tag.name).chain(loose).collect();
    Ok(Deleted { manifests, tags, own_tags, immutable: None })
}

async fn lock(tx: &mut Tx, repository_id: i64, digest: &Digest) -> Result<Option<Manifest>> {
    let sql = select!(
        "FROM manifests m JOIN repositories r ON r.id = m.repository_id \
         WHERE m.repository_id = $1 AND m.digest = $2 /*pg: FOR UPDATE OF m */"
    );
    tx.find(sql, params![repository_id, digest], read).await
}

/// The names under which clients keep the accessories of a digest. Of a SHA-512 digest only the
/// referrers tag exists: no tag could carry the whole of it.
fn accessory_names(digest: &Digest) -> [String; 4] {
    let stem = digest.to_string().replacen(':', "-", 1);
    let [sig, att, sbom] = ["sig", "att", "sbom"].map(|kind| format!("{stem}.{kind}"));
    [sig, att, sbom, ReferrersTag::of(digest).text()]
}

/// The manifests and everything that lives by them, one query for each level of depth; and the
/// names of accessories of all of these.
async fn with_accessories(
    tx: &mut Tx,
    repository_id: i64,
    roots: Vec<Manifest>,
) -> Result<(Vec<Manifest>, Vec<String>)> {
    let mut seen: BTreeSet<i64> = roots.iter().map(|root| root.id).collect();
    let mut level: Vec<Digest> = roots.iter().map(|root| root.digest).collect();
    let mut all = roots;
    let mut names = Vec::new();
    for _ in 0..MAX_DEPTH {
        names.extend(level.iter().flat_map(accessory_names));
        let sql = select!(
            "FROM manifests m JOIN repositories r ON r.id = m.repository_id \
             WHERE +m.repository_id = $1 \
             AND ((m.repository_id = $1 AND m.subject_digest = ANY($2)) OR m.id IN (\
             SELECT t.manifest_id FROM tags t WHERE t.repository_id = $1 AND t.name = ANY($3)) \
             AND NOT EXISTS (SELECT 1 FROM tags o WHERE o.manifest_id = m.id \
             AND NOT o.name = ANY($3))) ORDER BY m.id /*pg: FOR UPDATE OF m */"
        );
        let found = tx.list(sql, params![repository_id, &level, &names], read).await?;
        level.clear();
        for manifest in found {
            if seen.insert(manifest.id) {
                level.push(manifest.digest);
                all.push(manifest);
            }
        }
        if level.is_empty() {
            break;
        }
    }
    Ok((all, names))
}

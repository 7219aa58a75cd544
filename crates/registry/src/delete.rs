//! Tags, manifests and blobs out of a repository.

use crate::{
    Error, Kind, Precondition, Registry, Result,
    access::{Need, Scope},
    audit::Event,
    immutability::{require_no_fixed_index, require_removable},
    pull::{blob_unknown, manifest_unknown},
    push::immutable_tag,
};
use sealock_auth::{Caller, Right};
use sealock_metadata::{self as metadata, Tx, manifests::Deleted};
use sealock_oci::{Digest, ErrorCode, Reference, RepositoryName, Tag};

/// Accessories that go in one transaction before what they are about; fewer go with it.
const MAX_DELETED_AT_ONCE: u32 = 1_000;
/// Most tags that the record of a deletion names.
const MAX_TOLD_TAGS: usize = 1_000;

impl Registry {
    /// Deletes a tag (only the tag), or a manifest by digest with all its tags and accessories. Of
    /// very many accessories most go before it, some at a time; it is there until the last of them
    /// go with it, and who breaks off can ask again.
    pub async fn delete_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
        condition: &Precondition,
    ) -> Result<()> {
        self.delete_reference(caller, name, reference, condition, false).await
    }

    /// Deletes a manifest with all its tags and accessories, as Harbor's API does: not while an
    /// index of its repository lists it.
    pub async fn delete_artifact(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<()> {
        let reference = Reference::Digest(*digest);
        self.delete_reference(caller, name, &reference, &Precondition::default(), true).await
    }

    async fn delete_reference(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
        condition: &Precondition,
        unlisted: bool,
    ) -> Result<()> {
        let right = match reference {
            Reference::Tag(_) => Right::Untag,
            Reference::Digest(_) => Right::Delete,
        };
        loop {
            let mut tx = self.database().write().await?;
            let scope = self.scope(&mut tx, caller, name, Need::Has(right)).await?;
            let done = match reference {
                Reference::Tag(tag) => {
                    delete_tag(&mut tx, caller, &scope, tag, condition).await?;
                    true
                }
                Reference::Digest(digest) => {
                    condition.require(reference, Some(digest))?;
                    if unlisted {
                        require_unlisted(&mut tx, &scope, digest).await?;
                    }
                    let part = delete_part(&mut tx, caller, &scope, digest).await?;
                    if !part {
                        delete_digest(&mut tx, caller, &scope, digest).await?;
                    }
                    !part
                }
            };
            tx.commit().await?;
            if done {
                return Ok(());
            }
        }
    }

    /// Takes a blob out of a repository; the bytes are collected later. Refused while a manifest of
    /// the repository names it.
    pub async fn delete_blob(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
        condition: &Precondition,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let scope = self.scope(&mut tx, caller, name, Need::Has(Right::Delete)).await?;
        let Some(repository) = &scope.repository else { return Err(blob_unknown(digest)) };
        if metadata::blobs::find(&mut tx, repository.id, digest).await?.is_none() {
            return Err(blob_unknown(digest));
        }
        condition.require(&Reference::Digest(*digest), Some(digest))?;
        if !metadata::blobs::unlink(&mut tx, repository.id, digest).await? {
            // Another deletion, or the collector, may have been faster.
            if metadata::blobs::find(&mut tx, repository.id, digest).await?.is_none() {
                return Err(blob_unknown(digest));
            }
            return Err(Error::new(
                Kind::Unsupported,
                ErrorCode::Unsupported,
                format!("a manifest of {name} names the blob {digest}; delete the manifest first"),
            ));
        }
        Event::new(caller, "delete-blob")
            .at((&scope.project, scope.name.as_str()))
            .digest(digest)
            .record(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

async fn delete_tag(
    tx: &mut Tx,
    caller: &Caller,
    scope: &Scope,
    tag: &Tag,
    condition: &Precondition,
) -> Result<()> {
    let repository_id = scope.repository()?.id;
    let reference = Reference::Tag(tag.clone());
    let unknown = || manifest_unknown(&reference);
    let row = metadata::tags::lock(tx, repository_id, tag).await?.ok_or_else(unknown)?;
    condition.require(&reference, Some(&row.digest))?;
    if row.immutable {
        return Err(immutable_tag(tag, &row.digest));
    }
    require_removable(tx, scope, repository_id, std::slice::from_ref(tag)).await?;
    if !metadata::tags::delete(tx, repository_id, tag).await? {
        return Err(unknown());
    }
    Event::new(caller, "untag")
        .at((&scope.project, scope.name.as_str()))
        .digest(&row.digest)
        .tag(tag.as_str())
        .record(tx)
        .await
}

pub(crate) async fn delete_digest(
    tx: &mut Tx,
    caller: &Caller,
    scope: &Scope,
    digest: &Digest,
) -> Result<Deleted> {
    let repository_id = scope.repository()?.id;
    let deleted = metadata::manifests::delete(tx, repository_id, digest, false)
        .await?
        .ok_or_else(|| manifest_unknown(&Reference::Digest(*digest)))?;
    if let Some(tag) = &deleted.immutable {
        return Err(Error::new(
            Kind::Policy,
            ErrorCode::ProjectPolicyViolation,
            format!("the immutable tag {tag} names {digest}; only eradication removes it"),
        ));
    }
    let own: Vec<Tag> = deleted.own_tags.iter().filter_map(|tag| tag.parse().ok()).collect();
    require_removable(tx, scope, repository_id, &own).await?;
    require_no_fixed_index(tx, scope, repository_id, digest).await?;
    record(tx, caller, scope, digest, &deleted).await?;
    Ok(deleted)
}

/// Fails while an index lists a manifest, in Harbor's words.
async fn require_unlisted(tx: &mut Tx, scope: &Scope, digest: &Digest) -> Result<()> {
    let id = scope.repository()?.id;
    if metadata::manifests::find(tx, id, digest).await?.is_none() {
        return Err(manifest_unknown(&Reference::Digest(*digest)));
    }
    match metadata::manifests::is_listed(tx, id, digest).await? {
        true => Err(Error::new(
            Kind::Precondition,
            ErrorCode::ViolateForeignKeyConstraint,
            "the deleting artifact is referenced by others; delete the index that lists it first",
        )),
        false => Ok(()),
    }
}

/// Deletes some of very many accessories; false when the rest can go with the manifest.
async fn delete_part(tx: &mut Tx, caller: &Caller, scope: &Scope, digest: &Digest) -> Result<bool> {
    let id = scope.repository()?.id;
    // What keeps the manifest keeps its accessories.
    if let Some(row) = metadata::manifests::find(tx, id, digest).await? {
        let tags = metadata::tags::of_manifests(tx, id, &[row.id]).await?;
        let tags: Vec<Tag> = tags.iter().filter_map(|tag| tag.name.parse().ok()).collect();
        require_removable(tx, scope, id, &tags).await?;
        require_no_fixed_index(tx, scope, id, digest).await?;
    }
    let part = metadata::manifests::delete_part(tx, id, digest, MAX_DELETED_AT_ONCE).await?;
    let Some(deleted) = part else { return Ok(false) };
    record(tx, caller, scope, digest, &deleted).await?;
    Ok(true)
}

/// Records what went because `digest` was deleted.
async fn record(
    tx: &mut Tx,
    caller: &Caller,
    scope: &Scope,
    digest: &Digest,
    deleted: &Deleted,
) -> Result<()> {
    let mut told = deleted.tags.clone();
    told.truncate(MAX_TOLD_TAGS);
    for manifest in &deleted.manifests {
        // Once: a thousand accessories with a tag each would otherwise make a million words.
        let root = manifest.digest == *digest;
        Event::new(caller, "delete")
            .at((&scope.project, scope.name.as_str()))
            .digest(&manifest.digest)
            .detail("tags", root.then(|| told.clone()))
            .detail("with", (!root).then(|| digest.to_string()))
            .record(tx)
            .await?;
    }
    Ok(())
}

//! Copies of artifacts between repositories, as Harbor's API makes them.
//!
//! A copy is a pull and a push by the same caller without the bytes going round: the pull door of
//! the source and the push door of the target stand, quota and immutable tags of the target hold,
//! and blobs are shared. Signatures are verified again, under the keys of the target (decision D6).
//! It happens as a whole or not at all.

use super::{ProjectName, artifacts::Found, bad, missing};
use crate::{
    Error, ManifestPush, Precondition, Registry, Result,
    access::{Need, Scope},
    audit::Event,
    immutability::require_movable,
    incoming::Incoming,
    is_accessory_tag,
    promotion_plan::{accessories, subjects},
    push::immutable_tag,
};
use sealock_auth::{Act, Caller, Resource, Right, Spot};
use sealock_metadata::{
    self as metadata, Tx,
    manifests::{Manifest as ManifestRow, State},
    tags::TagSet,
};
use sealock_oci::{Digest, Reference, RepositoryName, Tag};
use std::collections::BTreeSet;

/// Most manifests in one copy: an index, its children, and all their accessories.
const MAX_COPIED: usize = 1_000;
/// Most bytes of manifests in one copy.
const MAX_COPIED_BYTES: usize = 64 * 1024 * 1024;

/// One manifest of a copy.
struct Piece {
    row: ManifestRow,
    incoming: Incoming,
    state: State,
}

/// A copy, resolved for a caller: what it needs is read, and the doors have opened.
struct Copy {
    source: Scope,
    target: Scope,
    /// Those that others depend on first; the artifact itself last.
    pieces: Vec<Piece>,
    /// The tags that it has at the source.
    tags: Vec<Tag>,
    /// How the caller named it.
    reference: Reference,
    from: String,
}

impl Registry {
    /// Copies an artifact with what it lists, its accessories and its tags. `from` is
    /// `project/repository:tag` or `project/repository@digest`. What the caller named in it.
    pub async fn copy_harbor_artifact(
        &self,
        caller: &Caller,
        from: &str,
        project: &str,
        repository: &str,
    ) -> Result<String> {
        let mut tx = self.database().read().await?;
        let name = ProjectName::Name(project.to_owned());
        let (spot, what) = (Spot::Repository(repository), (Resource::Artifact, Act::Create));
        self.harbor_spot(&mut tx, caller, &name, spot, what).await?;
        let target: RepositoryName = format!("{project}/{repository}")
            .parse()
            .map_err(|_| bad("the repository's name is not one that a repository may have"))?;
        let (source, reference) = split(from)?;
        let (of, within) = source.split_once('/').unwrap_or((source, ""));
        let place = (of, within, &*reference.to_string());
        let found =
            self.artifact_for(&mut tx, caller, place, (Resource::Artifact, Act::Read)).await?;
        if found.row.accessory.is_some() {
            return Err(Error::forbidden(
                "an accessory is not copied by itself; copy what it is about",
            ));
        }
        let source = self.scope(&mut tx, caller, &found.name()?, Need::Has(Right::Pull)).await?;
        let target = self.scope(&mut tx, caller, &target, Need::Has(Right::Push)).await?;
        let digest = found.row.digest;
        if let Some(repository) = &target.repository
            && metadata::manifests::find(&mut tx, repository.id, &digest).await?.is_some()
        {
            return Err(there(&target, &digest));
        }
        let rows = plan(&mut tx, &found).await?;
        let tags =
            metadata::tags::of_manifests(&mut tx, found.repository.id, &[found.row.id]).await?;
        let tags = tags.into_iter().filter_map(|row| row.name.parse().ok());
        let tags = tags.filter(|tag| !is_accessory_tag(tag)).collect();
        drop(tx);
        let from = format!("{}@{digest}", source.name);
        let mut copy = Copy { source, target, pieces: Vec::new(), tags, reference, from };
        self.gather(caller, &mut copy, rows).await?;
        self.link_copy(caller, &copy).await?;
        self.jobs().wake();
        Ok(copy.reference.to_string())
    }

    /// Reads what is copied, and asks the doors of both sides.
    async fn gather(
        &self,
        caller: &Caller,
        copy: &mut Copy,
        rows: Vec<(ManifestRow, Vec<Tag>)>,
    ) -> Result<()> {
        let source_id = copy.source.repository()?.id;
        let last = rows.len().saturating_sub(1);
        let mut bytes = 0;
        for (at, (row, names)) in rows.into_iter().enumerate() {
            let reference = (at == last).then_some(&copy.reference);
            self.require_open(caller, &copy.source, &row, reference).await?;
            let mut tx = self.database().read().await?;
            let stored = metadata::manifests::load_id(&mut tx, source_id, row.id).await?;
            let stored = stored.ok_or_else(|| gone(&row.digest))?;
            bytes += stored.payload.len();
            if bytes > MAX_COPIED_BYTES {
                return Err(bad("the artifact's manifests are too large to be copied at once"));
            }
            let tags = if at == last { &copy.tags } else { &names };
            let push = ManifestPush {
                repository: &copy.target.name,
                reference: &Reference::Digest(row.digest),
                tags,
                content_type: &row.media_type,
                payload: stored.payload.into(),
                condition: &Precondition::default(),
            };
            let mut incoming = Incoming::read(&push)?;
            let config = self.config_bytes(&mut tx, source_id, &incoming.manifest).await?;
            incoming.configured(config.as_deref());
            drop(tx);
            self.ban_by_other_name(caller, &incoming.digest, &incoming.payload).await?;
            let layers: Vec<Digest> = incoming.manifest.layers.iter().map(|l| l.digest).collect();
            let accessory =
                incoming.accessory.is_some() && !self.any_runnable(source_id, &layers).await?;
            let (state, _) = self.push_door(caller, &copy.target, &incoming, accessory).await?;
            copy.pieces.push(Piece { row, incoming, state });
        }
        Ok(())
    }

    /// The transaction of a copy. What makes it safe under READ COMMITTED is what makes a push so.
    async fn link_copy(&self, caller: &Caller, copy: &Copy) -> Result<()> {
        let mut tx = self.database().write().await?;
        let need = Need::Has(Right::Pull);
        let source = self.scope(&mut tx, caller, &copy.source.name, need).await?.repository()?.id;
        let need = Need::Has(Right::Push);
        let scope = self.scope(&mut tx, caller, &copy.target.name, need).await?;
        let target = scope.ensure_repository(&mut tx).await?.id;
        let who = caller.principal.to_string();
        let last = copy.pieces.len().saturating_sub(1);
        for (at, piece) in copy.pieces.iter().enumerate() {
            link_blobs(&mut tx, source, target, piece).await?;
            let (incoming, state) = (&piece.incoming, piece.state);
            let (row, new) = self.insert_manifest(&mut tx, target, caller, incoming, state).await?;
            if at == last && !new {
                return Err(there(&scope, &row.digest));
            }
            self.follow_up(&mut tx, target, &row, incoming).await?;
            if new {
                Event::new(caller, "push")
                    .at((&scope.project, scope.name.as_str()))
                    .digest(&row.digest)
                    .detail("copied", copy.from.as_str())
                    .record(&mut tx)
                    .await?;
            }
            if at == last {
                self.tag_copy(&mut tx, caller, (&scope, target, row.id), incoming).await?;
                continue;
            }
            for tag in &incoming.tags {
                metadata::tags::set(&mut tx, target, tag, row.id, false, &who).await?;
            }
        }
        self.commit_within_quota(tx, caller, (&scope.project, scope.name.as_str())).await
    }

    /// Gives the copy the tags that it has at the source.
    async fn tag_copy(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        (scope, target, id): (&Scope, i64, i64),
        incoming: &Incoming,
    ) -> Result<()> {
        let immutable = self.tags_are_immutable(tx, &scope.project).await?;
        let who = caller.principal.to_string();
        for tag in &incoming.tags {
            let set = metadata::tags::set(tx, target, tag, id, immutable, &who).await?;
            let action = match set {
                TagSet::Created => "tag",
                TagSet::Moved { from } if from == incoming.digest => continue,
                TagSet::Moved { .. } => {
                    let place = (&scope.project, &scope.name);
                    require_movable(tx, place, std::slice::from_ref(tag)).await?;
                    "retag"
                }
                TagSet::Immutable { digest } => return Err(immutable_tag(tag, &digest)),
            };
            Event::new(caller, action)
                .at((&scope.project, scope.name.as_str()))
                .digest(&incoming.digest)
                .tag(tag.as_str())
                .record(tx)
                .await?;
        }
        Ok(())
    }
}

/// What goes along, in the order in which it is linked: children before their indexes, and
/// accessories, with the tags under which older ones are kept, before the artifact itself, so that
/// the target's doors see them when it comes.
async fn plan(tx: &mut Tx, found: &Found) -> Result<Vec<(ManifestRow, Vec<Tag>)>> {
    let mut subjects = subjects(tx, &found.row).await?;
    let root = subjects.pop().ok_or_else(|| gone(&found.row.digest))?;
    let mut seen: BTreeSet<Digest> = subjects.iter().map(|row| row.digest).collect();
    seen.insert(root.digest);
    let mut about: Vec<Digest> = seen.iter().copied().collect();
    let mut rows: Vec<(ManifestRow, Vec<Tag>)> =
        subjects.into_iter().map(|row| (row, Vec::new())).collect();
    while let Some(digest) = about.pop() {
        for (row, tag) in accessories(tx, found.repository.id, &digest).await? {
            if seen.insert(row.digest) {
                about.push(row.digest);
                rows.push((row, tag.into_iter().collect()));
            }
            if rows.len() >= MAX_COPIED {
                return Err(bad(format!("a copy has at most {MAX_COPIED} manifests")));
            }
        }
    }
    rows.push((root, Vec::new()));
    Ok(rows)
}

/// Shares the blobs of a manifest with the target: those that the source may show.
async fn link_blobs(tx: &mut Tx, source: i64, target: i64, piece: &Piece) -> Result<()> {
    let blobs = metadata::manifests::blobs(tx, source, &[piece.row.id]).await?;
    let digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest).collect();
    let held = metadata::blobs::held(tx, source, &digests).await?;
    let held: Vec<Digest> = held.into_iter().map(|blob| blob.digest).collect();
    let linked = metadata::blobs::link(tx, target, &held).await?;
    match linked.len() == held.len() {
        true => Ok(()),
        false => Err(Error::conflict("a blob of the image is being collected; push it again")),
    }
}

fn split(from: &str) -> Result<(&str, Reference)> {
    let wrong = || bad("from is project/repository:tag or project/repository@digest");
    let (name, reference, by_digest) = match from.split_once('@') {
        Some((name, digest)) => (name, digest, true),
        None => from.rsplit_once(':').map(|(name, tag)| (name, tag, false)).ok_or_else(wrong)?,
    };
    // A tag may stand before a digest, which alone counts.
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    let named = name.parse::<RepositoryName>().is_ok_and(|name| name.within_project().is_some());
    let reference: Reference = reference.parse().map_err(|_| wrong())?;
    match named && (!by_digest || matches!(reference, Reference::Digest(_))) {
        true => Ok((name, reference)),
        false => Err(wrong()),
    }
}

fn there(target: &Scope, digest: &Digest) -> Error {
    Error::conflict(format!("the artifact {}@{digest} already exists", target.name))
}

fn gone(digest: &Digest) -> Error {
    missing("artifact any more", digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_repository_with_a_tag_or_digest() {
        let digest = Digest::sha256(b"x");
        let by_digest = format!("shop/team/app@{digest}");
        assert_eq!(split(&by_digest).unwrap(), ("shop/team/app", Reference::Digest(digest)));
        assert_eq!(split("shop/app:1").unwrap(), ("shop/app", "1".parse().unwrap()));
        let both = format!("shop/app:1@{digest}");
        assert_eq!(split(&both).unwrap(), ("shop/app", Reference::Digest(digest)));
        for bad in ["", "shop/app", "shop:1", "shop/app:", "shop/app@x", ":1", "a/../b:1"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }
}

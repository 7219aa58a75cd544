//! Manifests in: parse, judge at the push door, and one transaction that makes it all visible.

use crate::{
    Error, Kind, Precondition, Registry, Result,
    access::{Need, Scope},
    audit::Event,
    contents::Layers,
    gate::{Node, Question},
    immutability::require_movable,
    incoming::{Incoming, legacy_subject, row_kind},
    jobs,
};
use bytes::Bytes;
use sealock_auth::{Caller, Right};
use sealock_facts::{Action, Door};
use sealock_metadata::{
    self as metadata, Tx,
    manifests::{NewManifest, State},
    tags::TagSet,
};
use sealock_oci::{
    Descriptor, Digest, ErrorCode, Manifest, ManifestKind, Reference, ReferrersTag, RepositoryName,
    Tag, media_type::is_foreign_layer,
};
use std::collections::{BTreeMap, BTreeSet};

/// Most tags in one push (distribution-spec asks for at least 10).
pub const MAX_TAGS: usize = 100;
/// Most indexes above one another: an image of many platforms needs one, a bundle of such images
/// two.
pub const MAX_INDEX_DEPTH: i64 = 8;
/// Most blobs that an error message lists as missing.
const LISTED_MISSING: usize = 20;

/// A manifest on its way in.
#[derive(Debug, Clone)]
pub struct ManifestPush<'a> {
    /// Where to.
    pub repository: &'a RepositoryName,
    /// The tag or digest of the path.
    pub reference: &'a Reference,
    /// More tags (`?tag=`), with a digest as reference only.
    pub tags: &'a [Tag],
    /// `Content-Type` of the request.
    pub content_type: &'a str,
    /// The body.
    pub payload: Bytes,
    /// What the reference must name until now.
    pub condition: &'a Precondition,
}

/// A manifest that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedManifest {
    /// Its digest.
    pub digest: Digest,
    /// What it refers to by its `subject` field, for the header `OCI-Subject`.
    pub subject: Option<Digest>,
    /// The tags that name it now.
    pub tags: Vec<Tag>,
    /// It is stored, but closed until it is judged.
    pub held: bool,
    /// What the caller should know: warnings of the gate, in plain words.
    pub warnings: Vec<String>,
}

impl Registry {
    /// Stores a manifest. Every blob that it names must be in the repository; children and the
    /// subject may be absent (decision D9).
    pub async fn put_manifest(
        &self,
        caller: &Caller,
        push: ManifestPush<'_>,
    ) -> Result<PushedManifest> {
        let mut incoming = Incoming::read(&push)?;
        let storing = self.inspections().pace().storing();
        let mut tx = self.database().read().await?;
        let scope = self.scope(&mut tx, caller, push.repository, Need::PushOrAttest).await?;
        if let Some(repository) = &scope.repository {
            let config = self.config_bytes(&mut tx, repository.id, &incoming.manifest).await?;
            incoming.configured(config.as_deref());
        }
        let accessory = self.accepts_as_accessory(&mut tx, &scope, &incoming).await?;
        drop(tx);
        self.ban_by_other_name(caller, &incoming.digest, &incoming.payload).await?;
        if !scope.rights.contains(Right::Push) && !accessory {
            return Err(Error::forbidden(
                "the right attest covers signatures, attestations and other accessories of images \
                 that are in this repository; pushing anything else needs the right push",
            ));
        }
        let (state, warnings) = self.push_door(caller, &scope, &incoming, accessory).await?;
        let tags = self.commit_push(caller, &push, &incoming, accessory, state).await?;
        drop(storing);
        self.inspections().pace().pushed();
        self.jobs().wake();
        let subject = incoming.manifest.subject.as_ref().map(|subject| subject.digest);
        let held = state == State::Held;
        Ok(PushedManifest { digest: incoming.digest, subject, tags, held, warnings })
    }

    /// Judges at the push door (decision D1). Facts that a policy asks for are made first, within
    /// the door's time limit; what is then still unknown is stored as held where policy says so.
    pub(crate) async fn push_door(
        &self,
        caller: &Caller,
        scope: &Scope,
        incoming: &Incoming,
        accessory: bool,
    ) -> Result<(State, Vec<String>)> {
        let node = Node::incoming(incoming);
        let request = self.request_facts(caller, |request| {
            request.accessory = accessory;
            request.by_digest = incoming.tags.is_empty();
        });
        let question = Question { door: Door::Push, request: Some(request), cluster: None };
        let layers = Layers {
            digests: incoming.manifest.layers.iter().map(|layer| layer.digest).collect(),
            diff_ids: incoming.diff_ids.clone(),
        };
        let judged = self.judge_incoming(scope, node, &layers, question).await?;
        let warnings = judged
            .verdict
            .objections()
            .iter()
            .map(|reason| format!("[{}/{}] {}", reason.policy, reason.rule, reason.message))
            .collect();
        match judged.verdict.action {
            Action::Allow | Action::Warn => Ok((State::Active, warnings)),
            Action::Hold => Ok((State::Held, warnings)),
            Action::Deny => {
                let place = (&scope.project, scope.name.as_str());
                Err(self.refuse(caller, place, incoming.digest, Door::Push, judged).await)
            }
        }
    }

    /// Whether the push is an accessory of a digest that is here, and nothing that could run: what
    /// the right `attest` covers, and what may enter a release project directly (decision D8).
    async fn accepts_as_accessory(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        incoming: &Incoming,
    ) -> Result<bool> {
        let Some(repository) = &scope.repository else { return Ok(false) };
        let fallback = match incoming.tags.as_slice() {
            [tag] => ReferrersTag::parse(tag),
            _ => None,
        };
        if let Some(tag) = fallback {
            return self.is_fallback_index(tx, repository.id, &tag, incoming).await;
        }
        let Some(accessory) = incoming.accessory else { return Ok(false) };
        let own_tags = incoming.tags.iter().all(|tag| legacy_subject(tag).is_some());
        if !own_tags || incoming.manifest.kind != ManifestKind::Image {
            return Ok(false);
        }
        if metadata::manifests::find(tx, repository.id, &accessory.subject).await?.is_none() {
            return Ok(false);
        }
        // A layer whose bytes clients fetch from elsewhere may be anything.
        if incoming.manifest.layers.iter().any(is_foreign) {
            return Ok(false);
        }
        let layers: Vec<Digest> = incoming.manifest.layers.iter().map(|l| l.digest).collect();
        Ok(!self.any_runnable(repository.id, &layers).await?)
    }

    /// A client-kept referrers index: each child must be an accessory of the tag's subject that is
    /// here already, so the index opens nothing new.
    async fn is_fallback_index(
        &self,
        tx: &mut Tx,
        repository_id: i64,
        tag: &ReferrersTag,
        incoming: &Incoming,
    ) -> Result<bool> {
        if incoming.manifest.kind != ManifestKind::Index
            || !metadata::manifests::has_subject_of(tx, repository_id, tag).await?
        {
            return Ok(false);
        }
        let children: BTreeSet<Digest> =
            incoming.manifest.manifests.iter().map(|child| child.digest).collect();
        let listed: Vec<Digest> = children.into_iter().collect();
        let present = metadata::manifests::find_many(tx, repository_id, &listed).await?;
        let about = |row: &metadata::manifests::Manifest| {
            row.subject.as_ref().is_some_and(|subject| tag.stands_for(subject))
        };
        Ok(present.len() == listed.len() && present.iter().all(about))
    }

    /// The transaction of a push. What makes it safe under READ COMMITTED: the blobs' rows are
    /// locked against collection, the tag's upsert carries its condition, rights are read again.
    async fn commit_push(
        &self,
        caller: &Caller,
        push: &ManifestPush<'_>,
        incoming: &Incoming,
        accessory: bool,
        state: State,
    ) -> Result<Vec<Tag>> {
        let mut tx = self.database().write().await?;
        let scope = self.scope(&mut tx, caller, push.repository, Need::PushOrAttest).await?;
        if !accessory && !scope.rights.contains(Right::Push) {
            return Err(Error::forbidden("the right push was withdrawn"));
        }
        let repository = scope.ensure_repository(&mut tx).await?;
        let sizes = require_blobs(&mut tx, repository.id, &incoming.manifest).await?;
        check_sizes(&incoming.manifest, &sizes)?;
        require_nesting(&mut tx, repository.id, incoming).await?;
        let absent = require_condition(&mut tx, repository.id, push).await?;
        let stored = self.insert_manifest(&mut tx, repository.id, caller, incoming, state).await?;
        let immutable = !accessory && self.tags_are_immutable(&mut tx, &scope.project).await?;
        let who = caller.principal.to_string();
        let mut moved = Vec::new();
        for tag in &incoming.tags {
            if absent
                && metadata::tags::create(&mut tx, repository.id, tag, stored.0.id, immutable, &who)
                    .await?
            {
                moved.push((tag, None));
                continue;
            }
            if absent {
                // Made by another push since the look.
                let row = metadata::tags::lock(&mut tx, repository.id, tag).await?;
                push.condition.require(push.reference, row.map(|row| row.digest).as_ref())?;
            }
            let set =
                metadata::tags::set(&mut tx, repository.id, tag, stored.0.id, immutable, &who)
                    .await?;
            match set {
                TagSet::Created => moved.push((tag, None)),
                TagSet::Moved { from } if from == incoming.digest => {}
                TagSet::Moved { from } => {
                    if !accessory {
                        let place = (&scope.project, &scope.name);
                        require_movable(&mut tx, place, std::slice::from_ref(tag)).await?;
                    }
                    moved.push((tag, Some(from)));
                }
                TagSet::Immutable { digest } => return Err(immutable_tag(tag, &digest)),
            }
        }
        self.follow_up(&mut tx, repository.id, &stored.0, incoming).await?;
        self.audit_push(&mut tx, caller, &scope, incoming, &moved, stored.1).await?;
        let place = (&scope.project, scope.name.as_str());
        self.commit_within_quota(tx, caller, place).await?;
        Ok(incoming.tags.clone())
    }

    /// Stores the row with what it names. The row, and whether it is new.
    pub(crate) async fn insert_manifest(
        &self,
        tx: &mut Tx,
        repository_id: i64,
        caller: &Caller,
        incoming: &Incoming,
        state: State,
    ) -> Result<(metadata::manifests::Manifest, bool)> {
        let manifest = &incoming.manifest;
        let chain = incoming.chain();
        let (row, new) = metadata::manifests::insert(
            tx,
            &NewManifest {
                repository_id,
                digest: &incoming.digest,
                media_type: &manifest.media_type,
                artifact_type: manifest.referrer_type(),
                kind: row_kind(manifest.kind),
                payload: &incoming.payload,
                config: manifest.config.as_ref().map(|c| (&c.digest, c.media_type.as_str())),
                subject: manifest.subject.as_ref().map(|subject| &subject.digest),
                annotations: &manifest.annotations,
                chain: chain.as_ref(),
                state,
                pushed_by: &caller.principal.to_string(),
                blobs: &incoming.blob_rows(),
                children: &incoming.child_rows(),
                shown: incoming.shown.row(),
            },
        )
        .await?;
        if row.media_type != manifest.media_type {
            return Err(Error::invalid(
                ErrorCode::ManifestInvalid,
                format!("the same bytes are here already as {}", row.media_type),
            ));
        }
        if !new && row.state == State::Held && state == State::Active {
            metadata::manifests::set_state(tx, repository_id, row.id, State::Active).await?;
        }
        Ok((row, new))
    }

    /// Queues what has to be found out about a new manifest, and counts what it changes for others.
    pub(crate) async fn follow_up(
        &self,
        tx: &mut Tx,
        repository_id: i64,
        row: &metadata::manifests::Manifest,
        incoming: &Incoming,
    ) -> Result<()> {
        if let Some(chain) = &row.chain
            && !self.adopt_contents(tx, chain).await?
        {
            jobs::queue_contents(tx, row, chain).await?;
        }
        if let Some(accessory) = incoming.accessory
            && accessory.kind.holds_evidence()
        {
            jobs::queue_verify(tx, repository_id, &accessory.subject).await?;
        }
        if row.state == State::Held {
            jobs::queue_judge(tx, row).await?;
        }
        // Evidence on an index covers its children, and a child that arrives completes its index.
        // What the subject's stored verdicts know ends here too: who asks next, and before the job
        // has run, waits for the new evidence (decision D4).
        let mut changed = vec![row.digest];
        changed.extend(incoming.accessory.map(|accessory| accessory.subject));
        metadata::manifests::bump_by_digest(tx, repository_id, &changed).await?;
        Ok(())
    }

    async fn audit_push(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        scope: &Scope,
        incoming: &Incoming,
        moved: &[(&Tag, Option<Digest>)],
        new: bool,
    ) -> Result<()> {
        let place = (&scope.project, scope.name.as_str());
        let event = |action| Event::new(caller, action).at(place).digest(&incoming.digest);
        if new || moved.is_empty() {
            let kind = incoming.accessory.map(|accessory| accessory.subject.to_string());
            let mut push = event("push").detail("subject", kind);
            if let Some((tag, _)) = moved.first() {
                push = push.tag(tag.as_str());
            }
            push.record(tx).await?;
        }
        for (tag, from) in moved {
            let action = if from.is_some() { "retag" } else { "tag" };
            event(action)
                .tag(tag.as_str())
                .detail("from", from.map(|digest| digest.to_string()))
                .record(tx)
                .await?;
        }
        Ok(())
    }

    /// Whether tags of a project, once set, never move.
    pub(crate) async fn tags_are_immutable(
        &self,
        tx: &mut Tx,
        project: &metadata::projects::Project,
    ) -> Result<bool> {
        let policies = self.policies_of(tx, project, None).await?;
        let documents = policies.iter().map(|policy| &policy.document);
        Ok(sealock_policy::immutable_tags(project.tier, documents))
    }
}

/// Facts of a child count for the indexes above it, and evidence on an index for what is below:
/// both are walked in one statement, so neither way may be long.
async fn require_nesting(tx: &mut Tx, repository_id: i64, incoming: &Incoming) -> Result<()> {
    if incoming.manifest.kind != ManifestKind::Index {
        return Ok(());
    }
    let children: Vec<Digest> = incoming.manifest.manifests.iter().map(|c| c.digest).collect();
    let depth = metadata::manifests::nesting(
        tx,
        repository_id,
        &incoming.digest,
        &children,
        MAX_INDEX_DEPTH,
    )
    .await?;
    if depth > MAX_INDEX_DEPTH {
        return Err(Error::invalid(
            ErrorCode::ManifestInvalid,
            format!(
                "indexes stand at most {MAX_INDEX_DEPTH} above one another; with this one it \
                 would be more: list the images in fewer levels"
            ),
        ));
    }
    Ok(())
}

/// Compares what a push expects to find with what is there; a tag that is there is held still.
/// Whether a tag was expected to be absent, and was: then it must still be when it is made.
async fn require_condition(
    tx: &mut Tx,
    repository_id: i64,
    push: &ManifestPush<'_>,
) -> Result<bool> {
    if push.condition.is_empty() {
        return Ok(false);
    }
    let current = match push.reference {
        Reference::Tag(tag) => {
            metadata::tags::lock(tx, repository_id, tag).await?.map(|t| t.digest)
        }
        Reference::Digest(digest) => {
            metadata::manifests::find(tx, repository_id, digest).await?.map(|m| m.digest)
        }
    };
    push.condition.require(push.reference, current.as_ref())?;
    Ok(current.is_none() && matches!(push.reference, Reference::Tag(_)))
}

/// Layers that a registry need not hold.
fn is_foreign(layer: &Descriptor) -> bool {
    is_foreign_layer(&layer.media_type)
}

/// Links nothing, checks all: every blob must be in the repository, by upload or mount.
async fn require_blobs(
    tx: &mut Tx,
    repository_id: i64,
    manifest: &Manifest,
) -> Result<BTreeMap<Digest, u64>> {
    let needed: Vec<Digest> = manifest
        .config
        .iter()
        .chain(manifest.layers.iter().filter(|layer| !is_foreign(layer)))
        .map(|blob| blob.digest)
        .collect();
    let present = metadata::blobs::present(tx, repository_id, &needed).await?;
    let sizes: BTreeMap<_, _> = present.into_iter().map(|blob| (blob.digest, blob.size)).collect();
    let missing: Vec<String> = needed
        .iter()
        .filter(|digest| !sizes.contains_key(digest))
        .map(Digest::to_string)
        .take(LISTED_MISSING)
        .collect();
    if missing.is_empty() {
        return Ok(sizes);
    }
    Err(Error::not_found(
        ErrorCode::ManifestBlobUnknown,
        format!("push these blobs to the repository first: {}", missing.join(", ")),
    ))
}

/// A descriptor that lies about a size is refused: clients allocate and stop by it.
fn check_sizes(manifest: &Manifest, sizes: &BTreeMap<Digest, u64>) -> Result<()> {
    for blob in manifest.config.iter().chain(&manifest.layers) {
        match sizes.get(&blob.digest) {
            Some(size) if *size != blob.size => {
                return Err(Error::invalid(
                    ErrorCode::ManifestInvalid,
                    format!("{} has {size} bytes, the manifest says {}", blob.digest, blob.size),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A tag that may not move.
pub(crate) fn immutable_tag(tag: &Tag, digest: &Digest) -> Error {
    Error::new(
        Kind::Policy,
        ErrorCode::ProjectPolicyViolation,
        format!("the tag {tag} is immutable and names {digest}; use another tag"),
    )
}

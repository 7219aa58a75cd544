//! Manifests and blobs out, through the pull door.

use crate::{
    Error, Kind, Registry, Result,
    access::{Need, PULLED, Scope, is_security},
    audit::Event,
    gate::{Judged, Question},
    standing::{Open, OpenBlob},
    verdicts::Stands,
};
use bytes::Bytes;
use jiff::Timestamp;
use sealock_auth::{Caller, Right};
use sealock_blobs::{BlobError, BlobKey, BlobReader};
use sealock_facts::{Action, Door};
use sealock_metadata::{
    self as metadata, Tx,
    blobs::{Blob, Offer},
    manifests::{Manifest as ManifestRow, Stored},
    projects::Project,
};
use sealock_oci::{Digest, ErrorCode, Reference, RepositoryName};

/// Most manifests of a repository that are asked whether they open a blob.
const ASKED_MANIFESTS: u32 = 64;
/// How often it is asked again who uses a blob, when those who did were deleted meanwhile.
const ASKED_AGAIN: u32 = 8;

/// A manifest as it was pushed.
#[derive(Debug, Clone)]
pub struct PulledManifest {
    /// Its digest.
    pub digest: Digest,
    /// The media type it was pushed with.
    pub media_type: String,
    /// Its bytes, unchanged.
    pub payload: Bytes,
    /// What the gate warns of, in plain words, for the header `Warning`.
    pub warnings: Vec<String>,
    /// Its number.
    pub(crate) id: i64,
    /// Number of its repository.
    pub(crate) repository_id: i64,
}

/// A blob that the caller may know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Whether a blob may be read.
enum Opened {
    Yes,
    /// This is what refuses it.
    Refused(Box<(Digest, Judged)>),
    /// Nothing says so.
    No,
    /// A manifest that was to be asked is gone.
    Stale,
}

impl Registry {
    /// A manifest by tag or digest, through the pull door, recorded as a pull.
    ///
    /// Whoever may push to the repository may read its manifests whatever the verdict (decision
    /// D10), unless they are quarantined.
    pub async fn get_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<PulledManifest> {
        let (project, pulled) = self.read_manifest(caller, name, reference).await?;
        let mut event =
            Event::new(caller, "pull").at((&project, name.as_str())).digest(&pulled.digest);
        event = event.pulled(pulled.id, pulled.repository_id);
        if let Reference::Tag(tag) = reference {
            event = event.tag(tag.as_str());
        }
        let recorded = self.configuration().await?.records_pulls;
        self.log_pull(event.recorded(recorded)).await?;
        Ok(pulled)
    }

    /// The same answer as [`Registry::get_manifest`] gives, for a client that only looks: it is
    /// refused and recorded alike, and recorded as no pull when it is not.
    pub async fn head_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<PulledManifest> {
        Ok(self.read_manifest(caller, name, reference).await?.1)
    }

    async fn read_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<(Project, PulledManifest)> {
        if let Some((scope, open)) = self.known_manifest(caller, name, reference)
            && let Some(warnings) = warnings(caller, &scope, &open.judged)
        {
            return Ok((scope.project, PulledManifest { warnings, ..open.what.clone() }));
        }
        let mut tx = self.database().read().await?;
        let reading = self.reading(&mut tx, caller, name).await?;
        let repository_id = reading.scope.repository()?.id;
        let Stored { manifest, payload, .. } = load(&mut tx, repository_id, reference).await?;
        let question = self.pull_question(caller, Some(reference));
        let stands = self.verdict(&mut tx, &reading.scope, &manifest, &question).await?;
        let scope = self.confirmed(reading, caller, name).await?;
        let mut pulled = PulledManifest {
            digest: manifest.digest,
            media_type: manifest.media_type.clone(),
            payload: payload.into(),
            warnings: Vec::new(),
            id: manifest.id,
            repository_id,
        };
        let judged = match stands {
            Some(Stands { judged, until, policies }) => {
                let basis = tx.basis();
                let open = Open { what: pulled.clone(), judged: judged.clone(), policies };
                self.remember_manifest((repository_id, reference), open, (basis, until));
                judged
            }
            None => {
                drop(tx);
                Box::pin(self.judge_stored(&scope, &manifest, &question)).await?
            }
        };
        let Some(warnings) = warnings(caller, &scope, &judged) else {
            let place = (&scope.project, scope.name.as_str());
            return Err(self.refuse(caller, place, pulled.digest, Door::Pull, judged).await);
        };
        pulled.warnings = warnings;
        Ok((scope.project, pulled))
    }

    /// Whether a blob is in a repository that the caller may read, and how large it is.
    ///
    /// Answers pushers also about blobs of refused artifacts, or every push would upload again; for
    /// others it is as closed as the blob itself.
    pub async fn head_blob(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobInfo> {
        if let Some(open) = self.known_blob(caller, name, digest) {
            return Ok(BlobInfo { digest: open.key.digest, size: open.size });
        }
        let mut tx = self.database().read().await?;
        let scope = self.scope(&mut tx, caller, name, Need::Has(Right::Pull)).await?;
        let Some(repository) = &scope.repository else { return Err(blob_unknown(digest)) };
        let offer = metadata::blobs::offer(&mut tx, repository.id, digest).await?;
        let Offer { blob, ends } = offer.ok_or_else(|| blob_unknown(digest))?;
        match scope.may_write() {
            true => {
                drop(tx);
                self.grant_lease(repository.id, digest, ends).await?;
            }
            false => self.open_to(tx, caller, &scope, &blob).await?,
        }
        Ok(BlobInfo { digest: blob.digest, size: blob.size })
    }

    /// Sees to it that a pusher who is told now that a blob is there has a whole lease to push a
    /// manifest that names it (decision D13). Writes nothing when the repository keeps it anyway.
    async fn grant_lease(
        &self,
        repository_id: i64,
        digest: &Digest,
        ends: Option<Timestamp>,
    ) -> Result<()> {
        let Some(ends) = ends else { return Ok(()) };
        let mut tx = self.database().read().await?;
        let now = tx.shared_now().await?;
        drop(tx);
        if self.database().lease().covers(ends, now) {
            return Ok(());
        }
        let mut tx = self.database().write().await?;
        if !metadata::blobs::lease(&mut tx, repository_id, digest).await? {
            return Err(blob_unknown(digest));
        }
        Ok(tx.commit().await?)
    }

    /// Opens a blob for reading. Refused, with the artifact's reasons, when every artifact of the
    /// repository that uses it is refused (decision D10).
    pub async fn open_blob(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobReader> {
        // A file that is gone may have been collected since: then the database knows.
        if let Some(open) = self.known_blob(caller, name, digest)
            && let Ok(reader) = self.open_stored(open.key, open.size).await
        {
            return Ok(reader);
        }
        let mut tx = self.database().read().await?;
        let reading = self.reading(&mut tx, caller, name).await?;
        let blob = find_blob(&mut tx, &reading.scope, digest).await?;
        let scope = self.confirmed(reading, caller, name).await?;
        self.open_to(tx, caller, &scope, &blob).await?;
        match self.open_stored(key_of(&blob), blob.size).await {
            Err(lost) => {
                // Perhaps it was collected since the look, or another file took its place.
                let mut tx = self.database().read().await?;
                let found = find_blob(&mut tx, &scope, digest).await?;
                drop(tx);
                match found.generation == blob.generation {
                    true => Err(lost),
                    false => self.open_stored(key_of(&found), found.size).await,
                }
            }
            opened => opened,
        }
    }

    /// Opens the file of a blob, if it is whole.
    async fn open_stored(&self, key: BlobKey, size: u64) -> Result<BlobReader> {
        let reader = match self.blobs().open_blob(&key).await {
            Err(error @ BlobError::NotFound(_)) => return Err(blob_lost(&key.digest, &error)),
            opened => opened?,
        };
        // Cut off or overgrown: its first bytes may be right, but they are not the blob.
        if reader.size() != size {
            let log = format!("its file has {} bytes, its row says {size}", reader.size());
            return Err(blob_lost(&key.digest, &log));
        }
        Ok(reader)
    }

    /// Links a blob from another repository, so that it need not be uploaded. `false` when the
    /// caller may not read it there, or it is not there: the two are the same answer.
    ///
    /// A mount opens the blob for reading in the target, so it asks what a GET at the source asks.
    pub async fn mount_blob(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
    ) -> Result<bool> {
        let mut tx = self.database().read().await?;
        self.scope(&mut tx, caller, name, Need::PushOrAttest).await?;
        let source = match from {
            Some(from) => Some(from.clone()),
            None => {
                let visible = self.visible(&mut tx, caller, PULLED).await?;
                self.mount_source(&mut tx, &visible, digest).await?
            }
        };
        drop(tx);
        let Some(source) = source else { return Ok(false) };
        if !self.may_mount(caller, &source, digest).await? {
            return Ok(false);
        }
        let mut tx = self.database().write().await?;
        let scope = self.scope(&mut tx, caller, name, Need::PushOrAttest).await?;
        let fits = self.require_room_for(&mut tx, scope.project.id, digest).await;
        if fits.is_err() {
            tx.rollback().await?;
            return self.fitting(caller, name, fits).await.map(|()| false);
        }
        let repository = scope.ensure_repository(&mut tx).await?;
        let linked = metadata::blobs::link(&mut tx, repository.id, &[*digest]).await?;
        tx.commit().await?;
        Ok(!linked.is_empty())
    }

    async fn mount_source(
        &self,
        tx: &mut Tx,
        visible: &metadata::projects::Visible,
        digest: &Digest,
    ) -> Result<Option<RepositoryName>> {
        let Some(id) = metadata::blobs::find_mountable(tx, visible, digest).await? else {
            return Ok(None);
        };
        let repository = metadata::repositories::get(tx, id).await?;
        repository.map(|row| row.name.parse().map_err(Error::internal)).transpose()
    }

    async fn may_mount(
        &self,
        caller: &Caller,
        source: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool> {
        let mut tx = self.database().read().await?;
        let Ok(scope) = self.scope(&mut tx, caller, source, Need::Has(Right::Pull)).await else {
            return Ok(false);
        };
        let Ok(blob) = find_blob(&mut tx, &scope, digest).await else { return Ok(false) };
        match self.open_to(tx, caller, &scope, &blob).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == Kind::Internal => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Fails when the pull door does not open an artifact's bytes to the caller, who named it by
    /// this reference; none where it follows from another artifact.
    pub(crate) async fn require_open(
        &self,
        caller: &Caller,
        scope: &Scope,
        row: &ManifestRow,
        reference: Option<&Reference>,
    ) -> Result<()> {
        let question = self.pull_question(caller, reference);
        let judged = Box::pin(self.judge_stored(scope, row, &question)).await?;
        if opens(caller, scope, &judged) {
            return Ok(());
        }
        let place = (&scope.project, scope.name.as_str());
        Err(self.refuse(caller, place, row.digest, Door::Pull, judged).await)
    }

    /// Fails when no artifact of the repository opens this blob to the caller. A blob that no
    /// manifest names is open to those who may push, who brought it, and to nobody else.
    async fn open_to(&self, tx: Tx, caller: &Caller, scope: &Scope, blob: &Blob) -> Result<()> {
        let mut now = tx;
        for _ in 0..ASKED_AGAIN {
            match self.opened(now, caller, scope, blob).await? {
                Opened::Yes => return Ok(()),
                Opened::Refused(refused) => {
                    let (of, judged) = *refused;
                    let place = (&scope.project, scope.name.as_str());
                    return Err(self.refuse(caller, place, of, Door::Pull, judged).await);
                }
                Opened::No => return Err(blob_unknown(&blob.digest)),
                Opened::Stale => now = self.database().read().await?,
            }
        }
        let message = format!(
            "what uses the blob {} was deleted again and again while it was judged; try again",
            blob.digest
        );
        Err(Error::new(Kind::Busy, ErrorCode::TooManyRequests, message))
    }

    /// Whether an artifact of the repository opens a blob, as far as this transaction sees.
    async fn opened(
        &self,
        mut tx: Tx,
        caller: &Caller,
        scope: &Scope,
        blob: &Blob,
    ) -> Result<Opened> {
        let (repository_id, digest) = (scope.repository()?.id, &blob.digest);
        let question = self.pull_question(caller, None);
        let users =
            metadata::manifests::using_blob(&mut tx, repository_id, digest, ASKED_MANIFESTS)
                .await?;
        if users.is_empty() {
            let banned = self.blob_is_quarantined(&mut tx, digest).await? && !is_security(caller);
            return Ok(if scope.may_write() && !banned { Opened::Yes } else { Opened::No });
        }
        // First what is known already: in the steady state the newest user of the blob answers.
        let mut unknown = Vec::new();
        let mut refused = None;
        for manifest in users {
            match self.verdict(&mut tx, scope, &manifest, &question).await? {
                Some(stands) if opens(caller, scope, &stands.judged) => {
                    let open = OpenBlob { key: key_of(blob), size: blob.size };
                    let Stands { judged, until, policies } = stands;
                    if judged.verdict.action <= Action::Warn {
                        let open = Open { what: open, judged, policies };
                        self.remember_blob((repository_id, digest), open, (tx.basis(), until));
                    }
                    return Ok(Opened::Yes);
                }
                Some(stands) => refused = Some((manifest.digest, stands.judged)),
                None => unknown.push(manifest),
            }
        }
        drop(tx);
        let mut stale = false;
        for manifest in unknown {
            match Box::pin(self.judge_stored(scope, &manifest, &question)).await {
                Ok(judged) if opens(caller, scope, &judged) => return Ok(Opened::Yes),
                Ok(judged) => refused = Some((manifest.digest, judged)),
                // Deleted since the look. The blob may be open all the same: by another manifest,
                // or because none names it now.
                Err(error) if error.kind() == Kind::NotFound => stale = true,
                Err(error) => return Err(error),
            }
        }
        Ok(match refused {
            _ if stale => Opened::Stale,
            Some(refused) => Opened::Refused(Box::new(refused)),
            None => Opened::No,
        })
    }

    pub(crate) fn pull_question(&self, caller: &Caller, reference: Option<&Reference>) -> Question {
        let request = self.request_facts(caller, |request| {
            request.by_digest = !matches!(reference, Some(Reference::Tag(_)));
        });
        Question { door: Door::Pull, request: Some(request), cluster: None }
    }
}

/// What to tell who may read a manifest all the same; none for who may not.
fn warnings(caller: &Caller, scope: &Scope, judged: &Judged) -> Option<Vec<String>> {
    match judged.verdict.action {
        Action::Allow => Some(Vec::new()),
        Action::Warn => Some(judged.words()),
        Action::Hold | Action::Deny => may_examine(caller, scope, judged).then(|| judged.words()),
    }
}

fn key_of(blob: &Blob) -> BlobKey {
    BlobKey { digest: blob.digest, generation: blob.generation }
}

/// Whether a refused manifest may be read all the same: by who may write here, or examine.
/// Quarantine is lifted for the security role only.
fn may_examine(caller: &Caller, scope: &Scope, judged: &Judged) -> bool {
    if judged.quarantined {
        return is_security(caller);
    }
    scope.may_write() || scope.may_examine()
}

/// Whether the blobs of a judged artifact may be read.
fn opens(caller: &Caller, scope: &Scope, judged: &Judged) -> bool {
    if judged.verdict.action <= Action::Warn {
        return true;
    }
    match judged.quarantined {
        true => is_security(caller),
        false => scope.may_examine(),
    }
}

async fn load(tx: &mut Tx, repository_id: i64, reference: &Reference) -> Result<Stored> {
    let found = match reference {
        Reference::Digest(digest) => metadata::manifests::load(tx, repository_id, digest).await?,
        Reference::Tag(tag) => metadata::manifests::load_tagged(tx, repository_id, tag).await?,
    };
    if let Some(found) = found {
        return Ok(found);
    }
    // A row without readable bytes: gone for readers, so that clients push it again.
    let row = match reference {
        Reference::Digest(digest) => {
            metadata::manifests::find(tx, repository_id, digest).await?.map(|row| row.digest)
        }
        Reference::Tag(tag) => {
            metadata::tags::find(tx, repository_id, tag).await?.map(|tag| tag.digest)
        }
    };
    Err(row.map_or_else(|| manifest_unknown(reference), |digest| manifest_lost(&digest)))
}

/// The row that a reference names.
pub(crate) async fn resolve(
    tx: &mut Tx,
    repository_id: i64,
    reference: &Reference,
) -> Result<ManifestRow> {
    Ok(load(tx, repository_id, reference).await?.manifest)
}

async fn find_blob(tx: &mut Tx, scope: &Scope, digest: &Digest) -> Result<Blob> {
    let Some(repository) = &scope.repository else { return Err(blob_unknown(digest)) };
    metadata::blobs::find(tx, repository.id, digest).await?.ok_or_else(|| blob_unknown(digest))
}

pub(crate) fn manifest_unknown(reference: &Reference) -> Error {
    Error::not_found(
        ErrorCode::ManifestUnknown,
        format!("there is no manifest {reference} in this repository"),
    )
}

/// A manifest that was pushed, and whose bytes are gone or damaged.
fn manifest_lost(digest: &Digest) -> Error {
    Error::not_found(
        ErrorCode::ManifestUnknown,
        format!("the bytes of the manifest {digest} are lost or damaged; push it again"),
    )
    .with_log(format!("the manifest {digest} has no readable bytes; run sealock fsck"))
}

/// A blob that was pushed, and whose file is gone or damaged. It is not reported as unknown: until
/// `sealock fsck` has isolated it, HEAD finds it, and a client would push it again in vain.
fn blob_lost(digest: &Digest, log: &dyn std::fmt::Display) -> Error {
    Error::new(
        Kind::Internal,
        ErrorCode::BlobUnknown,
        format!(
            "the bytes of the blob {digest} are lost or damaged in this registry; its operator \
             finds out with `sealock fsck`, and then it can be pushed again"
        ),
    )
    .with_log(format!("blob {digest}: {log}; run sealock fsck"))
}

pub(crate) fn blob_unknown(digest: &Digest) -> Error {
    Error::not_found(
        ErrorCode::BlobUnknown,
        format!("there is no blob {digest} in this repository"),
    )
}

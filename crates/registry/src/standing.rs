//! What the doors have answered and would answer again: as long as nothing that it was read from
//! has changed, it is given from memory (see [`Answers`]). What depends on who asks is never part
//! of it: rights are remembered by principal, and a policy's access settings are evaluated each
//! time.
//!
//! Only what lets pass is remembered. A refusal is read and recorded each time.

use crate::{
    Registry, Result,
    access::{Need, Scope, name_unknown},
    gate::{Judged, Question},
    pull::PulledManifest,
    verdicts::subject,
};
use jiff::Timestamp;
use sealock_auth::{Caller, Principal, Right, RightSet};
use sealock_blobs::BlobKey;
use sealock_metadata::{
    Answers, Basis, Database, Tx, clusters::Cluster, projects::Project, repositories::Repository,
};
use sealock_oci::{Digest, Reference, RepositoryName};
use sealock_policy::{AppliedPolicy, evaluate_access};
use std::sync::Arc;

/// Principals in repositories, blobs, clusters and admitted images that are remembered, of each.
const REMEMBERED: u64 = 20_000;
/// Manifests that are remembered, in bytes.
const MANIFEST_BYTES: u64 = 32 * 1024 * 1024;
/// What a remembered manifest takes beside its own bytes, about.
const OVERHEAD_BYTES: usize = 1024;

/// What stands.
pub(crate) struct Standing {
    places: Answers<(Principal, RepositoryName), Arc<Place>>,
    manifests: Answers<(i64, Reference), Arc<Open<PulledManifest>>>,
    blobs: Answers<(i64, Digest), Arc<Open<OpenBlob>>>,
    pub(crate) clusters: Answers<[u8; 32], Arc<Cluster>>,
    pub(crate) admitted: Answers<(RepositoryName, Digest, String), Arc<(Project, Judged)>>,
}

/// A repository with what a principal may do there, whatever token they show.
struct Place {
    project: Project,
    repository: Option<Repository>,
    whole: RightSet,
}

/// A repository in which something is being read.
pub(crate) struct Reading {
    pub(crate) scope: Scope,
    /// On what it stands, if it was remembered.
    remembered: Option<Basis>,
}

/// Something that the pull door has opened, for whom the policies' access settings let in.
pub(crate) struct Open<T> {
    pub(crate) what: T,
    pub(crate) judged: Judged,
    pub(crate) policies: Arc<Vec<AppliedPolicy>>,
}

/// A blob that an open artifact of the repository uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenBlob {
    pub(crate) key: BlobKey,
    pub(crate) size: u64,
}

impl Standing {
    pub(crate) fn new(database: &Database) -> Self {
        let db = || database.clone();
        Self {
            places: Answers::new(db(), REMEMBERED, |_, _| 1),
            manifests: Answers::new(db(), MANIFEST_BYTES, |_, open: &Arc<Open<PulledManifest>>| {
                u32::try_from(open.what.payload.len() + OVERHEAD_BYTES).unwrap_or(u32::MAX)
            }),
            blobs: Answers::new(db(), REMEMBERED, |_, _| 1),
            clusters: Answers::new(db(), REMEMBERED, |_, _| 1),
            admitted: Answers::new(db(), REMEMBERED, |_, _| 1),
        }
    }
}

impl<T> Open<T> {
    /// Whether the access settings let this caller in.
    fn lets_in(&self, scope: &Scope, question: &Question) -> bool {
        let Some(request) = &question.request else { return false };
        let subject = subject(&scope.project, scope.name.as_str());
        evaluate_access(question.door, &subject, &self.policies, request).is_open()
    }
}

impl Registry {
    /// The repository with the caller's rights, if both are remembered and suffice.
    fn known_scope(&self, caller: &Caller, name: &RepositoryName) -> Option<(Scope, Basis)> {
        let question = (caller.principal.clone(), name.clone());
        let (place, basis) = self.standing().places.get_with_basis(&question)?;
        let rights = caller.within_scope(place.whole, place.project.id, name.as_str());
        let scope = || Scope {
            project: place.project.clone(),
            name: question.1,
            repository: place.repository.clone(),
            rights,
            whole: place.whole,
        };
        rights.contains(Right::Pull).then(|| (scope(), basis))
    }

    /// Resolves a repository for a caller who reads, from memory if that is possible. What is read
    /// with it counts once it is [`confirmed`](Self::confirmed). The transaction has read nothing.
    pub(crate) async fn reading(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        name: &RepositoryName,
    ) -> Result<Reading> {
        if let Some((scope, basis)) = self.known_scope(caller, name) {
            return Ok(Reading { scope, remembered: Some(basis) });
        }
        let scope = self.scope(tx, caller, name, Need::Has(Right::Pull)).await?;
        let place = Place {
            project: scope.project.clone(),
            repository: scope.repository.clone(),
            whole: scope.whole,
        };
        let question = (caller.principal.clone(), name.clone());
        self.standing().places.keep(question, Arc::new(place), tx.basis(), None);
        Ok(Reading { scope, remembered: None })
    }

    /// The repository, once something in it was read: if what was remembered of it does not stand
    /// any more, it is resolved again, later than what was read.
    pub(crate) async fn confirmed(
        &self,
        reading: Reading,
        caller: &Caller,
        name: &RepositoryName,
    ) -> Result<Scope> {
        let Reading { scope, remembered } = reading;
        if remembered.is_none_or(|basis| self.database().stands(&basis)) {
            return Ok(scope);
        }
        let mut tx = self.database().read().await?;
        let now = self.scope(&mut tx, caller, name, Need::Has(Right::Pull)).await?;
        // What was read is of the repository that was meant then.
        if now.repository()?.id == scope.repository()?.id {
            Ok(now)
        } else {
            Err(name_unknown(name))
        }
    }

    /// The manifest, if it is known that the pull door opens it to this caller.
    pub(crate) fn known_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Option<(Scope, Arc<Open<PulledManifest>>)> {
        let (scope, basis) = self.known_scope(caller, name)?;
        let question = (scope.repository.as_ref()?.id, reference.clone());
        let open = self.standing().manifests.get(&question)?;
        let lets_in = open.lets_in(&scope, &self.pull_question(caller, Some(reference)));
        // Asked again last: whoever lost a right before this manifest came never sees it.
        (lets_in && self.database().stands(&basis)).then_some((scope, open))
    }

    pub(crate) fn remember_manifest(
        &self,
        (repository_id, reference): (i64, &Reference),
        open: Open<PulledManifest>,
        (basis, until): (Option<Basis>, Option<Timestamp>),
    ) {
        let question = (repository_id, reference.clone());
        self.standing().manifests.keep(question, Arc::new(open), basis, until);
    }

    /// The blob, if it is known that the pull door opens it to this caller.
    pub(crate) fn known_blob(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Option<OpenBlob> {
        let (scope, basis) = self.known_scope(caller, name)?;
        let open = self.standing().blobs.get(&(scope.repository.as_ref()?.id, *digest))?;
        let lets_in = open.lets_in(&scope, &self.pull_question(caller, None));
        (lets_in && self.database().stands(&basis)).then_some(open.what)
    }

    pub(crate) fn remember_blob(
        &self,
        (repository_id, digest): (i64, &Digest),
        open: Open<OpenBlob>,
        (basis, until): (Option<Basis>, Option<Timestamp>),
    ) {
        self.standing().blobs.keep((repository_id, *digest), Arc::new(open), basis, until);
    }
}

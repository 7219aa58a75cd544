//! Banned digests: closed at every door, in every project, to all but the security role.

use crate::{
    Error, Page, PageRequest, Registry, Result,
    audit::Event,
    twins::{self, MAX_REASON_BYTES, same_bytes},
};
use sealock_auth::Caller;
use sealock_facts::{Quarantine, QuarantineTarget};
use sealock_metadata::{self as metadata, Tx, manifests::Deleted, projects::Visible};
use sealock_oci::{Digest, ErrorCode, RepositoryName};
use serde::Serialize;

/// Places or events read at a time.
const BATCH: u32 = 500;
/// Most pulls and admissions that one eradication lists.
const MAX_LISTED: usize = 10_000;

/// What an eradication did, and who has the artifact all the same.
#[derive(Debug, Clone, Serialize)]
pub struct Eradication {
    /// The digest.
    pub digest: Digest,
    /// Where it was deleted, with its accessories.
    pub deleted: Vec<DeletedFrom>,
    /// Who pulled it, newest first.
    pub pulled: Vec<Seen>,
    /// Which clusters had it admitted, newest first.
    pub admitted: Vec<Seen>,
    /// More was found than is listed; the audit log has it all.
    pub cut: bool,
}

/// One repository that an eradication emptied of a digest.
#[derive(Debug, Clone, Serialize)]
pub struct DeletedFrom {
    /// The repository.
    pub repository: RepositoryName,
    /// Tags that named it or its accessories.
    pub tags: Vec<String>,
    /// Accessories that went with it.
    pub accessories: Vec<Digest>,
}

/// Somebody who got an artifact.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// Who.
    pub actor: String,
    /// From which address.
    pub address: String,
    /// With which client.
    pub user_agent: String,
    /// From which repository.
    pub repository: Option<String>,
    /// By which tag.
    pub tag: Option<String>,
    /// Through which index, when it was got as one's child.
    pub through: Option<Digest>,
    /// When.
    pub at: jiff::Timestamp,
}

impl Registry {
    /// Bans a digest, whether or not it is here. For security officers. What is banned are bytes:
    /// under the name that they have by the other algorithm too. A manifest's is banned at once
    /// where it is here, and else when it comes; a blob's as soon as a job has read the blob, where
    /// it is here. A blob that is not keeps its other name: nobody knows it.
    pub async fn quarantine(
        &self,
        caller: &Caller,
        digest: &Digest,
        target: QuarantineTarget,
        reason: &str,
    ) -> Result<Quarantine> {
        self.require_security(caller)?;
        let reason = check_reason(reason)?;
        let mut tx = self.database().write().await?;
        ban(&mut tx, caller, digest, target, reason).await?;
        let bans = metadata::quarantines::in_force(&mut tx, &[*digest]).await?;
        tx.commit().await?;
        self.jobs().wake();
        bans.into_iter()
            .find(|ban| ban.target == target)
            .ok_or_else(|| Error::internal("a quarantine was written and is not there"))
    }

    /// Lifts a ban; its record stays.
    pub async fn lift_quarantine(
        &self,
        caller: &Caller,
        digest: &Digest,
        target: Option<QuarantineTarget>,
    ) -> Result<()> {
        self.require_security(caller)?;
        let who = caller.principal.to_string();
        let mut tx = self.database().write().await?;
        let mut lifted = false;
        let manifest = twins::of_manifest(&mut tx, digest).await?;
        let blob = twins::of_banned_blob(&mut tx, digest).await?;
        let twins = [
            manifest.map(|twin| (twin, QuarantineTarget::Manifest)),
            blob.map(|twin| (twin, QuarantineTarget::Blob)),
        ];
        let own = [QuarantineTarget::Manifest, QuarantineTarget::Blob].map(|each| (*digest, each));
        for (banned, each) in own.into_iter().chain(twins.into_iter().flatten()) {
            if target.is_none_or(|target| target == each)
                && metadata::quarantines::lift(&mut tx, &banned, each, &who).await?
            {
                lifted = true;
                let event = Event::new(caller, "lift-quarantine").digest(&banned);
                event.detail("target", word(each)).record(&mut tx).await?;
            }
        }
        if !lifted {
            return Err(Error::not_found(
                ErrorCode::ManifestUnknown,
                format!("{digest} is not in quarantine"),
            ));
        }
        Ok(tx.commit().await?)
    }

    /// Quarantines in force, newest first. For everybody who is logged in: who is refused has a
    /// right to know why.
    pub async fn quarantines(
        &self,
        caller: &Caller,
        page: &PageRequest,
    ) -> Result<Page<Quarantine>> {
        if caller.principal.is_anonymous() {
            return Err(Error::unauthenticated());
        }
        let mut tx = self.database().read().await?;
        let limit = page.limit();
        let rows = metadata::quarantines::list(&mut tx, false, page.after_id(), limit + 1).await?;
        let page = Page::cut(rows, limit, |row| row.id.to_string());
        Ok(page.map(|row| row.quarantine))
    }

    /// Bans a digest, deletes it from every repository, immutable tags or not, and lists who pulled
    /// it or had it admitted. For security officers.
    pub async fn eradicate(
        &self,
        caller: &Caller,
        digest: &Digest,
        reason: &str,
    ) -> Result<Eradication> {
        self.require_security(caller)?;
        let reason = check_reason(reason)?;
        // First the ban, durable by itself: from here on nobody gets it, however long the rest
        // takes.
        let mut tx = self.database().write().await?;
        ban(&mut tx, caller, digest, QuarantineTarget::Manifest, reason).await?;
        tx.commit().await?;
        // Who pulled it or had it admitted a moment ago belongs in the answer.
        self.pulls().flush().await;
        self.admissions().flush().await;
        let mut tx = self.database().read().await?;
        // Indexes that list it gave it away too; their names go with the manifests.
        let above = indexes_above(&mut tx, digest).await?;
        let twin = twins::of_manifest(&mut tx, digest).await?;
        drop(tx);
        let mut deleted = self.delete_everywhere(caller, digest).await?;
        if let Some(twin) = twin {
            deleted.extend(self.delete_everywhere(caller, &twin).await?);
        }
        let (pulled, more) = self.seen(digest, &above, "pull").await?;
        let (admitted, more_admitted) = self.seen(digest, &above, "admit").await?;
        Ok(Eradication { digest: *digest, deleted, pulled, admitted, cut: more || more_admitted })
    }

    async fn delete_everywhere(
        &self,
        caller: &Caller,
        digest: &Digest,
    ) -> Result<Vec<DeletedFrom>> {
        let mut all = Vec::new();
        loop {
            let mut tx = self.database().write().await?;
            let places = metadata::manifests::places(&mut tx, &Visible::All, digest, 0, 1).await?;
            let Some(place) = places.into_iter().next() else { return Ok(all) };
            let deleted =
                metadata::manifests::delete(&mut tx, place.repository_id, digest, true).await?;
            let Some(deleted) = deleted else { continue };
            let row = metadata::repositories::get(&mut tx, place.repository_id).await?;
            let project = metadata::projects::get(&mut tx, place.project_id).await?;
            let (Some(row), Some(project)) = (row, project) else {
                return Err(Error::internal("a repository without a project"));
            };
            let Deleted { manifests, tags, .. } = deleted;
            let accessories: Vec<Digest> =
                manifests.iter().map(|m| m.digest).filter(|found| found != digest).collect();
            Event::new(caller, "eradicate")
                .at((&project, row.name.as_str()))
                .digest(digest)
                .detail("tags", tags.clone())
                .detail("accessories", words(&accessories))
                .record(&mut tx)
                .await?;
            tx.commit().await?;
            let repository = row.name.parse().map_err(Error::internal)?;
            all.push(DeletedFrom { repository, tags, accessories });
        }
    }

    /// Who got a digest, by itself or as part of an index.
    async fn seen(
        &self,
        digest: &Digest,
        above: &[Digest],
        action: &str,
    ) -> Result<(Vec<Seen>, bool)> {
        let mut found = Vec::new();
        let mut more = false;
        for got in std::iter::once(digest).chain(above) {
            let filter = metadata::audit::Filter {
                visible: Visible::All,
                digest: Some(*got),
                actions: vec![action.to_owned()],
                ..metadata::audit::Filter::default()
            };
            let mut before = None;
            loop {
                let mut tx = self.database().read().await?;
                let events = metadata::audit::list(&mut tx, &filter, before, BATCH).await?;
                drop(tx);
                let Some(last) = events.last() else { break };
                before = Some(last.id);
                let allowed = events.into_iter().filter(|event| event.result == "allowed");
                found.extend(allowed.map(|event| Seen {
                    actor: event.actor,
                    address: event.address,
                    user_agent: event.user_agent,
                    repository: event.repository,
                    tag: event.tag,
                    through: (got != digest).then_some(*got),
                    at: event.at,
                }));
                if found.len() >= MAX_LISTED {
                    found.truncate(MAX_LISTED);
                    more = true;
                    break;
                }
            }
        }
        found.sort_by_key(|seen| std::cmp::Reverse(seen.at));
        Ok((found, more))
    }

    /// Bans a manifest that is about to come when the same bytes are banned under their other name,
    /// so that the push door meets a ban. Nothing of it is the pusher's to decide.
    pub(crate) async fn ban_by_other_name(
        &self,
        caller: &Caller,
        digest: &Digest,
        payload: &[u8],
    ) -> Result<()> {
        let twin = Digest::of(digest.algorithm().other(), payload);
        let mut tx = self.database().read().await?;
        let bans = metadata::quarantines::in_force(&mut tx, &[twin]).await?;
        drop(tx);
        let Some(found) = bans.iter().find(|ban| ban.target == QuarantineTarget::Manifest) else {
            return Ok(());
        };
        let reason = same_bytes(&twin, &found.reason);
        let mut tx = self.database().write().await?;
        ban_one(&mut tx, caller, digest, QuarantineTarget::Manifest, &reason).await?;
        Ok(tx.commit().await?)
    }

    /// Whether a blob is banned.
    pub(crate) async fn blob_is_quarantined(&self, tx: &mut Tx, digest: &Digest) -> Result<bool> {
        let bans = metadata::quarantines::in_force(tx, &[*digest]).await?;
        Ok(!bans.is_empty())
    }
}

async fn ban(
    tx: &mut Tx,
    caller: &Caller,
    digest: &Digest,
    target: QuarantineTarget,
    reason: &str,
) -> Result<()> {
    ban_one(tx, caller, digest, target, reason).await?;
    if target == QuarantineTarget::Blob {
        return twins::queue(tx, digest).await;
    }
    if let Some(twin) = twins::of_manifest(tx, digest).await?
        && !metadata::manifests::places(tx, &Visible::All, &twin, 0, 1).await?.is_empty()
    {
        ban_one(tx, caller, &twin, target, &same_bytes(digest, reason)).await?;
    }
    Ok(())
}

async fn ban_one(
    tx: &mut Tx,
    caller: &Caller,
    digest: &Digest,
    target: QuarantineTarget,
    reason: &str,
) -> Result<()> {
    let who = caller.principal.to_string();
    if metadata::quarantines::add(tx, digest, target, reason, &who).await? {
        let event = Event::new(caller, "quarantine").digest(digest);
        event.detail("target", word(target)).detail("reason", reason).record(tx).await?;
    }
    Ok(())
}

fn check_reason(reason: &str) -> Result<&str> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > MAX_REASON_BYTES {
        return Err(Error::invalid(
            ErrorCode::Unsupported,
            format!("a quarantine has a reason of 1 to {MAX_REASON_BYTES} bytes"),
        ));
    }
    Ok(reason)
}

const fn word(target: QuarantineTarget) -> &'static str {
    match target {
        QuarantineTarget::Manifest => "manifest",
        QuarantineTarget::Blob => "blob",
    }
}

/// Digests as words, for an event.
pub(crate) fn words(digests: &[Digest]) -> Vec<String> {
    digests.iter().map(Digest::to_string).collect()
}

/// The indexes, anywhere, that list a digest.
async fn indexes_above(tx: &mut Tx, digest: &Digest) -> Result<Vec<Digest>> {
    let mut above = Vec::new();
    let mut after = 0;
    loop {
        let places = metadata::manifests::places(tx, &Visible::All, digest, after, BATCH).await?;
        let Some(last) = places.last() else { return Ok(above) };
        after = last.id;
        for place in places {
            let parents = metadata::manifests::parents(tx, place.repository_id, digest).await?;
            for parent in parents {
                if !above.contains(&parent.digest) {
                    above.push(parent.digest);
                }
            }
        }
    }
}

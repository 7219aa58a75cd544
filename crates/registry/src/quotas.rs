//! Storage quotas: how much the manifests of a project may hold (decision D15).
//!
//! What counts is decided once, in the transaction that stores a manifest. Uploads are asked before
//! and while they arrive, so that nobody sends for minutes what cannot be let in.

use crate::{Error, Registry, Result, audit::Event};
use sealock_auth::{Act, Caller, Resource};
use sealock_metadata::{
    self as metadata, Tx,
    listing::{Listed, Wanted},
    projects::Project,
    quotas::{self as rows, Settled, Standing},
};
use sealock_oci::{Digest, ErrorCode, RepositoryName};
use std::time::Duration;

pub use sealock_metadata::quotas::{Quota, UNLIMITED};

/// Share of the limit, in percent, from which a project's events warn.
pub const QUOTA_WARNING_PERCENT: i64 = 85;
/// Bytes that a project with a limit may hold unnamed by any manifest, if its limit is lower: what
/// one push uploads before its manifest. Beyond, the limit itself counts.
pub const MIN_UNNAMED_BYTES: i64 = 1024 * 1024 * 1024;
/// How long a look at what a project holds unnamed is believed.
const UNNAMED_BELIEVED: Duration = Duration::from_secs(10);
/// Projects of which such a look is remembered.
const UNNAMED_REMEMBERED: u64 = 10_000;

/// What projects hold unnamed, as it was last looked at.
pub(crate) struct Unnamed(moka::sync::Cache<i64, i64>);

impl Unnamed {
    pub(crate) fn new() -> Self {
        let cache = moka::sync::Cache::builder();
        Self(cache.max_capacity(UNNAMED_REMEMBERED).time_to_live(UNNAMED_BELIEVED).build())
    }
}

/// How much an upload may bring into a project with a limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room(Standing);

impl Room {
    /// Fails when a blob of this size does not fit.
    pub(crate) fn require(self, size: u64) -> Result<()> {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        match self.0.used.saturating_add(size) > self.0.hard {
            true => Err(exceeded(size, self.0.used, self.0.hard)),
            false => Ok(()),
        }
    }
}

impl Registry {
    /// Quotas. For system administrators.
    pub async fn quotas(&self, caller: &Caller, wanted: &Wanted) -> Result<Listed<Quota>> {
        self.require_system(caller, Resource::Quota, Act::List)?;
        let mut tx = self.database().read().await?;
        Ok(rows::page(&mut tx, wanted).await?)
    }

    /// A quota by its number. For system administrators.
    pub async fn quota(&self, caller: &Caller, id: i64) -> Result<Quota> {
        self.require_system(caller, Resource::Quota, Act::Read)?;
        let mut tx = self.database().read().await?;
        rows::get(&mut tx, id).await?.ok_or_else(|| unknown(id))
    }

    /// Fails unless the caller may set limits.
    pub fn require_keeper_of_quotas(&self, caller: &Caller) -> Result<()> {
        self.require_system(caller, Resource::Quota, Act::Update)
    }

    /// Sets a project's limit, in bytes, or [`UNLIMITED`]. It may be below what the project holds:
    /// then nothing more comes in. For system administrators.
    pub async fn set_quota(&self, caller: &Caller, id: i64, hard: i64) -> Result<Quota> {
        self.require_keeper_of_quotas(caller)?;
        check_limit(hard)?;
        let mut tx = self.database().write().await?;
        let project = metadata::projects::get(&mut tx, id).await?.ok_or_else(|| unknown(id))?;
        let before = rows::set(&mut tx, id, hard).await?;
        Event::new(caller, "update-quota")
            .project(&project)
            .detail("storage", hard)
            .detail("storage_before", before)
            .record(&mut tx)
            .await?;
        let row = rows::get(&mut tx, id).await?.ok_or_else(|| unknown(id))?;
        tx.commit().await?;
        Ok(row)
    }

    /// The limit that new projects get, in bytes.
    pub async fn default_quota(&self) -> Result<i64> {
        let mut tx = self.database().read().await?;
        let text = metadata::settings::get(&mut tx, rows::DEFAULT_SETTING).await?;
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(UNLIMITED))
    }

    /// Sets the limit that new projects get. For system administrators.
    pub async fn set_default_quota(&self, caller: &Caller, hard: i64) -> Result<()> {
        self.require_admin(caller)?;
        check_limit(hard)?;
        let mut tx = self.database().write().await?;
        metadata::settings::put(&mut tx, rows::DEFAULT_SETTING, &hard.to_string()).await?;
        let event = Event::new(caller, "update-configuration");
        event.detail(rows::DEFAULT_SETTING, hard).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Commits a transaction that stored manifests in a project, if they fit; else nothing of it
    /// stays, and the refusal is on record.
    pub(crate) async fn commit_within_quota(
        &self,
        mut tx: Tx,
        caller: &Caller,
        place: (&Project, &str),
    ) -> Result<()> {
        let Some(settled) = rows::settle(&mut tx, place.0.id).await? else {
            return Ok(tx.commit().await?);
        };
        let Settled { added, used, hard } = settled;
        if used > hard {
            tx.rollback().await?;
            let error = exceeded(added, used - added, hard);
            self.tell_excess(caller, place, &error).await?;
            return Err(error);
        }
        if warns(used, hard) && !warns(used - added, hard) {
            let (used, hard) = (words(used), words(hard));
            let why = format!(
                "quota usage reach {QUOTA_WARNING_PERCENT}%: resource storage used {used} of {hard}"
            );
            let event = Event::new(caller, "quota-warning").at(place);
            event.detail("why", why).record(&mut tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Puts on record that something did not fit.
    async fn tell_excess(
        &self,
        caller: &Caller,
        place: (&Project, &str),
        error: &Error,
    ) -> Result<()> {
        let event = Event::new(caller, "quota-exceeded").at(place).denied();
        self.record_quota_refusal(place.0.id, event.detail("why", error.message())).await
    }

    /// What an upload or a mount came to. That it did not fit is put on record.
    pub(crate) async fn fitting<T>(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        done: Result<T>,
    ) -> Result<T> {
        if let Err(error) = &done
            && error.is_over_quota()
        {
            let mut tx = self.database().read().await?;
            let project = metadata::projects::find(&mut tx, name.project()).await?;
            drop(tx);
            if let Some(project) = project {
                self.tell_excess(caller, (&project, name.as_str()), error).await?;
            }
        }
        done
    }

    /// Fails when a project can take in nothing more; how much an upload may bring otherwise.
    /// `None` for a blob that the project counts already.
    pub(crate) async fn upload_room(
        &self,
        tx: &mut Tx,
        project_id: i64,
        standing: Standing,
        digest: Option<&Digest>,
    ) -> Result<Option<Room>> {
        if let Some(digest) = digest
            && rows::counts(tx, project_id, digest).await?
        {
            return Ok(None);
        }
        let room = Room(standing);
        room.require(1)?;
        let unnamed = match self.unnamed().0.get(&project_id) {
            Some(known) => known,
            None => {
                let found = rows::unnamed(tx, project_id).await?;
                self.unnamed().0.insert(project_id, found);
                found
            }
        };
        let most = standing.hard.max(MIN_UNNAMED_BYTES);
        if unnamed > most {
            return Err(Error::forbidden(format!(
                "the project holds {} of uploads that no manifest names, and at most {} are kept; \
                 push the manifests that name them, or wait until the collector has removed them",
                words(unnamed),
                words(most)
            )));
        }
        Ok(Some(room))
    }

    /// Fails when a blob cannot come into a project that does not count it yet.
    pub(crate) async fn require_room_for(
        &self,
        tx: &mut Tx,
        project_id: i64,
        digest: &Digest,
    ) -> Result<()> {
        let Some(standing) = rows::standing(tx, project_id).await? else { return Ok(()) };
        if rows::counts(tx, project_id, digest).await? {
            return Ok(());
        }
        let blob = metadata::blobs::get(tx, digest).await?;
        Room(standing).require(blob.map_or(0, |blob| blob.size))
    }
}

/// Whether so many bytes are in the range that warns.
fn warns(used: i64, hard: i64) -> bool {
    i128::from(used) * 100 >= i128::from(hard) * i128::from(QUOTA_WARNING_PERCENT)
}

pub(crate) fn check_limit(hard: i64) -> Result<()> {
    if hard == UNLIMITED || hard > 0 {
        return Ok(());
    }
    Err(Error::invalid(
        ErrorCode::Unsupported,
        "a storage limit is a number of bytes above 0, or -1 for none",
    ))
}

fn unknown(id: i64) -> Error {
    Error::not_found(ErrorCode::NameUnknown, format!("there is no quota {id}"))
}

/// In the words that Harbor's clients match, with what would help.
fn exceeded(added: i64, used: i64, hard: i64) -> Error {
    let error = Error::forbidden(format!(
        "adding {} of storage resource, which when updated to current usage of {} will exceed the \
         configured upper limit of {}. Delete images that are not needed, or ask a system \
         administrator for more",
        words(added),
        words(used),
        words(hard)
    ));
    error.over_quota()
}

/// Bytes as people read them, in Harbor's form.
fn words(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let bytes = bytes.max(0);
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut divisor: i64 = 1024;
    while unit + 1 < UNITS.len() && bytes / divisor >= 1024 {
        divisor *= 1024;
        unit += 1;
    }
    // In tenths, cut: 1023.99 MiB is not 1024.0.
    let tenths = i128::from(bytes) * 10 / i128::from(divisor);
    let name = UNITS.get(unit).copied().unwrap_or_default();
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_harbors_form() {
        let mib = 1024 * 1024;
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10 * mib, "10.0 MiB"),
            (2 * mib + mib / 8, "2.1 MiB"),
            (1024 * mib - 1, "1023.9 MiB"),
            (i64::MAX, "7.9 EiB"),
            (-5, "0 B"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(words(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn a_warning_begins_at_85_percent() {
        assert!(!warns(849, 1000) && warns(850, 1000) && warns(1000, 1000));
        assert!(warns(i64::MAX, i64::MAX));
    }
}

//! Blob uploads: in one request, streamed, in chunks, resumed, cancelled.
//!
//! The bytes and the state of the hash live in `blobs`; the row that lets an upload go on, on any
//! replica and after a restart, lives in `metadata`. One request at a time writes to an upload.

use crate::{
    Body, Error, Registry, Result,
    access::Need,
    quotas::Room,
    ride::{Ride, may_be_layer},
};
use sealock_auth::Caller;
use sealock_blobs::{BlobError, BlobKey, StoredBlob, UploadHold, UploadState, UploadWriter};
use sealock_metadata::{self as metadata, blobs::Inserted, quotas::Standing};
use sealock_oci::{Algorithm, Digest, ErrorCode, RepositoryName};
use std::io;
use uuid::Uuid;

/// Largest blob, in bytes: what S3 can hold as one object, and more than any layer.
pub const MAX_BLOB_BYTES: u64 = 5 * 1024 * 1024 * 1024 * 1024;

/// Most unfinished uploads of one user or robot to one repository. Clients send a few layers at a
/// time; what breaks off expires after [`crate::UPLOAD_REST`].
pub const MAX_OPEN_UPLOADS: i64 = 1_000;

/// Where an upload stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadStatus {
    /// Its id; the location of the upload carries it.
    pub id: Uuid,
    /// Bytes received and durable.
    pub offset: u64,
}

/// A chunk's place in the blob, inclusive, as `Content-Range` states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRange {
    /// First byte.
    pub start: u64,
    /// Last byte.
    pub end: u64,
}

/// A blob that is durable and linked in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushedBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// An upload that a request has taken hold of.
struct Open {
    place: Place,
    state: UploadState,
}

/// Where an upload goes.
struct Place {
    project_id: i64,
    repository_id: i64,
    /// What the project holds and may hold, if it has a limit.
    limit: Option<Standing>,
}

impl Registry {
    /// Begins an upload whose bytes will be hashed with `algorithm`.
    pub async fn begin_upload(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<UploadStatus> {
        self.open_uploads().begin(caller.address)?;
        let done = self.begin(caller, name, algorithm).await;
        if done.is_err() {
            self.open_uploads().end(caller.address);
        }
        self.fitting(caller, name, done).await
    }

    async fn begin(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<UploadStatus> {
        let writer = self.blobs().begin(algorithm)?;
        let id = writer.id();
        let state = writer.suspend().await?;
        let mut tx = self.database().write().await?;
        let scope = self.scope(&mut tx, caller, name, Need::PushOrAttest).await?;
        if let Some(limit) = metadata::quotas::standing(&mut tx, scope.project.id).await? {
            self.upload_room(&mut tx, scope.project.id, limit, None).await?;
        }
        let repository = scope.ensure_repository(&mut tx).await?;
        let state = serde_json::to_string(&state).map_err(Error::internal)?;
        let who = caller.principal.account();
        if metadata::uploads::count(&mut tx, repository.id, &who).await? >= MAX_OPEN_UPLOADS {
            let who = &caller.principal;
            return Err(Error::new(
                crate::Kind::TooMany,
                ErrorCode::TooManyRequests,
                format!(
                    "{who} has {MAX_OPEN_UPLOADS} unfinished uploads to {name}; finish or cancel \
                     some, or wait until they expire"
                ),
            ));
        }
        metadata::uploads::create(&mut tx, &id.to_string(), repository.id, &who, &state).await?;
        // Without a byte there is nothing to lose: after a power cut the client begins again.
        tx.commit_soon().await?;
        Ok(UploadStatus { id, offset: 0 })
    }

    /// Pushes a whole blob in one request.
    pub async fn push_blob(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
        body: Body<'_>,
    ) -> Result<PushedBlob> {
        let done = self.push_whole(caller, name, digest, body).await;
        self.fitting(caller, name, done).await
    }

    async fn push_whole(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &Digest,
        body: Body<'_>,
    ) -> Result<PushedBlob> {
        let place = self.pushed_repository(caller, name).await?;
        let room = self.room_in(&place, Some(digest)).await?;
        let mut writer = self.blobs().begin(digest.algorithm())?;
        let (_, broken) = match self.receive(&mut writer, body, room).await {
            Ok(received) => received,
            Err(error) => {
                if let Err(second) = writer.abort().await {
                    tracing::warn!(error = %second, "the bytes of a refused upload stay");
                }
                return Err(error);
            }
        };
        if let Some(error) = broken {
            writer.abort().await?;
            return Err(Error::invalid(
                ErrorCode::BlobUploadInvalid,
                "the request's body broke off; nothing was kept, send it again",
            )
            .with_log(error));
        }
        self.publish(writer, digest, place.repository_id, None).await
    }

    /// How much an upload may bring into a project; `None` for all that a blob may have.
    async fn room_in(&self, place: &Place, digest: Option<&Digest>) -> Result<Option<Room>> {
        let Some(standing) = place.limit else { return Ok(None) };
        let mut tx = self.database().read().await?;
        self.upload_room(&mut tx, place.project_id, standing, digest).await
    }

    /// The repository that is pushed to, made if need be.
    async fn pushed_repository(&self, caller: &Caller, name: &RepositoryName) -> Result<Place> {
        let mut tx = self.database().read().await?;
        let scope = self.scope(&mut tx, caller, name, Need::PushOrAttest).await?;
        let project_id = scope.project.id;
        let limit = metadata::quotas::standing(&mut tx, project_id).await?;
        if let Some(repository) = scope.repository {
            return Ok(Place { project_id, repository_id: repository.id, limit });
        }
        drop(tx);
        let mut tx = self.database().write().await?;
        let scope = self.scope(&mut tx, caller, name, Need::PushOrAttest).await?;
        let repository = scope.ensure_repository(&mut tx).await?;
        // Durable with the first blob that is linked in it.
        tx.commit_soon().await?;
        Ok(Place { project_id: scope.project.id, repository_id: repository.id, limit })
    }

    /// Where an upload stands.
    pub async fn upload_status(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        id: Uuid,
    ) -> Result<UploadStatus> {
        let open = self.find_upload(caller, name, id).await?;
        Ok(UploadStatus { id, offset: open.state.offset })
    }

    /// Adds bytes. When the body breaks off, what arrived is kept and can be resumed.
    pub async fn append_upload(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        id: Uuid,
        range: Option<ChunkRange>,
        body: Body<'_>,
    ) -> Result<UploadStatus> {
        let done = self.append(caller, name, id, range, body).await;
        if done.as_ref().is_err_and(Error::upload_is_lost) {
            self.open_uploads().end(caller.address);
        }
        self.fitting(caller, name, done).await
    }

    async fn append(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        id: Uuid,
        range: Option<ChunkRange>,
        body: Body<'_>,
    ) -> Result<UploadStatus> {
        let (hold, open) = self.take_upload(caller, name, id).await?;
        check_start(&open.state, range)?;
        let before = open.state.offset;
        let room = self.room_in(&open.place, None).await?;
        let mut writer = self.blobs().resume_held(&hold, open.state).await?;
        let received = match self.receive(&mut writer, body, room).await {
            Ok(received) => received,
            Err(error) => return Err(self.refused(writer, &open.place, id, error).await),
        };
        if let Err(wrong) = check_length(range, received.0, received.1.is_some()) {
            // Before the answer: whoever reads it may send the right bytes at once.
            writer.leave().await?;
            return Err(wrong);
        }
        let state = match writer.suspend().await {
            Ok(state) => state,
            Err(error) => return Err(self.lost(open.place.repository_id, id, error.into()).await),
        };
        let offset = state.offset;
        let mut tx = self.database().write().await?;
        let text = serde_json::to_string(&state).map_err(Error::internal)?;
        let (repository, key) = (open.place.repository_id, id.to_string());
        let moved =
            metadata::uploads::advance(&mut tx, repository, &key, before, offset, &text).await?;
        tx.commit().await?;
        if !moved {
            // Cancelled while it was written to: whoever cancelled it left the file to us.
            drop(hold);
            self.blobs().discard(state).await?;
            return Err(unknown(id));
        }
        match received.1 {
            Some(error) => Err(cut(&error)),
            None => Ok(UploadStatus { id, offset }),
        }
    }

    /// Ends an upload, perhaps with its last bytes. A wrong digest leaves no trace of the blob.
    pub async fn finish_upload(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        id: Uuid,
        digest: &Digest,
        range: Option<ChunkRange>,
        body: Body<'_>,
    ) -> Result<PushedBlob> {
        let done = self.finish(caller, name, id, digest, (range, body)).await;
        if done.as_ref().err().is_none_or(Error::upload_is_lost) {
            self.open_uploads().end(caller.address);
        }
        self.fitting(caller, name, done).await
    }

    async fn finish(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        id: Uuid,
        digest: &Digest,
        (range, body): (Option<ChunkRange>, Body<'_>),
    ) -> Result<PushedBlob> {
        let (hold, open) = self.take_upload(caller, name, id).await?;
        check_start(&open.state, range)?;
        // An upload without a byte has hashed nothing yet: the digest may still choose. One with
        // bytes goes on as it was begun, and the store hashes what it holds once more.
        let room = self.room_in(&open.place, Some(digest)).await?;
        let chooses = open.state.offset == 0 && open.state.algorithm != digest.algorithm();
        let mut writer = match chooses {
            true => self.blobs().begin_held(&hold, digest.algorithm()),
            false => self.blobs().resume_held(&hold, open.state).await?,
        };
        let received = match self.receive(&mut writer, body, room).await {
            Ok(received) => received,
            Err(error) => return Err(self.refused(writer, &open.place, id, error).await),
        };
        let checked = check_length(range, received.0, received.1.is_some());
        if let Err(wrong) = checked.and(received.1.map_or(Ok(()), |error| Err(cut(&error)))) {
            writer.leave().await?;
            return Err(wrong);
        }
        match self.publish(writer, digest, open.place.repository_id, Some(id)).await {
            Ok(pushed) => Ok(pushed),
            Err(error) => Err(self.lost(open.place.repository_id, id, error).await),
        }
    }

    /// Drops an upload and its bytes.
    pub async fn cancel_upload(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        id: Uuid,
    ) -> Result<()> {
        let open = self.find_upload(caller, name, id).await?;
        if !self.forget_upload(open.place.repository_id, id).await? {
            return Err(unknown(id));
        }
        self.open_uploads().end(caller.address);
        match self.blobs().discard(open.state).await {
            // Who writes to it finds that it is gone, and removes the file.
            Err(BlobError::UploadBusy(_)) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Takes hold of an upload and reads where it stands, in this order: who reads first may read
    /// what another request changes before it writes, and would then overwrite acknowledged bytes.
    async fn take_upload(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        id: Uuid,
    ) -> Result<(UploadHold, Open)> {
        let hold = self.blobs().hold(id);
        // Whose it is not learns nothing, not even that somebody writes to it.
        let open = self.find_upload(caller, name, id).await?;
        Ok((hold?, open))
    }

    /// Uploads are found by id, repository and who began them: nobody writes into another's.
    async fn find_upload(&self, caller: &Caller, name: &RepositoryName, id: Uuid) -> Result<Open> {
        let mut tx = self.database().read().await?;
        let scope = self.scope(&mut tx, caller, name, Need::PushOrAttest).await?;
        let Some(repository) = scope.repository else { return Err(unknown(id)) };
        let who = caller.principal.account();
        let row = metadata::uploads::find(&mut tx, repository.id, &who, &id.to_string())
            .await?
            .ok_or_else(|| unknown(id))?;
        let state = serde_json::from_str(&row.state).map_err(Error::internal)?;
        let project_id = scope.project.id;
        let limit = metadata::quotas::standing(&mut tx, project_id).await?;
        Ok(Open { place: Place { project_id, repository_id: repository.id, limit }, state })
    }

    /// Passes a body to the disk and to an inspector that rides along. How many bytes came, and why
    /// the body broke off if it did.
    async fn receive(
        &self,
        writer: &mut UploadWriter,
        mut body: Body<'_>,
        room: Option<Room>,
    ) -> Result<(u64, Option<io::Error>)> {
        let start = writer.received();
        if let (Some(room), Some(length)) = (room, body.length()) {
            room.require(start.saturating_add(length))?;
        }
        let pace = self.inspections().pace();
        let mut ride = self.inspections().take(writer.id(), start);
        let mut broken = None;
        while let Some(bytes) = body.next_part(writer).await? {
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            };
            if writer.received() + bytes.len() as u64 > MAX_BLOB_BYTES {
                return Err(Error::new(
                    crate::Kind::TooLarge,
                    ErrorCode::SizeInvalid,
                    format!("a blob has at most {MAX_BLOB_BYTES} bytes"),
                ));
            }
            if let Some(room) = room {
                room.require(writer.received() + bytes.len() as u64)?;
            }
            let begins = ride.is_none() && writer.received() == 0;
            if begins && self.inspects_while_receiving() && may_be_layer(&bytes) {
                pace.begun();
                ride = Ride::start(self.inspections().places(), self.layer_inspector());
            }
            let fast = pace.received(bytes.len());
            if let Some(ride) = &mut ride {
                // What comes this fast leaves no room for an inspector: it reads the file after.
                if fast { ride.stop_feeding() } else { ride.feed(&bytes) }
            }
            writer.write(bytes).await?;
        }
        if let Some(ride) = ride {
            self.inspections().keep(writer.id(), ride);
        }
        Ok((writer.received() - start, broken))
    }

    /// Bytes, then directory, then row.
    async fn publish(
        &self,
        writer: UploadWriter,
        digest: &Digest,
        repository_id: i64,
        upload: Option<Uuid>,
    ) -> Result<PushedBlob> {
        let ride = self.inspections().take(writer.id(), writer.received());
        let _storing = self.inspections().pace().storing();
        let stored = writer.finish(digest).await?;
        let spare = self.link_stored(&stored, repository_id, upload).await?;
        if let Some(ride) = ride {
            self.follow_ride(ride, &stored);
        }
        if let Some(generation) = spare {
            // A crash before this line leaks a file and nothing else.
            self.blobs().remove(&BlobKey { digest: *digest, generation }).await?;
        }
        Ok(PushedBlob { digest: *digest, size: stored.size })
    }

    /// Records a stored file and links it. Which generation is not needed any more: this one when
    /// the same bytes were stored before, or a dying one that it replaces.
    async fn link_stored(
        &self,
        stored: &StoredBlob,
        repository_id: i64,
        upload: Option<Uuid>,
    ) -> Result<Option<i64>> {
        let StoredBlob { key, size } = *stored;
        let mut tx = self.database().write().await?;
        let inserted = metadata::blobs::insert(&mut tx, &key.digest, size, key.generation).await?;
        metadata::blobs::link(&mut tx, repository_id, &[key.digest]).await?;
        if let Some(id) = upload {
            metadata::uploads::delete(&mut tx, repository_id, &id.to_string()).await?;
        }
        tx.commit().await?;
        Ok(match inserted {
            Inserted::Won { replaced } => replaced,
            Inserted::Lost(_) => Some(key.generation),
        })
    }

    /// Lets go of an upload whose bytes were not taken, before the answer: whoever reads it may go
    /// on at once. Passes the error through.
    async fn refused(&self, writer: UploadWriter, place: &Place, id: Uuid, error: Error) -> Error {
        if !error.upload_is_lost()
            && let Err(second) = writer.leave().await
        {
            tracing::warn!(upload = %id, error = %second, "an upload was not let go of");
        }
        self.lost(place.repository_id, id, error).await
    }

    /// Forgets an upload that cannot go on; passes the error through.
    async fn lost(&self, repository_id: i64, id: Uuid, error: Error) -> Error {
        if error.upload_is_lost()
            && let Err(second) = self.forget_upload(repository_id, id).await
        {
            tracing::warn!(upload = %id, error = %second, "a lost upload's row stays");
        }
        error
    }

    /// Whether it was there.
    async fn forget_upload(&self, repository_id: i64, id: Uuid) -> Result<bool> {
        self.inspections().forget(id);
        let mut tx = self.database().write().await?;
        let gone = metadata::uploads::delete(&mut tx, repository_id, &id.to_string()).await?;
        tx.commit().await?;
        Ok(gone)
    }
}

fn unknown(id: Uuid) -> Error {
    Error::not_found(
        ErrorCode::BlobUploadUnknown,
        format!("there is no upload {id} of yours in this repository; begin a new one"),
    )
}

fn cut(error: &io::Error) -> Error {
    Error::invalid(
        ErrorCode::BlobUploadInvalid,
        "the request's body broke off; what arrived is kept, ask for the upload's status and go on",
    )
    .with_log(error)
}

fn check_start(state: &UploadState, range: Option<ChunkRange>) -> Result<()> {
    match range {
        Some(range) if range.start != state.offset || range.end < range.start => {
            Err(Error::range(state.offset))
        }
        _ => Ok(()),
    }
}

/// A whole body must have the length that its range states.
fn check_length(range: Option<ChunkRange>, received: u64, broken: bool) -> Result<()> {
    match range {
        // Counted from the last byte: a range to the largest number has one byte more than that.
        Some(ChunkRange { start, end })
            if !broken && received.checked_sub(1) != Some(end - start) =>
        {
            Err(Error::invalid(
                ErrorCode::SizeInvalid,
                format!("Content-Range states bytes {start} to {end}, {received} came"),
            ))
        }
        _ => Ok(()),
    }
}

impl From<BlobError> for Error {
    fn from(error: BlobError) -> Self {
        let text = error.to_string();
        let lost = error.upload_is_lost();
        let made = match error {
            BlobError::DigestMismatch { .. } => Self::invalid(ErrorCode::DigestInvalid, text),
            BlobError::UploadBusy(_) => Self::conflict(text),
            BlobError::UploadUnknown(_)
            | BlobError::UploadDamaged { .. }
            | BlobError::UploadStateInvalid(_)
            | BlobError::UploadFailed(_) => {
                Self::not_found(ErrorCode::BlobUploadUnknown, "the upload is lost; begin a new one")
                    .with_log(text)
            }
            BlobError::RangeInvalid { .. } => {
                Self::new(crate::Kind::Range, ErrorCode::SizeInvalid, text)
            }
            BlobError::DiskFull { .. } => Self::new(
                crate::Kind::Full,
                ErrorCode::Unknown,
                "the registry's disk is full; nothing was stored",
            )
            .with_log(text),
            _ => Self::internal(text),
        };
        if lost { made.losing_upload() } else { made }
    }
}

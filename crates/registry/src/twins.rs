//! The other name of banned bytes. The same bytes have a digest under each algorithm, and a ban
//! means the bytes: a manifest's other name is made at once, a blob's by a job, which has to read
//! it.

use crate::{Error, Registry, Result, audit::Event, background, jobs};
use sealock_blobs::{BlobError, BlobKey, BlobStore};
use sealock_facts::{Quarantine, QuarantineTarget};
use sealock_metadata::{self as metadata, Tx, blobs::BlobState, projects::Visible};
use sealock_oci::{Algorithm, Digest};
use sha2::{Digest as _, Sha256, Sha512};
use std::io::{self, Read};

/// Longest reason of a ban, in bytes.
pub(crate) const MAX_REASON_BYTES: usize = 4_096;
/// Bytes of a blob that are hashed at a time.
const PIECE_BYTES: usize = 1024 * 1024;
const SAME_BYTES: &str = "the same bytes as ";

/// The reason of a ban that follows from another one.
pub(crate) fn same_bytes(digest: &Digest, reason: &str) -> String {
    let mut text = format!("{SAME_BYTES}{digest}: {reason}");
    text.truncate(text.floor_char_boundary(MAX_REASON_BYTES));
    text
}

/// The name by the other algorithm of a manifest that is here, in whatever repository.
pub(crate) async fn of_manifest(tx: &mut Tx, digest: &Digest) -> Result<Option<Digest>> {
    let places = metadata::manifests::places(tx, &Visible::All, digest, 0, 1).await?;
    let Some(place) = places.first() else { return Ok(None) };
    let stored = metadata::manifests::load(tx, place.repository_id, digest).await?;
    Ok(stored.map(|stored| Digest::of(digest.algorithm().other(), &stored.payload)))
}

/// The other name of a banned blob, under which it is banned for the same reason.
pub(crate) async fn of_banned_blob(tx: &mut Tx, digest: &Digest) -> Result<Option<Digest>> {
    let Some(own) = blob_ban(tx, digest).await? else { return Ok(None) };
    let first = own.reason.strip_prefix(SAME_BYTES).and_then(|rest| rest.split_once(": "));
    if let Some(first) = first.and_then(|(first, _)| first.parse::<Digest>().ok()) {
        let ban = blob_ban(tx, &first).await?;
        let follows = |ban: &Quarantine| same_bytes(&first, &ban.reason) == own.reason;
        return Ok(ban.filter(follows).map(|_| first));
    }
    let reason = same_bytes(digest, &own.reason);
    Ok(metadata::quarantines::for_reason(tx, QuarantineTarget::Blob, &reason).await?)
}

/// Queues finding the other name of a banned blob that is here.
pub(crate) async fn queue(tx: &mut Tx, digest: &Digest) -> Result<()> {
    let stored = metadata::blobs::get(tx, digest).await?;
    if stored.is_some_and(|blob| blob.state == BlobState::Active) {
        jobs::queue_ban_twin(tx, digest).await?;
    }
    Ok(())
}

impl Registry {
    /// Bans the bytes of a banned blob under their other name too, unless the ban was lifted or the
    /// blob has gone.
    pub(crate) async fn ban_blob_by_other_name(&self, digest: &Digest) -> Result<()> {
        let mut tx = self.database().read().await?;
        let ban = blob_ban(&mut tx, digest).await?;
        let blob = metadata::blobs::get(&mut tx, digest).await?;
        drop(tx);
        let (Some(_), Some(blob)) = (ban, blob) else { return Ok(()) };
        let key = BlobKey { digest: *digest, generation: blob.generation };
        let store = self.blobs().clone();
        let read = move || other_name(&store, &key);
        let read = background::spawn(read).map_err(Error::internal)?;
        let Some(twin) = read.await.map_err(Error::internal)?? else { return Ok(()) };
        let mut tx = self.database().write().await?;
        let Some(ban) = blob_ban(&mut tx, digest).await? else { return Ok(()) };
        let reason = same_bytes(digest, &ban.reason);
        let target = QuarantineTarget::Blob;
        if metadata::quarantines::add(&mut tx, &twin, target, &reason, &ban.by).await? {
            let event = Event::by_system("quarantine").digest(&twin);
            event
                .detail("target", "blob")
                .detail("reason", reason.as_str())
                .record(&mut tx)
                .await?;
        }
        Ok(tx.commit().await?)
    }
}

async fn blob_ban(tx: &mut Tx, digest: &Digest) -> Result<Option<Quarantine>> {
    let bans = metadata::quarantines::in_force(tx, &[*digest]).await?;
    Ok(bans.into_iter().find(|ban| ban.target == QuarantineTarget::Blob))
}

/// Both names of some bytes.
fn names(bytes: &mut impl Read) -> io::Result<[Option<Digest>; 2]> {
    let (mut short, mut long, mut piece) = (Sha256::new(), Sha512::new(), vec![0; PIECE_BYTES]);
    loop {
        match bytes.read(&mut piece)? {
            0 => break,
            length => {
                short.update(&piece[..length]);
                long.update(&piece[..length]);
            }
        }
    }
    Ok([
        Digest::from_hash(Algorithm::Sha256, &short.finalize()),
        Digest::from_hash(Algorithm::Sha512, &long.finalize()),
    ])
}

/// The other name of a stored blob; none when it is gone, or its bytes are not its own any more.
fn other_name(store: &BlobStore, key: &BlobKey) -> Result<Option<Digest>> {
    let mut reader = match store.open_sync(key) {
        Err(BlobError::NotFound(_)) => return Ok(None),
        opened => opened?,
    };
    let [short, long] = names(&mut reader).map_err(Error::internal)?;
    Ok(match Some(key.digest) {
        own if own == short => long,
        own if own == long => short,
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_length_have_both_names() {
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES + 3] {
            let bytes = vec![7; length];
            let expected = [Some(Digest::sha256(&bytes)), Some(Digest::sha512(&bytes))];
            assert_eq!(names(&mut &bytes[..]).unwrap(), expected);
        }
    }

    #[test]
    fn a_reason_that_follows_from_another_is_as_long_as_any() {
        let digest = Digest::sha256(b"x");
        let text = same_bytes(&digest, &"\u{e4}".repeat(MAX_REASON_BYTES / 2));
        assert!(text.len() <= MAX_REASON_BYTES && text.starts_with(SAME_BYTES));
    }
}

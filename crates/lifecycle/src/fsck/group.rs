//! One digest: its row and its files.

use super::{Check, Depth, Example, Kind, Step, Stop, remember};
use sealock_blobs::{BlobKey, Form, StoredFile, Stranger};
use sealock_metadata::{
    blobs::{self, BlobState},
    dying_files::{self, DyingFile},
    fsck::blobs::{self as rows, RawBlob},
};
use sealock_oci::Digest;

/// Rights that nobody but the owner may have on stored files: they let others change them.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// What belongs to one digest.
pub(super) struct Group {
    pub(super) digest: Digest,
    pub(super) row: Option<RawBlob>,
    pub(super) files: Vec<StoredFile>,
}

/// A row that can be read.
#[derive(Clone, Copy)]
struct Blob {
    digest: Digest,
    size: u64,
    generation: i64,
    state: BlobState,
}

/// What is known of the bytes of a file.
enum Bytes {
    Right,
    Wrong(String),
    Unreadable(Stop),
}

impl Check<'_> {
    pub(super) async fn group(&mut self, group: Group) -> Step<()> {
        self.exposed_files(&group).await;
        let Group { digest, row, mut files } = group;
        let Some(row) = row else { return self.rowless(digest, files).await };
        let own = files.iter().position(|file| file.key.generation == row.generation);
        let own = own.map(|at| files.remove(at));
        let parsed = match (u64::try_from(row.size), row.state.parse()) {
            (Ok(size), Ok(state)) if row.generation >= 0 => {
                Some(Blob { digest, size, generation: row.generation, state })
            }
            _ => None,
        };
        let user = self.user(&digest).await?;
        let kept = match parsed {
            None => self.invalid(&digest, &row, own, &files, user).await?,
            Some(blob) => match blob.state {
                BlobState::Active => self.active(blob, own, &files, user).await?,
                BlobState::Isolated => self.isolated(blob, own, user).await?,
                BlobState::Dying => self.dying(blob, own, user).await?,
            },
        };
        self.progress.advance(u64::from(self.options.depth != Depth::Bytes));
        for file in files.into_iter().filter(|file| Some(file.key.generation) != kept) {
            self.stale(file).await?;
        }
        Ok(())
    }

    async fn user(&self, digest: &Digest) -> Step<Option<String>> {
        let mut tx = self.read().await?;
        Ok(rows::user(&mut tx, &digest.to_string()).await?)
    }

    /// Files without a row: leaked, or all that is left of a blob that is needed.
    async fn rowless(&mut self, digest: Digest, files: Vec<StoredFile>) -> Step<()> {
        let user = self.user(&digest).await?;
        let mut adopted = None;
        for file in files {
            let path = self.in_store(&file.path);
            let mut example = Example::default().digest(digest).path(path).repository(user.clone());
            if file.form != Form::File {
                self.not_a_file(file);
                continue;
            }
            if user.is_none() {
                if self.queued(&file).await? {
                    continue;
                }
                if self.repair() {
                    let mended = match self.mismatch() {
                        Some(why) => Err(Stop::Other(why)),
                        None => self.remove(&file).await,
                    };
                    example.outcome = self.outcome(mended);
                }
                self.report.add(Kind::FileLeaked, file.size, example);
                continue;
            }
            if adopted.is_some() {
                self.stale(file).await?;
                continue;
            }
            match self.bytes_of(&file).await {
                Bytes::Right => {
                    adopted = Some(file.key.generation);
                    remember(&mut self.revivable, digest);
                    if self.repair() {
                        example.outcome = self.outcome(self.revive(&file).await);
                    }
                    self.report.add(Kind::BlobRowMissing, file.size, example);
                }
                Bytes::Wrong(detail) => {
                    adopted = Some(file.key.generation);
                    remember(&mut self.revivable, digest);
                    example.detail = format!("its row is lost as well; {detail}");
                    if self.repair() {
                        example.outcome = self.outcome(self.revive_isolated(&file).await);
                    }
                    self.report.add(Kind::BlobCorrupt, file.size, example);
                }
                Bytes::Unreadable(stop) => {
                    remember(&mut self.revivable, digest);
                    example.detail = stop.to_string();
                    self.note(Kind::BlobUnreadable, file.size, example);
                }
            }
        }
        Ok(())
    }

    async fn revive(&self, file: &StoredFile) -> Step<bool> {
        let BlobKey { digest, generation } = file.key;
        let mut tx = self.write().await?;
        let done = rows::revive(&mut tx, &digest, file.size, generation).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// Damaged, and all there is: kept, with a row that lets nobody read it.
    async fn revive_isolated(&self, file: &StoredFile) -> Step<bool> {
        let BlobKey { digest, generation } = file.key;
        let mut tx = self.write().await?;
        let revived = rows::revive(&mut tx, &digest, file.size, generation).await?;
        let closed = blobs::set_state(&mut tx, &digest, BlobState::Isolated).await?;
        tx.commit().await?;
        Ok(revived && closed)
    }

    /// A blob that is to be read. The generation whose file it has at the end.
    async fn active(
        &mut self,
        blob: Blob,
        own: Option<StoredFile>,
        others: &[StoredFile],
        user: Option<String>,
    ) -> Step<Option<i64>> {
        let key = BlobKey { digest: blob.digest, generation: blob.generation };
        let path = self.in_store(&self.inventory.path_of(&key));
        let example = |detail: String| {
            Example::of(detail).digest(blob.digest).path(&path).repository(user.clone())
        };
        let (kind, detail) = match &own {
            None if self.misplaced.contains(&key) => return Ok(Some(blob.generation)),
            None => (Kind::BlobMissing, String::new()),
            Some(file) if file.form != Form::File => (Kind::BlobNotAFile, String::new()),
            Some(file) if file.size != blob.size => {
                let lengths = format!("{} bytes instead of {}", file.size, blob.size);
                match self.bytes_of(file).await {
                    Bytes::Right => {
                        let mut example = example(lengths);
                        remember(&mut self.other_size, blob.digest.to_string());
                        if self.repair() {
                            let right = Blob { size: file.size, ..blob };
                            example.outcome =
                                self.outcome(self.correct(blob.generation, right).await);
                        }
                        self.report.add(Kind::BlobRowSize, 0, example);
                        return Ok(Some(blob.generation));
                    }
                    _ => (Kind::BlobSize, lengths),
                }
            }
            Some(file) if self.options.depth == Depth::Bytes => match self.bytes_of(file).await {
                Bytes::Right => return Ok(Some(blob.generation)),
                Bytes::Wrong(detail) => (Kind::BlobCorrupt, detail),
                Bytes::Unreadable(stop) => {
                    self.note(Kind::BlobUnreadable, file.size, example(stop.to_string()));
                    return Ok(Some(blob.generation));
                }
            },
            Some(_) => return Ok(Some(blob.generation)),
        };
        if let Some(good) = self.good_one(others).await {
            let mut example = example(format!("{}; {} is right", kind.what(), good.path.display()));
            if self.repair() {
                let right = Blob { size: good.size, generation: good.key.generation, ..blob };
                example.outcome = self.outcome(self.replace(blob.generation, right, own).await);
            }
            self.report.add(Kind::BlobGeneration, 0, example);
            return Ok(Some(good.key.generation));
        }
        let mut example = example(detail);
        if self.repair() {
            let mended = match self.mismatch() {
                Some(why) => Err(Stop::Other(why)),
                None => {
                    let closed = Blob { state: BlobState::Isolated, ..blob };
                    self.correct(blob.generation, closed).await
                }
            };
            example.outcome = self.outcome(mended);
        }
        self.report.add(kind, own.map_or(0, |file| file.size), example);
        Ok(Some(blob.generation))
    }

    /// A blob that was found damaged before.
    async fn isolated(
        &mut self,
        blob: Blob,
        own: Option<StoredFile>,
        user: Option<String>,
    ) -> Step<Option<i64>> {
        let own = match own {
            Some(other) if other.form != Form::File => {
                self.not_a_file(other);
                None
            }
            own => own,
        };
        let right = match &own {
            Some(file) if !self.quick() => matches!(self.bytes_of(file).await, Bytes::Right),
            _ => false,
        };
        let key = BlobKey { digest: blob.digest, generation: blob.generation };
        let path = self.in_store(&self.inventory.path_of(&key));
        // Without a user it waits for its collection.
        let needed = user.is_some();
        let mut example = Example::default().digest(blob.digest).path(path).repository(user);
        match own {
            Some(file) if right => {
                if self.repair() {
                    let open = Blob { size: file.size, state: BlobState::Active, ..blob };
                    example.outcome = self.outcome(self.correct(blob.generation, open).await);
                }
                self.report.add(Kind::BlobRecovered, file.size, example);
            }
            own if needed => {
                self.note(Kind::BlobIsolated, own.map_or(0, |file| file.size), example)
            }
            _ => {}
        }
        Ok(Some(blob.generation))
    }

    /// A blob whose collection was cut off.
    async fn dying(
        &mut self,
        blob: Blob,
        own: Option<StoredFile>,
        user: Option<String>,
    ) -> Step<Option<i64>> {
        let unused = user.is_none();
        let mut example = Example::default().digest(blob.digest).repository(user);
        let size = own.as_ref().map_or(0, |file| file.size);
        if self.repair() {
            let mended = match own {
                _ if unused => self.bury(blob, own).await,
                Some(file) if matches!(self.bytes_of(&file).await, Bytes::Right) => {
                    let open = Blob { size: file.size, state: BlobState::Active, ..blob };
                    self.correct(blob.generation, open).await
                }
                _ => {
                    let closed = Blob { state: BlobState::Isolated, ..blob };
                    self.correct(blob.generation, closed).await
                }
            };
            example.outcome = self.outcome(mended);
        }
        self.report.add(Kind::BlobDying, size, example);
        Ok(Some(blob.generation))
    }

    /// A row with a good digest and impossible numbers or words.
    async fn invalid(
        &mut self,
        digest: &Digest,
        row: &RawBlob,
        own: Option<StoredFile>,
        others: &[StoredFile],
        user: Option<String>,
    ) -> Step<Option<i64>> {
        let detail =
            format!("size {}, generation {}, state {:?}", row.size, row.generation, row.state);
        let mut example = Example::of(detail).digest(digest).repository(user);
        let candidates: Vec<StoredFile> = own.into_iter().chain(others.iter().cloned()).collect();
        let good = self.good_one(&candidates).await;
        if self.repair() {
            let right = match &good {
                Some(file) => Blob {
                    digest: *digest,
                    size: file.size,
                    generation: file.key.generation,
                    state: BlobState::Active,
                },
                None => Blob {
                    digest: *digest,
                    size: u64::try_from(row.size).unwrap_or(0),
                    generation: row.generation.max(0),
                    state: BlobState::Isolated,
                },
            };
            example.outcome = self.outcome(self.correct(row.generation, right).await);
        }
        self.report.add(Kind::BlobRowInvalid, 0, example);
        Ok(good.map(|file| file.key.generation))
    }

    /// The first of these files whose bytes are those of its digest.
    async fn good_one(&mut self, files: &[StoredFile]) -> Option<StoredFile> {
        for file in files {
            if file.form == Form::File && matches!(self.bytes_of(file).await, Bytes::Right) {
                return Some(file.clone());
            }
        }
        None
    }

    async fn bytes_of(&mut self, file: &StoredFile) -> Bytes {
        let (inventory, path) = (self.inventory.clone(), file.path.clone());
        let algorithm = file.key.digest.algorithm();
        let (say, mut hear) = tokio::sync::mpsc::channel(16);
        let read = tokio::task::spawn_blocking(move || {
            inventory.digest_of(&path, algorithm, |n| {
                let _ = say.blocking_send(n);
            })
        });
        while let Some(n) = hear.recv().await {
            self.report.checked.hashed_bytes += n;
            if self.options.depth == Depth::Bytes {
                self.progress.advance(n);
            }
        }
        match read.await {
            Ok(Ok(digest)) if digest == file.key.digest => Bytes::Right,
            Ok(Ok(digest)) => Bytes::Wrong(format!("its bytes are {digest}")),
            Ok(Err(error)) => Bytes::Unreadable(error.into()),
            Err(_) => Bytes::Unreadable(sealock_blobs::BlobError::TaskLost.into()),
        }
    }

    async fn correct(&self, from: i64, right: Blob) -> Step<bool> {
        let Blob { digest, size, generation, state } = right;
        let mut tx = self.write().await?;
        let done = rows::correct(&mut tx, &digest, from, size, generation, state).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// Lets the row name the good file, then removes the bad one: the good bytes stay.
    async fn replace(&self, from: i64, right: Blob, bad: Option<StoredFile>) -> Step<bool> {
        let done = self.correct(from, right).await?;
        if let Some(bad) = bad.filter(|bad| done && bad.form == Form::File) {
            self.remove(&bad).await?;
        }
        Ok(done)
    }

    /// Row, then bytes.
    async fn bury(&self, blob: Blob, own: Option<StoredFile>) -> Step<bool> {
        let digest = blob.digest.to_string();
        let mut tx = self.write().await?;
        let done = rows::remove_unused(&mut tx, &digest, blob.generation).await?;
        tx.commit().await?;
        if let Some(own) = own.filter(|file| done && file.form == Form::File) {
            self.remove(&own).await?;
        }
        Ok(done)
    }

    async fn remove(&self, file: &StoredFile) -> Step<bool> {
        let path = file.path.clone();
        self.on_disk(move |store| store.remove(&path)).await?;
        Ok(true)
    }

    /// Whether the collector knows of the file and is to remove it: no defect.
    async fn queued(&mut self, file: &StoredFile) -> Step<bool> {
        let BlobKey { digest, generation } = file.key;
        self.is_queued(DyingFile::Blob { digest, generation }).await
    }

    pub(super) async fn is_queued(&mut self, file: DyingFile) -> Step<bool> {
        let mut tx = self.read().await?;
        let queued = dying_files::is_listed(&mut tx, &file).await?;
        self.report.checked.queued_files += u64::from(queued);
        Ok(queued)
    }

    async fn stale(&mut self, file: StoredFile) -> Step<()> {
        if file.form != Form::File {
            self.not_a_file(file);
            return Ok(());
        }
        if self.queued(&file).await? {
            return Ok(());
        }
        let mut example =
            Example::default().digest(file.key.digest).path(self.in_store(&file.path));
        if self.repair() {
            example.outcome = self.outcome(self.remove(&file).await);
        }
        self.report.add(Kind::FileStale, file.size, example);
        Ok(())
    }

    fn not_a_file(&mut self, file: StoredFile) {
        let StoredFile { path, form, size, .. } = file;
        self.foreign(&Stranger { path, form, size });
    }

    async fn exposed_files(&mut self, group: &Group) {
        let files = group.files.iter().filter(|file| file.form == Form::File);
        for file in files.filter(|file| file.mode & WRITABLE_BY_OTHERS != 0) {
            let detail = format!("mode {:o}", file.mode);
            let mut example = Example::of(detail).path(self.in_store(&file.path));
            if self.repair() {
                let path = file.path.clone();
                let done = self.on_disk(move |store| store.restrict(&path, 0o7700)).await;
                example.outcome = self.outcome(done.map(|()| true));
            }
            self.report.add(Kind::Exposed, 0, example);
        }
    }
}

//! Files against blob rows: two streams in the order of the digests, merged.

use super::{Check, Example, Kind, MAX_REMEMBERED, Outcome, PAGE, Step, group::Group, remember};
use sealock_blobs::{Form, Inventory, Shard, ShardFiles, StoredFile, Stranger};
use sealock_metadata::fsck::blobs::{self as rows, RawBlob};
use sealock_oci::{Algorithm, Digest};
use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
};

/// Every first two hex digits.
fn prefixes() -> impl Iterator<Item = String> {
    (0..=u8::MAX).map(|byte| format!("{byte:02x}"))
}

/// Blob rows in the order of their digests, a page at a time.
#[derive(Default)]
struct Rows {
    page: VecDeque<RawBlob>,
    after: String,
    over: bool,
}

impl Rows {
    /// The next row whose digest is not behind `end`.
    async fn next_before(&mut self, check: &Check<'_>, end: &str) -> Step<Option<RawBlob>> {
        if self.page.is_empty() && !self.over {
            let mut tx = check.read().await?;
            let page = rows::list(&mut tx, &self.after, PAGE).await?;
            self.over = page.is_empty();
            if let Some(last) = page.last() {
                self.after.clone_from(&last.digest);
            }
            self.page = page.into();
        }
        match self.page.front() {
            Some(row) if row.digest.as_str() < end => Ok(self.page.pop_front()),
            _ => Ok(None),
        }
    }
}

impl Check<'_> {
    /// Compares what is stored with what is recorded.
    pub(super) async fn files(&mut self) -> Step<()> {
        let mut tx = self.read().await?;
        self.totals = rows::totals(&mut tx).await?;
        drop(tx);
        let (shards, strangers) = self.on_disk(Inventory::shards).await?;
        for stranger in strangers {
            self.foreign(&stranger);
        }
        self.count_files(&shards).await?;
        self.misplaced_files(&shards).await?;
        let (unit, total) = match self.options.depth {
            super::Depth::Bytes => ("bytes", self.report.checked.bytes),
            _ => ("blobs", self.totals.blobs),
        };
        self.progress.stage("blobs", total, unit);
        let present: BTreeSet<Shard> = shards.into_iter().collect();
        let mut rows = Rows::default();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for prefix in prefixes() {
                let begin = format!("{}:{prefix}", algorithm.name());
                // `g` follows all hex digits: everything that begins like the shard comes before.
                let end = format!("{begin}g");
                while let Some(row) = rows.next_before(self, &begin).await? {
                    self.unreadable_row(&row).await?;
                }
                let shard = Shard { algorithm, prefix: Some(prefix) };
                self.shard(&shard, present.contains(&shard), &mut rows, &end).await?;
            }
        }
        while let Some(row) = rows.next_before(self, "\u{10ffff}").await? {
            self.unreadable_row(&row).await?;
        }
        Ok(())
    }

    /// Runs what blocks on the disk on a thread that may.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inventory) -> sealock_blobs::Result<T> + Send + 'static,
    ) -> Step<T> {
        let inventory = self.inventory.clone();
        let done = tokio::task::spawn_blocking(move || work(&inventory)).await;
        Ok(done.map_err(|_| sealock_blobs::BlobError::TaskLost)??)
    }

    pub(super) fn foreign(&mut self, stranger: &Stranger) {
        let what = match stranger.form {
            Form::File => "a file",
            Form::Directory => "a directory",
            Form::Link => "a link",
            Form::Other => "no file",
        };
        let example = Example::of(what).path(self.in_store(&stranger.path));
        self.note(Kind::FileForeign, stranger.size, example);
    }

    /// Counts files, so that the progress has an end and a wrong volume is seen before anything is
    /// repaired.
    async fn count_files(&mut self, shards: &[Shard]) -> Step<()> {
        self.progress.stage("names", shards.len() as u64, "directories");
        for shard in shards {
            if let Some(found) = self.list(shard).await {
                let files = found.files.iter().filter(|file| file.form == Form::File);
                for file in files {
                    self.report.checked.files += 1;
                    self.report.checked.bytes += file.size;
                }
                for file in found.files.iter().filter(|file| file.misplaced) {
                    remember(&mut self.misplaced, file.key);
                }
                // The directory above the shards is not met again.
                for stranger in found.strangers.iter().filter(|_| shard.prefix.is_none()) {
                    self.foreign(stranger);
                }
            }
            self.progress.advance(1);
        }
        if self.misplaced.len() >= MAX_REMEMBERED {
            self.report.not_checked("stored files", "more files are misplaced than are handled");
        }
        Ok(())
    }

    /// What a shard holds; `None`, noted, when it cannot be listed.
    async fn list(&mut self, shard: &Shard) -> Option<ShardFiles> {
        let wanted = shard.clone();
        match self.on_disk(move |inventory| inventory.shard(&wanted)).await {
            Ok(found) => Some(found),
            Err(stop) => {
                let prefix = shard.prefix.as_deref().unwrap_or_default();
                let name = format!("blobs/{}/{prefix}", shard.algorithm.name());
                if !self.report.unchecked.iter().any(|line| line.starts_with(&name)) {
                    self.report.not_checked(name, stop);
                }
                None
            }
        }
    }

    /// Why repair must not touch the store: it and the database are not one another's.
    pub(super) fn mismatch(&self) -> Option<String> {
        let checked = &self.report.checked;
        if self.totals.active > 0 && checked.files == 0 {
            return Some(
                "the store holds no file at all: mount its volume, or give the right --data-dir; \
                 if its files are lost for good, restore them, or push the images to a new server"
                    .to_owned(),
            );
        }
        if self.totals.blobs == 0 && self.totals.manifests == 0 && checked.files > 0 {
            let (files, blobs) = (checked.files, self.in_store(Path::new("blobs")));
            return Some(format!(
                "the database knows no blob, and repair would remove {files} files: give the \
                 database that knows them (--database-url), or restore its backup; if nobody \
                 needs them, such as after a first push that was cut off, move {} away, and the \
                 server makes a new one",
                blobs.display()
            ));
        }
        None
    }

    /// Files in the wrong directory are put right first, so that what follows finds them.
    async fn misplaced_files(&mut self, shards: &[Shard]) -> Step<()> {
        if self.misplaced.is_empty() {
            return Ok(());
        }
        for shard in shards {
            let Some(found) = self.list(shard).await else { continue };
            for file in found.files.into_iter().filter(|file| file.misplaced) {
                self.misplaced_file(file).await?;
            }
        }
        Ok(())
    }

    async fn misplaced_file(&mut self, file: StoredFile) -> Step<()> {
        let path = self.in_store(&file.path);
        if file.form != Form::File {
            let StoredFile { path, form, size, .. } = file;
            self.foreign(&Stranger { path, form, size });
            return Ok(());
        }
        let mut tx = self.read().await?;
        let row = rows::get(&mut tx, &file.key.digest).await?;
        let user = rows::user(&mut tx, &file.key.digest.to_string()).await?;
        drop(tx);
        let belongs = self.in_store(&self.inventory.path_of(&file.key));
        let mut example = Example::of(format!("belongs at {}", belongs.display()))
            .digest(file.key.digest)
            .path(path)
            .repository(user.clone());
        if self.repair() {
            let moved = file.clone();
            let needed = row.is_some() || user.is_some();
            let mended = match self.mismatch() {
                Some(why) => Err(super::Stop::Other(why)),
                None if needed => self.on_disk(move |store| store.settle(&moved)).await,
                None => self.on_disk(move |store| store.remove(&moved.path)).await.map(|()| true),
            };
            // In its place it is judged like any other file.
            if mended.is_ok() {
                self.misplaced.remove(&file.key);
            }
            example.outcome = match mended {
                Ok(false) => Outcome::Left("there is another file in its place".to_owned()),
                other => self.outcome(other),
            };
        }
        self.report.add(Kind::FileMisplaced, file.size, example);
        Ok(())
    }

    /// One shard: its files and its rows side by side, a digest at a time.
    async fn shard(
        &mut self,
        shard: &Shard,
        present: bool,
        rows: &mut Rows,
        end: &str,
    ) -> Step<()> {
        let found = match present {
            true => self.list(shard).await,
            false => Some(ShardFiles::default()),
        };
        let Some(found) = found else {
            // Files that could not be listed are not missing.
            while rows.next_before(self, end).await?.is_some() {}
            return Ok(());
        };
        for stranger in &found.strangers {
            self.foreign(stranger);
        }
        let mut files: VecDeque<StoredFile> =
            found.files.into_iter().filter(|file| !file.misplaced).collect();
        let mut row = rows.next_before(self, end).await?;
        loop {
            let recorded = match &row {
                Some(raw) => match raw.digest.parse::<Digest>() {
                    Ok(digest) if digest.to_string() == raw.digest => Some(digest),
                    _ => {
                        self.unreadable_row(raw).await?;
                        row = rows.next_before(self, end).await?;
                        continue;
                    }
                },
                None => None,
            };
            let stored = files.front().map(|file| file.key.digest);
            let Some(digest) = recorded.into_iter().chain(stored).min() else { return Ok(()) };
            let mut group = Group { digest, row: None, files: Vec::new() };
            while files.front().is_some_and(|file| file.key.digest == digest) {
                group.files.extend(files.pop_front());
            }
            if recorded == Some(digest) {
                group.row = row.take();
                row = rows.next_before(self, end).await?;
                self.report.checked.blobs += 1;
            }
            self.group(group).await?;
        }
    }

    /// A row that belongs to no shard.
    async fn unreadable_row(&mut self, row: &RawBlob) -> Step<()> {
        self.report.checked.blobs += 1;
        let mut tx = self.read().await?;
        let user = rows::user(&mut tx, &row.digest).await?;
        drop(tx);
        let example = Example::of("its digest is none").digest(&row.digest).repository(user);
        self.note(Kind::BlobRowInvalid, 0, example);
        Ok(())
    }
}

//! Uploads under way: rows against files, merged in the order of their ids.

use super::{Check, Example, Kind, PAGE, Step, Stop};
use sealock_blobs::{Form, Inventory, Stranger, UploadFile, UploadState};
use sealock_metadata::{
    dying_files::DyingFile,
    fsck::uploads::{self as rows, RawUpload},
};
use std::collections::VecDeque;

impl Check<'_> {
    pub(super) async fn uploads(&mut self) -> Step<()> {
        let found = self.on_disk(Inventory::uploads).await?;
        self.progress.stage("uploads", found.files.len() as u64, "uploads");
        for stranger in &found.strangers {
            self.foreign(stranger);
        }
        let (things, files): (Vec<_>, Vec<_>) =
            found.files.into_iter().partition(|file| file.form != Form::File);
        for UploadFile { path, form, size, .. } in things {
            self.foreign(&Stranger { path, form, size });
        }
        let mut files: VecDeque<UploadFile> = files.into();
        let mut after = String::new();
        loop {
            let mut tx = self.read().await?;
            let page = rows::list(&mut tx, &after, PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { break };
            after.clone_from(&last.id);
            for row in page {
                while files.front().is_some_and(|file| file.id.to_string() < row.id) {
                    self.leaked_upload(files.pop_front()).await?;
                }
                let own = match files.front() {
                    Some(file) if file.id.to_string() == row.id => files.pop_front(),
                    _ => None,
                };
                self.upload(row, own).await;
            }
        }
        while !files.is_empty() {
            self.leaked_upload(files.pop_front()).await?;
        }
        Ok(())
    }

    async fn leaked_upload(&mut self, file: Option<UploadFile>) -> Step<()> {
        let Some(file) = file else { return Ok(()) };
        self.report.checked.files += 1;
        self.report.checked.bytes += file.size;
        self.progress.advance(1);
        if self.is_queued(DyingFile::Upload { id: file.id.to_string() }).await? {
            return Ok(());
        }
        let mut example = Example::default().path(self.in_store(&file.path));
        if self.repair() {
            example.outcome = match self.mismatch() {
                Some(why) => self.outcome(Err(Stop::Other(why))),
                None => self.outcome(self.remove_upload(&file).await),
            };
        }
        self.report.add(Kind::UploadLeaked, file.size, example);
        Ok(())
    }

    async fn upload(&mut self, row: RawUpload, own: Option<UploadFile>) {
        self.report.checked.uploads += 1;
        if let Some(file) = &own {
            self.report.checked.files += 1;
            self.report.checked.bytes += file.size;
            self.progress.advance(1);
        }
        let found = own.as_ref().map(|file| file.size);
        let Some((kind, detail)) = judge(&row, found) else { return };
        let mut example = Example::of(detail).repository(row.repository.clone());
        if let Ok(id) = row.id.parse() {
            example = example.path(self.in_store(&self.inventory.path_of_upload(id)));
        }
        if self.repair() {
            example.outcome = match self.mismatch() {
                Some(why) => self.outcome(Err(Stop::Other(why))),
                None => self.outcome(self.forget_upload(&row, own).await),
            };
        }
        self.report.add(kind, found.unwrap_or(0), example);
    }

    /// Row, then bytes.
    async fn forget_upload(&self, row: &RawUpload, own: Option<UploadFile>) -> Step<bool> {
        let mut tx = self.write().await?;
        let done = rows::remove(&mut tx, &row.id).await?;
        tx.commit().await?;
        if let Some(file) = own.filter(|_| done) {
            self.remove_upload(&file).await?;
        }
        Ok(done)
    }

    async fn remove_upload(&self, file: &UploadFile) -> Step<bool> {
        let path = file.path.clone();
        self.on_disk(move |store| store.remove(&path)).await?;
        Ok(true)
    }
}

/// What is wrong with an upload whose file has `found` bytes. More than were acknowledged is right:
/// the rest is cut off when it goes on.
fn judge(row: &RawUpload, found: Option<u64>) -> Option<(Kind, String)> {
    let unreadable = |why: &str| Some((Kind::UploadUnreadable, why.to_owned()));
    let Ok(state) = serde_json::from_str::<UploadState>(&row.state) else {
        return unreadable("its state is not readable");
    };
    if state.id.to_string() != row.id {
        return unreadable("its state is another upload's");
    }
    if i64::try_from(state.offset) != Ok(row.received) {
        return unreadable("its state and its row count differently");
    }
    if !state.is_whole() {
        return unreadable("the state of its hash is damaged");
    }
    match found {
        None if state.offset > 0 => {
            Some((Kind::UploadMissing, format!("{} bytes were acknowledged", state.offset)))
        }
        Some(found) if found < state.offset => {
            let detail = format!("{found} bytes of {} acknowledged ones", state.offset);
            Some((Kind::UploadShort, detail))
        }
        _ => None,
    }
}

//! Who may look at what is secret.

use super::{Check, Example, Kind, Step};
use sealock_blobs::{Form, Inventory};
use std::path::{Path, PathBuf};

/// What nobody but the owner may do with secrets.
const SECRET: u32 = 0o077;
/// What users outside the group may not do with the data directory; the group is the operator's
/// choice.
const OUTSIDE: u32 = 0o007;

impl Check<'_> {
    pub(super) async fn permissions(&mut self) -> Step<()> {
        self.progress.stage("permissions", 0, "files");
        let home = Inventory::new(&self.place.data_dir, self.place.disk.clone());
        self.exposed(&home, PathBuf::new(), OUTSIDE).await?;
        for path in &self.place.secrets {
            self.exposed(&home, path.clone(), SECRET).await?;
            let (folder, home) = (path.clone(), home.clone());
            let inside = tokio::task::spawn_blocking(move || files_in(&home, &folder));
            let inside = inside.await.map_err(|error| super::Stop::Other(error.to_string()))??;
            for path in inside {
                let home = Inventory::new(&self.place.data_dir, self.place.disk.clone());
                self.exposed(&home, path, SECRET).await?;
            }
        }
        Ok(())
    }

    async fn exposed(&mut self, home: &Inventory, path: PathBuf, others: u32) -> Step<()> {
        let Some(entry) = home.look(&path)? else { return Ok(()) };
        if entry.form == Form::Link || entry.mode & others == 0 {
            return Ok(());
        }
        let shown = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
        let mut example = Example::of(format!("mode {:o}", entry.mode)).path(shown);
        if self.repair() {
            let done = home.restrict(&path, 0o7777 & !others).map(|()| true);
            example.outcome = self.outcome(done.map_err(Into::into));
        }
        self.report.add(Kind::Exposed, 0, example);
        Ok(())
    }
}

/// The names in a folder of secrets; none when it is no folder.
fn files_in(home: &Inventory, folder: &Path) -> sealock_blobs::Result<Vec<PathBuf>> {
    match home.look(folder)? {
        Some(entry) if entry.form == Form::Directory => home.names(folder),
        _ => Ok(Vec::new()),
    }
}

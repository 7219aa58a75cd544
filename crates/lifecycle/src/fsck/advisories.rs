//! The vulnerability data on disk.

use super::{Check, Example, Kind, Step};
use sealock_advisories::SnapshotStore;

impl Check<'_> {
    pub(super) async fn advisories(&mut self) -> Step<()> {
        self.progress.stage("advisories", 0, "files");
        let folder = self.place.data_dir.join(&self.place.advisories);
        let deep = !self.quick();
        let damage = tokio::task::spawn_blocking(move || SnapshotStore::damage(&folder, deep));
        let damage = damage.await.map_err(|error| super::Stop::Other(error.to_string()))?;
        for (path, why) in damage {
            let example = Example::of(why).path(self.place.advisories.join(path));
            self.note(Kind::AdvisoriesDamaged, 0, example);
        }
        Ok(())
    }
}

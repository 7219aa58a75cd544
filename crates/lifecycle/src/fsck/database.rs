//! What the database engine itself knows, and rows that name what is gone.

use super::{Check, Example, Kind, Outcome, Step};
use sealock_metadata::fsck::integrity;

/// Most lines of an engine about damage.
const MAX_LINES: usize = 100;

/// Names of rows that have checks, and repairs, of their own.
const CHECKED_ELSEWHERE: [(&str, &str); 3] =
    [("repository_blobs", "digest"), ("tags", "manifest_id"), ("manifests", "contents_id")];

impl Check<'_> {
    pub(super) async fn database(&mut self) -> Step<()> {
        self.progress.stage("database", 0, "tables");
        let mut tx = self.read().await?;
        let damage = integrity::damage(&mut tx, self.quick(), MAX_LINES).await?;
        drop(tx);
        for line in damage {
            self.note(Kind::DatabaseDamaged, 0, Example::of(line));
        }
        let mut tx = self.read().await?;
        let keys = integrity::foreign_keys(&mut tx).await?;
        drop(tx);
        for key in keys {
            let name = (key.table.as_str(), key.column.as_str());
            if CHECKED_ELSEWHERE.contains(&name) {
                continue;
            }
            let mut tx = self.read().await?;
            let (count, gone) = integrity::broken(&mut tx, &key).await?;
            drop(tx);
            self.progress.advance(1);
            if count == 0 {
                continue;
            }
            let mut example = Example::of(format!(
                "{count} of {}.{} name rows of {} that are gone, such as {}",
                key.table,
                key.column,
                key.parent,
                gone.unwrap_or_default()
            ));
            if self.repair() {
                let mended = async {
                    let mut tx = self.write().await?;
                    let removed = integrity::remove_broken(&mut tx, &key).await?;
                    tx.commit().await?;
                    Ok(removed > 0)
                };
                example.outcome = match key.cascades {
                    true => self.outcome(mended.await),
                    false => Outcome::Left("only a person can repair it".to_owned()),
                };
            }
            self.report.add_many(Kind::ForeignKey, count, 0, example);
        }
        Ok(())
    }
}

//! What projects hold, as it is counted for their quotas.

use super::{Check, Example, Kind, PAGE, Step};
use sealock_metadata::fsck::quotas;

impl Check<'_> {
    /// Counts of what projects hold.
    pub(super) async fn quotas(&mut self) -> Step<()> {
        self.progress.stage("quotas", 0, "projects");
        // Then it is counted anew with the repair of these, and said of no project apart.
        let follows = self.report.findings.keys().any(|kind| kind.upsets_counts());
        let mut after = 0;
        loop {
            let mut tx = self.read().await?;
            let page = quotas::projects(&mut tx, after, PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after = *last;
            for project_id in page {
                let mut tx = self.read().await?;
                let found = quotas::miscount(&mut tx, project_id).await?;
                drop(tx);
                if let Some(found) = found {
                    self.miscount(&found, follows).await;
                }
                self.progress.advance(1);
            }
        }
    }

    async fn miscount(&mut self, found: &quotas::Miscount, follows: bool) {
        let name = found.project.as_deref().unwrap_or("a project that is gone");
        let mut example = Example::of(format!(
            "{name}: {} bytes are counted, its manifests hold {}; {} entries are wrong{}",
            found.counted,
            found.actual,
            found.entries,
            if found.limitless { "; it has no limit" } else { "" }
        ));
        if self.repair() {
            let mended = async {
                let mut tx = self.write().await?;
                quotas::recount(&mut tx, found.project_id).await?;
                tx.commit().await?;
                Ok(true)
            };
            example.outcome = self.outcome(mended.await);
        }
        if !follows {
            self.report.add(Kind::QuotaCount, 0, example);
        }
    }
}

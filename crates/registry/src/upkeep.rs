//! What has to be looked after while the registry runs: old facts.

use crate::{Registry, Result, jobs};
use jiff::SignedDuration;
use sealock_metadata as metadata;
use sealock_sbom::INSPECTOR_VERSION;

/// How long an upload may rest before it is dropped.
pub const UPLOAD_REST: SignedDuration = SignedDuration::from_hours(24 * 7);
/// Rows handled at a time.
const BATCH: u32 = 200;

impl Registry {
    /// Queues reading again what an older inspector has read, or none (decision D5). How many
    /// images. To be called once after start; doors do not wait for it.
    pub async fn queue_old_contents(&self) -> Result<u64> {
        let (mut after, mut queued) = (0, 0);
        loop {
            let mut tx = self.database().write().await?;
            let rows =
                metadata::manifests::without_contents(&mut tx, INSPECTOR_VERSION, after, BATCH)
                    .await?;
            let Some(last) = rows.last() else { return Ok(queued) };
            after = last.id;
            for row in &rows {
                if let Some(chain) = &row.chain {
                    jobs::queue_contents(&mut tx, row, chain).await?;
                    queued += 1;
                }
            }
            tx.commit().await?;
            self.jobs().wake();
        }
    }
}

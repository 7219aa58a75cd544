//! What has to be looked after while the registry runs: abandoned uploads, old facts.

use crate::{Registry, Result, jobs};
use jiff::SignedDuration;
use sealock_metadata as metadata;
use sealock_sbom::INSPECTOR_VERSION;
use std::time::Duration;

/// How long an upload may rest before it is dropped.
pub const UPLOAD_REST: SignedDuration = SignedDuration::from_hours(24 * 7);
/// Rows handled at a time.
const BATCH: u32 = 200;

/// How often uploads are looked through.
const ROUND: Duration = Duration::from_secs(3_600);

impl Registry {
    /// Looks after the registry for as long as it is polled: what an older inspector has read is
    /// read again, and abandoned uploads are dropped every hour. Whoever serves runs it beside.
    pub async fn look_after(&self) {
        if let Err(error) = self.queue_old_contents().await {
            tracing::warn!(error = error.log(), "images of an older inspector were not queued");
        }
        loop {
            if let Err(error) = self.drop_stale_uploads().await {
                tracing::warn!(error = error.log(), "abandoned uploads were not dropped");
            }
            tokio::time::sleep(ROUND).await;
        }
    }

    /// Drops uploads that nobody has gone on with. How many. To be called now and then.
    pub async fn drop_stale_uploads(&self) -> Result<u64> {
        let before = self.now() - UPLOAD_REST;
        let mut dropped = 0;
        loop {
            let mut tx = self.database().read().await?;
            let stale = metadata::uploads::stale(&mut tx, before, BATCH).await?;
            drop(tx);
            if stale.is_empty() {
                return Ok(dropped);
            }
            for upload in stale {
                // The row first: bytes without a row are a leak at worst.
                let mut tx = self.database().write().await?;
                metadata::uploads::delete(&mut tx, upload.repository_id, &upload.id).await?;
                tx.commit().await?;
                if let Ok(state) = serde_json::from_str(&upload.state)
                    && let Err(error) = self.blobs().discard(state).await
                {
                    tracing::warn!(upload = upload.id, %error, "bytes of an upload stay behind");
                }
                dropped += 1;
            }
        }
    }

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

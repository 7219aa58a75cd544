//! Uploads that nobody goes on with.

use sealock_metadata as metadata;
use sealock_registry::{Registry, Result, UPLOAD_REST};

/// Uploads handled at a time.
const BATCH: u32 = 200;

/// Drops uploads that nobody has gone on with. How many. To be called now and then.
pub async fn drop_stale_uploads(registry: &Registry) -> Result<u64> {
    let before = registry.database().clock().now() - UPLOAD_REST;
    let mut dropped = 0;
    loop {
        let mut tx = registry.database().read().await?;
        let stale = metadata::uploads::stale(&mut tx, before, BATCH).await?;
        drop(tx);
        if stale.is_empty() {
            return Ok(dropped);
        }
        for upload in stale {
            // The row first: bytes without a row are a leak at worst.
            let mut tx = registry.database().write().await?;
            metadata::uploads::delete(&mut tx, upload.repository_id, &upload.id).await?;
            tx.commit().await?;
            if let Ok(state) = serde_json::from_str(&upload.state)
                && let Err(error) = registry.blobs().discard(state).await
            {
                tracing::warn!(upload = upload.id, %error, "bytes of an upload stay behind");
            }
            dropped += 1;
        }
    }
}

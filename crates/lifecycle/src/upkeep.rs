use sealock_registry::Registry;
use std::time::Duration;

/// How often uploads are looked through.
const ROUND: Duration = Duration::from_secs(3_600);

/// Looks after the registry for as long as it is polled: what an older inspector has read is read
/// again, and abandoned uploads are dropped every hour. Whoever serves runs it beside.
pub async fn look_after(registry: &Registry) {
    if let Err(error) = registry.queue_old_contents().await {
        tracing::warn!(error = error.log(), "images of an older inspector were not queued");
    }
    loop {
        if let Err(error) = crate::drop_stale_uploads(registry).await {
            tracing::warn!(error = error.log(), "abandoned uploads were not dropped");
        }
        tokio::time::sleep(ROUND).await;
    }
}

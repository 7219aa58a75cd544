//! A healthy store: nothing is found, and nothing is written.

use crate::store::Store;
use sealock_blobs::RealDisk;
use sealock_lifecycle::fsck::Depth;
use sealock_metadata::{
    DatabaseConfig,
    testing::{TestDatabase, dump},
};
use std::sync::Arc;

const DEPTHS: [Depth; 3] = [Depth::Quick, Depth::Normal, Depth::Bytes];

async fn nothing_is_found(store: &Store) {
    for depth in DEPTHS {
        for repair in [false, true] {
            let report = store.check_with(depth, repair, Arc::new(RealDisk)).await;
            assert!(
                report.is_healthy(),
                "{depth:?}: {:#?} {:?}",
                report.findings,
                report.unchecked
            );
            assert_eq!(report.checked.uploads, 1);
            assert!(report.checked.blobs >= 6, "{:?}", report.checked);
            assert_eq!(report.checked.files, report.checked.blobs + 1);
            let manifests = if depth == Depth::Quick { 0 } else { 5 };
            assert_eq!(report.checked.manifests, manifests);
            let hashed = report.checked.hashed_bytes;
            // All but the five bytes of the upload.
            let all = if depth == Depth::Bytes { report.checked.bytes - 5 } else { 0 };
            assert_eq!(hashed, all, "{depth:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_store_is_left_as_it_is() {
    let store = Store::new().await;
    let before = store.snapshot();
    nothing_is_found(&store).await;
    let after = store.snapshot();
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (path, was) in &before {
        let is = &after[path];
        assert!(was == is, "{} was written to", path.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_store_on_postgresql_is_left_as_it_is() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let store = Store::on(&database).await;
    let DatabaseConfig::Postgres { url } = &store.config else { panic!("PostgreSQL") };
    let before = (store.snapshot(), dump(url).await);
    nothing_is_found(&store).await;
    assert!(before == (store.snapshot(), dump(url).await));
    database.finish().await;
}

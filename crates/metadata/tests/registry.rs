//! The entities of a push, on both engines.
#![expect(clippy::unwrap_used, reason = "tests")]

use sealock_facts::Tier;
use sealock_metadata::{
    Tx, blobs, both_engines, manifests, projects, repositories, tags, testing::TestDatabase,
    uploads, users,
};
use sealock_oci::{Digest, RepositoryName, Tag};
use std::collections::BTreeMap;

both_engines!(
    users_keep_names_apart_and_numbers_for_ever,
    a_pushed_manifest_is_found_by_its_tag,
    a_tag_that_moves_while_somebody_waits_for_it_is_found_where_it_went,
);

async fn manifest(tx: &mut Tx, repository_id: i64, payload: &[u8]) -> (i64, Digest) {
    let digest = Digest::sha256(payload);
    let new = manifests::NewManifest {
        repository_id,
        digest: &digest,
        media_type: "application/m",
        artifact_type: None,
        kind: manifests::Kind::Image,
        payload,
        config: None,
        subject: None,
        annotations: &BTreeMap::new(),
        chain: None,
        state: manifests::State::Active,
        pushed_by: "ann",
        blobs: &[],
        children: &[],
        shown: manifests::Shown::default(),
    };
    (manifests::insert(tx, &new).await.unwrap().0.id, digest)
}

/// Who locks a tag to compare it sees what it names when the lock is given, also a manifest that
/// was stored while they waited: otherwise a condition would be compared with nothing.
async fn a_tag_that_moves_while_somebody_waits_for_it_is_found_where_it_went(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project =
        projects::create(&mut tx, "library", true, Tier::Sandbox, None).await.unwrap().unwrap();
    let name: RepositoryName = "library/app".parse().unwrap();
    let repository = repositories::ensure(&mut tx, project.id, &name).await.unwrap().id;
    let tag: Tag = "v1".parse().unwrap();
    let (first, _) = manifest(&mut tx, repository, b"{}").await;
    tags::set(&mut tx, repository, &tag, first, false, "ann").await.unwrap();
    tx.commit().await.unwrap();

    let mut mover = t.db.write().await.unwrap();
    let (second, digest) = manifest(&mut mover, repository, b"{ }").await;
    tags::set(&mut mover, repository, &tag, second, false, "ann").await.unwrap();
    let (db, waited) = (t.db.clone(), tag.clone());
    let waiting = tokio::spawn(async move {
        let mut tx = db.write().await.unwrap();
        tags::lock(&mut tx, repository, &waited).await.unwrap()
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    mover.commit().await.unwrap();
    let found = waiting.await.unwrap().map(|tag| tag.digest);
    assert_eq!(found, Some(digest), "it was there all the time");
}

async fn users_keep_names_apart_and_numbers_for_ever(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let new = users::NewUser { name: "ann", sysadmin: true, ..Default::default() };
    let ann = users::create(&mut tx, &new).await.unwrap().unwrap();
    assert_eq!(users::create(&mut tx, &new).await.unwrap(), None);
    assert!(users::delete(&mut tx, ann.id).await.unwrap());
    assert_eq!(users::find(&mut tx, "ann").await.unwrap(), None);
    let again = users::create(&mut tx, &new).await.unwrap().unwrap();
    assert!(again.id > ann.id);
    tx.commit().await.unwrap();
}

async fn a_pushed_manifest_is_found_by_its_tag(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project =
        projects::create(&mut tx, "library", true, Tier::Sandbox, None).await.unwrap().unwrap();
    let name: RepositoryName = "library/app".parse().unwrap();
    let repository = repositories::ensure(&mut tx, project.id, &name).await.unwrap();
    assert_eq!(repositories::ensure(&mut tx, project.id, &name).await.unwrap(), repository);
    uploads::create(&mut tx, "u-1", repository.id, "ann", "{}").await.unwrap();
    assert!(uploads::advance(&mut tx, repository.id, "u-1", 0, 5, "{}").await.unwrap());
    assert!(!uploads::advance(&mut tx, repository.id, "u-1", 0, 5, "{}").await.unwrap());
    let layer = Digest::sha256(b"layer");
    let won = blobs::insert(&mut tx, &layer, 5, 1).await.unwrap();
    assert_eq!(won, blobs::Inserted::Won { replaced: None });
    let lost = blobs::insert(&mut tx, &layer, 5, 2).await.unwrap();
    assert!(matches!(lost, blobs::Inserted::Lost(blob) if blob.generation == 1));
    let linked = blobs::link(&mut tx, repository.id, &[layer, Digest::sha256(b"?")]).await;
    assert_eq!(linked.unwrap(), [layer]);
    let digest = Digest::sha256(b"{}");
    let parts = [manifests::ManifestBlob {
        manifest_id: 0,
        role: manifests::BlobRole::Layer,
        position: 0,
        digest: layer,
        media_type: "application/x".into(),
        size: 5,
        diff_id: None,
    }];
    let new = manifests::NewManifest {
        repository_id: repository.id,
        digest: &digest,
        media_type: "application/m",
        artifact_type: None,
        kind: manifests::Kind::Image,
        payload: b"{}",
        config: None,
        subject: None,
        annotations: &BTreeMap::new(),
        chain: None,
        state: manifests::State::Active,
        pushed_by: "ann",
        blobs: &parts,
        children: &[],
        shown: manifests::Shown::default(),
    };
    let (manifest, fresh) = manifests::insert(&mut tx, &new).await.unwrap();
    assert!(fresh);
    assert!(!manifests::insert(&mut tx, &new).await.unwrap().1);
    let tag: Tag = "v1".parse().unwrap();
    let set = tags::set(&mut tx, repository.id, &tag, manifest.id, false, "ann").await.unwrap();
    assert_eq!(set, tags::TagSet::Created);
    tx.commit().await.unwrap();
    let mut tx = t.db.read().await.unwrap();
    let stored = manifests::load_tagged(&mut tx, repository.id, &tag).await.unwrap().unwrap();
    assert_eq!(stored.payload, b"{}");
    assert_eq!(stored.manifest, manifest);
    assert_eq!(manifests::blobs(&mut tx, repository.id, &[manifest.id]).await.unwrap().len(), 1);
}

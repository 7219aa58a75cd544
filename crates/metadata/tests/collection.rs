//! Collection, one step after the other: what is queued, what is kept, what is freed and why.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use jiff::SignedDuration;
use sealock_facts::{Component, Tier};
use sealock_metadata::{
    Lease, Tx, blobs, both_engines, collections, contents,
    dying_files::{self, DyingFile, Reason},
    manifests, repositories,
    reviews::{self, Due, Reviewed},
    testing::TestDatabase,
    uploads,
};
use sealock_oci::Digest;
use support::{Parts, component, digest, project, push, repository};

both_engines!(
    what_no_manifest_names_goes_when_its_lease_is_over,
    what_a_manifest_names_stays_until_the_manifest_goes,
    a_lease_is_longer_each_time_that_it_is_asked_for,
    a_blob_goes_with_its_last_repository,
    a_deleted_blob_and_a_deleted_repository_are_queued,
    new_bytes_never_meet_the_removal_of_old_ones,
    the_claim_that_was_outrun_ends_nothing,
    abandoned_uploads_are_taken_off_the_list,
    contents_go_after_their_last_manifest,
    facts_about_bytes_go_with_the_bytes,
    due_all_heeds_no_lease_and_keeps_what_is_named,
    batches_are_bounded,
    one_run_at_a_time,
);

const DAY: SignedDuration = SignedDuration::from_hours(24);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

async fn review(t: &TestDatabase) -> Reviewed {
    let mut tx = t.db.write().await.unwrap();
    let mut all = reviews::links(&mut tx, Due::Ended, 100).await.unwrap();
    let blobs = reviews::blobs(&mut tx, Due::Ended, 100).await.unwrap();
    tx.commit().await.unwrap();
    all.looked_at += blobs.looked_at;
    all.kept_held += blobs.kept_held;
    all.condemned.extend(blobs.condemned);
    all
}

async fn store(tx: &mut Tx, repository_id: i64, name: &str, generation: i64) -> Digest {
    let digest = digest(name);
    blobs::insert(tx, &digest, 5, generation).await.unwrap();
    assert_eq!(blobs::link(tx, repository_id, &[digest]).await.unwrap(), [digest]);
    digest
}

fn reasons(reviewed: &Reviewed) -> Vec<(Digest, Reason)> {
    reviewed.condemned.iter().map(|blob| (blob.digest, blob.reason)).collect()
}

/// The files that are dying, with sizes.
async fn dying(t: &TestDatabase) -> Vec<(DyingFile, u64)> {
    let mut tx = t.db.read().await.unwrap();
    let rows = dying_files::list(&mut tx, 0, 100).await.unwrap();
    rows.into_iter().map(|row| (row.file, row.size)).collect()
}

async fn what_no_manifest_names_goes_when_its_lease_is_over(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let blob = store(&mut tx, here.id, "b", 7).await;
    tx.commit().await.unwrap();
    t.clock.advance(DAY);
    assert_eq!(review(t).await, Reviewed::default(), "the lease still holds");
    t.clock.advance(MINUTE);
    let done = review(t).await;
    assert_eq!((done.links_dropped, reasons(&done)), (1, vec![(blob, Reason::Unnamed)]));
    let mut tx = t.db.write().await.unwrap();
    assert!(blobs::get(&mut tx, &blob).await.unwrap().is_none());
    assert!(blobs::find(&mut tx, here.id, &blob).await.unwrap().is_none());
    assert!(blobs::link(&mut tx, here.id, &[blob]).await.unwrap().is_empty());
    drop(tx);
    assert_eq!(dying(t).await, [(DyingFile::Blob { digest: blob, generation: 7 }, 5)]);
    assert_eq!(review(t).await, Reviewed::default(), "once is enough");
}

async fn what_a_manifest_names_stays_until_the_manifest_goes(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let one = Parts { layers: &["shared", "own"], ..Parts::default() };
    push(&mut tx, &here, "one", one).await;
    let two = Parts { layers: &["shared"], ..Parts::default() };
    push(&mut tx, &here, "two", two).await;
    tx.commit().await.unwrap();
    t.clock.advance(DAY * 2);
    let done = review(t).await;
    assert_eq!((done.looked_at, done.kept_named, done.condemned.len()), (4, 2, 0));
    t.clock.advance(DAY * 200);
    assert_eq!(review(t).await, Reviewed::default(), "what is named is not looked at again");
    let mut tx = t.db.write().await.unwrap();
    manifests::delete(&mut tx, here.id, &digest("one"), false).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    t.clock.advance(DAY);
    assert_eq!(review(t).await, Reviewed::default(), "who was told that it is there has a day");
    t.clock.advance(MINUTE);
    let done = review(t).await;
    assert_eq!((done.kept_named, done.links_dropped), (1, 1));
    assert_eq!(reasons(&done), [(digest("own"), Reason::ManifestDeleted)]);
    let mut tx = t.db.read().await.unwrap();
    assert!(blobs::find(&mut tx, here.id, &digest("shared")).await.unwrap().is_some());
}

async fn a_lease_is_longer_each_time_that_it_is_asked_for(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let there = repository(&mut tx, &project, "y").await;
    let blob = store(&mut tx, here.id, "b", 1).await;
    push(&mut tx, &here, "m", Parts { layers: &["named"], ..Parts::default() }).await;
    let first = blobs::offer(&mut tx, here.id, &blob).await.unwrap().unwrap().ends.unwrap();
    assert!(Lease::DEFAULT.covers(first, tx.now()));
    let named = blobs::offer(&mut tx, here.id, &digest("named")).await.unwrap().unwrap();
    assert_eq!(named.ends, None, "a manifest names it: nothing to grant");
    assert!(blobs::offer(&mut tx, there.id, &blob).await.unwrap().is_none());
    t.clock.advance(DAY);
    assert!(!Lease::DEFAULT.covers(first, tx.now()));
    assert!(blobs::lease(&mut tx, here.id, &blob).await.unwrap());
    assert!(!blobs::lease(&mut tx, there.id, &blob).await.unwrap());
    // A clock that was set back shortens no lease.
    t.clock.advance(DAY * -1);
    assert!(blobs::lease(&mut tx, here.id, &blob).await.unwrap());
    assert_eq!(blobs::link(&mut tx, here.id, &[blob]).await.unwrap(), [blob]);
    tx.commit().await.unwrap();
    t.clock.advance(DAY * 2);
    assert_eq!(review(t).await.links_dropped, 0);
    t.clock.advance(MINUTE);
    assert_eq!(review(t).await.links_dropped, 1);
}

async fn a_blob_goes_with_its_last_repository(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let there = repository(&mut tx, &project, "y").await;
    let blob = store(&mut tx, here.id, "b", 1).await;
    push(&mut tx, &there, "m", Parts { layers: &["b"], ..Parts::default() }).await;
    tx.commit().await.unwrap();
    t.clock.advance(DAY * 2);
    let done = review(t).await;
    assert_eq!((done.links_dropped, done.kept_named, done.condemned.len()), (1, 1, 0));
    assert!(done.kept_held >= 1);
    let mut tx = t.db.write().await.unwrap();
    assert!(blobs::find(&mut tx, here.id, &blob).await.unwrap().is_none(), "its link is over");
    assert!(blobs::find(&mut tx, there.id, &blob).await.unwrap().is_some());
    manifests::delete(&mut tx, there.id, &digest("m"), false).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    t.clock.advance(DAY * 2);
    assert_eq!(reasons(&review(t).await), [(blob, Reason::ManifestDeleted)]);
}

async fn a_deleted_blob_and_a_deleted_repository_are_queued(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let there = repository(&mut tx, &project, "y").await;
    let one = store(&mut tx, here.id, "one", 1).await;
    let two = store(&mut tx, there.id, "two", 1).await;
    uploads::create(&mut tx, "u", there.id, "ann", "{}").await.unwrap();
    tx.commit().await.unwrap();
    t.clock.advance(DAY);
    let mut tx = t.db.write().await.unwrap();
    assert!(blobs::unlink(&mut tx, here.id, &one).await.unwrap());
    assert!(repositories::delete(&mut tx, project.id, there.id).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(dying(t).await, [(DyingFile::Upload { id: "u".to_owned() }, 0)]);
    t.clock.advance(DAY);
    assert_eq!(review(t).await, Reviewed::default());
    t.clock.advance(MINUTE);
    let mut found = reasons(&review(t).await);
    found.sort_by_key(|(_, reason)| reason.as_str());
    assert_eq!(found, [(one, Reason::BlobDeleted), (two, Reason::RepositoryDeleted)]);
}

async fn new_bytes_never_meet_the_removal_of_old_ones(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let blob = store(&mut tx, here.id, "b", 1).await;
    tx.commit().await.unwrap();
    t.clock.advance(DAY * 2);
    assert_eq!(review(t).await.condemned.len(), 1);
    let mut tx = t.db.write().await.unwrap();
    let won = blobs::insert(&mut tx, &blob, 5, 2).await.unwrap();
    assert_eq!(won, blobs::Inserted::Won { replaced: None });
    assert_eq!(blobs::link(&mut tx, here.id, &[blob]).await.unwrap(), [blob]);
    let claimed = dying_files::claim(&mut tx, MINUTE, 9).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].file, DyingFile::Blob { digest: blob, generation: 1 });
    assert_eq!(dying_files::finish(&mut tx, &claimed).await.unwrap(), claimed);
    assert_eq!(blobs::find(&mut tx, here.id, &blob).await.unwrap().unwrap().generation, 2);
    // A corrupt file is replaced, and dies too.
    blobs::set_state(&mut tx, &blob, blobs::BlobState::Isolated).await.unwrap();
    let won = blobs::insert(&mut tx, &blob, 5, 3).await.unwrap();
    assert_eq!(won, blobs::Inserted::Won { replaced: Some(2) });
    tx.commit().await.unwrap();
    assert_eq!(dying(t).await, [(DyingFile::Blob { digest: blob, generation: 2 }, 5)]);
}

async fn the_claim_that_was_outrun_ends_nothing(t: &mut TestDatabase) {
    let file = |id: &str| (DyingFile::Upload { id: id.to_owned() }, 9, Reason::UploadAbandoned);
    let mut tx = t.db.write().await.unwrap();
    dying_files::add(&mut tx, &[file("a"), file("b")]).await.unwrap();
    let slow = dying_files::claim(&mut tx, MINUTE, 9).await.unwrap();
    assert_eq!(slow.len(), 2);
    assert!(dying_files::claim(&mut tx, MINUTE, 9).await.unwrap().is_empty(), "it is claimed");
    t.clock.advance(MINUTE);
    let other = dying_files::claim(&mut tx, MINUTE, 1).await.unwrap();
    assert_eq!(other.len(), 1);
    assert_eq!(dying_files::finish(&mut tx, &slow).await.unwrap().len(), 1);
    assert_eq!(dying_files::finish(&mut tx, &slow).await.unwrap(), []);
    dying_files::put_off(&mut tx, &slow[0], DAY).await.unwrap();
    dying_files::put_off(&mut tx, &other[0], MINUTE * 2).await.unwrap();
    t.clock.advance(MINUTE);
    assert!(dying_files::claim(&mut tx, MINUTE, 9).await.unwrap().is_empty());
    t.clock.advance(MINUTE);
    let again = dying_files::claim(&mut tx, MINUTE, 9).await.unwrap();
    assert_eq!((again.len(), again[0].attempts), (1, 1));
}

async fn abandoned_uploads_are_taken_off_the_list(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    for id in ["old", "busy"] {
        uploads::create(&mut tx, id, here.id, "ann", "{}").await.unwrap();
    }
    t.clock.advance(DAY);
    assert!(uploads::advance(&mut tx, here.id, "old", 0, 4, "{}").await.unwrap());
    t.clock.advance(DAY);
    assert!(uploads::advance(&mut tx, here.id, "busy", 0, 4, "{}").await.unwrap());
    let before = tx.now();
    assert_eq!(reviews::uploads(&mut tx, before, 9).await.unwrap(), 1);
    assert!(!uploads::advance(&mut tx, here.id, "old", 4, 5, "{}").await.unwrap());
    assert!(uploads::find(&mut tx, here.id, "ann", "busy").await.unwrap().is_some());
    tx.commit().await.unwrap();
    assert_eq!(dying(t).await, [(DyingFile::Upload { id: "old".to_owned() }, 4)]);
}

async fn put_contents(tx: &mut Tx, chain: &Digest, inspector: &str) -> i64 {
    let found: [Component; 1] = [component("openssl", "3.0.1")];
    contents::put_image(tx, chain, inspector, b"{}", true, &found).await.unwrap().0
}

async fn contents_go_after_their_last_manifest(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let there = repository(&mut tx, &project, "y").await;
    let parts = || Parts { layers: &["l"], ..Parts::default() };
    let manifest = push(&mut tx, &here, "m", parts()).await;
    push(&mut tx, &there, "m", parts()).await;
    let chain = manifest.chain.unwrap();
    let old = put_contents(&mut tx, &chain, "1").await;
    manifests::set_contents(&mut tx, &chain, old).await.unwrap();
    let new = put_contents(&mut tx, &chain, "2").await;
    manifests::set_contents(&mut tx, &chain, new).await.unwrap();
    t.clock.advance(DAY * 2);
    assert_eq!(reviews::contents(&mut tx, Due::Ended, 9).await.unwrap(), (2, 1), "the older one");
    assert!(contents::images(&mut tx, &[old]).await.unwrap().is_empty());
    manifests::delete(&mut tx, here.id, &digest("m"), false).await.unwrap().unwrap();
    t.clock.advance(DAY * 2);
    assert_eq!(reviews::contents(&mut tx, Due::Ended, 9).await.unwrap(), (1, 0), "another has it");
    manifests::delete(&mut tx, there.id, &digest("m"), false).await.unwrap().unwrap();
    assert_eq!(reviews::contents(&mut tx, Due::Ended, 9).await.unwrap(), (0, 0));
    t.clock.advance(DAY * 2);
    assert_eq!(reviews::contents(&mut tx, Due::Ended, 9).await.unwrap(), (1, 1));
    assert!(contents::lock_image(&mut tx, &chain, "2").await.unwrap().is_none());
}

async fn facts_about_bytes_go_with_the_bytes(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    push(&mut tx, &here, "m", Parts { layers: &["stays"], ..Parts::default() }).await;
    let goes = store(&mut tx, here.id, "goes", 1).await;
    for layer in [digest("stays"), goes] {
        let inspector = "1".to_owned();
        let facts =
            contents::LayerContents { digest: layer, inspector, contents: vec![1], complete: true };
        assert!(contents::put_layer(&mut tx, &facts).await.unwrap());
    }
    tx.commit().await.unwrap();
    t.clock.advance(DAY * 2);
    assert_eq!(review(t).await.condemned.len(), 1);
    let mut tx = t.db.read().await.unwrap();
    let known = contents::layers_known(&mut tx, &[digest("stays"), goes], "1").await.unwrap();
    assert_eq!(known, [digest("stays")]);
}

async fn due_all_heeds_no_lease_and_keeps_what_is_named(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    push(&mut tx, &here, "m", Parts { layers: &["named"], ..Parts::default() }).await;
    let loose = store(&mut tx, here.id, "loose", 1).await;
    let links = reviews::links(&mut tx, Due::All, 9).await.unwrap();
    assert_eq!((links.kept_named, reasons(&links)), (1, vec![(loose, Reason::Unnamed)]));
    let blobs = reviews::blobs(&mut tx, Due::All, 9).await.unwrap();
    assert_eq!((blobs.looked_at, blobs.kept_held, blobs.condemned), (1, 1, Vec::new()));
}

async fn batches_are_bounded(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    for number in 0..10 {
        store(&mut tx, here.id, &number.to_string(), 1).await;
    }
    t.clock.advance(DAY * 2);
    let mut sizes = Vec::new();
    loop {
        let done = reviews::links(&mut tx, Due::Ended, 4).await.unwrap();
        assert_eq!(done.condemned.len() as u64, done.looked_at);
        if done.looked_at == 0 {
            break;
        }
        sizes.push(done.looked_at);
    }
    assert_eq!(sizes, [4, 4, 2]);
    assert_eq!(dying_files::claim(&mut tx, MINUTE, 7).await.unwrap().len(), 7);
}

async fn begin(tx: &mut Tx) -> Option<collections::Run> {
    collections::begin(tx, "ann", "{}", "{}", MINUTE).await.unwrap()
}

async fn one_run_at_a_time(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let first = begin(&mut tx).await.unwrap();
    assert!(begin(&mut tx).await.is_none());
    assert!(collections::progress(&mut tx, first.id, "{\"n\":1}", MINUTE).await.unwrap());
    t.clock.advance(MINUTE * 2);
    let second = begin(&mut tx).await.expect("the first was cut short");
    assert!(!collections::progress(&mut tx, first.id, "{}", MINUTE).await.unwrap());
    collections::end(&mut tx, first.id, "{}", None).await.unwrap();
    let lost = collections::get(&mut tx, first.id).await.unwrap().unwrap();
    assert_eq!((lost.state, lost.report.as_str()), (collections::RunState::Failed, "{\"n\":1}"));
    assert!(lost.error.is_some() && lost.finished_at.is_some());
    collections::end(&mut tx, second.id, "{}", None).await.unwrap();
    let done = collections::get(&mut tx, second.id).await.unwrap().unwrap();
    assert_eq!((done.state, done.error), (collections::RunState::Finished, None));
    let now = tx.now();
    for _ in 0..collections::KEPT_RUNS {
        collections::record(&mut tx, "sealock", "{}", "{}", now).await.unwrap();
    }
    assert!(collections::get(&mut tx, second.id).await.unwrap().is_none(), "forgotten");
    let page = collections::list(&mut tx, None, 2).await.unwrap();
    let next = collections::list(&mut tx, Some(page[1].id), 1).await.unwrap();
    assert_eq!((page[0].id - 1, page[1].id - 1), (page[1].id, next[0].id));
}

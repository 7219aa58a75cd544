//! What changes between a judgement and what follows from it (decision D7).

use crate::{
    story::{DPKG, OS, Story},
    world::{World, repo},
};
use jiff::SignedDuration;
use sealock_blobs::testing::Operation;
use sealock_facts::{QuarantineTarget, Tier};
use sealock_metadata::{
    blobs, projects, repositories,
    reviews::{self, Due},
};
use sealock_oci::Digest;
use sealock_policy::GateInput;
use sealock_registry::{Kind, PolicyTarget, Precondition, PromotionTarget};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Lets `meanwhile` happen after the promotion was judged and before it is committed: while its
/// summary is written.
fn meanwhile<F: Future<Output = ()> + Send>(
    story: &Story,
    work: impl FnOnce() -> F + Send + 'static,
) {
    let runtime = tokio::runtime::Handle::current();
    story.world.disk.before(Operation::SyncData, move || runtime.block_on(work()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_while_a_promotion_is_under_way_stops_it() {
    let story = Story::new(World::new().await).await;
    story.sign_image().await;
    story.world.settle().await;
    let (registry, officer) = (story.world.registry.clone(), story.officer.clone());
    let digest = story.image.digest;
    meanwhile(&story, move || async move {
        let target = QuarantineTarget::Manifest;
        registry.quarantine(&officer, &digest, target, "malware").await.unwrap();
    });
    let refused = story.promote().await.unwrap_err();
    assert!(refused.message().contains("quarantine"), "{refused}");
    let gone = story.pull(&story.officer, "release/app", "v1").await.unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_that_goes_while_a_promotion_is_under_way_stops_it() {
    let story = Story::new(World::new().await).await;
    let signature = story.sign_image().await;
    // Verified under the target's keys before, so that the revision moves by the deletion alone.
    let elsewhere = "release/first:v1".parse().unwrap();
    let name = repo("team/app");
    let reference = "v1".parse().unwrap();
    story.world.registry.promote(&story.dev, &name, &reference, &elsewhere).await.unwrap();
    story.world.settle().await;
    let (registry, dev) = (story.world.registry.clone(), story.dev.clone());
    meanwhile(&story, move || async move {
        let reference = signature.to_string().parse().unwrap();
        let any = Precondition::default();
        registry.delete_manifest(&dev, &repo("team/app"), &reference, &any).await.unwrap();
    });
    let refused = story.promote().await.unwrap_err();
    assert!(refused.message().contains("signature"), "{refused}");
}

const HARMLESS: &str = "\
apiVersion: sealock/v1
kind: Policy
name: own
rules:
  - name: contents-known
    contents: {}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_starts_again_under_the_policy_that_was_set_meanwhile() {
    let story = Story::new(World::new().await).await;
    story.sign_image().await;
    story.world.settle().await;
    let (registry, dev) = (story.world.registry.clone(), story.dev.clone());
    meanwhile(&story, move || async move {
        let target = PolicyTarget::Project("release".to_owned());
        registry.put_policy(&dev, &target, HARMLESS).await.unwrap();
    });
    let done = story.promote().await.unwrap();
    let registry = &story.world.registry;
    let (_, document) = registry.decision(&story.dev, done.decision).await.unwrap();
    let input = GateInput::parse(&document).unwrap();
    let names: Vec<_> = input.policies.iter().map(|p| p.document.name.as_str()).collect();
    assert!(names.contains(&"own"), "judged under the policy that is in force: {names:?}");
    // One promotion and one summary, however often it was tried.
    let reference = done.digest.to_string().parse().unwrap();
    let evidence = registry.evidence(&story.dev, &repo("release/app"), &reference).await.unwrap();
    assert_eq!(evidence.promotions.len(), 1);
}

/// A tag is resolved once: what was judged is what is promoted, wherever the tag goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_moves_while_a_promotion_is_under_way_takes_nothing_along() {
    let story = Story::new(World::new().await).await;
    story.sign_image().await;
    let files = [OS, DPKG, ("other", "1")];
    let other = story.world.image(&story.dev, "team/app", "other", &files).await.unwrap();
    story.world.settle().await;
    let (registry, dev) = (story.world.registry.clone(), story.dev.clone());
    let moved = other.clone();
    meanwhile(&story, move || async move {
        let push = sealock_registry::ManifestPush {
            repository: &repo("team/app"),
            reference: &"v1".parse().unwrap(),
            tags: &[],
            content_type: "",
            payload: moved.manifest.into(),
            condition: &sealock_registry::Precondition::default(),
        };
        registry.put_manifest(&dev, push).await.unwrap();
    });
    let target: PromotionTarget = "release".parse().unwrap();
    let (registry, name) = (&story.world.registry, repo("team/app"));
    let done = registry.promote(&story.dev, &name, &"v1".parse().unwrap(), &target).await;
    // Either the judged digest went, or all of it began again and the new one was judged.
    match done {
        Ok(done) => assert_eq!(done.digest, story.image.digest),
        Err(error) => assert_eq!(error.kind(), Kind::Policy, "{error}"),
    }
    let absent = story.pull(&story.officer, "release/app", &other.digest.to_string()).await;
    assert_eq!(absent.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(story.pull(&story.dev, "team/app", "v1").await.unwrap().digest, other.digest);
}

/// The blobs of an image stay those of who may push there, also for a reader who was asking the
/// image when it was deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_whose_image_is_deleted_while_it_is_judged_is_still_read() {
    let story = Story::new(World::new().await).await;
    // Not verified yet: the door reads it before it answers.
    story.sign_image().await;
    let (registry, dev) = (story.world.registry.clone(), story.dev.clone());
    let reference = story.image.digest.to_string().parse().unwrap();
    let runtime = tokio::runtime::Handle::current();
    let deleted = Arc::new(AtomicBool::new(false));
    let done = deleted.clone();
    story.world.disk.before(Operation::OpenRead, move || {
        let any = sealock_registry::Precondition::default();
        let name = repo("team/app");
        runtime.block_on(registry.delete_manifest(&dev, &name, &reference, &any)).unwrap();
        done.store(true, Ordering::SeqCst);
    });
    let (registry, name) = (&story.world.registry, repo("team/app"));
    let opened = registry.open_blob(&story.dev, &name, &story.image.layer).await;
    assert!(deleted.load(Ordering::SeqCst), "the door did not read");
    let bytes = opened.unwrap().read_all(1 << 20).await.unwrap();
    assert_eq!(Digest::sha256(&bytes), story.image.layer);
    let guest = story.world.user("guest").await;
    let other = registry.open_blob(&guest, &name, &story.image.layer).await;
    assert_eq!(other.unwrap_err().kind(), Kind::NotFound);
}

/// On PostgreSQL a deletion finds the blob, waits for whoever takes it at the same time, and then
/// finds nothing to take: the blob is unknown, and not in use. SQLite has one writer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_of_a_blob_that_another_one_took_first_finds_it_unknown() {
    let Some(world) = World::on_postgres().await else { return };
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let name = repo("team/app");
    for collected in [false, true] {
        let blob = world.blob(&dev, "team/app", b"taken by two").await.unwrap();
        world.clock.advance(SignedDuration::from_hours(48));
        let mut first = world.db().write().await.unwrap();
        let project = projects::find(&mut first, "team").await.unwrap().unwrap();
        let here = repositories::find(&mut first, project.id, &name).await.unwrap().unwrap();
        match collected {
            false => assert!(blobs::unlink(&mut first, here.id, &blob).await.unwrap()),
            true => {
                let reviewed = reviews::links(&mut first, Due::Ended, 9).await.unwrap();
                assert_eq!(reviewed.links_dropped, 1);
            }
        }
        let second = tokio::spawn({
            let (registry, dev, name) = (world.registry.clone(), dev.clone(), name.clone());
            async move { registry.delete_blob(&dev, &name, &blob, &Precondition::default()).await }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!second.is_finished(), "it did not wait for the other one");
        first.commit().await.unwrap();
        let refused = second.await.unwrap().unwrap_err();
        assert_eq!(refused.kind(), Kind::NotFound, "collected: {collected}; {refused}");
        let alone = world
            .registry
            .delete_blob(&dev, &name, &blob, &Precondition::default())
            .await
            .unwrap_err();
        assert_eq!((alone.kind(), alone.message()), (refused.kind(), refused.message()));
    }
    world.database.finish().await;
}

//! What is stored and stays closed until it is judged (decision D1).

use crate::{
    story::{DPKG, OS, Story},
    world::World,
};
use sealock_registry::{Kind, PromotionTarget};

/// Judges findings at the push door; while there is no whole feed, a push is held.
const JUDGED: &str = "\
apiVersion: sealock/v1
kind: Policy
name: judged-at-push
rules:
  - name: no-findings
    findings: {severity: low, minimumCoverage: full}
    doors: {push: {mode: enforce, unknown: hold}, pull: off, promote: off, admit: off}
";

/// The only thing that is missing is advisory data: it comes, and the doors open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_push_opens_once_it_can_be_judged() {
    let story = Story::without_advisories(World::new().await).await;
    story.policy("team", JUDGED).await;
    let registry = &story.world.registry;
    let image = story.world.image(&story.dev, "team/b", "v1", &[OS, DPKG]).await.unwrap();
    story.world.settle().await;
    let guest = story.world.officer().await;
    let by_digest = image.digest.to_string();
    let refused = story.pull(&guest, "team/b", &by_digest).await.unwrap_err();
    assert!(refused.message().contains("held"), "{refused}");
    // Whoever pushed it may read the manifest, to sign it, and no layer (decision D10).
    story.pull(&story.dev, "team/b", &by_digest).await.unwrap();
    let name = crate::world::repo("team/b");
    let layer = registry.open_blob(&story.dev, &name, &image.layer).await.unwrap_err();
    assert_eq!(layer.kind(), Kind::Policy);
    let target: PromotionTarget = "release".parse().unwrap();
    let promoted = registry.promote(&story.dev, &name, &"v1".parse().unwrap(), &target).await;
    assert!(promoted.unwrap_err().message().contains("held"));
    // An index that lists it is as closed as itself.
    let (index, _) = story.index("team/b", "all", &[&image]).await;
    let refused = story.pull(&guest, "team/b", &index.to_string()).await.unwrap_err();
    assert!(refused.message().contains("held"), "{refused}");

    story.advise("CVE-2020-0001", "0").await;
    // Whichever is asked for first.
    story.pull(&guest, "team/b", &index.to_string()).await.unwrap();
    story.pull(&guest, "team/b", &by_digest).await.unwrap();
    registry.open_blob(&guest, &name, &image.layer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_push_stays_closed_while_its_facts_refuse_it() {
    let story = Story::without_advisories(World::new().await).await;
    story.policy("team", JUDGED).await;
    let image = story.world.image(&story.dev, "team/b", "v1", &[OS, DPKG]).await.unwrap();
    story.world.settle().await;
    story.advise("CVE-2020-0002", "here").await;
    let guest = story.world.officer().await;
    let refused = story.pull(&guest, "team/b", &image.digest.to_string()).await.unwrap_err();
    assert!(refused.message().contains("held"), "{refused}");
    // The policy goes, and with it what held the image.
    let target = sealock_registry::PolicyTarget::Project("team".to_owned());
    story.world.registry.delete_policy(&story.dev, &target).await.unwrap();
    story.pull(&guest, "team/b", &image.digest.to_string()).await.unwrap();
}

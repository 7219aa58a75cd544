//! Robots that promote out of their project.

use crate::{
    story::Story,
    world::{World, repo},
};
use sealock_auth::{Caller, Right};
use sealock_facts::{Door, Tier};
use sealock_oci::Reference;
use sealock_registry::{Kind, PromotionTarget};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_robot_of_the_source_goes_where_the_targets_own_policy_names_its_project() {
    const RIGHTS: &[Right] = &[Right::Pull, Right::Push, Right::Promote];
    let story = Story::new(World::new().await).await;
    story.sign_image().await;
    let (world, dev) = (&story.world, &story.dev);
    world.project(dev, "other", Tier::Sandbox, false).await;
    let (robot, stranger) = (world.robot("team", RIGHTS).await, world.robot("other", RIGHTS).await);
    let powerless = world.robot("team", &[Right::Pull, Right::Push, Right::Attest]).await;
    let promote = async |who: &Caller| {
        let target: PromotionTarget = "release/app:v1".parse().unwrap();
        let reference = Reference::Digest(story.image.digest);
        world.registry.promote(who, &repo("team/app"), &reference, &target).await
    };
    let sources = |projects: &str| {
        format!(
            "apiVersion: sealock/v1\nkind: Policy\nname: own\naccess:\n  sources: \
             {{projects: [{projects}]}}\nrules: []\n"
        )
    };
    // Nobody invites it: neither the tier's list of tiers, nor another project's name, nor a glob.
    let target = |to: &str| to.parse::<PromotionTarget>().unwrap();
    let (from, reference) = (repo("team/app"), Reference::Digest(story.image.digest));
    let absent = world.registry.promote(&robot, &from, &reference, &target("nosuch/app:v1")).await;
    let absent = absent.unwrap_err();
    let refused = promote(&robot).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
    assert_eq!(refused.message(), absent.message().replace("nosuch", "release"));
    for uninvited in ["other", "'te*'", "'**'"] {
        story.policy("release", &sources(uninvited)).await;
        assert_eq!(promote(&robot).await.unwrap_err().kind(), Kind::NotFound, "{uninvited}");
    }
    story.policy("release", &sources("team")).await;
    assert_eq!(promote(&powerless).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(promote(&stranger).await.unwrap_err().kind(), Kind::NotFound);
    let done = promote(&robot).await.unwrap();
    assert_eq!(done.digest, story.image.digest);
    // It went through the gate as everybody else does.
    let (decision, _) = world.registry.decision(dev, done.decision).await.unwrap();
    assert_eq!((decision.door, decision.actor.as_str()), (Door::Promote, "robot$team+ci"));
}

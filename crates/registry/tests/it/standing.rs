//! What is answered from memory is never answered from the past: each change is seen by the very
//! next request, however often the same was asked before.

use crate::world::{Image, World, anonymous, repo};
use sealock_auth::{Caller, Right, Role};
use sealock_facts::{QuarantineTarget, Tier};
use sealock_metadata as metadata;
use sealock_oci::{ErrorCode, Reference};
use sealock_registry::{Kind, PolicyTarget, Result};
use std::time::Duration;

const OS: (&str, &str) = ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");

/// Makes each of these a test on SQLite and one on PostgreSQL, which remembers nothing.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(crate::world::World::new().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let Some(world) = crate::world::World::on_postgres().await else { return };
                super::$name(world).await;
            }
        }
    )+};
}

on_both!(
    a_right_that_is_taken_away_is_gone,
    a_project_that_becomes_private_is_closed,
    a_tag_names_what_it_names_now,
    what_is_removed_is_not_there,
    a_ban_closes_at_once_and_its_end_opens,
    a_policy_counts_from_when_it_is_set,
    one_caller_s_answer_is_not_another_s,
);

/// Every way to read an image, each several times.
async fn pulls(world: &World, caller: &Caller, name: &str, image: &Image) -> Vec<Result<()>> {
    let (registry, name) = (&world.registry, repo(name));
    let mut results = Vec::new();
    for _ in 0..3 {
        results.clear();
        for reference in [Reference::Tag("v1".parse().unwrap()), Reference::Digest(image.digest)] {
            results.push(registry.get_manifest(caller, &name, &reference).await.map(drop));
            results.push(registry.head_manifest(caller, &name, &reference).await.map(drop));
        }
        for blob in [&image.layer, &image.config] {
            results.push(registry.open_blob(caller, &name, blob).await.map(drop));
            results.push(registry.head_blob(caller, &name, blob).await.map(drop));
        }
    }
    results
}

async fn all_open(world: &World, caller: &Caller, name: &str, image: &Image) {
    for result in pulls(world, caller, name, image).await {
        result.unwrap();
    }
}

async fn all_closed(world: &World, caller: &Caller, name: &str, image: &Image, kind: Kind) {
    for result in pulls(world, caller, name, image).await {
        assert_eq!(result.unwrap_err().kind(), kind);
    }
}

async fn team(world: &World, public: bool) -> (Caller, Image) {
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, public).await;
    let image = world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
    world.settle().await;
    (dev, image)
}

/// Nobody can tell from an answer where it came from, so here nothing but memory can answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_is_answered_without_the_database() {
    let world = World::new().await;
    let (_, image) = team(&world, true).await;
    all_open(&world, &anonymous(), "team/app", &image).await;
    let mut held = Vec::new();
    while let Ok(tx) = tokio::time::timeout(Duration::from_millis(300), world.db().read()).await {
        held.push(tx.unwrap());
    }
    let (in_time, nobody) = (Duration::from_secs(5), anonymous());
    let pulled = all_open(&world, &nobody, "team/app", &image);
    tokio::time::timeout(in_time, pulled).await.expect("from memory");
}

async fn a_right_that_is_taken_away_is_gone(world: World) {
    let (dev, image) = team(&world, false).await;
    let guest = world.user("guest").await;
    let (project, user) = {
        let mut tx = world.db().write().await.unwrap();
        let project = metadata::projects::find(&mut tx, "team").await.unwrap().unwrap().id;
        let user = guest.principal.user_id().unwrap();
        metadata::members::put(&mut tx, project, user, Role::Guest.id()).await.unwrap();
        tx.commit().await.unwrap();
        (project, user)
    };
    for _ in 0..3 {
        all_open(&world, &guest, "team/app", &image).await;
        let mut tx = world.db().write().await.unwrap();
        metadata::members::remove(&mut tx, project, user).await.unwrap();
        tx.commit().await.unwrap();
        all_closed(&world, &guest, "team/app", &image, Kind::NotFound).await;
        let mut tx = world.db().write().await.unwrap();
        metadata::members::put(&mut tx, project, user, Role::Guest.id()).await.unwrap();
        tx.commit().await.unwrap();
    }
    all_open(&world, &dev, "team/app", &image).await;
}

async fn a_project_that_becomes_private_is_closed(world: World) {
    let (dev, image) = team(&world, true).await;
    all_open(&world, &anonymous(), "team/app", &image).await;
    let set = async |public| {
        let mut tx = world.db().write().await.unwrap();
        let project = metadata::projects::find(&mut tx, "team").await.unwrap().unwrap();
        metadata::projects::update(&mut tx, project.id, public, project.tier).await.unwrap();
        tx.commit().await.unwrap();
    };
    set(false).await;
    all_closed(&world, &anonymous(), "team/app", &image, Kind::Unauthenticated).await;
    all_open(&world, &dev, "team/app", &image).await;
    set(true).await;
    all_open(&world, &anonymous(), "team/app", &image).await;
}

async fn a_tag_names_what_it_names_now(world: World) {
    let (dev, first) = team(&world, true).await;
    let (name, tag) = (repo("team/app"), "v1".parse().unwrap());
    let named = async || {
        let pulled = world.registry.get_manifest(&anonymous(), &name, &tag).await.unwrap();
        let head = world.registry.head_manifest(&anonymous(), &name, &tag).await.unwrap();
        assert_eq!((pulled.digest, &pulled.payload), (head.digest, &head.payload));
        assert_eq!(pulled.digest, sealock_oci::Digest::sha256(&pulled.payload));
        pulled.digest
    };
    for round in 0..4 {
        all_open(&world, &anonymous(), "team/app", &first).await;
        let text = format!("ID=debian\nVERSION_ID=\"{round}\"\n");
        let next = world.image(&dev, "team/app", "v1", &[("etc/os-release", &text)]).await.unwrap();
        assert_eq!(named().await, next.digest);
        world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
        assert_eq!(named().await, first.digest);
    }
}

async fn what_is_removed_is_not_there(world: World) {
    let (dev, image) = team(&world, true).await;
    let registry = &world.registry;
    let (name, tag) = (repo("team/app"), "v1".parse::<Reference>().unwrap());
    all_open(&world, &anonymous(), "team/app", &image).await;
    let digest = Reference::Digest(image.digest);
    let any = sealock_registry::Precondition::default();
    registry.delete_manifest(&dev, &name, &tag, &any).await.unwrap();
    let gone = registry.get_manifest(&anonymous(), &name, &tag).await.unwrap_err();
    assert_eq!(gone.code(), ErrorCode::ManifestUnknown);
    registry.get_manifest(&anonymous(), &name, &digest).await.unwrap();
    registry.delete_manifest(&dev, &name, &digest, &any).await.unwrap();
    let gone = registry.head_manifest(&anonymous(), &name, &digest).await.unwrap_err();
    assert_eq!(gone.code(), ErrorCode::ManifestUnknown);
    // No artifact opens its blobs any more, but to those who may push.
    for blob in [&image.layer, &image.config] {
        let gone = registry.open_blob(&anonymous(), &name, blob).await.unwrap_err();
        assert_eq!(gone.code(), ErrorCode::BlobUnknown);
        assert!(registry.head_blob(&anonymous(), &name, blob).await.is_err());
    }
}

async fn a_ban_closes_at_once_and_its_end_opens(world: World) {
    let (dev, image) = team(&world, true).await;
    let officer = world.officer().await;
    for (digest, target) in
        [(image.digest, QuarantineTarget::Manifest), (image.layer, QuarantineTarget::Blob)]
    {
        all_open(&world, &anonymous(), "team/app", &image).await;
        all_open(&world, &dev, "team/app", &image).await;
        world.registry.quarantine(&officer, &digest, target, "malware").await.unwrap();
        all_closed(&world, &anonymous(), "team/app", &image, Kind::Policy).await;
        world.registry.lift_quarantine(&officer, &digest, None).await.unwrap();
    }
    all_open(&world, &anonymous(), "team/app", &image).await;
}

async fn a_policy_counts_from_when_it_is_set(world: World) {
    let (dev, image) = team(&world, true).await;
    let target = PolicyTarget::Project("team".into());
    let document = |access: &str| {
        format!("apiVersion: sealock/v1\nkind: Policy\nname: p\naccess:\n  {access}\n")
    };
    all_open(&world, &anonymous(), "team/app", &image).await;
    let consumers = document("consumers: {principals: [dev]}");
    world.registry.put_policy(&dev, &target, &consumers).await.unwrap();
    for _ in 0..2 {
        all_closed(&world, &anonymous(), "team/app", &image, Kind::Policy).await;
        all_open(&world, &dev, "team/app", &image).await;
    }
    // The address counts as well, and it is not part of what is remembered.
    let networks = document("consumers: {networks: [192.0.2.0/24]}");
    world.registry.put_policy(&dev, &target, &networks).await.unwrap();
    let outside = Caller { address: [198, 51, 100, 7].into(), ..anonymous() };
    for _ in 0..2 {
        all_open(&world, &anonymous(), "team/app", &image).await;
        all_closed(&world, &outside, "team/app", &image, Kind::Policy).await;
    }
    let by_digest = document("pullByDigestOnly: true");
    world.registry.put_policy(&dev, &target, &by_digest).await.unwrap();
    let name = repo("team/app");
    for _ in 0..3 {
        let digest = Reference::Digest(image.digest);
        world.registry.get_manifest(&outside, &name, &digest).await.unwrap();
        let tag = "v1".parse().unwrap();
        let refused = world.registry.get_manifest(&outside, &name, &tag).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Policy);
    }
    world.registry.delete_policy(&dev, &target).await.unwrap();
    all_open(&world, &outside, "team/app", &image).await;
}

async fn one_caller_s_answer_is_not_another_s(world: World) {
    let (dev, image) = team(&world, false).await;
    let reader = world.robot("team", &[Right::Pull]).await;
    for _ in 0..2 {
        all_open(&world, &dev, "team/app", &image).await;
        all_open(&world, &reader, "team/app", &image).await;
        all_closed(&world, &anonymous(), "team/app", &image, Kind::Unauthenticated).await;
        let stranger = world.user("stranger").await;
        all_closed(&world, &stranger, "team/app", &image, Kind::NotFound).await;
        // The same account with a token for something else.
        let scope = sealock_auth::Access {
            kind: "repository".to_owned(),
            name: "team/other".to_owned(),
            actions: vec!["pull".to_owned()],
            project_id: Some(1),
        };
        let narrow = Caller { scope: Some([scope].into()), ..dev.clone() };
        all_closed(&world, &narrow, "team/app", &image, Kind::NotFound).await;
    }
}

//! What the doors refuse, and to whom.

use crate::world::{Image, World, anonymous, repo};
use sealock_auth::Right;
use sealock_facts::{QuarantineTarget, Tier};
use sealock_oci::{Digest, ErrorCode, Reference};
use sealock_registry::{Body, Kind, PageRequest, PolicyTarget};

const OS: (&str, &str) = ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn release_is_entered_by_promotion_only() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "release", Tier::Release, false).await;
    let refused = world.image(&dev, "release/app", "v1", &[OS]).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Policy);
    assert_eq!(refused.code(), ErrorCode::ProjectPolicyViolation);
    let refusal = refused.refusal().expect("reasons");
    assert!(refusal.decision.is_some(), "recorded");
    assert!(refused.message().contains("promotion"), "{refused}");
    // A robot with every right is refused too, unless the policy names it.
    let robot = world.robot("release", &[Right::Push, Right::Pull]).await;
    let refused = world.image(&robot, "release/app", "v1", &[OS]).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Policy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quarantine_closes_every_way_to_the_bytes() {
    let world = World::new().await;
    let (dev, officer) = (world.user("dev").await, world.officer().await);
    world.project(&dev, "team", Tier::Sandbox, true).await;
    let image = world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
    let name = repo("team/app");
    let tag = "v1".parse().unwrap();
    world.registry.get_manifest(&anonymous(), &name, &tag).await.unwrap();
    for (digest, target) in
        [(image.digest, QuarantineTarget::Manifest), (image.layer, QuarantineTarget::Blob)]
    {
        world.registry.quarantine(&officer, &digest, target, "malware").await.unwrap();
        for caller in [anonymous(), dev.clone(), world.admin().await] {
            let refused = world.registry.get_manifest(&caller, &name, &tag).await.unwrap_err();
            assert_eq!(refused.kind(), Kind::Policy, "{:?} {target:?}", caller.principal);
            for blob in [image.layer, image.config] {
                let refused = world.registry.open_blob(&caller, &name, &blob).await.unwrap_err();
                assert_eq!(refused.kind(), Kind::Policy);
            }
            let mounted =
                world.registry.mount_blob(&dev, &repo("team/b"), &image.layer, Some(&name)).await;
            assert!(!mounted.unwrap());
        }
        world.registry.get_manifest(&officer, &name, &tag).await.unwrap();
        let err = world.registry.lift_quarantine(&dev, &digest, None).await.unwrap_err();
        assert_eq!(err.kind(), Kind::Forbidden);
        world.registry.lift_quarantine(&officer, &digest, None).await.unwrap();
        world.registry.get_manifest(&anonymous(), &name, &tag).await.unwrap();
    }
}

/// The same bytes have a name under each algorithm; a ban follows the bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_holds_under_the_other_digest_too() {
    let world = World::new().await;
    let (dev, officer) = (world.user("dev").await, world.officer().await);
    world.project(&dev, "team", Tier::Sandbox, true).await;
    let image = world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
    let name = repo("team/app");
    let push = async |image: &Image| {
        let long = Digest::sha512(&image.manifest);
        world.raw_manifest(&dev, "team/app", &long.to_string(), &image.manifest).await
    };
    let get = async |digest: Digest| {
        world.registry.get_manifest(&dev, &name, &Reference::Digest(digest)).await
    };
    let (manifest, why) = (QuarantineTarget::Manifest, "malware");
    let long = Digest::sha512(&image.manifest);
    // Here under both names: banned under both, lifted under both.
    push(&image).await.unwrap();
    for (banned, other) in [(image.digest, long), (long, image.digest)] {
        world.registry.quarantine(&officer, &banned, manifest, why).await.unwrap();
        assert_eq!(get(other).await.unwrap_err().kind(), Kind::Policy, "{other}");
        world.registry.lift_quarantine(&officer, &banned, None).await.unwrap();
        get(other).await.unwrap();
    }
    let found = world.registry.eradicate(&officer, &image.digest, why).await.unwrap();
    assert_eq!(found.deleted.len(), 2);
    assert_eq!(get(long).await.unwrap_err().code(), ErrorCode::ManifestUnknown);
    // Banned when nobody knew its other name, it does not come back by that.
    let once = world.image(&dev, "team/app", "v2", &[OS, ("a", "2")]).await.unwrap();
    let found = world.registry.eradicate(&officer, &once.digest, why).await.unwrap();
    assert_eq!(found.deleted.len(), 1);
    for image in [&image, &once] {
        let refused = push(image).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Policy);
        assert!(refused.refusal().expect("reasons").decision.is_some(), "recorded");
    }
}

/// A layer that is banned by one name is not pulled by the other, nor is an image that has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_of_a_blob_follows_its_bytes() {
    let world = World::new().await;
    let (dev, officer) = (world.user("dev").await, world.officer().await);
    world.project(&dev, "team", Tier::Sandbox, true).await;
    let name = repo("team/app");
    let content = vec![3_u8; 2_500_000];
    let (short, long) = (Digest::sha256(&content), Digest::sha512(&content));
    let push = async |digest: Digest, bytes: Vec<u8>| {
        let body = futures_util::stream::iter([Ok(bytes.into())]);
        world.registry.push_blob(&dev, &name, &digest, Body::new(body)).await.unwrap();
    };
    let config = Digest::sha256(b"{}");
    push(config, b"{}".to_vec()).await;
    for (tag, digest) in [("short", short), ("long", long)] {
        push(digest, content.clone()).await;
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "config":{{"mediaType":"a/b","digest":"{config}","size":2}},
            "layers":[{{"mediaType":"c/d","digest":"{digest}","size":{}}}]}}"#,
            content.len()
        );
        world.raw_manifest(&dev, "team/app", tag, manifest.as_bytes()).await.unwrap();
    }
    let blob = QuarantineTarget::Blob;
    let open = async |digest: Digest| {
        world.registry.open_blob(&dev, &name, &digest).await.map(|_| ()).map_err(|e| e.kind())
    };
    for (banned, other) in [(short, long), (long, short)] {
        world.registry.quarantine(&officer, &banned, blob, "malware").await.unwrap();
        assert_eq!(open(banned).await, Err(Kind::Policy), "at once");
        world.settle().await;
        assert_eq!(open(other).await, Err(Kind::Policy), "{other}");
        let bans = world.registry.quarantines(&dev, &PageRequest::default()).await.unwrap().items;
        let reasons: Vec<_> = bans.iter().map(|ban| (ban.digest, ban.reason.clone())).collect();
        let follows = (other, format!("the same bytes as {banned}: malware"));
        assert_eq!(reasons, [follows, (banned, "malware".into())]);
        // Whichever name is set free, the bytes are.
        let freed = if banned == short { banned } else { other };
        world.registry.lift_quarantine(&officer, &freed, None).await.unwrap();
        for digest in [short, long] {
            open(digest).await.unwrap();
        }
        // Lifted before the job came to it, it follows nothing.
        world.registry.quarantine(&officer, &banned, blob, "a mistake").await.unwrap();
        world.registry.lift_quarantine(&officer, &banned, Some(blob)).await.unwrap();
        world.settle().await;
        open(other).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_of_totally_not_malware() {
    let world = World::new().await;
    let (dev, officer) = (world.user("dev").await, world.officer().await);
    world.project(&dev, "team", Tier::Sandbox, true).await;
    world.project(&dev, "other", Tier::Sandbox, true).await;
    let image = world.image(&dev, "team/totally-not-malware", "latest", &[OS]).await.unwrap();
    world.image(&dev, "other/copy", "v1", &[OS]).await.unwrap();
    let name = repo("team/totally-not-malware");
    let latest = "latest".parse().unwrap();
    world.registry.get_manifest(&anonymous(), &name, &latest).await.unwrap();
    // Allowed pulls are written in batches.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let found = world.registry.eradicate(&officer, &image.digest, "mines coins").await.unwrap();
    assert_eq!(found.deleted.len(), 2);
    assert_eq!(found.pulled.len(), 1);
    assert_eq!(found.pulled[0].actor, "anonymous");
    assert_eq!(found.pulled[0].tag.as_deref(), Some("latest"));
    let gone = world.registry.get_manifest(&officer, &name, &latest).await.unwrap_err();
    assert_eq!(gone.code(), ErrorCode::ManifestUnknown);
    // It does not come back.
    let again = world.image(&dev, "team/again", "v1", &[OS]).await.unwrap_err();
    assert_eq!(again.kind(), Kind::Policy);
}

const HELD: &str = "\
apiVersion: sealock/v1
kind: Policy
name: judged-at-push
rules:
  - name: signed
    signed: {by: any}
    doors: {push: enforce, pull: off, promote: off, admit: off}
";

/// A policy that asks at the push door refuses there, and nothing of the push remains (D1).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_may_judge_at_the_push_door() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Integration, false).await;
    let target = PolicyTarget::Project("team".into());
    world.registry.put_policy(&dev, &target, HELD).await.unwrap();
    let refused = world.image(&dev, "team/app", "v1", &[OS]).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Policy);
    let name = repo("team/app");
    let gone = world.registry.get_manifest(&dev, &name, &"v1".parse().unwrap()).await;
    assert_eq!(gone.unwrap_err().code(), ErrorCode::ManifestUnknown);
    world.registry.delete_policy(&dev, &target).await.unwrap();
    world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
}

/// Policies are never merged: a project adds to the floor and the tier, and takes nothing away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_security_role_edits_floor_and_tiers() {
    let world = World::new().await;
    let (dev, officer, admin) =
        (world.user("dev").await, world.officer().await, world.admin().await);
    world.project(&dev, "team", Tier::Sandbox, true).await;
    let target = PolicyTarget::Tier(Tier::Sandbox);
    for caller in [&dev, &admin, &anonymous()] {
        let refused = world.registry.put_policy(caller, &target, HELD).await.unwrap_err();
        assert!(matches!(refused.kind(), Kind::Forbidden | Kind::Unauthenticated));
    }
    let image = world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
    let (name, reference) = (repo("team/app"), "v1".parse().unwrap());
    world.registry.get_manifest(&anonymous(), &name, &reference).await.unwrap();
    // A stored verdict does not outlive the policy that it was made under.
    let closed = HELD.replace("pull: off", "pull: enforce").replace("push: enforce", "push: off");
    world.registry.put_policy(&officer, &target, &closed).await.unwrap();
    let refused = world.registry.get_manifest(&anonymous(), &name, &reference).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Policy);
    // Whoever may push reads the manifest, to sign it; nobody reads the bytes (D10).
    world.registry.get_manifest(&dev, &name, &reference).await.unwrap();
    for caller in [&dev, &anonymous()] {
        let refused = world.registry.open_blob(caller, &name, &image.layer).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Policy);
    }
    world.registry.head_blob(&dev, &name, &image.layer).await.unwrap();
    let hidden = world.registry.head_blob(&anonymous(), &name, &image.layer).await.unwrap_err();
    assert_eq!(hidden.kind(), Kind::Policy);
    let broken = world.registry.put_policy(&officer, &target, "kind: Policy\n").await.unwrap_err();
    assert_eq!(broken.kind(), Kind::Unprocessable);
}

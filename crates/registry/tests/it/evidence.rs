//! Which evidence counts, where and how long.

use crate::{
    story::{DPKG, Now as _, OS, Story},
    world::{World, repo},
};
use jiff::SignedDuration;
use sealock_auth::Caller;
use sealock_facts::QuarantineTarget;
use sealock_registry::{Kind, PolicyTarget};
use sealock_signing::SigningKey;

fn asks_for_signature(before_compromise: &str) -> String {
    format!(
        "apiVersion: sealock/v1\nkind: Policy\nname: own\nrules:\n  - name: signed\n    \
         signed: {{by: any, beforeCompromise: {before_compromise}}}\n"
    )
}

/// Whether a guest may pull a digest.
async fn open(story: &Story, guest: &Caller, name: &str, digest: &sealock_oci::Digest) -> bool {
    match story.pull(guest, name, &digest.to_string()).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), Kind::Policy, "{error}");
            false
        }
    }
}

/// The sandbox asks for a signature, and lists the key.
async fn strict(before_compromise: &str) -> (Story, Caller) {
    let story = Story::new(World::new().await).await;
    let pem = story.key.public_key().to_pem();
    story.world.registry.add_project_key(&story.dev, "team", "pipeline", &pem).await.unwrap();
    story.policy("team", &asks_for_signature(before_compromise)).await;
    let guest = story.officer.clone();
    (story, guest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_on_an_index_covers_a_child_while_it_lists_it() {
    let (story, guest) = strict("ignore").await;
    let (world, registry) = (&story.world, &story.world.registry);
    let child = world.image(&story.dev, "team/multi", "", &[OS, DPKG, ("a", "1")]).await.unwrap();
    let other = world.image(&story.dev, "team/multi", "", &[OS, DPKG, ("b", "2")]).await.unwrap();
    assert!(!open(&story, &guest, "team/multi", &child.digest).await);
    let (index, size) = story.index("team/multi", "v1", &[&child]).await;
    assert!(!open(&story, &guest, "team/multi", &child.digest).await, "nothing is signed");
    let signature = story.sign("team/multi", &index, size, &story.key).await;
    assert!(open(&story, &guest, "team/multi", &index).await);
    assert!(open(&story, &guest, "team/multi", &child.digest).await);
    assert!(!open(&story, &guest, "team/multi", &other.digest).await, "it is not listed");
    // The same child elsewhere: another repository's evidence does not count (decision D6).
    world.image(&story.dev, "team/copy", "", &[OS, DPKG, ("a", "1")]).await.unwrap();
    assert!(!open(&story, &guest, "team/copy", &child.digest).await);

    // Quarantine of the index closes the child; of the signature, both.
    for digest in [index, signature] {
        let target = QuarantineTarget::Manifest;
        registry.quarantine(&story.officer, &digest, target, "under review").await.unwrap();
        // The security role itself reads on: somebody else must be asked.
        let dev = &story.dev;
        let name = crate::world::repo("team/multi");
        let refused = registry.open_blob(dev, &name, &child.layer).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Policy, "{digest}");
        registry.lift_quarantine(&story.officer, &digest, None).await.unwrap();
        registry.open_blob(dev, &name, &child.layer).await.unwrap();
    }

    // Deleting the index takes its cover away at once, and bringing it back without its signature
    // does not give it back.
    let name = crate::world::repo("team/multi");
    registry
        .delete_manifest(
            &story.dev,
            &name,
            &index.to_string().parse().unwrap(),
            &sealock_registry::Precondition::default(),
        )
        .await
        .unwrap();
    assert!(!open(&story, &guest, "team/multi", &child.digest).await);
    assert_eq!(story.index("team/multi", "v1", &[&child]).await.0, index);
    assert!(!open(&story, &guest, "team/multi", &child.digest).await);
    story.sign("team/multi", &index, size, &story.key).await;
    assert!(open(&story, &guest, "team/multi", &child.digest).await);
}

/// The index stays behind, so its signature cannot speak for the child where it goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_is_not_promoted_by_the_signature_of_an_index_that_stays_behind() {
    let story = Story::new(World::new().await).await;
    let (index, size) = story.index("team/app", "all", &[&story.image]).await;
    story.sign("team/app", &index, size, &story.key).await;
    let refused = story.promote().await.unwrap_err();
    assert!(refused.message().contains("sign"), "{refused}");
    let target = "release/app:all".parse().unwrap();
    let (registry, name) = (&story.world.registry, crate::world::repo("team/app"));
    registry.promote(&story.dev, &name, &"all".parse().unwrap(), &target).await.unwrap();
    // With the index there, the child is covered there.
    let reader = story.world.robot("release", &[sealock_auth::Right::Pull]).await;
    story.pull(&reader, "release/app", &story.image.digest.to_string()).await.unwrap();
    story.promote().await.unwrap();
}

const CONTENTS_KNOWN: &str = "\
apiVersion: sealock/v1
kind: Policy
name: own
rules:
  - name: contents-known
    contents: {}
    doors: {pull: {mode: enforce, unknown: deny}}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_whose_child_is_gone_is_unknown() {
    let story = Story::new(World::new().await).await;
    let guest = story.officer.clone();
    story.policy("team", CONTENTS_KNOWN).await;
    let world = &story.world;
    let one = world.image(&story.dev, "team/multi", "", &[OS, DPKG, ("a", "1")]).await.unwrap();
    let two = world.image(&story.dev, "team/multi", "", &[OS, DPKG, ("b", "2")]).await.unwrap();
    let (index, _) = story.index("team/multi", "v1", &[&one, &two]).await;
    assert!(open(&story, &guest, "team/multi", &index).await);
    let name = crate::world::repo("team/multi");
    let reference = two.digest.to_string().parse().unwrap();
    world
        .registry
        .delete_manifest(&story.dev, &name, &reference, &sealock_registry::Precondition::default())
        .await
        .unwrap();
    assert!(!open(&story, &guest, "team/multi", &index).await);
    world.image(&story.dev, "team/multi", "", &[OS, DPKG, ("b", "2")]).await.unwrap();
    assert!(open(&story, &guest, "team/multi", &index).await);
    // Quarantine flows up, too.
    let target = QuarantineTarget::Blob;
    world.registry.quarantine(&story.officer, &one.layer, target, "malware").await.unwrap();
    let closed = story.pull(&story.dev, "team/multi", &index.to_string()).await.unwrap_err();
    assert_eq!(closed.kind(), Kind::Policy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_compromised_key_still_proves_is_for_the_policy_to_say() {
    let (story, guest) = strict("count").await;
    let (registry, digest) = (&story.world.registry, story.image.digest);
    story.sign_image().await;
    assert!(open(&story, &guest, "team/app", &digest).await);
    story.world.clock.advance(SignedDuration::from_hours(2));
    let after = story.world.clock.now_() - SignedDuration::from_hours(1);
    let marked = registry
        .compromise_project_key(&story.officer, "team", "pipeline", Some(after))
        .await
        .unwrap();
    assert_eq!(marked.compromised_at, Some(after));
    assert!(open(&story, &guest, "team/app", &digest).await, "seen before it was compromised");
    // A signature that arrives now may be anybody's.
    let files = [OS, DPKG, ("new", "1")];
    let late = story.world.image(&story.dev, "team/late", "", &files).await.unwrap();
    story.sign("team/late", &late.digest, late.manifest.len(), &story.key).await;
    assert!(!open(&story, &guest, "team/late", &late.digest).await);
    // Compromised longer than thought: what was seen first does not count either.
    let before = after - SignedDuration::from_hours(24);
    let moved = registry.compromise_project_key(&story.dev, "team", "pipeline", Some(before)).await;
    assert_eq!(moved.unwrap().compromised_at, Some(before));
    assert!(!open(&story, &guest, "team/app", &digest).await);
    // A project's administrator makes it no better than it is: neither by a later moment nor by
    // listing it anew.
    let better = registry.compromise_project_key(&story.dev, "team", "pipeline", None).await;
    assert_eq!(better.unwrap_err().kind(), Kind::Forbidden);
    let removed = registry.remove_project_key(&story.dev, "team", "pipeline").await.unwrap_err();
    assert_eq!(removed.kind(), Kind::Forbidden);
    let pem = story.key.public_key().to_pem();
    let again = registry.add_project_key(&story.dev, "team", "fresh", &pem).await.unwrap_err();
    assert_eq!(again.kind(), Kind::Conflict);
    registry.remove_project_key(&story.officer, "team", "pipeline").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_default_a_compromised_or_removed_key_proves_nothing() {
    let (story, guest) = strict("ignore").await;
    let (registry, digest) = (&story.world.registry, story.image.digest);
    story.sign_image().await;
    assert!(open(&story, &guest, "team/app", &digest).await);
    registry.remove_project_key(&story.dev, "team", "pipeline").await.unwrap();
    assert!(!open(&story, &guest, "team/app", &digest).await, "it is not listed any more");
    let pem = story.key.public_key().to_pem();
    registry.add_project_key(&story.dev, "team", "pipeline", &pem).await.unwrap();
    assert!(open(&story, &guest, "team/app", &digest).await, "the fact stayed (decision D6)");
    story.world.clock.advance(SignedDuration::from_hours(2));
    registry.compromise_project_key(&story.dev, "team", "pipeline", None).await.unwrap();
    assert!(!open(&story, &guest, "team/app", &digest).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attestation_of_the_wrong_type_or_key_opens_nothing() {
    let (story, guest) = strict("ignore").await;
    let digest = story.image.digest;
    let about = (&digest, story.image.manifest.len());
    story.attest("team/app", about, &story.key, "https://slsa.dev/provenance/v1").await;
    assert!(!open(&story, &guest, "team/app", &digest).await, "an attestation is no signature");
    let provenance = asks_for_signature("ignore").replace(
        "signed: {by: any, beforeCompromise: ignore}",
        "attestation: {predicateType: https://slsa.dev/provenance/v1}",
    );
    story.policy("team", &provenance).await;
    assert!(open(&story, &guest, "team/app", &digest).await);
    story.policy("team", &provenance.replace("provenance/v1", "provenance/v0.2")).await;
    assert!(!open(&story, &guest, "team/app", &digest).await);
    // And a signature is no attestation, whoever made it.
    let other = story.world.image(&story.dev, "team/b", "", &[OS, DPKG, ("b", "")]).await.unwrap();
    story.policy("team", &provenance).await;
    story.sign("team/b", &other.digest, other.manifest.len(), &story.key).await;
    let about = (&other.digest, other.manifest.len());
    let stranger = SigningKey::generate().unwrap();
    story.attest("team/b", about, &stranger, "https://slsa.dev/provenance/v1").await;
    assert!(!open(&story, &guest, "team/b", &other.digest).await);
    let target = PolicyTarget::Project("team".to_owned());
    story.world.registry.delete_policy(&story.dev, &target).await.unwrap();
    assert!(open(&story, &guest, "team/b", &other.digest).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_image_need_not_state_its_platform() {
    let story = Story::new(World::new().await).await;
    let other = story.world.image(&story.dev, "team/app", "other", &[("a", "b")]).await.unwrap();
    story.index("team/app", "both", &[&story.image, &other]).await;
    story.world.settle().await;
    let sbom = async |tag: &str, platform| {
        let (name, tag) = (repo("team/app"), tag.parse().unwrap());
        story.world.registry.artifact_sbom(&story.dev, &name, &tag, platform).await
    };
    let plain = sbom("v1", None).await.unwrap();
    assert_eq!(sbom("v1", Some("linux/amd64")).await.unwrap(), plain);
    let choose = sbom("both", None).await.unwrap_err();
    assert!(choose.message().contains(&other.digest.to_string()), "{choose}");
    let absent = sbom("both", Some("linux/s390x")).await.unwrap_err();
    assert!(absent.message().contains("linux/s390x"), "{absent}");
    assert!(absent.message().contains(&other.digest.to_string()), "{absent}");
}

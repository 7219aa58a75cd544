//! Copies leave a project by its pull door, and by no other way.

use crate::world::{Image, World, descriptor, repo};
use sealock_auth::{Caller, Role};
use sealock_facts::{QuarantineTarget, Tier};
use sealock_metadata as metadata;
use sealock_oci::Digest;
use sealock_registry::{Error, Kind, PageRequest, PolicyTarget};
use serde_json::json;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Ann alone is a consumer of the shop.
const CONSUMERS: &str = "\
apiVersion: sealock/v1
kind: Policy
name: for-ann
access:
  consumers: {principals: [ann]}
";

/// What cannot be looked into is not pulled.
const KNOWN: &str = "\
apiVersion: sealock/v1
kind: Policy
name: known
doors: {pull: {mode: enforce, unknown: deny}}
allowEmptyContents: true
rules:
  - name: contents
    contents: {}
";

struct Story {
    world: World,
    ann: Caller,
    /// Pulls from the shop and pushes to the store.
    carl: Caller,
    image: Image,
    index: Digest,
    notes: Digest,
}

impl Story {
    /// An image with notes about it, and an index that lists it.
    async fn on(world: World) -> Self {
        let (ann, carl) = (world.user("ann").await, world.user("carl").await);
        for name in ["shop", "store"] {
            world.project(&ann, name, Tier::Sandbox, false).await;
        }
        let mut tx = world.db().write().await.unwrap();
        for (name, role) in [("shop", Role::Guest), ("store", Role::Developer)] {
            let project = metadata::projects::find(&mut tx, name).await.unwrap().unwrap();
            let carl = carl.principal.user_id().unwrap();
            metadata::members::put(&mut tx, project.id, carl, role.id()).await.unwrap();
        }
        tx.commit().await.unwrap();
        let image = world.image(&ann, "shop/app", "one", &[("etc/name", "one")]).await.unwrap();
        world.blob(&ann, "shop/app", b"{}").await.unwrap();
        let empty = || descriptor("application/vnd.oci.empty.v1+json", b"{}");
        let notes = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "artifactType": "application/vnd.example.notes",
            "config": empty(), "layers": [empty()],
            "subject": descriptor(IMAGE, &image.manifest),
        });
        let notes = world.manifest(&ann, "shop/app", "", &notes).await.unwrap().digest;
        let index = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [descriptor(IMAGE, &image.manifest)],
        });
        let index = world.manifest(&ann, "shop/app", "all", &index).await.unwrap().digest;
        world.settle().await;
        Self { world, ann, carl, image, index, notes }
    }

    async fn copy(&self, who: &Caller, from: &str) -> Result<String, Error> {
        self.world.registry.copy_harbor_artifact(who, from, "store", "app").await
    }

    /// The ways to name what is in the shop: by tag and digest, alone and by its index.
    fn names(&self) -> [String; 5] {
        let (image, index) = (self.image.digest, self.index);
        [
            "shop/app:one".to_owned(),
            format!("shop/app@{image}"),
            "shop/app:all".to_owned(),
            format!("shop/app@{index}"),
            format!("shop/app:one@{image}"),
        ]
    }

    /// Carl gets nothing, under no name, and each refusal is on record.
    async fn nothing_is_copied(&self, why: &str) {
        for from in self.names() {
            let refused = self.copy(&self.carl, &from).await.unwrap_err();
            assert_eq!(refused.kind(), Kind::Policy, "{why}: {from}: {refused}");
            assert!(refused.refusal().unwrap().decision.is_some(), "{why}: {from} is on record");
        }
        let page = PageRequest::default();
        let repositories = self.world.registry.repositories(&self.ann, "store", &page).await;
        assert!(repositories.unwrap().items.is_empty(), "{why}");
        for digest in [self.image.digest, self.index, self.notes] {
            let reference = digest.to_string().parse().unwrap();
            let name = repo("store/app");
            let got = self.world.registry.get_manifest(&self.carl, &name, &reference).await;
            assert_eq!(got.unwrap_err().kind(), Kind::NotFound, "{why}");
        }
    }

    async fn policy(&self, document: &str) {
        let shop = PolicyTarget::Project("shop".to_owned());
        self.world.registry.put_policy(&self.ann, &shop, document).await.unwrap();
    }

    async fn no_policy(&self) {
        let shop = PolicyTarget::Project("shop".to_owned());
        self.world.registry.delete_policy(&self.ann, &shop).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_pull_door_keeps_is_not_copied() {
    closed(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_pull_door_keeps_is_not_copied_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        closed(world).await;
    }
}

async fn closed(world: World) {
    let story = Story::on(world).await;
    let registry = &story.world.registry;
    // The store asks for nothing: what refuses is the shop alone.
    story.policy(CONSUMERS).await;
    story.nothing_is_copied("Carl is no consumer").await;
    story.no_policy().await;
    // The image may be pulled, and what is said about it may not.
    story.policy(KNOWN).await;
    let (name, one) = (repo("shop/app"), "one".parse().unwrap());
    registry.get_manifest(&story.carl, &name, &one).await.unwrap();
    story.nothing_is_copied("the notes are not known").await;
    story.no_policy().await;
    // A ban closes it with all that lists it, whichever part of it is banned.
    let officer = story.world.officer().await;
    for (digest, target) in [
        (story.image.digest, QuarantineTarget::Manifest),
        (story.image.layer, QuarantineTarget::Blob),
        (story.notes, QuarantineTarget::Manifest),
    ] {
        registry.quarantine(&officer, &digest, target, "malware").await.unwrap();
        story.nothing_is_copied("banned").await;
        registry.lift_quarantine(&officer, &digest, None).await.unwrap();
    }
    // Each of it was refused for that reason and no other.
    story.policy(&CONSUMERS.replace("[ann]", "[c*l]")).await;
    story.copy(&story.carl, "shop/app:all").await.unwrap();
    for digest in [story.image.digest, story.index, story.notes] {
        let reference = digest.to_string().parse().unwrap();
        registry.get_manifest(&story.carl, &repo("store/app"), &reference).await.unwrap();
    }
}

/// Where artifacts are pulled by digest only, a copy names one, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_by_digest_where_pulls_are() {
    let story = Story::on(World::new().await).await;
    let by_digest = "apiVersion: sealock/v1\nkind: Policy\nname: exact\n\
                     access: {pullByDigestOnly: true}\n";
    story.policy(by_digest).await;
    for from in ["shop/app:one", "shop/app:all"] {
        let refused = story.copy(&story.carl, from).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Policy, "{from}: {refused}");
        assert!(refused.message().contains("by digest only"), "{refused}");
    }
    story.copy(&story.carl, &format!("shop/app@{}", story.index)).await.unwrap();
}

//! What a cluster asks of images in its namespaces, beside their own project (decision D11).

use crate::{story::Story, world::World};
use jiff::SignedDuration;
use sealock_auth::{Caller, Right};
use sealock_facts::{Action, Tier};
use sealock_registry::{
    Admission, AdmissionAsk, AskingCluster, AuditQuery, ClusterChange, Kind, NamespaceRule,
    NewCluster, PageRequest, PolicyTarget, replay_document,
};
use sealock_signing::SigningKey;

const HOST: &str = "registry.example.com";
const RULE: NamespaceRule = NamespaceRule { minimum_tier: Tier::Sandbox, enforce: true };
const TWO_KEYS: &str = "\
apiVersion: sealock/v1
kind: Policy
name: production
rules:
  - name: approved
    signed: {by: [approver]}
";

fn cluster(name: &str) -> NewCluster {
    NewCluster {
        name: name.to_owned(),
        host_names: vec![HOST.to_owned()],
        namespaces: [("production".to_owned(), RULE), ("*".to_owned(), RULE)].into(),
        ..NewCluster::default()
    }
}

fn target(cluster: &str, namespace: &str) -> PolicyTarget {
    PolicyTarget::Cluster { cluster: cluster.to_owned(), namespace: namespace.to_owned() }
}

/// A released image, and a cluster.
struct Scene {
    story: Story,
    admin: Caller,
    cluster: AskingCluster,
}

impl Scene {
    async fn new(world: World) -> Self {
        let story = Story::new(world).await;
        story.sign_image().await;
        story.promote().await.unwrap();
        let admin = story.world.admin().await;
        let registry = &story.world.registry;
        let (_, token) = registry.register_cluster(&admin, &cluster("prod")).await.unwrap();
        let cluster = registry.asking_cluster(None, token.expose()).await.unwrap();
        Self { story, admin, cluster }
    }

    async fn admit(&self, namespace: &str) -> Admission {
        let ask = AdmissionAsk {
            namespace: namespace.to_owned(),
            user: "deployer".to_owned(),
            object: format!("Pod {namespace}/web"),
            address: [192, 0, 2, 9].into(),
            user_agent: "kube-apiserver".to_owned(),
            request_id: "c0ffee".to_owned(),
            dry_run: false,
        };
        let image = format!("{HOST}/release/app@{}", self.story.image.digest);
        self.story.world.registry.admit(&self.cluster, &ask, &image).await.unwrap()
    }

    async fn put(&self, namespace: &str, text: &str) {
        let target = target("prod", namespace);
        self.story.world.registry.put_policy(&self.admin, &target, text).await.unwrap();
    }

    async fn change(&self, change: ClusterChange) {
        let registry = &self.story.world.registry;
        registry.update_cluster(&self.admin, "prod", &change).await.unwrap();
    }
}

async fn both(test: impl AsyncFn(World)) {
    test(World::new().await).await;
    if let Some(world) = World::on_postgres().await {
        test(world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_asks_for_more_than_the_project_does() {
    both(async |world| {
        let scene = Scene::new(world).await;
        let (story, registry) = (&scene.story, &scene.story.world.registry);
        let approver = SigningKey::generate().unwrap();
        let pem = approver.public_key().to_pem();
        registry.add_project_key(&story.dev, "release", "approver", &pem).await.unwrap();
        assert!(scene.admit("production").await.allowed);
        scene.put("production", TWO_KEYS).await;

        let denied = scene.admit("production").await;
        assert!(!denied.allowed, "the stored verdict does not outlive the policy");
        assert!(denied.reasons[0].contains("cluster/production/approved"), "{denied:?}");
        assert!(scene.admit("staging").await.allowed, "* has no policy of its own");
        // The decision holds the cluster's document, so a replay gives the same.
        let (decision, document) =
            registry.decision(&scene.admin, denied.decision.unwrap()).await.unwrap();
        let replayed = replay_document(&document).unwrap();
        assert_eq!((replayed.action, &replayed), (Action::Deny, &decision.verdict));

        // Signed by the second key, and at once: no job has run (decision D4).
        let size = story.image.manifest.len();
        story.sign("release/app", &story.image.digest, size, &approver).await;
        let allowed = scene.admit("production").await;
        assert!(allowed.allowed, "{allowed:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clusters_policy_softens_nothing() {
    let scene = Scene::new(World::new().await).await;
    let (story, registry) = (&scene.story, &scene.story.world.registry);
    let lax = "apiVersion: sealock/v1\nkind: Policy\nname: lax\n\
               doors: {admit: {mode: warn, unknown: allow}}\nrules: [{name: s, signed: {}}]\n";
    scene.put("production", lax).await;
    registry.remove_project_key(&story.dev, "release", "pipeline").await.unwrap();
    let denied = scene.admit("production").await;
    assert!(!denied.allowed && denied.reasons[0].contains("tier/release"), "{denied:?}");
    let floor = "apiVersion: sealock/v1\nkind: Policy\nname: high\naccess: {minimumTier: mirror}\n";
    scene.put("*", floor).await;
    let denied = scene.admit("staging").await;
    assert!(denied.reasons.iter().any(|text| text.contains("tier release")), "{denied:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enforced_after_so_many_days() {
    let scene = Scene::new(World::new().await).await;
    let later = TWO_KEYS.replace(
        "    signed",
        "    doors: {admit: {mode: enforce, afterDays: 7, unknown: deny}}\n    signed",
    );
    scene.put("production", &later).await;
    let warned = scene.admit("production").await;
    assert!(warned.allowed, "{warned:?}");
    assert!(warned.warnings.iter().any(|text| text.contains("approved")), "{warned:?}");
    scene.story.world.clock.advance(SignedDuration::from_hours(7 * 24 - 1));
    // Written again as it stands, it does not begin anew.
    scene.put("production", &later).await;
    assert!(scene.admit("production").await.allowed);
    scene.story.world.clock.advance(SignedDuration::from_hours(1));
    let denied = scene.admit("production").await;
    assert!(!denied.allowed && denied.reasons[0].contains("approved"), "{denied:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_is_kept_and_every_change_recorded() {
    let scene = Scene::new(World::new().await).await;
    let registry = &scene.story.world.registry;
    let production = target("prod", "production");
    scene.put("production", TWO_KEYS).await;
    let second = TWO_KEYS.replace("approved", "agreed");
    let set = registry.put_policy(&scene.story.officer, &production, &second).await.unwrap();
    assert_eq!((set.scope, set.name.as_str(), set.revision), ("cluster", "prod/production", 2));
    registry.delete_policy(&scene.admin, &production).await.unwrap();
    assert_eq!(registry.policy(&scene.admin, &production).await.unwrap(), None);
    assert!(scene.admit("production").await.allowed);
    let page = PageRequest::default();
    let versions = registry.policy_history(&scene.admin, &production, &page).await.unwrap();
    let texts: Vec<_> = versions.items.iter().map(|version| version.text.as_str()).collect();
    assert_eq!(texts, ["", second.as_str(), TWO_KEYS]);
    let query = AuditQuery { actions: vec!["policy".to_owned()], ..AuditQuery::default() };
    let events = registry.audit_events(&scene.admin, &query, &page).await.unwrap();
    let found = events.items.iter().filter(|e| e.detail.to_string().contains("prod/production"));
    assert_eq!(found.count(), 3);

    for caller in [&scene.story.dev, &crate::world::anonymous()] {
        for refused in [
            registry.put_policy(caller, &production, TWO_KEYS).await.err(),
            registry.policy(caller, &production).await.err(),
            registry.delete_policy(caller, &production).await.err(),
        ] {
            let kind = refused.expect("not theirs").kind();
            assert!(matches!(kind, Kind::Forbidden | Kind::Unauthenticated), "{kind:?}");
        }
    }
    let robot = scene.story.world.robot("release", &[Right::Pull, Right::Push]).await;
    let refused = registry.put_policy(&robot, &production, TWO_KEYS).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
    for absent in [target("prod", "elsewhere"), target("none", "production")] {
        let refused = registry.put_policy(&scene.admin, &absent, TWO_KEYS).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_namespace_goes_its_policy() {
    let scene = Scene::new(World::new().await).await;
    let registry = &scene.story.world.registry;
    scene.put("production", TWO_KEYS).await;
    let only_others = [("*".to_owned(), RULE)].into();
    scene.change(ClusterChange { namespaces: Some(only_others), ..Default::default() }).await;
    let cluster_now = registry.cluster(&scene.admin, "prod").await.unwrap();
    assert_eq!(cluster_now.host_names, [HOST], "what is not named stays");
    scene
        .change(ClusterChange {
            namespaces: Some(cluster("prod").namespaces),
            ..Default::default()
        })
        .await;
    assert_eq!(registry.policy(&scene.admin, &target("prod", "production")).await.unwrap(), None);
    scene.put("production", TWO_KEYS).await;
    registry.remove_cluster(&scene.admin, "prod").await.unwrap();
    registry.register_cluster(&scene.admin, &cluster("prod")).await.unwrap();
    assert_eq!(registry.policy(&scene.admin, &target("prod", "production")).await.unwrap(), None);
}

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_are_changed_and_taken_away() {
    let scene = Scene::new(World::new().await).await;
    let registry = &scene.story.world.registry;
    let first = registry.renew_cluster_token(&scene.admin, "prod").await.unwrap();
    assert!(registry.asking_cluster(Some("prod"), first.expose()).await.is_ok());
    let second = registry.renew_cluster_token(&scene.admin, "prod").await.unwrap();
    assert!(registry.asking_cluster(Some("prod"), first.expose()).await.is_err());
    assert!(registry.asking_cluster(Some("prod"), second.expose()).await.is_ok());
    scene.change(ClusterChange { disabled: Some(true), ..Default::default() }).await;
    assert!(registry.asking_cluster(Some("prod"), second.expose()).await.is_err());
    scene.change(ClusterChange { disabled: Some(false), ..Default::default() }).await;
    assert!(registry.asking_cluster(Some("prod"), second.expose()).await.is_ok());

    let shown = sealock_oci::Digest::sha256(&[0x30, 3, 2, 1, 1]);
    assert!(registry.cluster_by_certificate(&shown).await.is_err());
    let certificate = |pem: &str| ClusterChange {
        client_certificate: Some(pem.to_owned()),
        ..ClusterChange::default()
    };
    scene.change(certificate(CERTIFICATE)).await;
    let known = registry.cluster(&scene.admin, "prod").await.unwrap();
    assert_eq!(known.client_certificate, Some(shown.hex()));
    assert_eq!(registry.cluster_by_certificate(&shown).await.unwrap().name(), "prod");
    let other = sealock_oci::Digest::sha256(&[0x30, 3, 2, 1, 2]);
    assert!(registry.cluster_by_certificate(&other).await.is_err());
    // One certificate names one cluster.
    registry.register_cluster(&scene.admin, &cluster("other")).await.unwrap();
    let taken = registry.update_cluster(&scene.admin, "other", &certificate(CERTIFICATE)).await;
    assert_eq!(taken.unwrap_err().kind(), Kind::Conflict);
    scene.change(certificate("")).await;
    assert!(registry.cluster_by_certificate(&shown).await.is_err());

    let dev = &scene.story.dev;
    let refused = registry.update_cluster(dev, "prod", &ClusterChange::default()).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::Forbidden);
    let refused = registry.renew_cluster_token(dev, "prod").await;
    assert_eq!(refused.err().map(|error| error.kind()), Some(Kind::Forbidden));
    let absent = registry.renew_cluster_token(&scene.admin, "none").await;
    assert_eq!(absent.err().map(|error| error.kind()), Some(Kind::NotFound));
}

//! Clusters and the admit door.

use crate::world::World;
use sealock_auth::Caller;
use sealock_facts::{Door, QuarantineTarget, Tier};
use sealock_oci::Digest;
use sealock_registry::{
    Admission, AdmissionAsk, AskingCluster, AuditQuery, DecisionQuery, Kind, NamespaceRule,
    NewCluster, PageRequest, Pinned,
};

const OS: (&str, &str) = ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
const HOST: &str = "registry.example.com:5000";

/// A sandbox with one image, and a cluster: production takes releases only, staging would like
/// them, everything else takes all.
struct Story {
    world: World,
    admin: Caller,
    dev: Caller,
    cluster: AskingCluster,
    digest: Digest,
}

fn cluster() -> NewCluster {
    let rule = |minimum_tier, enforce| NamespaceRule { minimum_tier, enforce };
    NewCluster {
        name: "prod".to_owned(),
        host_names: vec![HOST.to_owned(), "Mirror.example:443".to_owned()],
        namespaces: [
            ("production".to_owned(), rule(Tier::Release, true)),
            ("staging".to_owned(), rule(Tier::Release, false)),
            ("playground".to_owned(), rule(Tier::Sandbox, true)),
        ]
        .into(),
        other_images: vec!["registry.k8s.io/**".to_owned(), "docker.io/library/*".to_owned()],
        client_certificate: None,
    }
}

fn ask(namespace: &str, dry_run: bool) -> AdmissionAsk {
    AdmissionAsk {
        namespace: namespace.to_owned(),
        user: "deployer".to_owned(),
        object: format!("Pod {namespace}/web"),
        address: [192, 0, 2, 9].into(),
        user_agent: "kube-apiserver".to_owned(),
        request_id: "c0ffee".to_owned(),
        dry_run,
    }
}

impl Story {
    async fn new(world: World) -> Self {
        let (admin, dev) = (world.admin().await, world.user("dev").await);
        world.project(&dev, "team", Tier::Sandbox, false).await;
        let image = world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
        world.settle().await;
        let (_, token) = world.registry.register_cluster(&admin, &cluster()).await.unwrap();
        let cluster = world.registry.asking_cluster(Some("prod"), token.expose()).await.unwrap();
        Self { world, admin, dev, cluster, digest: image.digest }
    }

    async fn admit(&self, namespace: &str, image: &str) -> Admission {
        self.world.registry.admit(&self.cluster, &ask(namespace, false), image).await.unwrap()
    }

    fn pinned(&self) -> String {
        format!("{HOST}/team/app@{}", self.digest)
    }

    async fn decisions(&self) -> usize {
        self.world.registry.close().await;
        let query = DecisionQuery { door: Some(Door::Admit), ..DecisionQuery::default() };
        let page = PageRequest { limit: Some(1_000), after: None };
        let page = self.world.registry.decisions(&self.admin, &query, &page).await.unwrap();
        page.items.len()
    }

    async fn events(&self, result: &str) -> usize {
        self.world.registry.close().await;
        let query = AuditQuery { actions: vec!["admit".to_owned()], ..AuditQuery::default() };
        let page = PageRequest { limit: Some(1_000), after: None };
        let page = self.world.registry.audit_events(&self.admin, &query, &page).await.unwrap();
        page.items.iter().filter(|event| event.result == result).count()
    }
}

async fn both(test: impl AsyncFn(World)) {
    test(World::new().await).await;
    if let Some(world) = World::on_postgres().await {
        test(world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_a_decision_that_is_kept() {
    both(async |world| {
        let story = Story::new(world).await;
        let first = story.admit("playground", &story.pinned()).await;
        assert!(first.allowed, "{first:?}");
        assert_eq!(first.digest, Some(story.digest));
        let again = story.admit("playground", &story.pinned()).await;
        assert!(
            again.allowed && again.decision == first.decision,
            "the same permission: {again:?}"
        );
        let denied = story.admit("production", &story.pinned()).await;
        assert!(!denied.allowed && denied.decision > again.decision, "{denied:?}");
        assert_eq!(denied.reasons.len(), 1, "what only warns is no reason: {:?}", denied.reasons);
        assert!(denied.reasons[0].contains("tier sandbox"), "{:?}", denied.reasons);
        assert!(denied.reasons[0].contains("promote"), "it says what to do: {:?}", denied.reasons);
        assert_eq!((story.decisions().await, story.events("allowed").await), (3, 2));
        assert_eq!(story.events("denied").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_records_nothing_and_spoils_nothing() {
    both(async |world| {
        let story = Story::new(world).await;
        for namespace in ["playground", "production", "nowhere"] {
            let asked = ask(namespace, true);
            let registry = &story.world.registry;
            let answer = registry.admit(&story.cluster, &asked, &story.pinned()).await.unwrap();
            assert_eq!((answer.allowed, answer.decision), (namespace == "playground", None));
        }
        assert_eq!(story.decisions().await, 0);
        assert_eq!((story.events("allowed").await, story.events("denied").await), (0, 0));
        // The dry run left a stored verdict; the next answer records it with its document.
        assert!(story.admit("playground", &story.pinned()).await.decision.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_may_warn_before_it_refuses() {
    let story = Story::new(World::new().await).await;
    let staging = story.admit("staging", &story.pinned()).await;
    assert!(staging.allowed, "{staging:?}");
    assert!(staging.warnings.iter().any(|text| text.contains("release")), "{staging:?}");
    let nowhere = story.admit("elsewhere", &story.pinned()).await;
    assert!(!nowhere.allowed && nowhere.reasons[0].contains("elsewhere"), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_are_resolved_and_pinned() {
    let story = Story::new(World::new().await).await;
    let by_tag = story.admit("playground", &format!("{HOST}/team/app:v1")).await;
    assert!(by_tag.allowed && by_tag.digest == Some(story.digest));
    assert!(by_tag.warnings.iter().any(|text| text.contains("tag may move")), "{by_tag:?}");
    let by_digest = story.admit("playground", &story.pinned()).await;
    assert!(!by_digest.warnings.iter().any(|text| text.contains("tag")), "{by_digest:?}");

    let pin = async |image: &str| story.world.registry.pin(&story.cluster, image).await.unwrap();
    assert_eq!(pin(&format!("{HOST}/team/app:v1")).await, Pinned::To(story.pinned()));
    let mirror = format!("mirror.example/team/app@{}", story.digest);
    assert_eq!(pin("mirror.example/team/app:v1").await, Pinned::To(mirror));
    for same in [
        story.pinned(),
        format!("{HOST}/team/app:v9@{}", story.digest),
        "busybox".to_owned(),
        "other.example/team/app:v1".to_owned(),
        "not an image".to_owned(),
    ] {
        assert_eq!(pin(&same).await, Pinned::Unchanged, "{same}");
    }
    for gone in ["team/app", "team/app:v2", "team/none:v1", "none/app:v1"] {
        let found = pin(&format!("{HOST}/{gone}")).await;
        assert!(matches!(found, Pinned::Unknown(_)), "{gone}: {found:?}");
    }
    // Without a tag `latest` is meant, as everywhere.
    let dev = &story.dev;
    let latest = story.world.image(dev, "team/other", "latest", &[OS]).await.unwrap();
    let expected = format!("{HOST}/team/other@{}", latest.digest);
    assert_eq!(pin(&format!("{HOST}/team/other")).await, Pinned::To(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_here_runs_only_when_it_is_listed() {
    let story = Story::new(World::new().await).await;
    for listed in
        ["registry.k8s.io/pause:3.9", "busybox", "docker.io/library/busybox:1", "index.docker.io/x"]
    {
        assert!(story.admit("production", listed).await.allowed, "{listed}");
    }
    let absent = format!("{HOST}/team/app@{}", Digest::sha256(b"another"));
    for refused in [
        "busybox.example/busybox",
        "someone/busybox",
        "registry.k8s.io.example/pause",
        "registry.example.com/team/app:v1",
        "../../etc/passwd",
        "",
        &format!("{HOST}/team"),
        &format!("{HOST}/none/app:v1"),
        &absent,
    ] {
        let answer = story.admit("playground", refused).await;
        assert!(!answer.allowed && !answer.reasons.is_empty(), "{refused}: {answer:?}");
    }
    assert_eq!(story.decisions().await, 0, "nothing was judged");
    assert_eq!((story.events("allowed").await, story.events("denied").await), (4, 9));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quarantine_closes_the_admit_door_at_once() {
    let story = Story::new(World::new().await).await;
    assert!(story.admit("playground", &story.pinned()).await.allowed);
    let officer = story.world.officer().await;
    let registry = &story.world.registry;
    registry
        .quarantine(&officer, &story.digest, QuarantineTarget::Manifest, "malware")
        .await
        .unwrap();
    for namespace in ["playground", "staging"] {
        let answer = story.admit(namespace, &story.pinned()).await;
        assert!(!answer.allowed, "{answer:?}");
        assert!(answer.reasons.iter().any(|text| text.contains("quarantine")), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_clusters_own_token_there_is_no_answer() {
    let story = Story::new(World::new().await).await;
    let registry = &story.world.registry;
    let other = NewCluster { name: "other".to_owned(), ..cluster() };
    let (_, token) = registry.register_cluster(&story.admin, &other).await.unwrap();
    assert_eq!(registry.asking_cluster(None, token.expose()).await.unwrap().name(), "other");
    let mut changed = token.expose().to_owned();
    changed.pop();
    for (name, token) in [
        ("prod", token.expose()),
        ("other", changed.as_str()),
        ("other", ""),
        ("none", token.expose()),
    ] {
        let refused = registry.asking_cluster(Some(name), token).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Forbidden, "{name}");
    }
    registry.remove_cluster(&story.admin, "other").await.unwrap();
    let refused = registry.asking_cluster(Some("other"), token.expose()).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
}

/// Who asks again does not wait for the disk, and yet everything is there when the ban comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_eradication_knows_the_admissions_of_a_moment_ago() {
    let story = Story::new(World::new().await).await;
    for _ in 0..5 {
        assert!(story.admit("playground", &story.pinned()).await.allowed);
    }
    let officer = story.world.officer().await;
    let found = story.world.registry.eradicate(&officer, &story.digest, "malware").await.unwrap();
    assert_eq!(found.admitted.len(), 5);
    assert_eq!(found.admitted[0].actor, "cluster:prod");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_all_recorded() {
    both(async |world| {
        let story = std::sync::Arc::new(Story::new(world).await);
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let story = story.clone();
            asked.spawn(async move { story.admit("playground", &story.pinned()).await.decision });
        }
        assert!(asked.join_all().await.iter().all(Option::is_some));
        assert_eq!((story.decisions().await, story.events("allowed").await), (100, 100));
    })
    .await;
}

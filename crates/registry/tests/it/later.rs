//! What was promoted, and what becomes of it when the world changes (decision D2).

use crate::{story::Story, world::World};
use sealock_facts::{QuarantineTarget, Tier};
use sealock_registry::{
    Admission, AdmissionAsk, AskingCluster, AuditQuery, Kind, NamespaceRule, NewCluster,
    PageRequest,
};

const HOST: &str = "registry.example.com";

/// A released image, with a cluster that runs it.
async fn released() -> (Story, AskingCluster) {
    let story = Story::new(World::new().await).await;
    story.sign_image().await;
    story.promote().await.unwrap();
    let new = NewCluster {
        name: "prod".to_owned(),
        host_names: vec![HOST.to_owned()],
        namespaces: [(
            "*".to_owned(),
            NamespaceRule { minimum_tier: Tier::Release, enforce: true },
        )]
        .into(),
        ..NewCluster::default()
    };
    let admin = story.world.admin().await;
    let (_, token) = story.world.registry.register_cluster(&admin, &new).await.unwrap();
    let cluster = story.world.registry.asking_cluster(None, token.expose()).await.unwrap();
    (story, cluster)
}

async fn admit(story: &Story, cluster: &AskingCluster) -> Admission {
    let ask = AdmissionAsk {
        namespace: "production".to_owned(),
        user: "drain".to_owned(),
        object: "Pod production/web".to_owned(),
        address: [192, 0, 2, 9].into(),
        user_agent: String::new(),
        request_id: "1".to_owned(),
        dry_run: false,
    };
    let image = format!("{HOST}/release/app@{}", story.image.digest);
    story.world.registry.admit(cluster, &ask, &image).await.unwrap()
}

/// Pull and admit, as long as both say the same: open with these warnings, or closed.
async fn doors(story: &Story, cluster: &AskingCluster) -> Result<Vec<String>, String> {
    let admission = admit(story, cluster).await;
    let digest = story.image.digest.to_string();
    let reader = story.world.robot("release", &[sealock_auth::Right::Pull]).await;
    match story.pull(&reader, "release/app", &digest).await {
        Ok(pulled) => {
            assert!(admission.allowed, "{admission:?}");
            assert_eq!(pulled.warnings.len(), admission.warnings.len(), "{admission:?}");
            Ok(pulled.warnings)
        }
        Err(error) => {
            assert_eq!(error.kind(), Kind::Policy);
            assert!(!admission.allowed, "{admission:?}");
            Err(error.message().to_owned())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_finding_warns_and_one_that_is_exploited_closes() {
    let (story, cluster) = released().await;
    assert_eq!(doors(&story, &cluster).await, Ok(Vec::new()));
    story.advise("CVE-2026-0001", "here").await;
    let warnings = doors(&story, &cluster).await.expect("a node drain is no outage");
    assert!(warnings.iter().any(|text| text.contains("CVE-2026-0001")), "{warnings:?}");
    let query = AuditQuery { actions: vec!["finding.new".to_owned()], ..AuditQuery::default() };
    let page = PageRequest::default();
    let registry = &story.world.registry;
    let events = registry.audit_events(&story.officer, &query, &page).await.unwrap();
    assert!(events.items.iter().any(|e| e.repository.as_deref() == Some("release/app")));
    // What is not promoted yet does not pass the promote door.
    let target = "release/app:again".parse().unwrap();
    let name = crate::world::repo("team/app");
    let reference = "v1".parse().unwrap();
    let again = registry.promote(&story.dev, &name, &reference, &target).await.unwrap_err();
    assert!(again.message().contains("CVE-2026-0001"), "{again}");

    // Exploited since yesterday: fourteen days to act, then the doors close by themselves.
    let today = sealock_metadata::Clock::now(&*story.world.clock);
    let yesterday = today - jiff::SignedDuration::from_hours(24);
    let since = yesterday.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    story.exploit("CVE-2026-0001", &since).await;
    doors(&story, &cluster).await.expect("within its grace");
    story.world.clock.advance(jiff::SignedDuration::from_hours(14 * 24));
    let closed = doors(&story, &cluster).await.expect_err("past its grace");
    assert!(closed.contains("exploited"), "{closed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_and_a_compromised_key_close_what_is_promoted() {
    let (story, cluster) = released().await;
    let registry = &story.world.registry;
    let layer = story.image.layer;
    registry.quarantine(&story.officer, &layer, QuarantineTarget::Blob, "malware").await.unwrap();
    let closed = doors(&story, &cluster).await.expect_err("banned");
    assert!(closed.contains("quarantined"), "{closed}");
    registry.lift_quarantine(&story.officer, &layer, None).await.unwrap();
    doors(&story, &cluster).await.expect("lifted");
    registry.compromise_project_key(&story.dev, "release", "pipeline", None).await.unwrap();
    let closed = doors(&story, &cluster).await.expect_err("its key is compromised");
    assert!(closed.contains("compromised"), "{closed}");
}

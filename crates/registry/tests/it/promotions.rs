//! From sandbox to release: signed, judged, waived, promoted, replayed.

use crate::{
    story::{DPKG, Now as _, OS, Story},
    world::{World, descriptor, repo},
};
use jiff::SignedDuration;
use sealock_auth::Right;
use sealock_facts::{Action, Door, EvidenceState, Finding, Severity, WaiverScope, WaiverState};
use sealock_oci::{Digest, Reference};
use sealock_policy::GateInput;
use sealock_registry::{
    DecisionQuery, FindingQuery, Kind, PageRequest, Precondition, PromotionTarget, WaiverRequest,
    WaiverStep, replay_document,
};
use sealock_signing::SigningKey;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_promoted_once_it_is_signed() {
    promote_signed(Story::new(World::new().await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_promoted_once_it_is_signed_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        promote_signed(Story::new(world).await).await;
    }
}

async fn promote_signed(story: Story) {
    let refused = story.promote().await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Policy);
    let refusal = refused.refusal().unwrap();
    let names: Vec<_> = refusal.verdict.objections().iter().map(|r| r.rule.clone()).collect();
    assert!(names.contains(&"signed".to_owned()), "{names:?}");
    // A signature by a key that nobody lists proves nothing, and stays behind.
    let stranger = SigningKey::generate().unwrap();
    let size = story.image.manifest.len();
    let forged = story.sign("team/app", &story.image.digest, size, &stranger).await;
    assert_eq!(story.promote().await.unwrap_err().kind(), Kind::Policy);
    // At once after signing: no job has run, and only the target lists the key.
    let signature = story.sign_image().await;
    let done = story.promote().await.unwrap();
    assert_eq!(done.digest, story.image.digest);
    assert_eq!(done.linked, [signature]);
    assert_eq!(done.left_behind, [forged]);
    assert!(!done.already);
    let (registry, name) = (&story.world.registry, repo("release/app"));
    for reference in ["v1".to_owned(), done.digest.to_string(), signature.to_string()] {
        registry.get_manifest(&story.dev, &name, &reference.parse().unwrap()).await.unwrap();
    }
    registry.open_blob(&story.dev, &name, &story.image.layer).await.unwrap();
    let left = Reference::Digest(forged);
    assert_eq!(
        registry.get_manifest(&story.dev, &name, &left).await.unwrap_err().kind(),
        Kind::NotFound
    );
    // The summary is attached, and verifies under the registry's own key.
    let vsa = done.vsa.unwrap();
    let page = PageRequest::default();
    let listed =
        registry.list_referrers(&story.dev, &name, &done.digest, None, &page).await.unwrap();
    assert!(listed.items.iter().any(|referrer| referrer.digest == vsa));
    story.world.settle().await;
    let reference = Reference::Digest(done.digest);
    let artifact = registry.artifact(&story.dev, &name, &reference).await.unwrap();
    let own = registry.product_keys().evidence_public().id().clone();
    assert!(
        artifact.attestations.iter().any(|fact| fact.accessory == vsa
            && fact.status == EvidenceState::Verified { key: own.clone() })
    );
    // The tag stays where it is, and doing it again changes nothing.
    let again = story.promote().await.unwrap();
    assert!(again.already);
    assert_eq!((again.vsa, again.decision), (done.vsa, done.decision));
    let gone = registry
        .delete_manifest(&story.dev, &name, &"v1".parse().unwrap(), &Precondition::default())
        .await;
    assert_eq!(gone.unwrap_err().kind(), Kind::Policy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finding_is_waived_by_a_second_person() {
    let story = Story::new(World::new().await).await;
    story.advise("CVE-2020-0002", "here").await;
    story.sign_image().await;
    let refused = story.promote().await.unwrap_err();
    assert!(refused.message().contains("CVE-2020-0002"), "{refused}");
    let registry = &story.world.registry;
    let now = story.world.clock.now_();
    let request = WaiverRequest {
        scope: WaiverScope { vulnerability: "CVE-2020-0002".into(), ..Default::default() },
        reason: "not reachable".into(),
        expires_at: now + SignedDuration::from_hours(24 * 30),
    };
    for (component, repository) in [(Some("openssl"), None), (None, Some("release/["))] {
        let mut bad = request.clone();
        bad.scope.component = component.map(str::to_owned);
        bad.scope.repository = repository.map(str::to_owned);
        let refused = registry.request_waiver(&story.dev, "release", &bad).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid, "{component:?} {repository:?}");
    }
    // An officer who administers the project may ask, and then may not grant.
    let both = story.world.person("both", true, true).await;
    let own = registry.request_waiver(&both, "release", &request).await.unwrap();
    let same = registry.decide_waiver(&both, "release", own.id, WaiverStep::Grant, None).await;
    assert_eq!(same.unwrap_err().kind(), Kind::Forbidden);
    let waiver = registry.request_waiver(&story.dev, "release", &request).await.unwrap();
    assert_eq!(story.promote().await.unwrap_err().kind(), Kind::Policy, "asked is not granted");
    let admin = story.world.admin().await;
    let not = registry.decide_waiver(&admin, "release", waiver.id, WaiverStep::Grant, None).await;
    assert_eq!(not.unwrap_err().kind(), Kind::Forbidden, "administering is not the security role");
    let granted = registry
        .decide_waiver(&story.officer, "release", waiver.id, WaiverStep::Grant, Some("agreed"))
        .await
        .unwrap();
    assert_eq!(granted.state, WaiverState::Granted);
    story.promote().await.unwrap();
    // The end of the waiver is the end of what it excuses.
    story.world.clock.advance(SignedDuration::from_hours(24 * 31));
    let (dev, image) = (&story.dev, &story.image);
    let other = story.world.image(dev, "team/b", "v1", &[OS, DPKG, ("x", "y")]).await.unwrap();
    let size = other.manifest.len();
    story.sign("team/b", &other.digest, size, &story.key).await;
    let target: PromotionTarget = "release".parse().unwrap();
    let tag = "v1".parse().unwrap();
    let late = registry.promote(dev, &repo("team/b"), &tag, &target).await.unwrap_err();
    assert_eq!(late.kind(), Kind::Policy);
    assert_ne!(other.digest, image.digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_is_replayed_from_its_document() {
    let story = Story::new(World::new().await).await;
    story.advise("CVE-2020-0002", "here").await;
    story.sign_image().await;
    let decision = story.promote().await.unwrap_err().refusal().unwrap().decision.unwrap();
    let registry = &story.world.registry;
    let replay = registry.replay(&story.dev, decision).await.unwrap();
    assert!(replay.same && replay.intact);
    let (_, document) = registry.decision(&story.dev, decision).await.unwrap();
    assert_eq!(replay_document(&document).unwrap(), replay.recorded);
    // One finding less, and the answer is another.
    let mut input = GateInput::parse(&document).unwrap();
    let before: Vec<Finding> = std::mem::take(&mut input.artifact.findings);
    assert_eq!(before.len(), 1);
    let changed = replay_document(&input.canonical_bytes().unwrap()).unwrap();
    assert_eq!((replay.recorded.action, changed.action), (Action::Deny, Action::Allow));
    let stranger = story.world.user("stranger").await;
    assert_eq!(registry.decision(&stranger, decision).await.unwrap_err().kind(), Kind::NotFound);
    let query = DecisionQuery { door: Some(Door::Promote), ..DecisionQuery::default() };
    let list = registry.decisions(&story.dev, &query, &PageRequest::default()).await.unwrap();
    assert_eq!(list.items.iter().map(|d| d.id).collect::<Vec<_>>(), [decision]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_advisory_finds_what_was_released_before() {
    let story = Story::new(World::new().await).await;
    story.sign_image().await;
    story.promote().await.unwrap();
    let (registry, name) = (&story.world.registry, repo("release/app"));
    let clean = story.world.image(&story.dev, "team/clean", "v1", &[OS]).await.unwrap();
    story.world.settle().await;
    let rev = async |digest: &Digest, repository: &str| {
        let mut tx = story.world.db().read().await.unwrap();
        let all = sealock_metadata::projects::Visible::All;
        let places = sealock_metadata::manifests::places(&mut tx, &all, digest, 0, 10).await;
        let mut places = places.unwrap().into_iter();
        let repositories = sealock_metadata::repositories::list(&mut tx, &all, "", 10).await;
        let id = repositories.unwrap().iter().find(|r| r.name == repository).unwrap().id;
        places.find(|place| place.repository_id == id).unwrap().facts_rev
    };
    let before =
        (rev(&story.image.digest, "release/app").await, rev(&clean.digest, "team/clean").await);
    let imported = story.advise("CVE-2026-0001", "here").await;
    assert_eq!(imported.new_findings, 1);
    let after =
        (rev(&story.image.digest, "release/app").await, rev(&clean.digest, "team/clean").await);
    assert!(after.0 > before.0, "its findings changed");
    assert_eq!(after.1, before.1, "nothing changed for it");
    let tag = "v1".parse().unwrap();
    let found = registry
        .artifact_findings(
            &story.dev,
            &name,
            &tag,
            FindingQuery::default(),
            &PageRequest::default(),
        )
        .await
        .unwrap();
    assert_eq!(found.items[0].finding.vulnerability, "CVE-2026-0001");
    assert_eq!(found.items[0].finding.severity, Severity::High);
    // A node drain must not become an outage: pulls of what was promoted warn.
    let pulled = registry.get_manifest(&story.dev, &name, &tag).await.unwrap();
    assert!(pulled.warnings.iter().any(|w| w.contains("CVE-2026-0001")), "{:?}", pulled.warnings);
    let query = sealock_registry::AuditQuery {
        actions: vec!["finding.new".into()],
        ..sealock_registry::AuditQuery::default()
    };
    let events =
        registry.audit_events(&story.officer, &query, &PageRequest::default()).await.unwrap();
    assert!(events.items.iter().any(|e| e.repository.as_deref() == Some("release/app")));
    let evidence = registry.evidence(&story.dev, &name, &tag).await.unwrap();
    assert_eq!(
        evidence.signers.iter().filter(|s| s.name.as_deref() == Some("pipeline")).count(),
        1
    );
    assert_eq!(evidence.promotions.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_attest_may_do_nothing_else() {
    let story = Story::new(World::new().await).await;
    story.sign_image().await;
    story.promote().await.unwrap();
    let robot = story.world.robot("release", &[Right::Attest]).await;
    let world = &story.world;
    // Another image, even one that claims to speak about the released one.
    let refused = world.image(&robot, "release/app", "v2", &[OS]).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
    let tar = crate::world::gzip(&crate::world::tar_of(&[("bin/sh", "#!")]));
    world.blob(&robot, "release/app", &tar).await.unwrap();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let disguised = json!({
        "schemaVersion": 2, "mediaType": media_type,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [descriptor("application/json", &tar)],
        "subject": descriptor(media_type, &story.image.manifest),
    });
    let refused = world.manifest(&robot, "release/app", "", &disguised).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden, "it holds a layer that could run");
    world.blob(&robot, "release/app", b"{}").await.unwrap();
    let empty = descriptor("application/vnd.oci.empty.v1+json", b"{}");
    let about = |layer: serde_json::Value, subject: &[u8]| {
        json!({
            "schemaVersion": 2, "mediaType": media_type, "config": empty, "layers": [layer],
            "subject": descriptor(media_type, subject),
        })
    };
    // Clients would fetch such a layer from anywhere.
    let mut elsewhere = descriptor(
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        b"bytes of somebody else",
    );
    elsewhere["urls"] = json!(["https://example.com/layer"]);
    for (document, why) in [
        (about(elsewhere, &story.image.manifest), "its layer is not here"),
        (about(empty.clone(), b"another manifest"), "its subject is not here"),
    ] {
        let refused = world.manifest(&robot, "release/app", "", &document).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Forbidden, "{why}");
    }
    // A list of referrers that some clients keep lists referrers, and no image.
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor(media_type, &story.image.manifest)],
    });
    let fallback = format!("sha256-{}", story.image.digest.hex());
    let refused = world.manifest(&robot, "release/app", &fallback, &index).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
    let note = json!({
        "schemaVersion": 2, "mediaType": media_type,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.oci.empty.v1+json", b"{}")],
        "subject": descriptor(media_type, &story.image.manifest),
    });
    world.manifest(&robot, "release/app", "", &note).await.unwrap();
    let tagged = world.manifest(&robot, "release/app", "note", &note).await.unwrap_err();
    assert_eq!(tagged.kind(), Kind::Forbidden, "a tag is no accessory");
}

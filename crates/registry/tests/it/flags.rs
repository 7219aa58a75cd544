//! Harbor's flags at the pull door, and what its CVE allowlists excuse (decisions D18, D20).

use crate::{
    story::Story,
    world::{World, anonymous, repo},
};
use jiff::SignedDuration;
use sealock_auth::{Caller, Right, Role};
use sealock_facts::{Severity, Tier};
use sealock_metadata::{self as metadata, Clock as _};
use sealock_oci::{Digest, ErrorCode};
use sealock_registry::{AllowlistChange, Error, HarborFlagChange, HarborFlags, Kind, PolicyTarget};
use sealock_signing::SigningKey;

const TRUST: &str = "The image is not signed by cosign.";
const PREVENT: &str = "cannot be pulled due to configured policy";

/// Somebody who pulls and does not push.
async fn guest(world: &World, project: &str) -> Caller {
    let guest = world.user("guest").await;
    let mut tx = world.db().write().await.unwrap();
    let row = metadata::projects::find(&mut tx, project).await.unwrap().unwrap();
    let user = guest.principal.user_id().unwrap();
    metadata::members::put(&mut tx, row.id, user, Role::Guest.id()).await.unwrap();
    tx.commit().await.unwrap();
    guest
}

async fn pull(world: &World, who: &Caller, name: &str) -> Result<Digest, Error> {
    let reference = "v1".parse().unwrap();
    let pulled = world.registry.get_manifest(who, &repo(name), &reference).await?;
    Ok(pulled.digest)
}

fn assert_refused(error: &Error, words: &str) {
    assert_eq!(error.kind(), Kind::Policy, "{error}");
    assert_eq!(error.code(), ErrorCode::ProjectPolicyViolation);
    assert!(error.message().contains(words), "{error}");
}

/// Whether the rule of the flag is among what refuses.
fn by_flag(refused: &Result<Digest, Error>) -> bool {
    let Err(error) = refused else { return false };
    let refusal = error.refusal().unwrap();
    refusal.verdict.objections().iter().any(|reason| reason.rule == "harbor-vulnerabilities")
}

fn trust(on: bool) -> HarborFlagChange {
    HarborFlagChange { content_trust_cosign: Some(on), ..HarborFlagChange::default() }
}

fn prevent(severity: Severity) -> HarborFlagChange {
    HarborFlagChange {
        prevent_vul: Some(true),
        severity: Some(severity),
        ..HarborFlagChange::default()
    }
}

fn listed(items: &[&str]) -> AllowlistChange {
    let items = items.iter().map(|&item| item.to_owned()).collect();
    AllowlistChange { items: Some(items), ..AllowlistChange::default() }
}

/// The same, of a project that does without the system's list.
fn own(items: &[&str]) -> AllowlistChange {
    AllowlistChange { reuse_system: Some(false), ..listed(items) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_trust_asks_for_a_key_that_the_project_lists() {
    content_trust(Story::new(World::new().await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_trust_asks_for_a_key_that_the_project_lists_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        content_trust(Story::new(world).await).await;
    }
}

async fn content_trust(story: Story) {
    let (world, dev) = (&story.world, &story.dev);
    let registry = &world.registry;
    let guest = guest(world, "team").await;
    assert_eq!(pull(world, &guest, "team/app").await.unwrap(), story.image.digest);
    let none = HarborFlags {
        content_trust_cosign: false,
        content_trust: false,
        prevent_vul: None,
        reuse_sys_cve_allowlist: true,
    };
    assert_eq!(registry.harbor_flags(&guest, "team").await.unwrap(), none);
    let flags = registry.set_harbor_flags(dev, "team", &trust(true)).await.unwrap();
    assert!(flags.content_trust_cosign);
    assert_eq!(registry.harbor_flags(&guest, "team").await.unwrap(), flags);
    // The same truth in the policy document.
    let target = PolicyTarget::Project("team".to_owned());
    let text = registry.policy(dev, &target).await.unwrap().unwrap().text;
    assert!(text.contains("harbor-content-trust"), "{text}");
    let refused = pull(world, &guest, "team/app").await.unwrap_err();
    assert_refused(&refused, TRUST);
    assert_refused(&refused, "list the signer's public key in project team");
    // A signature by a key that nobody lists, then that key listed.
    let (signer, size) = (SigningKey::generate().unwrap(), story.image.manifest.len());
    story.sign("team/app", &story.image.digest, size, &signer).await;
    world.settle().await;
    assert_refused(&pull(world, &guest, "team/app").await.unwrap_err(), TRUST);
    let pem = signer.public_key().to_pem();
    registry.add_project_key(dev, "team", "ci", &pem).await.unwrap();
    world.settle().await;
    pull(world, &guest, "team/app").await.unwrap();
    registry.compromise_project_key(dev, "team", "ci", None).await.unwrap();
    assert_refused(&pull(world, &guest, "team/app").await.unwrap_err(), TRUST);
    // The older flag asks for the same, in Harbor's other words, and is another one.
    let older = HarborFlagChange { content_trust: Some(true), ..trust(false) };
    let flags = registry.set_harbor_flags(dev, "team", &older).await.unwrap();
    assert!(flags.content_trust && !flags.content_trust_cosign);
    let refused = pull(world, &guest, "team/app").await.unwrap_err();
    assert_refused(&refused, "The image is not signed by notation.");
    let off = HarborFlagChange { content_trust: Some(false), ..trust(false) };
    let flags = registry.set_harbor_flags(dev, "team", &off).await.unwrap();
    assert_eq!(flags, none);
    assert!(registry.policy(dev, &target).await.unwrap().is_none(), "nothing is left of it");
    pull(world, &guest, "team/app").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vulnerability_prevention_is_the_findings_rule() {
    prevention(Story::new(World::new().await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vulnerability_prevention_is_the_findings_rule_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        prevention(Story::new(world).await).await;
    }
}

async fn prevention(story: Story) {
    let (world, dev) = (&story.world, &story.dev);
    let registry = &world.registry;
    let guest = guest(world, "team").await;
    story.advise("CVE-2026-1234", "1").await;
    world.settle().await;
    pull(world, &guest, "team/app").await.unwrap();
    registry.set_harbor_flags(dev, "team", &prevent(Severity::Critical)).await.unwrap();
    pull(world, &guest, "team/app").await.unwrap();
    let flags = registry.set_harbor_flags(dev, "team", &prevent(Severity::High)).await.unwrap();
    assert_eq!(flags.prevent_vul, Some(Severity::High));
    let refused = pull(world, &guest, "team/app").await.unwrap_err();
    assert_refused(&refused, PREVENT);
    assert_refused(&refused, "CVE-2026-1234");
    assert_refused(&refused, "current image with 1 vulnerability cannot be pulled");
    assert_refused(&refused, "vulnerability severity of \"High\" or higher from running.'");
    // In a sandbox what one person lists is excused, until it ends; but not while the project goes
    // by the system's list.
    registry.set_cve_allowlist(dev, "team", &listed(&["cve-2026-1234"])).await.unwrap();
    assert_refused(&pull(world, &guest, "team/app").await.unwrap_err(), PREVENT);
    registry.set_cve_allowlist(dev, "team", &own(&["cve-2026-1234"])).await.unwrap();
    pull(world, &guest, "team/app").await.unwrap();
    let soon = world.clock.now() + SignedDuration::from_hours(1);
    let ends = AllowlistChange { expires_at: Some(Some(soon)), ..AllowlistChange::default() };
    registry.set_cve_allowlist(dev, "team", &ends).await.unwrap();
    pull(world, &guest, "team/app").await.unwrap();
    world.clock.advance(SignedDuration::from_hours(2));
    assert_refused(&pull(world, &guest, "team/app").await.unwrap_err(), PREVENT);
    // The system's list, unless the project does without.
    let system = AllowlistChange { reuse_system: Some(true), ..listed(&[]) };
    registry.set_cve_allowlist(dev, "team", &system).await.unwrap();
    let admin = world.admin().await;
    let other = listed(&["CVE-2026-1234", "CVE-2020-9"]);
    registry.set_system_cve_allowlist(&admin, &other).await.unwrap();
    pull(world, &guest, "team/app").await.unwrap();
    let without =
        HarborFlagChange { reuse_sys_cve_allowlist: Some(false), ..HarborFlagChange::default() };
    let flags = registry.set_harbor_flags(dev, "team", &without).await.unwrap();
    assert!(!flags.reuse_sys_cve_allowlist);
    assert_refused(&pull(world, &guest, "team/app").await.unwrap_err(), PREVENT);
    let off = HarborFlagChange { prevent_vul: Some(false), ..HarborFlagChange::default() };
    registry.set_harbor_flags(dev, "team", &off).await.unwrap();
    pull(world, &guest, "team/app").await.unwrap();
}

/// What no advisory could name is not pulled, also in a sandbox.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prevention_lets_nothing_through_that_nobody_could_judge() {
    let story = Story::new(World::new().await).await;
    let (world, dev) = (&story.world, &story.dev);
    let files = [("etc/os-release", "ID=unheardof\nVERSION_ID=\"1\"\n"), crate::story::DPKG];
    world.image(dev, "team/odd", "v1", &files).await.unwrap();
    world.settle().await;
    let guest = guest(world, "team").await;
    pull(world, &guest, "team/odd").await.unwrap();
    world.registry.set_harbor_flags(dev, "team", &prevent(Severity::High)).await.unwrap();
    let refused = pull(world, &guest, "team/odd").await.unwrap_err();
    assert_refused(&refused, "current image without vulnerability scanning");
    pull(world, &guest, "team/app").await.unwrap();
}

/// Above sandbox no list counts by the word of one person.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_sandbox_a_list_takes_two_persons() {
    let story = Story::new(World::new().await).await;
    let (world, dev, officer) = (&story.world, &story.dev, &story.officer);
    let registry = &world.registry;
    world.project(dev, "stage", Tier::Integration, false).await;
    let files = [crate::story::OS, crate::story::DPKG];
    world.image(dev, "stage/app", "v1", &files).await.unwrap();
    let guest = guest(world, "stage").await;
    story.advise("CVE-2026-1234", "1").await;
    world.settle().await;
    registry.set_harbor_flags(dev, "stage", &prevent(Severity::High)).await.unwrap();
    assert!(by_flag(&pull(world, &guest, "stage/app").await));
    let list = own(&["CVE-2026-1234"]);
    let written = registry.set_cve_allowlist(dev, "stage", &list).await.unwrap();
    assert_eq!((written.items.len(), written.granted_by), (1, None));
    assert!(by_flag(&pull(world, &guest, "stage/app").await), "asked for, not granted");
    // Who may not: who wrote it, an administrator, a robot; and there must be a list.
    let admin = world.admin().await;
    let robot = world.robot("stage", &Right::OF_ROBOTS).await;
    for who in [dev, &admin, &robot] {
        let error = registry.grant_cve_allowlist(who, Some("stage"), None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Forbidden);
    }
    let error = registry.grant_cve_allowlist(officer, Some("team"), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let other = own(&["CVE-2026-4321"]);
    let error = registry.set_cve_allowlist(&robot, "stage", &other).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden);
    // Nor what the officer has not seen.
    let before = Some(world.clock.now() - SignedDuration::from_secs(1));
    let error = registry.grant_cve_allowlist(officer, Some("stage"), before).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    let seen = registry.cve_allowlist(&guest, "stage").await.unwrap().updated_at;
    registry.grant_cve_allowlist(officer, Some("stage"), seen).await.unwrap();
    assert!(!by_flag(&pull(world, &guest, "stage/app").await));
    // More on the list, or for longer, is asked for anew; less is not.
    let more = own(&["CVE-2026-1234", "CVE-2026-5678"]);
    assert_eq!(registry.set_cve_allowlist(dev, "stage", &more).await.unwrap().granted_by, None);
    assert!(by_flag(&pull(world, &guest, "stage/app").await));
    registry.grant_cve_allowlist(officer, Some("stage"), None).await.unwrap();
    let less = registry.set_cve_allowlist(dev, "stage", &list).await.unwrap();
    assert!(less.granted_by.is_some());
    assert!(!by_flag(&pull(world, &guest, "stage/app").await));
    world.clock.advance(SignedDuration::from_hours(24 * 367));
    assert!(by_flag(&pull(world, &guest, "stage/app").await), "no list is for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_and_lists_are_for_those_who_manage() {
    let world = World::new().await;
    let (dev, other) = (world.user("dev").await, world.user("other").await);
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let registry = &world.registry;
    let guest = guest(&world, "team").await;
    let nobody = anonymous();
    let list = listed(&["CVE-2026-1"]);
    for (who, kind) in
        [(&guest, Kind::Forbidden), (&other, Kind::NotFound), (&nobody, Kind::Unauthenticated)]
    {
        let flag = registry.set_harbor_flags(who, "team", &trust(true)).await.unwrap_err();
        let listing = registry.set_cve_allowlist(who, "team", &list).await.unwrap_err();
        assert_eq!((flag.kind(), listing.kind()), (kind, kind));
    }
    let system = registry.set_system_cve_allowlist(&dev, &list).await.unwrap_err();
    assert_eq!(system.kind(), Kind::Forbidden);
    assert_eq!(
        registry.system_cve_allowlist(&nobody).await.unwrap_err().kind(),
        Kind::Unauthenticated
    );
    let odd = "x".repeat(200);
    for wrong in ["", "CVE 2026", odd.as_str(), "CVE-2026-\u{0}"] {
        let error = registry.set_cve_allowlist(&dev, "team", &listed(&[wrong])).await;
        assert_eq!(error.unwrap_err().kind(), Kind::Invalid, "{wrong:?}");
    }
    let many: Vec<String> = (0..=1_000).map(|n| format!("CVE-2026-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let error = registry.set_cve_allowlist(&dev, "team", &listed(&many)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    // A rule of somebody's own stays, and is not switched off by a flag.
    let target = PolicyTarget::Project("team".to_owned());
    let own = "apiVersion: sealock/v1\nkind: Policy\nname: own\nrules:\n\
               - {name: mine, signed: {by: any}}\n";
    registry.put_policy(&dev, &target, own).await.unwrap();
    assert!(registry.harbor_flags(&guest, "team").await.unwrap().content_trust_cosign);
    let error = registry.set_harbor_flags(&dev, "team", &trust(false)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.message().contains("\"mine\""), "{error}");
    registry.set_harbor_flags(&dev, "team", &prevent(Severity::Low)).await.unwrap();
    let text = registry.policy(&dev, &target).await.unwrap().unwrap().text;
    assert!(text.contains("mine") && text.contains("harbor-vulnerabilities"), "{text}");
}

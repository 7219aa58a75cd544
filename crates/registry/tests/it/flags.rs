//! Harbor's flags at the pull door, and what its CVE allowlists excuse (decisions D18, D20).

use crate::{
    story::Story,
    world::{World, anonymous, repo},
};
use jiff::SignedDuration;
use sealock_auth::{Caller, Right, Role};
use sealock_facts::Tier;
use sealock_metadata::{self as metadata, Clock as _};
use sealock_oci::{Digest, ErrorCode};
use sealock_registry::{
    AllowlistChange, CveAllowlist, Error, Kind, PolicyTarget, harbor::ProjectChange,
};
use sealock_signing::SigningKey;
use std::collections::BTreeMap;

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

/// Harbor's metadata of a project, or what is said of it.
type Said = BTreeMap<String, Option<String>>;

fn say(words: &[(&str, &str)]) -> Said {
    words.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
}

fn trust(on: &str) -> Said {
    say(&[("enable_content_trust_cosign", on)])
}

fn prevent(severity: &str) -> Said {
    say(&[("prevent_vul", "true"), ("severity", severity)])
}

async fn set(world: &World, who: &Caller, project: &str, metadata: Said) -> Result<(), Error> {
    let change = ProjectChange { metadata, allowlist: None };
    world.registry.update_harbor_project(who, &project.into(), &change).await
}

/// Writes a project's allowlist, and reads it.
async fn list(
    world: &World,
    who: &Caller,
    project: &str,
    list: &AllowlistChange,
) -> Result<CveAllowlist, Error> {
    let change = ProjectChange { metadata: Said::new(), allowlist: Some((None, list.clone())) };
    world.registry.update_harbor_project(who, &project.into(), &change).await?;
    world.registry.cve_allowlist(who, project).await
}

/// Which of Harbor's protections a project says it has.
async fn protections(world: &World, project: &str) -> Vec<String> {
    let admin = world.admin().await;
    let all = world.registry.harbor_settings(&admin, &project.into()).await.unwrap();
    let on = all.into_iter().filter(|(_, value)| value == "true");
    on.map(|(name, _)| name).collect()
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
    assert!(protections(world, "team").await.is_empty());
    set(world, dev, "team", trust("true")).await.unwrap();
    assert_eq!(protections(world, "team").await, ["enable_content_trust_cosign"]);
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
    let older = [("enable_content_trust", "true"), ("enable_content_trust_cosign", "false")];
    set(world, dev, "team", say(&older)).await.unwrap();
    assert_eq!(protections(world, "team").await, ["enable_content_trust"]);
    let refused = pull(world, &guest, "team/app").await.unwrap_err();
    assert_refused(&refused, "The image is not signed by notation.");
    set(world, dev, "team", say(&[("enable_content_trust", "false")])).await.unwrap();
    assert!(protections(world, "team").await.is_empty());
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
    set(world, dev, "team", prevent("critical")).await.unwrap();
    pull(world, &guest, "team/app").await.unwrap();
    set(world, dev, "team", prevent("high")).await.unwrap();
    assert_eq!(protections(world, "team").await, ["prevent_vul"]);
    let refused = pull(world, &guest, "team/app").await.unwrap_err();
    assert_refused(&refused, PREVENT);
    assert_refused(&refused, "CVE-2026-1234");
    assert_refused(&refused, "current image with 1 vulnerability cannot be pulled");
    assert_refused(&refused, "vulnerability severity of \"High\" or higher from running.'");
    // In a sandbox what one person lists is excused, until it ends; but not while the project goes
    // by the system's list.
    list(world, dev, "team", &listed(&["cve-2026-1234"])).await.unwrap();
    assert_refused(&pull(world, &guest, "team/app").await.unwrap_err(), PREVENT);
    list(world, dev, "team", &own(&["cve-2026-1234"])).await.unwrap();
    pull(world, &guest, "team/app").await.unwrap();
    let soon = world.clock.now() + SignedDuration::from_hours(1);
    let ends = AllowlistChange { expires_at: Some(Some(soon)), ..AllowlistChange::default() };
    list(world, dev, "team", &ends).await.unwrap();
    pull(world, &guest, "team/app").await.unwrap();
    world.clock.advance(SignedDuration::from_hours(2));
    assert_refused(&pull(world, &guest, "team/app").await.unwrap_err(), PREVENT);
    // The system's list, unless the project does without.
    let system = AllowlistChange { reuse_system: Some(true), ..listed(&[]) };
    list(world, dev, "team", &system).await.unwrap();
    let admin = world.admin().await;
    let other = listed(&["CVE-2026-1234", "CVE-2020-9"]);
    registry.set_system_cve_allowlist(&admin, &other).await.unwrap();
    pull(world, &guest, "team/app").await.unwrap();
    set(world, dev, "team", say(&[("reuse_sys_cve_allowlist", "false")])).await.unwrap();
    assert_refused(&pull(world, &guest, "team/app").await.unwrap_err(), PREVENT);
    set(world, dev, "team", say(&[("prevent_vul", "false")])).await.unwrap();
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
    set(world, dev, "team", prevent("high")).await.unwrap();
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
    set(world, dev, "stage", prevent("high")).await.unwrap();
    assert!(by_flag(&pull(world, &guest, "stage/app").await));
    let first = own(&["CVE-2026-1234"]);
    let written = list(world, dev, "stage", &first).await.unwrap();
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
    let error = list(world, &robot, "stage", &other).await.unwrap_err();
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
    assert_eq!(list(world, dev, "stage", &more).await.unwrap().granted_by, None);
    assert!(by_flag(&pull(world, &guest, "stage/app").await));
    registry.grant_cve_allowlist(officer, Some("stage"), None).await.unwrap();
    let less = list(world, dev, "stage", &first).await.unwrap();
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
    let one = listed(&["CVE-2026-1"]);
    for (who, kind) in
        [(&guest, Kind::Forbidden), (&other, Kind::Forbidden), (&nobody, Kind::Unauthenticated)]
    {
        let flag = set(&world, who, "team", trust("true")).await.unwrap_err();
        let listing = list(&world, who, "team", &one).await.unwrap_err();
        assert_eq!((flag.kind(), listing.kind()), (kind, kind));
    }
    let system = registry.set_system_cve_allowlist(&dev, &one).await.unwrap_err();
    assert_eq!(system.kind(), Kind::Forbidden);
    assert_eq!(
        registry.system_cve_allowlist(&nobody).await.unwrap_err().kind(),
        Kind::Unauthenticated
    );
    let odd = "x".repeat(200);
    for wrong in ["", "CVE 2026", odd.as_str(), "CVE-2026-\u{0}"] {
        let error = list(&world, &dev, "team", &listed(&[wrong])).await;
        assert_eq!(error.unwrap_err().kind(), Kind::Invalid, "{wrong:?}");
    }
    let many: Vec<String> = (0..=1_000).map(|n| format!("CVE-2026-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let error = list(&world, &dev, "team", &listed(&many)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    // A rule of somebody's own stays, and is not switched off by a flag.
    let target = PolicyTarget::Project("team".to_owned());
    let own = "apiVersion: sealock/v1\nkind: Policy\nname: own\nrules:\n\
               - {name: mine, signed: {by: any}}\n";
    registry.put_policy(&dev, &target, own).await.unwrap();
    assert_eq!(protections(&world, "team").await, ["enable_content_trust_cosign"]);
    let error = set(&world, &dev, "team", trust("false")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.message().contains("\"mine\""), "{error}");
    set(&world, &dev, "team", prevent("low")).await.unwrap();
    let text = registry.policy(&dev, &target).await.unwrap().unwrap().text;
    assert!(text.contains("mine") && text.contains("harbor-vulnerabilities"), "{text}");
}

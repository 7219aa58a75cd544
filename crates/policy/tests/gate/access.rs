//! Who may bring bytes in and take them out.

use crate::build::*;
use sealock_facts::{Action, Door, Tier};
use sealock_policy::{
    AppliedPolicy, RequestFacts, Scope, Subject, default_tier, evaluate_access, immutable_tags,
};

fn subject(tier: Tier) -> Subject {
    Subject { project: "shop".into(), repository: "shop/app".into(), tier }
}

fn open(door: Door, policies: &[AppliedPolicy], tier: Tier, request: &RequestFacts) -> bool {
    let access = evaluate_access(door, &subject(tier), policies, request);
    // The same answer as part of a whole verdict.
    let mut whole = input(door, policies.to_vec());
    whole.subject = subject(tier);
    whole.request = Some(request.clone());
    assert_eq!(verdict(&whole).action == Action::Deny, !access.is_open());
    access.is_open()
}

fn robot(name: &str) -> RequestFacts {
    RequestFacts { principal: Some(name.into()), robot: true, ..RequestFacts::default() }
}

fn user(name: &str) -> RequestFacts {
    RequestFacts { principal: Some(name.into()), ..RequestFacts::default() }
}

#[test]
fn bytes_enter_release_by_promotion_only() {
    let name = "robot$shop+importer";
    let naming =
        |scope| vec![policy(scope, &format!("access: {{directPush: {{robots: ['{name}']}}}}\n"))];
    for tier in Tier::ALL {
        let closed = tier >= Tier::Release;
        assert_eq!(open(Door::Push, &[], tier, &user("dana")), !closed, "{tier}");
        let accessory = RequestFacts { accessory: true, ..user("dana") };
        assert!(open(Door::Push, &[], tier, &accessory), "accessories: {tier}");
        assert!(open(Door::Push, &naming(Scope::Tier), tier, &robot(name)), "{tier}");
        assert!(!open(Door::Push, &naming(Scope::Tier), tier, &robot("robot$shop+other")));
        assert!(!open(Door::Push, &naming(Scope::Tier), tier, &user(name)), "a user of that name");
        // A project cannot open itself.
        assert_eq!(
            open(Door::Push, &naming(Scope::Project), tier, &robot(name)),
            !closed,
            "{tier}"
        );
    }
}

#[test]
fn consumers() {
    let policies = [policy(
        Scope::Tier,
        "access:\n  consumers:\n    principals: ['robot$shop+*', dana]\n    networks: [10.0.0.0/8, 'fd00::/8']\n",
    )];
    let from = |who: RequestFacts, address: &str| RequestFacts {
        address: Some(address.parse().unwrap()),
        ..who
    };
    for (request, expected) in [
        (from(user("dana"), "10.1.2.3"), true),
        (from(user("dana"), "::ffff:10.1.2.3"), true),
        (from(user("dana"), "fd00::1"), true),
        (from(robot("robot$shop+ci"), "10.1.2.3"), true),
        (from(user("dana"), "11.1.2.3"), false),
        (from(user("danae"), "10.1.2.3"), false),
        (from(RequestFacts::default(), "10.1.2.3"), false),
        (user("dana"), false),
    ] {
        assert_eq!(open(Door::Pull, &policies, Tier::Release, &request), expected, "{request:?}");
    }
    assert!(open(Door::Admit, &policies, Tier::Release, &RequestFacts::default()));
}

#[test]
fn pull_by_digest_and_sources() {
    let digest_only = [policy(Scope::Project, "access: {pullByDigestOnly: true}\n")];
    assert!(!open(Door::Pull, &digest_only, Tier::Release, &user("dana")));
    let by_digest = RequestFacts { by_digest: true, ..user("dana") };
    assert!(open(Door::Pull, &digest_only, Tier::Release, &by_digest));

    let sources =
        [policy(Scope::Tier, "access: {sources: {projects: ['team-*'], tiers: [integration]}}\n")];
    let from = |project: &str, tier| RequestFacts {
        source: Some(Subject { project: project.into(), repository: format!("{project}/x"), tier }),
        ..user("dana")
    };
    for (request, expected) in [
        (from("team-a", Tier::Sandbox), true),
        (from("else", Tier::Integration), true),
        (from("else", Tier::Sandbox), false),
        (user("dana"), false),
    ] {
        assert_eq!(open(Door::Promote, &sources, Tier::Release, &request), expected);
    }
}

#[test]
fn a_cluster_asks_for_a_minimum_tier() {
    let policies = vec![policy(Scope::Cluster, "access: {minimumTier: integration}\n")];
    for tier in Tier::ALL {
        let mut input = input(Door::Admit, policies.clone());
        input.subject.tier = tier;
        assert_eq!(verdict(&input).is_open(), tier >= Tier::Integration, "{tier}");
    }
    let mut pull = input(Door::Pull, policies);
    pull.subject.tier = Tier::Sandbox;
    assert!(verdict(&pull).is_open());
}

#[test]
fn tags_do_not_move() {
    for tier in Tier::ALL {
        assert_eq!(immutable_tags(tier, []), tier >= Tier::Release);
        assert_eq!(immutable_tags(tier, [&default_tier(tier)]), tier >= Tier::Release);
    }
    let policy = policy(Scope::Project, "access: {immutableTags: true}\n");
    assert!(immutable_tags(Tier::Sandbox, [&policy.document]));
}

#[test]
fn documents_are_never_merged() {
    // One lets a robot in, the other does not: both must.
    let policies = [
        policy(Scope::Tier, "access: {directPush: {robots: ['robot$shop+a']}}\n"),
        policy(Scope::Project, "access: {directPush: {robots: ['robot$shop+b']}}\n"),
    ];
    for name in ["robot$shop+a", "robot$shop+b"] {
        assert!(!open(Door::Push, &policies, Tier::Integration, &robot(name)));
    }
    // Project rules do not soften those of the tier.
    let mut input = input(
        Door::Promote,
        vec![
            policy(Scope::Tier, "rules:\n- name: r\n  signed: {by: [release]}\n"),
            policy(Scope::Project, "rules:\n- name: r\n  doors: {promote: off}\n  signed: {}\n"),
        ],
    );
    input.artifact.signatures.clear();
    assert_eq!(verdict(&input).action, Action::Deny);
}

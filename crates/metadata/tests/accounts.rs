//! Members, robots, keys, clusters, policies, settings and audit, on both engines.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use sealock_facts::Tier;
use sealock_metadata::{
    Tx, audit, both_engines,
    clusters::{self, ClusterSettings, NamespacePolicy},
    examiners::{self, Examiner},
    former_names::{self, Named},
    labels,
    listing::{Term, Wanted},
    members, policies,
    policies::PolicyScope,
    product_keys, project_keys, project_settings,
    projects::{self, Visible},
    robots, settings,
    testing::TestDatabase,
    user_groups, users,
};
use std::collections::BTreeMap;
use support::*;

both_engines!(
    members_belong_to_one_project,
    examiners_are_named_one_by_one,
    robots_belong_to_one_project,
    robots_of_the_system_belong_to_no_project,
    keys_count_in_the_policys_revision,
    clusters_are_known_by_their_tokens,
    policies_keep_every_version,
    audit_tells_who_pulled_a_digest,
    lists_are_read_by_conditions_and_order,
    members_are_people_or_groups,
    labels_stand_in_their_project,
    names_are_remembered,
);

async fn members_belong_to_one_project(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let (a, b) =
        (project(&mut tx, "a", Tier::Sandbox).await, project(&mut tx, "b", Tier::Sandbox).await);
    let new = users::NewUser { name: "ann", password_hash: Some("h"), ..Default::default() };
    let ann = users::create(&mut tx, &new).await.unwrap().unwrap();
    members::put(&mut tx, a.id, ann.id, 2).await.unwrap();
    members::put(&mut tx, a.id, ann.id, 4).await.unwrap();
    assert_eq!(members::roles(&mut tx, a.id, ann.id).await.unwrap(), [(4, String::new())]);
    assert!(members::roles(&mut tx, b.id, ann.id).await.unwrap().is_empty());
    let listed = members::list(&mut tx, a.id, 0, 9).await.unwrap();
    assert_eq!((listed.len(), listed[0].user_name.as_str()), (1, "ann"));
    assert!(members::list(&mut tx, a.id, listed[0].id, 9).await.unwrap().is_empty());
    let limited = listed[0].id;
    assert!(!members::set_limit(&mut tx, b.id, limited, "app-*").await.unwrap());
    assert!(members::set_limit(&mut tx, a.id, limited, "app-*").await.unwrap());
    members::put(&mut tx, a.id, ann.id, 2).await.unwrap();
    let own = (2, "app-*".to_owned());
    assert_eq!(members::roles(&mut tx, a.id, ann.id).await.unwrap(), [own], "the limit stays");
    let readable = projects::readable(&mut tx, Some(ann.id)).await.unwrap();
    assert_eq!(readable.len(), 1);
    let only = &readable[0];
    assert_eq!(
        (only.id, &*only.name, only.role, &*only.repositories),
        (a.id, "a", Some(2), "app-*")
    );
    assert!(projects::readable(&mut tx, None).await.unwrap().is_empty());
    assert!(projects::update(&mut tx, b.id, true, Tier::Release).await.unwrap());
    let changed = projects::find(&mut tx, "b").await.unwrap().unwrap();
    assert_eq!((changed.tier, changed.policy_rev), (Tier::Release, b.policy_rev + 1));
    let readable = projects::readable(&mut tx, None).await.unwrap();
    assert_eq!(readable.iter().map(|row| (row.id, row.role)).collect::<Vec<_>>(), [(b.id, None)]);
    assert!(users::set_password(&mut tx, ann.id, "i").await.unwrap());
    let stored = users::credentials(&mut tx, "ann").await.unwrap().unwrap();
    assert_eq!(stored.password_hash.as_deref(), Some("i"));
    assert!(!format!("{stored:?}").contains("\"i\""));
    assert_eq!(users::list(&mut tx, "", 9).await.unwrap().len(), 1);
    assert!(users::delete(&mut tx, ann.id).await.unwrap());
    assert!(members::list(&mut tx, a.id, 0, 9).await.unwrap().is_empty());
    assert!(users::get(&mut tx, ann.id).await.unwrap().is_none());
    assert!(!members::remove(&mut tx, a.id, ann.id).await.unwrap());
}

async fn names_are_remembered(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let mut ids = Vec::new();
    for name in ["ann", "bob"] {
        let new = users::NewUser { name, ..Default::default() };
        ids.push(users::create(&mut tx, &new).await.unwrap().unwrap().id);
    }
    let (ann, bob) = (ids[0], ids[1]);
    assert!(!users::rename(&mut tx, ann, "ann", "bob").await.unwrap(), "taken");
    assert!(!users::rename(&mut tx, ann, "bob", "x").await.unwrap(), "not hers");
    assert!(users::rename(&mut tx, ann, "ann", "Anna").await.unwrap());
    assert_eq!(users::find(&mut tx, "Anna").await.unwrap().unwrap().id, ann);
    assert!(users::find(&mut tx, "ann").await.unwrap().is_none());
    let called = async |tx: &mut Tx, name: &str| -> Vec<i64> {
        users::called(tx, name).await.unwrap().iter().map(|user| user.id).collect()
    };
    for name in ["anna", "ANNA", "ann", "ANN"] {
        assert_eq!(called(&mut tx, name).await, [ann], "{name}");
    }
    assert_eq!(called(&mut tx, "BOB").await, [bob]);
    let holder = former_names::holder;
    assert_eq!(holder(&mut tx, Named::User, "ann").await.unwrap(), Some(ann));
    assert_eq!(holder(&mut tx, Named::User, "Anna").await.unwrap(), None);
    assert_eq!(holder(&mut tx, Named::Project, "ann").await.unwrap(), None);
    assert!(users::delete(&mut tx, ann).await.unwrap());
    assert_eq!(holder(&mut tx, Named::User, "Anna").await.unwrap(), Some(ann));
    assert!(called(&mut tx, "ann").await.is_empty(), "who is gone keeps no name");
    assert!(users::rename(&mut tx, bob, "bob", "ann").await.unwrap());
    assert!(users::delete(&mut tx, bob).await.unwrap());
    assert_eq!(holder(&mut tx, Named::User, "ann").await.unwrap(), Some(bob), "the last one");

    let shop = project(&mut tx, "shop", Tier::Sandbox).await;
    assert!(projects::rename(&mut tx, shop.id, "shop", "store").await.unwrap());
    assert_eq!(holder(&mut tx, Named::Project, "shop").await.unwrap(), Some(shop.id));
    let text = Some("principals: [ann_b]");
    policies::put(&mut tx, PolicyScope::Project, &shop.id.to_string(), text, "x").await.unwrap();
    for scope in [PolicyScope::Floor, PolicyScope::Cluster] {
        policies::put(&mut tx, scope, "", text, "x").await.unwrap();
    }
    let with = async |tx: &mut Tx, text: &str, after: i64| -> Vec<PolicyScope> {
        let found = policies::with_text(tx, text, after, 9).await.unwrap();
        found.iter().map(|policy| policy.scope).collect()
    };
    let both = [PolicyScope::Project, PolicyScope::Floor];
    assert_eq!(with(&mut tx, "Ann_B", 0).await, both);
    assert_eq!(with(&mut tx, "bob", 0).await, []);
    let first = policies::with_text(&mut tx, "ann_b", 0, 1).await.unwrap()[0].id;
    assert_eq!(with(&mut tx, "ann_b", first).await, [PolicyScope::Floor]);
    policies::put(&mut tx, PolicyScope::Floor, "", Some("nothing"), "x").await.unwrap();
    assert_eq!(with(&mut tx, "ann_b", 0).await, [PolicyScope::Project], "in force only");
    assert!(projects::delete(&mut tx, shop.id).await.unwrap());
    assert_eq!(with(&mut tx, "ann_b", 0).await, [], "of what is here only");
    assert_eq!(holder(&mut tx, Named::Project, "store").await.unwrap(), Some(shop.id));
    tx.commit().await.unwrap();
}

async fn examiners_are_named_one_by_one(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let (a, b) =
        (project(&mut tx, "a", Tier::Sandbox).await, project(&mut tx, "b", Tier::Sandbox).await);
    let new = users::NewUser { name: "ann", ..Default::default() };
    let ann = Examiner::User(users::create(&mut tx, &new).await.unwrap().unwrap().id);
    let new = new_robot(Some(a.id), "scan", &[]);
    let robot_id = robots::create(&mut tx, &new).await.unwrap().unwrap();
    let robot = Examiner::Robot(robot_id);
    for who in [ann, robot] {
        assert!(!examiners::holds(&mut tx, a.id, who).await.unwrap());
        assert!(examiners::grant(&mut tx, a.id, who, "sofia").await.unwrap());
        assert!(!examiners::grant(&mut tx, a.id, who, "sofia").await.unwrap(), "once");
        assert!(examiners::holds(&mut tx, a.id, who).await.unwrap());
        assert!(!examiners::holds(&mut tx, b.id, who).await.unwrap());
    }
    let listed = examiners::list(&mut tx, a.id, 0, 9).await.unwrap();
    let names: Vec<_> = listed.iter().map(|g| g.user.as_deref().or(g.robot.as_deref())).collect();
    assert_eq!(names, [Some("ann"), Some("scan")]);
    assert!(examiners::withdraw(&mut tx, a.id, ann).await.unwrap());
    assert!(!examiners::withdraw(&mut tx, a.id, ann).await.unwrap());
    assert!(!examiners::holds(&mut tx, a.id, ann).await.unwrap());
    assert!(robots::delete(&mut tx, Some(a.id), robot_id).await.unwrap());
    assert!(examiners::list(&mut tx, a.id, 0, 9).await.unwrap().is_empty());
}

async fn robots_belong_to_one_project(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let (a, b) =
        (project(&mut tx, "a", Tier::Sandbox).await, project(&mut tx, "b", Tier::Sandbox).await);
    let grants = [robots::NewGrant {
        project_id: Some(a.id),
        every_project: false,
        repositories: "app-*".to_owned(),
        permissions: vec!["repository:push".to_owned()],
    }];
    let new = new_robot(Some(a.id), "ci", &grants);
    let id = robots::create(&mut tx, &new).await.unwrap().unwrap();
    assert_eq!(robots::create(&mut tx, &new).await.unwrap(), None);
    let found = robots::credentials(&mut tx, Some("a"), "ci").await.unwrap().unwrap();
    let granted = &found.robot.grants[0];
    assert_eq!((found.robot.id, granted.project.as_deref()), (id, Some("a")));
    assert_eq!(granted.permissions, grants[0].permissions);
    assert!(!format!("{found:?}").contains("secret"));
    let (one, two) = (Some(a.id), Some(b.id));
    for (project, name) in [(Some("b"), "ci"), (None, "ci"), (Some("a"), "a+ci")] {
        assert!(robots::credentials(&mut tx, project, name).await.unwrap().is_none());
    }
    assert!(robots::credentials_of(&mut tx, one, id).await.unwrap().is_some());
    assert_eq!(robots::list(&mut tx, a.id, 0, 9).await.unwrap().len(), 1);
    for other in [two, None] {
        assert!(robots::credentials_of(&mut tx, other, id).await.unwrap().is_none());
        let change = change(true, &grants);
        assert!(!robots::update(&mut tx, other, id, &change).await.unwrap());
        assert!(!robots::set_secret(&mut tx, other, id, &[2; 32]).await.unwrap());
        assert!(!robots::delete(&mut tx, other, id).await.unwrap());
    }
    assert!(robots::update(&mut tx, one, id, &change(true, &[])).await.unwrap());
    let changed = robots::get(&mut tx, id).await.unwrap().unwrap();
    assert!(changed.disabled && changed.grants.is_empty());
    assert!(robots::delete(&mut tx, one, id).await.unwrap());
}

/// A robot of the system has its name there; what it was given in a project ends with it.
async fn robots_of_the_system_belong_to_no_project(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let a = project(&mut tx, "a", Tier::Sandbox).await;
    let grant = |project_id, every_project| robots::NewGrant {
        project_id,
        every_project,
        repositories: String::new(),
        permissions: vec!["repository:pull".to_owned()],
    };
    let grants = [grant(Some(a.id), false), grant(None, true), grant(None, false)];
    let new = new_robot(None, "ci", &grants);
    let id = robots::create(&mut tx, &new).await.unwrap().unwrap();
    assert_eq!(robots::create(&mut tx, &new).await.unwrap(), None, "the name is taken");
    let own = new_robot(Some(a.id), "ci", &[]);
    assert!(robots::create(&mut tx, &own).await.unwrap().is_some(), "in a project it is not");
    let wanted = Wanted { limit: 10, ..Wanted::default() };
    let listed = robots::page(&mut tx, None, &wanted).await.unwrap();
    assert_eq!((listed.total, listed.items[0].id, listed.items[0].grants.len()), (1, id, 3));
    let by = |text: &str| Wanted {
        terms: vec![("name".to_owned(), Term::Is(text.to_owned()))],
        ..wanted.clone()
    };
    for (project, name, found) in
        [(None, "ci", 1), (Some(a.id), "a+ci", 1), (Some(a.id), "ci", 0), (None, "a+ci", 0)]
    {
        let listed = robots::page(&mut tx, project, &by(name)).await.unwrap();
        assert_eq!(listed.total, found, "{name}");
    }
    assert!(robots::credentials(&mut tx, None, "ci").await.unwrap().is_some());
    assert!(projects::delete(&mut tx, a.id).await.unwrap());
    let left = robots::get(&mut tx, id).await.unwrap().unwrap().grants;
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|grant| grant.project_id.is_none()));
}

fn new_robot<'a>(
    project_id: Option<i64>,
    name: &'a str,
    grants: &'a [robots::NewGrant],
) -> robots::NewRobot<'a> {
    robots::NewRobot {
        project_id,
        name,
        description: "",
        secret_hash: &[1; 32],
        disabled: false,
        duration: -1,
        expires_at: None,
        created_by: "ann",
        creator: ("local", 1),
        grants,
    }
}

fn change(disabled: bool, grants: &[robots::NewGrant]) -> robots::Change<'_> {
    robots::Change { description: "", disabled, duration: -1, expires_at: None, grants }
}

async fn keys_count_in_the_policys_revision(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let (a, b) =
        (project(&mut tx, "a", Tier::Sandbox).await, project(&mut tx, "b", Tier::Sandbox).await);
    let key = project_keys::add(&mut tx, a.id, "ci", "id", "pem", "ann").await.unwrap().unwrap();
    assert_eq!(project_keys::add(&mut tx, a.id, "ci", "id2", "pem", "ann").await.unwrap(), None);
    assert_eq!(project_keys::add(&mut tx, a.id, "ci2", "id", "pem", "ann").await.unwrap(), None);
    assert!(project_keys::add(&mut tx, b.id, "ci", "id", "pem", "ann").await.unwrap().is_some());
    let when = Some(tx.now());
    assert!(project_keys::set_compromised(&mut tx, a.id, "ci", when).await.unwrap());
    assert!(!project_keys::set_compromised(&mut tx, a.id, "no", when).await.unwrap());
    let found = project_keys::find(&mut tx, a.id, "ci").await.unwrap().unwrap();
    assert_eq!((found.id, found.compromised_at), (key.id, when));
    assert_eq!(project_keys::list(&mut tx, b.id, 0, 9).await.unwrap()[0].compromised_at, None);
    assert!(project_keys::remove(&mut tx, a.id, "ci").await.unwrap());
    let rev = |p: Option<projects::Project>| p.unwrap().policy_rev;
    assert_eq!(rev(projects::get(&mut tx, a.id).await.unwrap()), a.policy_rev + 3);
    assert_eq!(rev(projects::get(&mut tx, b.id).await.unwrap()), b.policy_rev + 1);

    let first = product_keys::ensure(&mut tx, "k1", "token", &[1], None).await.unwrap();
    let second = product_keys::ensure(&mut tx, "k2", "token", &[2], None).await.unwrap();
    assert_eq!(first, second, "the one that came first");
    t.clock.advance(jiff::SignedDuration::from_secs(1));
    product_keys::add(&mut tx, "k2", "token", &[2], Some("pem")).await.unwrap();
    assert_eq!(product_keys::current(&mut tx, "token").await.unwrap().unwrap().id, "k2");
    assert!(product_keys::retire(&mut tx, "k2").await.unwrap());
    assert_eq!(product_keys::current(&mut tx, "token").await.unwrap().unwrap().id, "k1");
    assert_eq!(product_keys::list(&mut tx, "token", 9).await.unwrap().len(), 2);
    assert!(product_keys::current(&mut tx, "evidence").await.unwrap().is_none());
}

async fn clusters_are_known_by_their_tokens(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let entry = NamespacePolicy { minimum_tier: Tier::Release, enforce: true };
    let namespaces = BTreeMap::from([("prod".to_owned(), entry)]);
    let hosts = ["registry.example.org".to_owned()];
    let mut settings = ClusterSettings {
        hosts: &hosts,
        namespaces: &namespaces,
        unlisted_images: &[],
        disabled: false,
        certificate: None,
    };
    let made = clusters::create(&mut tx, "c", &[1; 32], &settings, "ann").await.unwrap().unwrap();
    assert_eq!(made.namespaces, namespaces);
    assert_eq!(clusters::create(&mut tx, "c", &[2; 32], &settings, "ann").await.unwrap(), None);
    assert_eq!(clusters::by_token_hash(&mut tx, &[1; 32]).await.unwrap(), Some(made.clone()));
    assert_eq!(clusters::by_token_hash(&mut tx, &[2; 32]).await.unwrap(), None);
    let rev = settings::system_rev(&mut tx).await.unwrap();
    settings.disabled = true;
    assert!(clusters::update(&mut tx, "c", &settings).await.unwrap().unwrap().disabled);
    assert_eq!(clusters::by_token_hash(&mut tx, &[1; 32]).await.unwrap(), None);
    settings.disabled = false;
    clusters::update(&mut tx, "c", &settings).await.unwrap().unwrap();
    assert!(clusters::set_token(&mut tx, "c", &[3; 32]).await.unwrap());
    assert_eq!(clusters::by_token_hash(&mut tx, &[1; 32]).await.unwrap(), None);
    assert!(clusters::by_token_hash(&mut tx, &[3; 32]).await.unwrap().is_some());
    settings.certificate = Some("f1");
    clusters::update(&mut tx, "c", &settings).await.unwrap().unwrap();
    let other = ClusterSettings { certificate: Some("f1"), ..settings.clone() };
    assert_eq!(clusters::create(&mut tx, "d", &[4; 32], &other, "ann").await.unwrap(), None);
    let by_certificate = clusters::by_certificate(&mut tx, "f1").await.unwrap().unwrap();
    assert_eq!(
        (by_certificate.name.as_str(), by_certificate.certificate.as_deref()),
        ("c", Some("f1"))
    );
    assert_eq!(clusters::by_certificate(&mut tx, "f2").await.unwrap(), None);
    assert_eq!(clusters::by_certificate(&mut tx, "").await.unwrap(), None);
    assert!(clusters::find(&mut tx, "c").await.unwrap().is_some());
    assert_eq!(clusters::list(&mut tx, "", 9).await.unwrap().len(), 1);
    assert!(clusters::delete(&mut tx, "c").await.unwrap());
    assert_eq!(settings::system_rev(&mut tx).await.unwrap(), rev + 4);
}

async fn policies_keep_every_version(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let a = project(&mut tx, "a", Tier::Release).await;
    let own = a.id.to_string();
    let rev = settings::system_rev(&mut tx).await.unwrap();
    for (scope, target, document) in [
        (PolicyScope::Floor, "", Some("floor 1")),
        (PolicyScope::Floor, "", Some("floor 2")),
        (PolicyScope::Tier, "release", Some("tier")),
        (PolicyScope::Tier, "sandbox", Some("other")),
        (PolicyScope::Project, &own, Some("own")),
        (PolicyScope::Cluster, "7/prod", Some("cluster")),
        (PolicyScope::Cluster, "7/*", Some("elsewhere")),
    ] {
        policies::put(&mut tx, scope, target, document, "ann").await.unwrap();
    }
    assert_eq!(settings::system_rev(&mut tx).await.unwrap(), rev + 6);
    let changed = projects::get(&mut tx, a.id).await.unwrap().unwrap();
    assert_eq!(changed.policy_rev, a.policy_rev + 1);
    let texts = |found: Vec<policies::Policy>| -> Vec<String> {
        found.into_iter().filter_map(|policy| policy.document).collect()
    };
    let found = policies::applicable(&mut tx, Tier::Release, a.id, None).await.unwrap();
    assert_eq!(texts(found), ["floor 2", "own", "tier"]);
    let found = policies::applicable(&mut tx, Tier::Release, a.id, Some("7/prod")).await.unwrap();
    assert_eq!(texts(found), ["cluster", "floor 2", "own", "tier"]);
    policies::put(&mut tx, PolicyScope::Project, &own, None, "ann").await.unwrap();
    let found = policies::applicable(&mut tx, Tier::Release, a.id, None).await.unwrap();
    assert_eq!(texts(found), ["floor 2", "tier"], "the removed one does not come back");
    assert!(policies::current(&mut tx, PolicyScope::Project, &own).await.unwrap().is_none());
    let first = policies::version(&mut tx, PolicyScope::Project, &own, 1).await.unwrap().unwrap();
    assert_eq!(first.document.as_deref(), Some("own"));
    let history = policies::history(&mut tx, PolicyScope::Floor, "", 9, 9).await.unwrap();
    assert_eq!(texts(history), ["floor 2", "floor 1"]);
}

async fn audit_tells_who_pulled_a_digest(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let (a, b) =
        (project(&mut tx, "a", Tier::Sandbox).await, project(&mut tx, "b", Tier::Sandbox).await);
    let (m, n) = (digest("m"), digest("n"));
    let event = |action, project: &projects::Project, digest| audit::NewEvent {
        action,
        result: "allowed",
        actor: "ann",
        address: "192.0.2.1",
        user_agent: "podman",
        request_id: "r",
        project_id: Some(project.id),
        project: Some("a"),
        repository: Some("a/x"),
        digest: Some(digest),
        tag: None,
        detail: serde_json::json!({"x": 1}),
        at: None,
    };
    audit::record(&mut tx, &event("artifact.push", &a, &m)).await.unwrap();
    let later = tx.now() + jiff::SignedDuration::from_secs(1);
    let pull = |project, digest| audit::NewEvent {
        at: Some(later),
        ..event("artifact.pull", project, digest)
    };
    audit::record_all(&mut tx, &[pull(&a, &m), pull(&b, &m), pull(&a, &n)]).await.unwrap();
    let mut nowhere = event("login", &a, &m);
    (nowhere.project_id, nowhere.project, nowhere.digest) = (None, None, None);
    audit::record(&mut tx, &nowhere).await.unwrap();
    let mut filter = audit::Filter {
        visible: Visible::All,
        digest: Some(m),
        actions: vec!["artifact.pull".into()],
        ..Default::default()
    };
    let found = audit::list(&mut tx, &filter, None, 9).await.unwrap();
    assert_eq!((found.len(), found[0].at, found[0].address.as_str()), (2, later, "192.0.2.1"));
    assert_eq!(audit::list(&mut tx, &filter, Some(found[0].id), 9).await.unwrap(), found[1..]);
    filter.visible = Visible::Only(vec![a.id]);
    assert_eq!(audit::list(&mut tx, &filter, None, 9).await.unwrap(), found[1..]);
    (filter.digest, filter.actions) = (None, Vec::new());
    assert_eq!(audit::list(&mut tx, &filter, None, 9).await.unwrap().len(), 3);
    filter.visible = Visible::All;
    assert_eq!(audit::list(&mut tx, &filter, None, 9).await.unwrap().len(), 5);
    filter.since = Some(later);
    assert_eq!(audit::list(&mut tx, &filter, None, 9).await.unwrap().len(), 3);
    filter.until = Some(later);
    assert!(audit::list(&mut tx, &filter, None, 9).await.unwrap().is_empty());
    filter.since = None;
    assert_eq!(audit::list(&mut tx, &filter, None, 9).await.unwrap().len(), 2);
    (filter.since, filter.until) = (Some(jiff::Timestamp::MAX), None);
    assert!(audit::list(&mut tx, &filter, None, 9).await.unwrap().is_empty());
    (filter.since, filter.until) = (Some(jiff::Timestamp::MIN), Some(jiff::Timestamp::MAX));
    assert_eq!(audit::list(&mut tx, &filter, None, 9).await.unwrap().len(), 5);
    (filter.since, filter.until) = (None, None);
    filter.actor = Some("bob".into());
    assert!(audit::list(&mut tx, &filter, None, 9).await.unwrap().is_empty());
    assert!(audit::list(&mut tx, &audit::Filter::default(), None, 9).await.unwrap().is_empty());
    assert!(settings::delete(&mut tx, "none").await.is_ok_and(|deleted| !deleted));
}

async fn lists_are_read_by_conditions_and_order(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    for (name, public) in [("a", true), ("b%", false), ("ab", true), ("B", false)] {
        projects::create(&mut tx, name, public, Tier::Sandbox, None).await.unwrap().unwrap();
    }
    let term = |name: &str, term: Term| (name.to_owned(), term);
    let is = |text: &str| Term::Is(text.to_owned());
    let cases = [
        (vec![], "B a ab b%"),
        (vec![term("name", Term::Like("B".into()))], "B ab b%"),
        (vec![term("name", Term::Like("%".into()))], "b%"),
        (vec![term("public", is("true")), term("name", Term::Like("b".into()))], "ab"),
        (vec![term("public", is("perhaps"))], ""),
        (vec![term("name", Term::AnyOf(vec!["a".into(), "B".into(), "z".into()]))], "B a"),
        (vec![term("name", Term::Between(Some("a".into()), Some("ab".into())))], "a ab"),
        (vec![term("name", Term::AllOf(vec!["a".into(), "ab".into()]))], ""),
        (vec![term("creation_time", Term::Between(Some("2026-01-01".into()), None))], "B a ab b%"),
        (
            vec![term("creation_time", Term::Between(None, Some("2026-01-03T00:00:00".into())))],
            "B a ab b%",
        ),
        (vec![term("policy_rev", is("7")), term("nothing", is("'"))], "B a ab b%"),
    ];
    for (terms, names) in cases {
        let wanted = Wanted { terms: terms.clone(), limit: 10, ..Wanted::default() };
        let listed = projects::page(&mut tx, &Visible::All, &wanted).await.unwrap();
        let found: Vec<_> = listed.items.iter().map(|row| row.project.name.as_str()).collect();
        assert_eq!(found.join(" "), names, "{terms:?}");
        assert_eq!(listed.total, found.len() as u64);
    }
    let order = vec![("public".to_owned(), true), ("name".to_owned(), true)];
    let wanted = Wanted { order, offset: 1, limit: 2, ..Wanted::default() };
    let listed = projects::page(&mut tx, &Visible::All, &wanted).await.unwrap();
    let found: Vec<_> = listed.items.iter().map(|row| row.project.name.as_str()).collect();
    assert_eq!((found, listed.total), (vec!["a", "b%"], 4));
    let none = projects::page(&mut tx, &Visible::Only(vec![]), &wanted).await.unwrap();
    assert_eq!(none.total, 0);
}

async fn members_are_people_or_groups(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let a = project(&mut tx, "a", Tier::Sandbox).await;
    let b = project(&mut tx, "b", Tier::Sandbox).await;
    let new = users::NewUser { name: "ann", ..Default::default() };
    let ann = users::create(&mut tx, &new).await.unwrap().unwrap();
    let group = user_groups::create(&mut tx, "team", 3, "").await.unwrap().unwrap();
    assert!(user_groups::create(&mut tx, "team", 3, "").await.unwrap().is_none());
    let one = members::add(&mut tx, a.id, ann.id, 2).await.unwrap().unwrap();
    let two = members::add_group(&mut tx, a.id, group, 3).await.unwrap().unwrap();
    assert!(members::add(&mut tx, a.id, ann.id, 1).await.unwrap().is_none());
    assert!(members::add_group(&mut tx, a.id, group, 1).await.unwrap().is_none());
    let wanted = Wanted { limit: 9, ..Wanted::default() };
    let listed = members::page(&mut tx, a.id, &wanted).await.unwrap();
    let names: Vec<_> = listed.items.iter().map(|member| member.name.as_str()).collect();
    assert_eq!((names, listed.total), (vec!["ann", "team"], 2));
    assert_eq!(members::list(&mut tx, a.id, 0, 9).await.unwrap().len(), 1, "people only");
    assert!(members::get(&mut tx, b.id, one).await.unwrap().is_none(), "of another project");
    assert!(!members::set_role(&mut tx, b.id, one, 1).await.unwrap());
    assert!(!members::end(&mut tx, b.id, one).await.unwrap());
    assert!(members::set_role(&mut tx, a.id, one, 4).await.unwrap());
    assert_eq!(members::roles(&mut tx, a.id, ann.id).await.unwrap(), [(4, String::new())]);
    assert_eq!(members::projects_with_role(&mut tx, ann.id, 4).await.unwrap(), [a.id]);
    assert!(user_groups::delete(&mut tx, group).await.unwrap());
    assert!(members::get(&mut tx, a.id, two).await.unwrap().is_none());
    let counts = members::count_by_role(&mut tx, a.id).await.unwrap();
    assert_eq!(counts, BTreeMap::from([(4, 1)]));
}

async fn labels_stand_in_their_project(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let a = project(&mut tx, "a", Tier::Sandbox).await;
    let words = |name| labels::Words { name, description: "", color: "" };
    let one = labels::create(&mut tx, Some(a.id), words("x")).await.unwrap().unwrap();
    let all = labels::create(&mut tx, None, words("x")).await.unwrap().unwrap();
    assert!(labels::create(&mut tx, Some(a.id), words("x")).await.unwrap().is_none());
    assert!(labels::create(&mut tx, None, words("x")).await.unwrap().is_none());
    let two = labels::create(&mut tx, Some(a.id), words("y")).await.unwrap().unwrap();
    assert!(!labels::update(&mut tx, Some(a.id), two.id, words("x")).await.unwrap());
    assert!(labels::update(&mut tx, Some(a.id), two.id, words("z")).await.unwrap());
    assert!(!labels::update(&mut tx, None, one.id, words("w")).await.unwrap());
    assert!(!labels::delete(&mut tx, Some(a.id), all.id).await.unwrap());
    assert!(labels::delete(&mut tx, None, all.id).await.unwrap());
    project_settings::put(&mut tx, a.id, "severity", "low").await.unwrap();
    assert!(projects::delete(&mut tx, a.id).await.unwrap());
    assert!(labels::get(&mut tx, one.id).await.unwrap().is_none());
    assert!(project_settings::of(&mut tx, &[a.id]).await.unwrap().is_empty());
}

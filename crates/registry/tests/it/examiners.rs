//! Who may read what the pull door refuses (decision D10).

use crate::{
    story::{DPKG, OS, Story},
    world::{World, caller, repo, robot},
};
use sealock_auth::{Caller, Right};
use sealock_facts::QuarantineTarget;
use sealock_registry::{AuditQuery, Kind, NewRobot, PageRequest};

const CLOSED: &str = "\
apiVersion: sealock/v1
kind: Policy
name: closed
rules:
  - name: signed
    signed: {}
";

/// A robot with a row of its own, unlike that of [`World::robot`].
async fn scanner(story: &Story) -> Caller {
    let new =
        NewRobot { name: "scanner".to_owned(), rights: vec![Right::Pull], ..NewRobot::default() };
    story.world.registry.create_robot(&story.dev, "team", &new).await.unwrap();
    let mut tx = story.world.db().read().await.unwrap();
    let project = sealock_metadata::projects::find(&mut tx, "team").await.unwrap().unwrap();
    let found = sealock_metadata::robots::credentials(&mut tx, Some("team"), "scanner").await;
    caller(robot(found.unwrap().unwrap().robot.id, &project, "scanner", &[Right::Pull]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_examines_until_a_security_officer_names_them() {
    let story = Story::new(World::new().await).await;
    story.policy("team", CLOSED).await;
    let (world, registry) = (&story.world, &story.world.registry);
    let image = world.image(&story.dev, "team/app", "v2", &[OS, DPKG, ("x", "y")]).await.unwrap();
    world.settle().await;
    let (name, robot, person) = (repo("team/app"), scanner(&story).await, world.user("eve").await);
    let admin = world.admin().await;
    let reads = async |who: &Caller| {
        let manifest = registry.get_manifest(who, &name, &"v2".parse().unwrap()).await.is_ok();
        let layer = registry.open_blob(who, &name, &image.layer).await.is_ok();
        (manifest, layer)
    };
    assert_eq!(reads(&robot).await, (false, false));
    assert_eq!(reads(&person).await, (false, false), "not even the project");
    // By default nobody: neither administrators nor the security role itself.
    for who in [&admin, &story.officer, &story.dev] {
        assert!(!reads(who).await.1, "{:?}", who.principal);
    }
    // Neither the project's administrator nor the system's can grant it.
    for who in [&admin, &story.dev, &robot, &crate::world::anonymous()] {
        let refused = registry.grant_examine(who, "team", "eve").await.unwrap_err();
        assert!(matches!(refused.kind(), Kind::Forbidden | Kind::Unauthenticated));
    }
    for who in ["robot$team+scanner", "eve"] {
        registry.grant_examine(&story.officer, "team", who).await.unwrap();
        registry.grant_examine(&story.officer, "team", who).await.unwrap();
    }
    for absent in ["nobody", "robot$release+scanner", "robot$team+none", ""] {
        let refused = registry.grant_examine(&story.officer, "team", absent).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::NotFound, "{absent}");
    }
    assert_eq!(reads(&robot).await, (true, true));
    assert_eq!(reads(&person).await, (true, true));
    // It is for this project, and for reading.
    let (other, tag) = (repo("release/app"), "v1".parse().unwrap());
    let elsewhere = registry.get_manifest(&person, &other, &tag);
    assert_eq!(elsewhere.await.unwrap_err().kind(), Kind::NotFound);
    let pushed = world.blob(&person, "team/app", b"bytes").await.unwrap_err();
    assert_eq!(pushed.kind(), Kind::Forbidden);
    // What is quarantined stays closed to them.
    let target = QuarantineTarget::Manifest;
    registry.quarantine(&story.officer, &image.digest, target, "malware").await.unwrap();
    assert_eq!(reads(&robot).await, (false, false));
    registry.lift_quarantine(&story.officer, &image.digest, None).await.unwrap();

    let page = PageRequest::default();
    let listed = registry.examiners(&story.dev, "team", &page).await.unwrap();
    let names: Vec<_> = listed.items.iter().map(|examiner| examiner.name.as_str()).collect();
    assert_eq!(names, ["robot$team+scanner", "eve"]);
    assert_eq!(listed.items[0].granted_by, "officer");
    let hidden = registry.examiners(&person, "team", &page).await.unwrap_err();
    assert_eq!(hidden.kind(), Kind::Forbidden);
    registry.withdraw_examine(&story.officer, "team", "eve").await.unwrap();
    assert_eq!(reads(&person).await, (false, false));
    assert_eq!(reads(&robot).await, (true, true));
    let gone = registry.withdraw_examine(&story.officer, "team", "eve").await.unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
    let actions = vec!["grant-examine".to_owned(), "withdraw-examine".to_owned()];
    let query = AuditQuery { actions, ..AuditQuery::default() };
    let events = registry.audit_events(&story.officer, &query, &page).await.unwrap();
    assert_eq!(events.items.len(), 3, "each change once");
}

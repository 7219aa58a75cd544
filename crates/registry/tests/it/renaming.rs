//! Projects, repositories and users under other names.

use crate::world::{World, caller, repo};
use sealock_auth::{Authenticator, Caller, Principal, Role, SystemRandomness, TokenKey, Tokens};
use sealock_facts::Tier;
use sealock_metadata as metadata;
use sealock_oci::{Algorithm, ErrorCode, Reference};
use sealock_registry::{
    AuditQuery, Error, Kind, NewProject, NewUser, PageRequest, PolicyTarget, RenamedUser,
};
use std::sync::Arc;

async fn pull(world: &World, who: &Caller, name: &str, reference: &str) -> Result<(), Error> {
    let reference: Reference = reference.parse().unwrap();
    world.registry.get_manifest(who, &repo(name), &reference).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_is_called_otherwise() {
    project(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_is_called_otherwise_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        project(world).await;
    }
}

async fn project(world: World) {
    let (dev, admin, other) =
        (world.user("dev").await, world.admin().await, world.user("other").await);
    world.project(&dev, "shop", Tier::Sandbox, false).await;
    world.project(&other, "shopping", Tier::Sandbox, false).await;
    for name in ["shop/app", "shop/deep/er/app", "shopping/app"] {
        let owner = if name.starts_with("shopping") { &other } else { &dev };
        world.image(owner, name, "v1", &[("etc/name", name)]).await.unwrap();
    }
    let before = world.registry.project(&dev, "shop").await.unwrap();
    let rename = |who: &Caller, from: &'static str, to: &'static str| {
        let (registry, who) = (world.registry.clone(), who.clone());
        async move { registry.rename_project(&who, from, to).await }
    };
    // Its own administrator may not, and no name is taken twice or means nothing.
    assert_eq!(rename(&dev, "shop", "store").await.unwrap_err().kind(), Kind::Forbidden);
    assert_eq!(rename(&admin, "shop", "shopping").await.unwrap_err().kind(), Kind::Conflict);
    for name in ["", "Shop", "a/b", "../shop"] {
        let refused = world.registry.rename_project(&admin, "shop", name).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid, "{name:?}");
    }
    assert_eq!(rename(&admin, "nothing", "store").await.unwrap_err().kind(), Kind::NotFound);
    let long = "x".repeat(250);
    let refused = world.registry.rename_project(&admin, "shop", &long).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.message().contains("262 characters"), "{refused}");

    let after = rename(&admin, "shop", "store").await.unwrap();
    assert_eq!((after.id, after.name.as_str()), (before.id, "store"));
    for name in ["store/app", "store/deep/er/app"] {
        pull(&world, &dev, name, "v1").await.unwrap();
        world.image(&dev, name, "v2", &[("etc/name", "v2")]).await.unwrap();
    }
    pull(&world, &other, "shopping/app", "v1").await.unwrap();
    assert_eq!(pull(&world, &dev, "shop/app", "v1").await.unwrap_err().kind(), Kind::NotFound);
    // Who takes the old name gets nothing of what it was.
    world.project(&other, "shop", Tier::Sandbox, false).await;
    let repositories = world.registry.repositories(&other, "shop", &PageRequest::default()).await;
    assert!(repositories.unwrap().items.is_empty());
    assert!(pull(&world, &other, "shop/app", "v1").await.is_err());
    assert!(pull(&world, &dev, "shop/app", "v1").await.is_err());
    assert!(pull(&world, &other, "store/app", "v1").await.is_err());
    assert_ne!(world.registry.project(&other, "shop").await.unwrap().id, before.id);
    let told = recorded(&world, &admin, "rename-project").await;
    assert_eq!(told, [(Some("store".to_owned()), None, "shop".to_owned())]);
}

/// Project, repository and name before of the events of an action.
async fn recorded(
    world: &World,
    admin: &Caller,
    action: &str,
) -> Vec<(Option<String>, Option<String>, String)> {
    let query = AuditQuery { actions: vec![action.to_owned()], ..AuditQuery::default() };
    let page = world.registry.audit_events(admin, &query, &PageRequest::default()).await.unwrap();
    let told = |event: sealock_registry::AuditEvent| {
        let from = event.detail["from"].as_str().unwrap().to_owned();
        (event.project, event.repository, from)
    };
    page.items.into_iter().map(told).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_is_called_otherwise() {
    repository(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_is_called_otherwise_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        repository(world).await;
    }
}

async fn repository(world: World) {
    let (dev, admin) = (world.user("dev").await, world.admin().await);
    let stranger = world.user("stranger").await;
    world.project(&dev, "shop", Tier::Sandbox, true).await;
    world.project(&dev, "other", Tier::Sandbox, true).await;
    world.image(&dev, "shop/app", "v1", &[("etc/name", "1")]).await.unwrap();
    world.image(&dev, "shop/taken", "v1", &[("etc/name", "2")]).await.unwrap();
    let rename = |who: &Caller, from: &'static str, to: &'static str| {
        let (registry, who) = (world.registry.clone(), who.clone());
        async move { registry.rename_repository(&who, &repo(from), &repo(to)).await }
    };
    let kind = |result: Result<(), Error>| result.unwrap_err().kind();
    assert_eq!(kind(rename(&stranger, "shop/app", "shop/web").await), Kind::Forbidden);
    assert_eq!(kind(rename(&dev, "shop/app", "other/app").await), Kind::Invalid);
    assert_eq!(kind(rename(&dev, "shop/app", "shop/taken").await), Kind::Conflict);
    assert_eq!(kind(rename(&dev, "shop/none", "shop/web").await), Kind::NotFound);
    rename(&dev, "shop/app", "shop/web/app").await.unwrap();
    pull(&world, &dev, "shop/web/app", "v1").await.unwrap();
    assert_eq!(pull(&world, &dev, "shop/app", "v1").await.unwrap_err().kind(), Kind::NotFound);
    // The old name is free, and shares nothing with what it was.
    world.image(&dev, "shop/app", "v2", &[("etc/name", "3")]).await.unwrap();
    assert!(pull(&world, &dev, "shop/app", "v1").await.is_err());
    assert!(pull(&world, &dev, "shop/web/app", "v2").await.is_err());
    let told = recorded(&world, &admin, "rename-repository").await;
    let web = "shop/web/app".to_owned();
    assert_eq!(told, [(Some("shop".to_owned()), Some(web), "shop/app".to_owned())]);

    // A tag that does not move keeps its whole name.
    let rule = serde_json::json!({
        "action": "immutable", "template": "immutable_template",
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}],
        "scope_selectors": {"repository": [
            {"kind": "doublestar", "decoration": "repoMatches", "pattern": "web/**"},
        ]},
    });
    let rule = serde_json::from_value(rule).unwrap();
    world.registry.create_immutable_rule(&dev, &"shop".into(), &rule).await.unwrap();
    assert_eq!(kind(rename(&dev, "shop/web/app", "shop/free").await), Kind::Precondition);
    rename(&dev, "shop/app", "shop/free").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_called_otherwise() {
    user(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_called_otherwise_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        user(world).await;
    }
}

/// Ann alone may pull from the shop, whoever else has a role there.
const FOR_ANN: &str = "\
apiVersion: sealock/v1
kind: Policy
name: for-ann
access:
  consumers: {principals: [ann, \"ops-*\"]}
";

async fn named(world: &World, name: &str) -> Caller {
    let mut tx = world.db().read().await.unwrap();
    let user = metadata::users::find(&mut tx, name).await.unwrap().unwrap();
    caller(Principal::User {
        id: user.id,
        name: user.name,
        sysadmin: false,
        security_officer: false,
    })
}

async fn make(world: &World, name: &str) -> Result<(), Error> {
    let admin = world.admin().await;
    let new = NewUser {
        name: name.to_owned(),
        password: "Correct-horse-1".into(),
        email: None,
        real_name: String::new(),
        admin: false,
        security_officer: false,
    };
    let made = world.registry.create_user(&admin, &accounts(world), &new).await;
    made.map(drop)
}

fn accounts(world: &World) -> Authenticator {
    let key = TokenKey::generate().unwrap();
    let random = Arc::new(SystemRandomness);
    let tokens = Tokens::new("here", &key, &[], world.clock.clone(), random.clone());
    Authenticator::new(world.db().clone(), tokens, random).unwrap()
}

async fn user(world: World) {
    let (admin, ann) = (world.admin().await, world.user("ann").await);
    for name in ["bob", "dev"] {
        world.user(name).await;
    }
    world.project(&ann, "shop", Tier::Sandbox, false).await;
    let image = world.image(&ann, "shop/app", "v1", &[("etc/name", "1")]).await.unwrap();
    let shop = PolicyTarget::Project("shop".to_owned());
    world.registry.put_policy(&ann, &shop, FOR_ANN).await.unwrap();
    let (name, sha256) = (repo("shop/app"), Algorithm::Sha256);
    let open = async |who: &Caller| {
        let opened = world.registry.open_blob(who, &name, &image.layer).await;
        opened.map(drop).map_err(|error| error.kind())
    };
    open(&ann).await.unwrap();
    let upload = world.registry.begin_upload(&ann, &name, sha256).await.unwrap();
    let rename =
        async |who: &Caller, from: &str, to: &str| world.registry.rename_user(who, from, to).await;
    let kind = |result: Result<RenamedUser, Error>| result.unwrap_err().kind();
    // Nobody renames themselves, and no name is somebody else's, in either case, or means
    // something else.
    assert_eq!(kind(rename(&ann, "ann", "anna").await), Kind::Forbidden);
    assert_eq!(kind(rename(&admin, "nobody", "anna").await), Kind::NotFound);
    for taken in ["bob", "BOB", "Bob"] {
        assert_eq!(kind(rename(&admin, "ann", taken).await), Kind::Conflict, "{taken}");
    }
    for bad in ["", "a b", "robot$ann", "System", "anonymous", "sealock", "ann#1"] {
        assert_eq!(kind(rename(&admin, "ann", bad).await), Kind::Invalid, "{bad}");
    }

    let renamed = rename(&admin, "ann", "anna").await.unwrap();
    assert_eq!((Some(renamed.user.id), &*renamed.user.name), (ann.principal.user_id(), "anna"));
    assert_eq!(renamed.named_by, ["the project shop"]);
    // What is hers stays hers, but for the policy, which names nobody any more.
    let anna = named(&world, "anna").await;
    world.registry.upload_status(&anna, &name, upload.id).await.unwrap();
    world.image(&anna, "shop/app", "v2", &[("etc/name", "2")]).await.unwrap();
    assert_eq!(open(&anna).await, Err(Kind::Policy));
    // The old name is nobody's while she is here: to log in with, to be made or called by.
    for old in ["ann", "ANN"] {
        assert_eq!(make(&world, old).await.unwrap_err().kind(), Kind::Conflict, "{old}");
        assert_eq!(kind(rename(&admin, "dev", old).await), Kind::Conflict, "{old}");
    }
    // Herself it does not keep out.
    rename(&admin, "anna", "ann").await.unwrap();
    open(&named(&world, "ann").await).await.unwrap();
    rename(&admin, "ann", "Ann").await.unwrap();
    rename(&admin, "Ann", "anna").await.unwrap();

    // Nor when she is gone, as long as a policy names her.
    world.registry.delete_user(&admin, "anna").await.unwrap();
    for old in ["ann", "dev"] {
        let refused = match old {
            "ann" => make(&world, old).await.unwrap_err(),
            _ => rename(&admin, old, "ann").await.unwrap_err(),
        };
        assert_eq!(refused.kind(), Kind::Conflict, "{refused}");
        assert!(refused.message().contains("the project shop"), "{refused}");
    }
    make(&world, "anna").await.unwrap();
    world.registry.delete_policy(&admin, &shop).await.unwrap();
    make(&world, "ann").await.unwrap();
    // Made again she shares nothing with who she was.
    let heir = named(&world, "ann").await;
    assert_ne!(heir.principal, ann.principal);
    let none = world.registry.upload_status(&heir, &name, upload.id).await.unwrap_err();
    assert_eq!(none.kind(), Kind::NotFound);
    world.registry.put_member(&admin, "shop", "ann", Role::ProjectAdmin, None).await.unwrap();
    let none = world.registry.upload_status(&heir, &name, upload.id).await.unwrap_err();
    assert_eq!(none.code(), ErrorCode::BlobUploadUnknown, "a role is no upload");
    let query = AuditQuery { actions: vec!["rename-user".to_owned()], ..AuditQuery::default() };
    let told = world.registry.audit_events(&admin, &query, &PageRequest::default()).await.unwrap();
    let told =
        told.items.iter().map(|event| (event.detail["from"].clone(), event.detail["user"].clone()));
    let told: Vec<String> =
        told.map(|(from, to)| format!("{from} {to}").replace('"', "")).collect();
    assert_eq!(told, ["Ann anna", "ann Ann", "anna ann", "ann anna"]);
}

/// A project's name is in policies, too: of where to promote from, and of its robots.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_a_projects_name_is_not_meant_by_policies() {
    let world = World::new().await;
    let (dev, admin, other) =
        (world.user("dev").await, world.admin().await, world.user("other").await);
    for name in ["shop", "depot", "target"] {
        world.project(&dev, name, Tier::Sandbox, false).await;
    }
    let target = PolicyTarget::Project("target".to_owned());
    let policy =
        |access: &str| format!("apiVersion: sealock/v1\nkind: Policy\nname: p\naccess: {access}\n");
    let take = async |name: &str| {
        let new = NewProject { name: name.to_owned(), public: false, tier: Tier::Sandbox };
        world.registry.create_project(&other, &new).await
    };
    for access in [
        "{sources: {projects: [shop]}}",
        "{consumers: {principals: ['robot$shop+ci']}}",
        "{consumers: {principals: ['robot$shop+*']}}",
        "{directPush: {robots: ['robot$shop+ci']}}",
    ] {
        world.registry.put_policy(&dev, &target, &policy(access)).await.unwrap();
        world.registry.rename_project(&admin, "shop", "store").await.unwrap();
        let refused = take("shop").await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict, "{access}");
        assert!(refused.message().contains("the project target"), "{refused}");
        let refused = world.registry.rename_project(&admin, "depot", "shop").await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict, "{access}");
        // Its own name it may have back.
        world.registry.rename_project(&admin, "store", "shop").await.unwrap();
    }
    // A glob is meant for whoever comes, and what only looks alike is not meant.
    world.registry.rename_project(&admin, "shop", "store").await.unwrap();
    for access in ["{sources: {projects: ['sho*']}}", "{sources: {projects: [shop2, SHOP]}}"] {
        world.registry.put_policy(&dev, &target, &policy(access)).await.unwrap();
        take("shop").await.unwrap();
        world.registry.delete_harbor_project(&admin, &"shop".into()).await.unwrap();
    }
}

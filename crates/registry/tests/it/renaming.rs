//! Projects and repositories under other names.

use crate::world::{World, repo};
use sealock_auth::Caller;
use sealock_facts::Tier;
use sealock_oci::Reference;
use sealock_registry::{AuditQuery, Error, Kind, PageRequest};

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

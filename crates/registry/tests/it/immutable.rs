//! Rules by which tags do not move, at the doors.

use crate::world::{World, anonymous, descriptor, repo};
use sealock_auth::{Caller, Right, Role};
use sealock_facts::Tier;
use sealock_metadata as metadata;
use sealock_oci::{Digest, ErrorCode};
use sealock_registry::{
    AuditQuery, Error, ImmutableRule, Kind, MAX_IMMUTABLE_RULES, PageRequest, Precondition,
    Selector, Wanted,
};
use serde_json::json;

fn rule(repositories: (&str, &str), tags: (&str, &str)) -> ImmutableRule {
    serde_json::from_value(json!({
        "action": "immutable", "template": "immutable_template",
        "tag_selectors": [
            {"kind": "doublestar", "decoration": tags.0, "pattern": tags.1},
        ],
        "scope_selectors": {"repository": [
            {"kind": "doublestar", "decoration": repositories.0, "pattern": repositories.1},
        ]},
    }))
    .unwrap()
}

fn assert_immutable(error: &Error, what: &str) {
    assert_eq!((error.kind(), error.code()), (Kind::Precondition, ErrorCode::Precondition));
    let words = format!("Failed to process request due to '{what}' configured as immutable.");
    assert_eq!(error.message(), words);
}

async fn delete(world: &World, dev: &Caller, name: &str, reference: &str) -> Result<(), Error> {
    let condition = Precondition::default();
    world.registry.delete_manifest(dev, &repo(name), &reference.parse().unwrap(), &condition).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_covered_tag_stays_where_it_is() {
    stays(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_covered_tag_stays_where_it_is_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        stays(world).await;
    }
}

async fn stays(world: World) {
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let one = world.image(&dev, "team/app", "v1", &[("etc/one", "1")]).await.unwrap();
    let covers = rule(("repoMatches", "app"), ("matches", "v*"));
    let (_, id) =
        world.registry.create_immutable_rule(&dev, &"team".into(), &covers).await.unwrap();
    // Another digest under the tag; the same one again, which Harbor refuses, does no harm.
    let moved = world.image(&dev, "team/app", "v1", &[("etc/two", "2")]).await.unwrap_err();
    assert_immutable(&moved, "app:v1");
    world.raw_manifest(&dev, "team/app", "v1", &one.manifest).await.unwrap();
    // Other tags and other repositories move as before, new tags are set.
    for (name, tag) in [("team/app", "latest"), ("team/other", "v1"), ("team/deep/app", "v1")] {
        world.image(&dev, name, tag, &[("etc/one", tag)]).await.unwrap();
        world.image(&dev, name, tag, &[("etc/two", name)]).await.unwrap();
    }
    // Neither the tag nor its artifact goes, under whatever name it is asked for.
    assert_immutable(&delete(&world, &dev, "team/app", "v1").await.unwrap_err(), "app:v1");
    let digest = one.digest.to_string();
    assert_immutable(&delete(&world, &dev, "team/app", &digest).await.unwrap_err(), "app:v1");
    let still = world.registry.get_manifest(&dev, &repo("team/app"), &"v1".parse().unwrap()).await;
    assert_eq!(still.unwrap().digest, one.digest);
    delete(&world, &dev, "team/app", "latest").await.unwrap();
    // Another rule: they are alternatives, of which one suffices.
    let rest = rule(("repoExcludes", "app"), ("excludes", "{dev,latest}"));
    world.registry.create_immutable_rule(&dev, &"team".into(), &rest).await.unwrap();
    assert_immutable(&delete(&world, &dev, "team/other", "v1").await.unwrap_err(), "other:v1");
    world.image(&dev, "team/other", "dev", &[("etc/one", "1")]).await.unwrap();
    delete(&world, &dev, "team/other", "dev").await.unwrap();
    // Disabled, it holds nothing.
    let off = ImmutableRule { disabled: true, ..covers };
    world.registry.update_immutable_rule(&dev, &"team".into(), id, &off).await.unwrap();
    delete(&world, &dev, "team/app", &digest).await.unwrap();
}

/// Signatures come, change and go under a rule for everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_cover_no_accessory() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let one = world.image(&dev, "team/app", "v1", &[("etc/one", "1")]).await.unwrap();
    let all = rule(("repoMatches", "**"), ("matches", "**"));
    world.registry.create_immutable_rule(&dev, &"team".into(), &all).await.unwrap();
    let signed = async |hex: &str, suffix: &str, payload: &[u8]| {
        world.blob(&dev, "team/app", b"{}").await.unwrap();
        world.blob(&dev, "team/app", payload).await.unwrap();
        let layer = match suffix {
            "att" => "application/vnd.dsse.envelope.v1+json",
            _ => "application/vnd.dev.cosign.simplesigning.v1+json",
        };
        let document = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
            "layers": [descriptor(layer, payload)],
        });
        world.manifest(&dev, "team/app", &format!("sha256-{hex}.{suffix}"), &document).await
    };
    let hex = one.digest.hex();
    for payload in [&b"first"[..], b"second"] {
        signed(&hex, "sig", payload).await.unwrap();
        signed(&hex, "att", payload).await.unwrap();
    }
    delete(&world, &dev, "team/app", &format!("sha256-{hex}.att")).await.unwrap();
    // The name alone exempts nothing: no such artifact is here, and a name is no signature.
    let none = Digest::sha256(b"nobody").hex();
    signed(&none, "sig", b"first").await.unwrap();
    let moved = signed(&none, "sig", b"second").await.unwrap_err();
    assert_immutable(&moved, &format!("app:sha256-{none}.sig"));
    let gone = delete(&world, &dev, "team/app", &format!("sha256-{none}.sig")).await;
    assert_immutable(&gone.unwrap_err(), &format!("app:sha256-{none}.sig"));
    let tag = format!("sha256-{hex}.sig");
    let runnable = world.image(&dev, "team/app", &tag, &[("bin/sh", "x")]).await.unwrap_err();
    assert_immutable(&runnable, &format!("app:{tag}"));
}

/// An index of one image under a tag; the image's digest and the index's.
async fn index(world: &World, dev: &Caller, name: &str, tag: &str) -> (Digest, Digest) {
    let child = world.image(dev, name, "", &[("etc/part", tag)]).await.unwrap();
    let child_descriptor =
        descriptor("application/vnd.oci.image.manifest.v1+json", &child.manifest);
    let document = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [child_descriptor],
    });
    let pushed = world.manifest(dev, name, tag, &document).await.unwrap();
    (child.digest, pushed.digest)
}

/// What an index lists stays while its tag does: also below an index without a tag of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_covered_index_stays() {
    parts_stay(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_covered_index_stays_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        parts_stay(world).await;
    }
}

async fn parts_stay(world: World) {
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let (child, inner) = index(&world, &dev, "team/app", "inner").await;
    let pulled =
        world.registry.get_manifest(&dev, &repo("team/app"), &"inner".parse().unwrap()).await;
    let payload = pulled.unwrap().payload;
    let outer = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor("application/vnd.oci.image.index.v1+json", &payload)],
    });
    world.manifest(&dev, "team/app", "v1", &outer).await.unwrap();
    delete(&world, &dev, "team/app", "inner").await.unwrap();
    let covers = rule(("repoMatches", "app"), ("matches", "v*"));
    let (_, id) =
        world.registry.create_immutable_rule(&dev, &"team".into(), &covers).await.unwrap();
    for part in [child, inner] {
        let refused = delete(&world, &dev, "team/app", &part.to_string()).await.unwrap_err();
        assert_immutable(&refused, "app:v1");
    }
    // The same image elsewhere is nobody's part.
    let (elsewhere, _) = index(&world, &dev, "team/other", "inner").await;
    assert_eq!(elsewhere, child);
    delete(&world, &dev, "team/other", &child.to_string()).await.unwrap();
    world.registry.delete_immutable_rule(&dev, &"team".into(), id).await.unwrap();
    // Harbor's API deletes nothing that an index lists, whatever its tag; the registry's does.
    let name = repo("team/app");
    for listed in [child, inner] {
        let refused = world.registry.delete_artifact(&dev, &name, &listed).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Precondition);
        assert_eq!(refused.code(), ErrorCode::ViolateForeignKeyConstraint);
        assert!(refused.message().contains("the deleting artifact is referenced by others"));
    }
    let unknown = Digest::sha256(b"nobody");
    let refused = world.registry.delete_artifact(&dev, &name, &unknown).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
    delete(&world, &dev, "team/app", &child.to_string()).await.unwrap();
    let outer = Digest::sha256(&serde_json::to_vec(&outer).unwrap());
    world.registry.delete_artifact(&dev, &name, &outer).await.unwrap();
    world.registry.delete_artifact(&dev, &name, &inner).await.unwrap();
}

/// Of very many accessories some go before their subject, in transactions of their own: but none of
/// them while a tag keeps it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_keeps_its_many_accessories() {
    const MANY: usize = 1_001;
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let (child, _) = index(&world, &dev, "team/app", "v1").await;
    let child_size = {
        let mut tx = world.db().read().await.unwrap();
        let name = repo("team/app");
        let team = metadata::projects::find(&mut tx, "team").await.unwrap().unwrap();
        let found = metadata::repositories::find(&mut tx, team.id, &name).await.unwrap().unwrap();
        metadata::manifests::find(&mut tx, found.id, &child).await.unwrap().unwrap().size
    };
    world.blob(&dev, "team/app", b"{}").await.unwrap();
    for n in 0..MANY {
        let document = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.example.note",
            "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
            "layers": [descriptor("application/vnd.oci.empty.v1+json", b"{}")],
            "subject": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": child, "size": child_size,
            },
            "annotations": {"n": n.to_string()},
        });
        world.manifest(&dev, "team/app", "", &document).await.unwrap();
    }
    let count = async || {
        let mut tx = world.db().read().await.unwrap();
        let sql = "SELECT count(*) AS n FROM manifests WHERE subject_digest IS NOT NULL";
        let row = tx.query_one(sql, vec![]).await.unwrap().unwrap();
        row.get::<i64>("n").unwrap()
    };
    assert_eq!(count().await, MANY as i64);
    // By a tag of an index above it, then by one of its own.
    let covers = rule(("repoMatches", "app"), ("matches", "v*"));
    let (_, id) =
        world.registry.create_immutable_rule(&dev, &"team".into(), &covers).await.unwrap();
    let digest = child.to_string();
    assert_immutable(&delete(&world, &dev, "team/app", &digest).await.unwrap_err(), "app:v1");
    assert_eq!(count().await, MANY as i64);
    world.registry.delete_immutable_rule(&dev, &"team".into(), id).await.unwrap();
    delete(&world, &dev, "team/app", "v1").await.unwrap();
    let (name, reference) = (repo("team/app"), digest.parse().unwrap());
    let payload = world.registry.get_manifest(&dev, &name, &reference).await.unwrap().payload;
    world.raw_manifest(&dev, "team/app", "v2", &payload).await.unwrap();
    world.registry.create_immutable_rule(&dev, &"team".into(), &covers).await.unwrap();
    assert_immutable(&delete(&world, &dev, "team/app", &digest).await.unwrap_err(), "app:v2");
    assert_eq!(count().await, MANY as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_belong_to_their_project() {
    belong(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_belong_to_their_project_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        belong(world).await;
    }
}

async fn belong(world: World) {
    let (ann, bob, keeper, coder) = (
        world.user("ann").await,
        world.user("bob").await,
        world.user("keeper").await,
        world.user("coder").await,
    );
    world.project(&ann, "a", Tier::Sandbox, false).await;
    world.project(&bob, "b", Tier::Sandbox, false).await;
    let mut tx = world.db().write().await.unwrap();
    let a = metadata::projects::find(&mut tx, "a").await.unwrap().unwrap();
    for (who, role) in [(&keeper, Role::Maintainer), (&coder, Role::Developer)] {
        let user = who.principal.user_id().unwrap();
        metadata::members::put(&mut tx, a.id, user, role.id()).await.unwrap();
    }
    tx.commit().await.unwrap();
    let registry = &world.registry;
    let all = Wanted { limit: 100, ..Wanted::default() };
    let one = rule(("repoMatches", "**"), ("matches", "v*"));
    let (_, id) = registry.create_immutable_rule(&keeper, &"a".into(), &one).await.unwrap();
    let same = registry.create_immutable_rule(&ann, &"a".into(), &one).await.unwrap_err();
    assert_eq!(same.kind(), Kind::Conflict);
    let (_, theirs) = registry.create_immutable_rule(&bob, &"b".into(), &one).await.unwrap();
    // Swapped numbers answer as numbers that nobody has.
    for wrong in [theirs, 99_999] {
        let answers = [
            registry.update_immutable_rule(&ann, &"a".into(), wrong, &one).await.unwrap_err(),
            registry.delete_immutable_rule(&ann, &"a".into(), wrong).await.unwrap_err(),
        ];
        for error in answers {
            assert_eq!(error.kind(), Kind::NotFound);
            assert_eq!(error.message(), format!("there is no rule {wrong} in this project"));
        }
    }
    let body = ImmutableRule { id: theirs, ..one.clone() };
    let swapped = registry.update_immutable_rule(&ann, &"a".into(), id, &body).await.unwrap_err();
    assert_eq!(swapped.kind(), Kind::Invalid);
    assert_eq!(registry.immutable_rules(&bob, &"b".into(), &all).await.unwrap().total, 1);
    // Who may not: a developer, a robot that deletes, a stranger, nobody.
    let robot = world.robot("a", &[Right::Pull, Right::Push, Right::Delete]).await;
    for (who, kind) in [
        (&coder, Kind::Forbidden),
        (&robot, Kind::Forbidden),
        (&bob, Kind::Forbidden),
        (&anonymous(), Kind::Unauthenticated),
    ] {
        let answers = [
            registry.immutable_rules(who, &"a".into(), &all).await.map(drop).unwrap_err(),
            registry.create_immutable_rule(who, &"a".into(), &one).await.map(drop).unwrap_err(),
            registry.delete_immutable_rule(who, &"a".into(), id).await.unwrap_err(),
        ];
        assert!(answers.iter().all(|error| error.kind() == kind), "{answers:?}");
    }
    // A second rule cannot become the same as the first; and there is an end to them.
    let other = rule(("repoMatches", "x"), ("matches", "v*"));
    let (_, second) = registry.create_immutable_rule(&ann, &"a".into(), &other).await.unwrap();
    let twin = registry.update_immutable_rule(&ann, &"a".into(), second, &one).await.unwrap_err();
    assert_eq!(twin.kind(), Kind::Conflict);
    for n in 2..MAX_IMMUTABLE_RULES {
        let more = rule(("repoMatches", &format!("r{n}")), ("matches", "*"));
        registry.create_immutable_rule(&ann, &"a".into(), &more).await.unwrap();
    }
    let full = rule(("repoMatches", "full"), ("matches", "*"));
    let full = registry.create_immutable_rule(&ann, &"a".into(), &full).await.unwrap_err();
    assert_eq!(full.kind(), Kind::Invalid);
    registry.delete_immutable_rule(&keeper, &"a".into(), id).await.unwrap();
    assert_eq!(registry.immutable_rules(&ann, &"a".into(), &all).await.unwrap().total, 14);
    let admin = world.admin().await;
    for (action, count) in [("create-immutable-rule", 16), ("delete-immutable-rule", 1)] {
        let query = AuditQuery { actions: vec![action.to_owned()], ..AuditQuery::default() };
        let page = registry.audit_events(&admin, &query, &PageRequest::default()).await.unwrap();
        assert_eq!(page.items.len(), count, "{action}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_means_nothing_is_refused() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let good = rule(("repoMatches", "**"), ("matches", "v*"));
    let selector = |kind: &str, decoration: &str, pattern: &str| Selector {
        kind: kind.to_owned(),
        decoration: decoration.to_owned(),
        pattern: pattern.to_owned(),
    };
    let tags =
        |selectors: Vec<Selector>| ImmutableRule { tag_selectors: selectors, ..good.clone() };
    let mut elsewhere = good.clone();
    let scope = elsewhere.scope_selectors.remove("repository").unwrap();
    elsewhere.scope_selectors.insert("project".to_owned(), scope);
    for bad in [
        tags(Vec::new()),
        tags(vec![selector("regex", "matches", "v*")]),
        tags(vec![selector("doublestar", "repoMatches", "v*")]),
        tags(vec![selector("doublestar", "matches", "v[")]),
        tags(vec![selector("doublestar", "matches", &"a".repeat(2_000))]),
        tags(vec![selector("doublestar", "matches", "v*"); 17]),
        ImmutableRule { action: "retain".to_owned(), ..good.clone() },
        ImmutableRule { template: "always".to_owned(), ..good.clone() },
        ImmutableRule { scope_selectors: Default::default(), ..good.clone() },
        elsewhere,
    ] {
        let error =
            world.registry.create_immutable_rule(&dev, &"team".into(), &bad).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{bad:?}");
    }
    // Of several selectors the first one counts.
    let two = tags(vec![
        selector("doublestar", "matches", "v*"),
        selector("doublestar", "matches", "w*"),
    ]);
    world.registry.create_immutable_rule(&dev, &"team".into(), &two).await.unwrap();
    for (tag, kept) in [("v1", true), ("w1", false)] {
        world.image(&dev, "team/app", tag, &[("etc/a", "1")]).await.unwrap();
        let moved = world.image(&dev, "team/app", tag, &[("etc/a", "2")]).await;
        assert_eq!(moved.is_err(), kept, "{tag}");
    }
}

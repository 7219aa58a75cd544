//! Storage quotas at the doors (decision D15).

use crate::{
    story::Story,
    world::{Image, World, body, caller, descriptor, repo},
};
use sealock_auth::{Caller, Principal};
use sealock_facts::Tier;
use sealock_metadata as metadata;
use sealock_oci::{Algorithm, Digest, ErrorCode};
use sealock_registry::{AuditQuery, Body, Error, Kind, PageRequest, Quota, UNLIMITED, Wanted};
use serde_json::json;

/// What Harbor's clients match.
const WORDS: [&str; 3] = [
    "adding ",
    " of storage resource, which when updated to current usage of ",
    " will exceed the configured upper limit of ",
];

fn assert_exceeded(error: &Error) {
    assert_eq!((error.kind(), error.code()), (Kind::Forbidden, ErrorCode::Denied), "{error}");
    assert!(WORDS.iter().all(|words| error.message().contains(words)), "{error}");
}

/// The quota of a project, as who may see it is told.
async fn quota(world: &World, who: &Caller, project: &str) -> Quota {
    let summary = world.registry.harbor_project_summary(who, &project.into()).await;
    summary.unwrap().quota.unwrap()
}

async fn used(world: &World, dev: &Caller, project: &str) -> i64 {
    quota(world, dev, project).await.used
}

async fn limit(world: &World, project: &str, hard: i64) {
    let admin = world.admin().await;
    let id = quota(world, &admin, project).await.id;
    assert_eq!(world.registry.set_quota(&admin, id, hard).await.unwrap().hard, hard);
}

async fn events(world: &World, action: &str) -> usize {
    let admin = world.admin().await;
    let query = AuditQuery { actions: vec![action.to_owned()], ..AuditQuery::default() };
    let page = world.registry.audit_events(&admin, &query, &PageRequest::default()).await.unwrap();
    page.items.len()
}

/// Bytes of an image: its blobs and its manifest.
async fn size(world: &World, image: &Image) -> i64 {
    let mut tx = world.db().read().await.unwrap();
    let mut sum = image.manifest.len() as i64;
    for digest in [image.config, image.layer] {
        let blob = metadata::blobs::get(&mut tx, &digest).await.unwrap().unwrap();
        sum += blob.size as i64;
    }
    sum
}

async fn exact(world: &World) {
    let mut tx = world.db().read().await.unwrap();
    for id in metadata::fsck::quotas::projects(&mut tx, 0, 100).await.unwrap() {
        assert_eq!(metadata::fsck::quotas::miscount(&mut tx, id).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_stays_out() {
    stays_out(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_stays_out_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        stays_out(world).await;
    }
}

async fn stays_out(world: World) {
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    world.project(&dev, "other", Tier::Sandbox, false).await;
    assert_eq!(quota(&world, &dev, "team").await.hard, UNLIMITED);
    let first = world.image(&dev, "team/app", "v1", &[("etc/one", "1")]).await.unwrap();
    let one = size(&world, &first).await;
    assert_eq!(used(&world, &dev, "team").await, one);
    // Again, under another tag, and in another repository: nothing more.
    world.raw_manifest(&dev, "team/app", "v2", &first.manifest).await.unwrap();
    for blob in [&first.config, &first.layer] {
        let from = repo("team/app");
        assert!(world.registry.mount_blob(&dev, &repo("team/b"), blob, Some(&from)).await.unwrap());
    }
    world.raw_manifest(&dev, "team/b", "v1", &first.manifest).await.unwrap();
    assert_eq!(used(&world, &dev, "team").await, one);
    // Room for all but a byte of a second one. It has the size of the first, but for the words.
    limit(&world, "team", one * 2 - 50).await;
    assert_eq!(events(&world, "quota-warning").await, 0);
    let second = world.image(&dev, "team/app", "v3", &[("etc/two", "2")]).await.unwrap_err();
    assert_exceeded(&second);
    assert_eq!(used(&world, &dev, "team").await, one);
    exact(&world).await;
    let gone = world.registry.get_manifest(&dev, &repo("team/app"), &"v3".parse().unwrap()).await;
    assert_eq!(gone.unwrap_err().kind(), Kind::NotFound, "nothing of it stays");
    // Elsewhere it fits, and a mount brings it in no better.
    let there = world.image(&dev, "other/app", "v1", &[("etc/far", "3333")]).await.unwrap();
    limit(&world, "team", one + 10).await;
    assert_eq!(events(&world, "quota-warning").await, 0);
    let from = repo("other/app");
    let mount = world.registry.mount_blob(&dev, &repo("team/app"), &there.layer, Some(&from)).await;
    assert_exceeded(&mount.unwrap_err());
    // What is counted already is mounted and pushed, however full it is.
    limit(&world, "team", one).await;
    let from = repo("team/app");
    assert!(
        world.registry.mount_blob(&dev, &repo("team/c"), &first.layer, Some(&from)).await.unwrap()
    );
    world.raw_manifest(&dev, "team/app", "v4", &first.manifest).await.unwrap();
    // Room again, and the warning is said once.
    limit(&world, "team", one * 2 + 100).await;
    world.image(&dev, "team/app", "v3", &[("etc/two", "2")]).await.unwrap();
    assert_eq!(events(&world, "quota-warning").await, 1);
    exact(&world).await;
    // Deleted in one of two repositories: still there. In both: gone.
    for (name, left) in [("team/b", 2), ("team/app", 1)] {
        let condition = sealock_registry::Precondition::default();
        let reference = first.digest.to_string().parse().unwrap();
        world.registry.delete_manifest(&dev, &repo(name), &reference, &condition).await.unwrap();
        let now = used(&world, &dev, "team").await;
        assert!((now - one * left).abs() <= 60, "{now}, {one}");
    }
    exact(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_without_room_is_refused_before_it_is_sent() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let image = world.image(&dev, "team/app", "v1", &[("etc/one", "1")]).await.unwrap();
    let one = size(&world, &image).await;
    let name = repo("team/app");
    let registry = &world.registry;
    limit(&world, "team", one + 1000).await;
    let unread = || {
        let stream = futures_util::stream::poll_fn(|_| -> std::task::Poll<Option<_>> {
            panic!("the body is read")
        });
        Body::new(stream).with_length(Some(1001))
    };
    let digest = Digest::sha256(&[7; 1001]);
    assert_exceeded(&registry.push_blob(&dev, &name, &digest, unread()).await.unwrap_err());
    assert_eq!(events(&world, "quota-exceeded").await, 1, "each way in tells it");
    let begun = registry.begin_upload(&dev, &name, Algorithm::Sha256).await.unwrap();
    let refused = registry.append_upload(&dev, &name, begun.id, None, unread()).await;
    assert_exceeded(&refused.unwrap_err());
    let refused = registry.finish_upload(&dev, &name, begun.id, &digest, None, unread()).await;
    assert_exceeded(&refused.unwrap_err());
    // Without a length the bytes themselves tell, also over several requests.
    let cut = registry.append_upload(&dev, &name, begun.id, None, body(&[&[7; 600], &[7; 401]]));
    assert_exceeded(&cut.await.unwrap_err());
    let part = registry.append_upload(&dev, &name, begun.id, None, body(&[&[7; 600]])).await;
    assert_eq!(part.unwrap().offset, 600);
    let cut = registry.append_upload(&dev, &name, begun.id, None, body(&[&[7; 401]])).await;
    assert_exceeded(&cut.unwrap_err());
    // Just enough.
    let digest = Digest::sha256(&[7; 1000]);
    let last = body(&[&[7; 400]]);
    registry.finish_upload(&dev, &name, begun.id, &digest, None, last).await.unwrap();
    assert_eq!(used(&world, &dev, "team").await, one, "a blob alone counts nothing");
    // A full project begins none, and takes what it counts already.
    limit(&world, "team", one).await;
    let full = registry.begin_upload(&dev, &name, Algorithm::Sha256).await.unwrap_err();
    assert_exceeded(&full);
    let again = repo("team/again");
    let mut tx = world.db().read().await.unwrap();
    let blob = metadata::blobs::get(&mut tx, &image.config).await.unwrap().unwrap();
    drop(tx);
    let config = serde_json::to_vec(&json!({})).unwrap();
    assert_ne!(blob.size, config.len() as u64);
    let stream = registry.open_blob(&dev, &name, &image.config).await;
    assert!(stream.is_ok());
    let other = world.blob(&dev, "team/again", b"something else").await;
    assert_exceeded(&other.unwrap_err());
    assert!(registry.mount_blob(&dev, &again, &image.config, Some(&name)).await.unwrap());
    exact(&world).await;
}

/// Somebody uploads, and never a manifest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_manifest_names_is_bounded_apart() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    limit(&world, "team", 1000).await;
    let loose = world.blob(&dev, "team/app", b"loose").await.unwrap();
    // A file of two GiB, as the rows tell it.
    let sql = format!("UPDATE blobs SET size = 2147483648 WHERE digest = '{loose}'");
    assert_eq!(world.database.plant(&sql).await, 1);
    let registry = world.reopened().await;
    let name = repo("team/app");
    let refused = registry.begin_upload(&dev, &name, Algorithm::Sha256).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
    assert!(refused.message().contains("2.0 GiB of uploads that no manifest names"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_holds_among_many() {
    many(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_holds_among_many_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        many(world).await;
    }
}

async fn many(world: World) {
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let config = world.blob(&dev, "team/app", b"{}").await.unwrap();
    assert_eq!(config, Digest::sha256(b"{}"));
    let manifest = |n: usize| {
        let document = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.example.thing",
            "config": descriptor("application/vnd.example.config", b"{}"),
            "layers": [],
            "annotations": {"n": format!("{n:02}")},
        });
        serde_json::to_vec(&document).unwrap()
    };
    let size = manifest(0).len() as i64;
    limit(&world, "team", 2 + size * 5).await;
    let pushes = (0..12).map(|n| {
        let (world, dev, payload) = (&world, &dev, manifest(n));
        async move {
            let tag = format!("t{n}");
            loop {
                match world.raw_manifest(dev, "team/app", &tag, &payload).await {
                    Ok(_) => return 1,
                    Err(error) if error.kind() == Kind::Busy => {}
                    Err(error) => {
                        assert_exceeded(&error);
                        return 0;
                    }
                }
            }
        }
    });
    let entered: i64 = futures_util::future::join_all(pushes).await.into_iter().sum();
    assert_eq!(entered, 5);
    assert_eq!(used(&world, &dev, "team").await, 2 + size * 5);
    exact(&world).await;
    // Of seven refusals each power of two is on record.
    assert_eq!(events(&world, "quota-exceeded").await, 3);
    assert_eq!(events(&world, "quota-warning").await, 1);
}

/// Blob uploads touch no row of the quota, so a thousand of them do not wait for one another.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_uploads_write_no_row_of_the_quota() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    limit(&world, "team", 1_000_000).await;
    let uploads = (0..1000).map(|n: u32| {
        let (world, dev) = (&world, &dev);
        async move { world.blob(dev, "team/app", &n.to_be_bytes()).await.unwrap() }
    });
    futures_util::future::join_all(uploads).await;
    let mut tx = world.db().read().await.unwrap();
    let sql = "SELECT (SELECT count(*) FROM project_blobs) + (SELECT count(*) FROM project_usage) \
               AS n";
    let rows: i64 = tx.find(sql, vec![], |row| row.get("n")).await.unwrap().unwrap();
    assert_eq!(rows, 0);
}

/// What is promoted counts in its target, and what is eradicated counts no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promotions_count_and_eradication_frees() {
    promotion(Story::new(World::new().await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promotions_count_and_eradication_frees_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        promotion(Story::new(world).await).await;
    }
}

async fn promotion(story: Story) {
    let (world, dev) = (&story.world, &story.dev);
    story.sign_image().await;
    let image = size(world, &story.image).await;
    // Room for the image, and none for its signature and the summary.
    limit(world, "release", image).await;
    assert_exceeded(&story.promote().await.unwrap_err());
    assert_eq!(used(world, dev, "release").await, 0);
    limit(world, "release", UNLIMITED).await;
    story.promote().await.unwrap();
    let promoted = used(world, dev, "release").await;
    assert!(promoted > image, "{promoted}");
    exact(world).await;
    // Again: nothing is new.
    limit(world, "release", promoted).await;
    assert!(story.promote().await.unwrap().already);
    let officer = &story.officer;
    world.registry.eradicate(officer, &story.image.digest, "compromised").await.unwrap();
    assert_eq!(used(world, dev, "release").await, 0);
    assert_eq!(used(world, dev, "team").await, 0);
    exact(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_administrators_see_and_set_limits() {
    let world = World::new().await;
    let (dev, admin) = (world.user("dev").await, world.admin().await);
    world.project(&dev, "team", Tier::Sandbox, false).await;
    world.project(&dev, "b-team", Tier::Sandbox, false).await;
    let registry = &world.registry;
    let id = quota(&world, &dev, "team").await.id;
    let stranger = caller(Principal::Anonymous);
    for (who, kind) in [(&dev, Kind::Forbidden), (&stranger, Kind::Unauthenticated)] {
        assert_eq!(registry.set_quota(who, id, 1).await.unwrap_err().kind(), kind);
        assert_eq!(registry.quota(who, id).await.unwrap_err().kind(), kind);
        let listed = registry.quotas(who, &Wanted::default()).await;
        assert_eq!(listed.unwrap_err().kind(), kind);
        assert_eq!(registry.set_default_quota(who, 1).await.unwrap_err().kind(), kind);
    }
    let other = world.user("other").await;
    let hidden = registry.harbor_project_summary(&other, &"team".into()).await.unwrap_err();
    assert_eq!(hidden.kind(), Kind::Forbidden);
    for wrong in [0, -2, i64::MIN] {
        assert_eq!(registry.set_quota(&admin, id, wrong).await.unwrap_err().kind(), Kind::Invalid);
    }
    assert_eq!(registry.set_quota(&admin, 9_999, 1).await.unwrap_err().kind(), Kind::NotFound);
    registry.set_default_quota(&admin, 500).await.unwrap();
    assert_eq!(registry.default_quota().await.unwrap(), 500);
    world.project(&dev, "late", Tier::Sandbox, false).await;
    assert_eq!(quota(&world, &dev, "late").await.hard, 500);
    let order = vec![("hard.storage".to_owned(), false)];
    let query = Wanted { order, limit: 2, ..Wanted::default() };
    let listed = registry.quotas(&admin, &query).await.unwrap();
    assert_eq!((listed.items[0].project.as_str(), listed.items.len()), ("late", 2));
    let rest = registry.quotas(&admin, &Wanted { offset: 2, ..query.clone() }).await.unwrap();
    assert_eq!(rest.items.len() as u64, listed.total - 2);
    let beyond = Wanted { offset: i64::MAX as u64, limit: u32::MAX, ..query };
    assert!(registry.quotas(&admin, &beyond).await.unwrap().items.is_empty());
    assert_eq!(events(&world, "update-configuration").await, 1);
}

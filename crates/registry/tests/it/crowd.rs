//! Many at once, and many times the same.

use crate::world::{World, anonymous, body, descriptor, repo};
use bytes::Bytes;
use jiff::SignedDuration;
use sealock_auth::Caller;
use sealock_blobs::testing::Operation;
use sealock_facts::{Action, Tier};
use sealock_metadata::{self as metadata, Clock as _};
use sealock_oci::{Algorithm, Digest, ErrorCode, Reference};
use sealock_registry::{
    AuditQuery, Body, DecisionQuery, Expected, Kind, MAX_OPEN_UPLOADS, MAX_UNENDED_UPLOADS,
    ManifestPush, PageRequest, PolicyTarget, Precondition,
};
use serde_json::json;
use std::{
    collections::VecDeque,
    io::ErrorKind,
    net::IpAddr,
    time::{Duration, Instant},
};

const OS: (&str, &str) = ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const WRITERS: usize = 12;

/// An artifact of two tiny blobs that are there already.
fn artifact(number: usize) -> Vec<u8> {
    let document = json!({
        "schemaVersion": 2, "mediaType": IMAGE,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.oci.empty.v1+json", b"{}")],
        "annotations": {"number": number.to_string()},
    });
    serde_json::to_vec(&document).unwrap()
}

/// Pushes different manifests to one tag at the same time; the digest of the one that won.
async fn contest(world: &World, dev: &Caller, round: usize, condition: Precondition) -> Digest {
    let pushes = (0..WRITERS).map(|writer| {
        let (registry, dev, condition) = (world.registry.clone(), dev.clone(), condition.clone());
        tokio::spawn(async move {
            let (repository, reference) = (repo("team/app"), "v1".parse().unwrap());
            let push = ManifestPush {
                repository: &repository,
                reference: &reference,
                tags: &[],
                content_type: IMAGE,
                payload: artifact(round * WRITERS + writer).into(),
                condition: &condition,
            };
            registry.put_manifest(&dev, push).await
        })
    });
    let mut won = Vec::new();
    for push in futures_util::future::join_all(pushes).await {
        match push.unwrap() {
            Ok(pushed) => won.push(pushed.digest),
            Err(error) => assert_eq!(error.kind(), Kind::Precondition, "{error}"),
        }
    }
    assert_eq!(won.len(), 1, "{WRITERS} writers, round {round}");
    let name = repo("team/app");
    let now = world.registry.get_manifest(dev, &name, &"v1".parse().unwrap()).await.unwrap();
    assert_eq!(now.digest, won[0]);
    won[0]
}

async fn one_writer_wins(world: World) {
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    world.blob(&dev, "team/app", b"{}").await.unwrap();
    let absent = Precondition { none_matches: Some(Expected::Anything), matches: None };
    let mut digest = contest(&world, &dev, 0, absent).await;
    for round in 1..4 {
        let same =
            Precondition { matches: Some(Expected::OneOf(vec![digest])), none_matches: None };
        digest = contest(&world, &dev, round, same).await;
    }
    // A losing push leaves nothing, not even its manifest.
    let mut tx = world.db().read().await.unwrap();
    let all = metadata::projects::Visible::All;
    let repositories = metadata::repositories::list(&mut tx, &all, "", 10).await.unwrap();
    let stored = metadata::manifests::list(&mut tx, repositories[0].id, None, 100).await.unwrap();
    assert_eq!(stored.len(), 4);
    drop(tx);
    let (name, tag): (_, Reference) = (repo("team/app"), "v1".parse().unwrap());
    let stale = Expected::OneOf(vec![Digest::sha256(b"stale")]);
    let stale = Precondition { matches: Some(stale), none_matches: None };
    let kept = world.registry.delete_manifest(&dev, &name, &tag, &stale).await.unwrap_err();
    assert_eq!(kept.kind(), Kind::Precondition);
    let same = Precondition { matches: Some(Expected::OneOf(vec![digest])), none_matches: None };
    world.registry.delete_manifest(&dev, &name, &tag, &same).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_who_expect_the_same_one_wins() {
    one_writer_wins(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_who_expect_the_same_one_wins_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        one_writer_wins(world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_cancelled_while_it_is_written_leaves_no_file() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let name = repo("team/app");
    let begun = world.registry.begin_upload(&dev, &name, Algorithm::Sha256).await.unwrap();
    let first = body(&[&[1; 100_000]]);
    world.registry.append_upload(&dev, &name, begun.id, None, first).await.unwrap();
    let (send, receive) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(1);
    let stream = futures_util::stream::unfold(receive, |mut receive| async move {
        Some((receive.recv().await?, receive))
    });
    let (registry, writer, at) = (world.registry.clone(), dev.clone(), name.clone());
    let writing = tokio::spawn(async move {
        registry.append_upload(&writer, &at, begun.id, None, Body::new(stream)).await
    });
    send.send(Ok(Bytes::from(vec![2; 700_000]))).await.unwrap();
    send.send(Ok(Bytes::from(vec![2; 700_000]))).await.unwrap();
    let second = world.registry.append_upload(&dev, &name, begun.id, None, body(&[b"x"])).await;
    assert_eq!(second.unwrap_err().kind(), Kind::Conflict);
    world.registry.cancel_upload(&dev, &name, begun.id).await.unwrap();
    drop(send);
    assert_eq!(writing.await.unwrap().unwrap_err().code(), ErrorCode::BlobUploadUnknown);
    let left = std::fs::read_dir(world.folder.path().join("blobs/uploads")).unwrap().count();
    assert_eq!(left, 0, "a file without a row");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_uploads_are_bounded() {
    let world = World::new().await;
    let (dev, other) = (world.user("dev").await, world.user("other").await);
    world.project(&dev, "team", Tier::Sandbox, false).await;
    world.project(&other, "den", Tier::Sandbox, false).await;
    let name = repo("team/app");
    let last = world.registry.begin_upload(&dev, &name, Algorithm::Sha256).await.unwrap();
    let mut tx = world.db().write().await.unwrap();
    let all = metadata::projects::Visible::All;
    let id = metadata::repositories::list(&mut tx, &all, "", 1).await.unwrap()[0].id;
    let who = dev.principal.account();
    for number in 1..MAX_OPEN_UPLOADS {
        metadata::uploads::create(&mut tx, &format!("u{number}"), id, &who, "{}").await.unwrap();
    }
    tx.commit().await.unwrap();
    let full = world.registry.begin_upload(&dev, &name, Algorithm::Sha256).await.unwrap_err();
    assert_eq!((full.kind(), full.code()), (Kind::TooMany, ErrorCode::TooManyRequests));
    let theirs = world.registry.begin_upload(&other, &repo("den/app"), Algorithm::Sha256).await;
    theirs.unwrap();
    world.registry.cancel_upload(&dev, &name, last.id).await.unwrap();
    world.registry.begin_upload(&dev, &name, Algorithm::Sha256).await.unwrap();
}

/// However an upload ends, its address may begin another one.
#[tokio::test]
async fn what_ends_makes_room_for_what_begins() {
    /// So many that what is forgotten meanwhile (`UNENDED_UPLOADS_PER_SECOND`) is fewer.
    const ENDED: usize = 150;
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let (mut open, mut number) = (VecDeque::new(), 0);
    // A few hundred in each repository.
    let mut fill = async |open: &mut VecDeque<_>| {
        for begun in 0.. {
            number += 1;
            let name = repo(&format!("team/r{}", number / 400));
            match world.registry.begin_upload(&dev, &name, Algorithm::Sha256).await {
                Ok(upload) => open.push_back((name, upload.id)),
                Err(error) => {
                    assert_eq!(error.kind(), Kind::TooMany, "{error}");
                    return begun;
                }
            }
        }
        unreachable!("begun without an end")
    };
    assert!(fill(&mut open).await >= MAX_UNENDED_UPLOADS as usize);
    let (right, wrong) = (Digest::sha256(b"x"), Digest::sha256(b"y"));
    for way in ["cancelled", "finished", "wrong", "lost"] {
        for _ in 0..ENDED {
            let (name, id) = open.pop_front().unwrap();
            let (registry, part) = (&world.registry, || body(&[b"x"]));
            match way {
                "cancelled" => registry.cancel_upload(&dev, &name, id).await.unwrap(),
                "lost" => {
                    world.disk.fail_once(Operation::Write, 0, ErrorKind::Other);
                    registry.append_upload(&dev, &name, id, None, part()).await.unwrap_err();
                }
                _ => {
                    let digest = if way == "wrong" { &wrong } else { &right };
                    let done = registry.finish_upload(&dev, &name, id, digest, None, part()).await;
                    assert_eq!(done.is_ok(), way == "finished");
                }
            }
        }
        let begun = fill(&mut open).await;
        assert!(begun >= ENDED, "of {ENDED} {way} ones {begun} could begin again");
    }
    // Whoever ends one several times at once makes room for one.
    let (name, id) = open.pop_front().unwrap();
    let cancels = (0..8).map(|_| world.registry.cancel_upload(&dev, &name, id));
    let cancelled = futures_util::future::join_all(cancels).await;
    assert_eq!(cancelled.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

/// Who sends slowly has their bytes on the disk, not in memory, though they are no full batch.
#[tokio::test]
async fn what_comes_slowly_is_not_held() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let (send, parts) = tokio::sync::mpsc::unbounded_channel();
    let parts = futures_util::stream::unfold(parts, async |mut parts| {
        parts.recv().await.map(|part| (Ok(part), parts))
    });
    let content: Vec<u8> = (0..30_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = Digest::sha256(&content);
    let (registry, disk) = (world.registry.clone(), world.disk.clone());
    let push = tokio::spawn(async move {
        registry.push_blob(&dev, &repo("team/app"), &digest, Body::new(parts)).await
    });
    let before = disk.count(Operation::Write);
    for (number, part) in content.chunks(40_000).enumerate() {
        send.send(Bytes::copy_from_slice(part)).unwrap();
        let begin = Instant::now();
        while disk.count(Operation::Write) <= before + number as u64 {
            assert!(begin.elapsed() < Duration::from_secs(20), "part {number} is held in memory");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    drop(send);
    assert_eq!(push.await.unwrap().unwrap().size, content.len() as u64);
}

/// Anybody may ask a thousand times for what is refused: each time counts, none fills the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_refusal_again_is_counted_in_one_record() {
    let world = World::new().await;
    let (dev, officer) = (world.user("dev").await, world.officer().await);
    world.project(&dev, "team", Tier::Sandbox, true).await;
    let image = world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
    world.settle().await;
    let target = sealock_facts::QuarantineTarget::Manifest;
    world.registry.quarantine(&officer, &image.digest, target, "malware").await.unwrap();
    let refused = async |caller: Caller| {
        let (name, tag) = (repo("team/app"), "v1".parse().unwrap());
        let error = world.registry.get_manifest(&caller, &name, &tag).await.unwrap_err();
        error.refusal().unwrap().decision.unwrap()
    };
    let first = refused(anonymous()).await;
    for _ in 0..9 {
        assert_eq!(refused(anonymous()).await, first);
    }
    let elsewhere = Caller { address: IpAddr::from([198, 51, 100, 1]), ..anonymous() };
    let second = refused(elsewhere.clone()).await;
    let third = refused(dev.clone()).await;
    assert!(first != second && second != third, "who and from where is never lost");
    let query = DecisionQuery { digest: Some(image.digest), ..DecisionQuery::default() };
    let page = PageRequest::default();
    let rows = world.registry.decisions(&officer, &query, &page).await.unwrap().items;
    let counts: Vec<_> = rows.iter().map(|row| (row.id, row.repeats)).collect();
    assert_eq!(counts, [(third, 0), (second, 0), (first, 9)]);
    assert!(rows[2].last_at.is_some() && rows[0].last_at.is_none());
    assert!(world.registry.replay(&officer, first).await.unwrap().same);
    let query = AuditQuery { actions: vec!["pull".into()], ..AuditQuery::default() };
    let events = world.registry.audit_events(&officer, &query, &page).await.unwrap().items;
    let repeated: Vec<_> = events.iter().filter_map(|e| e.detail["repeated"].as_i64()).collect();
    assert_eq!((events.len(), repeated), (6 + 1, vec![8, 4, 2, 1]));
    // Another reason is another refusal.
    let target = sealock_facts::QuarantineTarget::Blob;
    world.registry.quarantine(&officer, &image.layer, target, "that too").await.unwrap();
    assert!(refused(anonymous()).await > third);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_is_told_with_its_own_time_however_late_it_is_written() {
    let world = World::new().await;
    let officer = world.officer().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, true).await;
    world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
    let pulled = world.clock.now();
    let (name, tag) = (repo("team/app"), "v1".parse().unwrap());
    world.registry.get_manifest(&dev, &name, &tag).await.unwrap();
    world.clock.advance(SignedDuration::from_secs(40));
    world.registry.close().await;
    let query = AuditQuery { actions: vec!["pull".into()], ..AuditQuery::default() };
    let events = world.registry.audit_events(&officer, &query, &PageRequest::default()).await;
    let moments: Vec<_> = events.unwrap().items.iter().map(|event| event.at).collect();
    assert_eq!(moments, [pulled]);
    let since = Some(pulled + SignedDuration::from_secs(1));
    let later = AuditQuery { since, ..query };
    let events = world.registry.audit_events(&officer, &later, &PageRequest::default()).await;
    assert!(events.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_log_ins_are_told_one_by_one_and_then_counted() {
    let world = World::new().await;
    let officer = world.officer().await;
    for number in 0..100 {
        let name = format!("robot$team+guess-{number}");
        world.registry.log_refused_login(&anonymous(), &name).await.unwrap();
    }
    let elsewhere = Caller { address: IpAddr::from([198, 51, 100, 1]), ..anonymous() };
    world.registry.log_refused_login(&elsewhere, "admin").await.unwrap();
    let query = AuditQuery { actions: vec!["login".into()], ..AuditQuery::default() };
    let page = PageRequest::default();
    let events = world.registry.audit_events(&officer, &query, &page).await.unwrap().items;
    assert_eq!(events.len(), 10 + 3 + 1, "ten, then 16, 32 and 64, and the other address");
    assert_eq!(events[1].detail["refused"], 64);
}

const SIGNED: &str = "\
apiVersion: sealock/v1
kind: Policy
name: signed-to-be-pulled
rules:
  - name: signed
    signed: {by: any}
    doors: {push: off, pull: enforce, promote: off, admit: off}
";

/// A tag is resolved once: whoever moves it while the door judges changes nothing about which
/// bytes the verdict was given for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tag_that_moves_while_the_door_judges_opens_nothing() {
    let world = World::new().await;
    let (dev, officer) = (world.user("dev").await, world.officer().await);
    world.project(&dev, "team", Tier::Sandbox, true).await;
    let good = world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
    let bad = world.image(&dev, "team/app", "v2", &[OS, ("etc/x", "y")]).await.unwrap();
    world.settle().await;
    let target = sealock_facts::QuarantineTarget::Manifest;
    world.registry.quarantine(&officer, &bad.digest, target, "malware").await.unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mover = {
        // Beneath the push door, which does not take what is banned.
        let (db, stop) = (world.db().clone(), stop.clone());
        let digests = [bad.digest, good.digest];
        tokio::spawn(async move {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for digest in digests {
                    let mut tx = db.write().await.unwrap();
                    let all = metadata::projects::Visible::All;
                    let place = metadata::manifests::places(&mut tx, &all, &digest, 0, 1).await;
                    let place = place.unwrap().remove(0);
                    let (at, tag) = (place.repository_id, "v1".parse().unwrap());
                    metadata::tags::set(&mut tx, at, &tag, place.id, false, "x").await.unwrap();
                    tx.commit().await.unwrap();
                }
            }
        })
    };
    let (name, tag) = (repo("team/app"), "v1".parse().unwrap());
    let (mut pulled, mut refused) = (0, 0);
    let begun = std::time::Instant::now();
    // Answers from memory may all be given before the tag has moved once.
    while (pulled + refused < 300 || pulled.min(refused) < 20) && begun.elapsed().as_secs() < 30 {
        tokio::task::yield_now().await;
        match world.registry.get_manifest(&anonymous(), &name, &tag).await {
            Ok(manifest) => {
                assert_eq!(
                    (manifest.digest, &manifest.payload[..]),
                    (good.digest, &*good.manifest)
                );
                pulled += 1;
            }
            Err(error) => {
                assert_eq!(error.refusal().unwrap().digest, bad.digest, "{error}");
                refused += 1;
            }
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    mover.await.unwrap();
    assert!(pulled > 0 && refused > 0, "{pulled} pulled, {refused} refused: it never moved");
}

/// Evidence belongs to a repository and a digest: what another tenant says about the same bytes
/// opens no door here, by whatever way it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_repositorys_signature_opens_no_pull() {
    let world = World::new().await;
    let (dev, other) = (world.user("dev").await, world.user("other").await);
    world.project(&dev, "team", Tier::Sandbox, true).await;
    world.project(&other, "den", Tier::Sandbox, true).await;
    let key = sealock_signing::SigningKey::generate().unwrap();
    let pem = key.public_key().to_pem();
    for (owner, project) in [(&dev, "team"), (&other, "den")] {
        world.registry.add_project_key(owner, project, "key", &pem).await.unwrap();
        let target = PolicyTarget::Project(project.into());
        world.registry.put_policy(owner, &target, SIGNED).await.unwrap();
    }
    let image = world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
    for (owner, name) in [(&other, "den/app"), (&dev, "team/beside")] {
        let same = world.image(owner, name, "v1", &[OS]).await.unwrap();
        assert_eq!(same.digest, image.digest);
    }
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": image.digest.hex()}}],
        "predicateType": sealock_signing::COSIGN_SIGNATURE,
        "predicate": {},
    });
    let bundle = key.sign_statement(statement.to_string().as_bytes()).unwrap();
    let subject = serde_json::from_value(json!({
        "mediaType": IMAGE, "digest": image.digest, "size": image.manifest.len(),
    }))
    .unwrap();
    let now = sealock_metadata::Clock::now(&*world.clock);
    let kind = sealock_signing::COSIGN_SIGNATURE;
    let manifest = sealock_signing::bundle_manifest(&bundle, &subject, kind, now);
    world.blob(&other, "den/app", sealock_signing::BundleManifest::CONFIG).await.unwrap();
    world.blob(&other, "den/app", &bundle).await.unwrap();
    world.raw_manifest(&other, "den/app", "", &manifest.bytes).await.unwrap();
    let pull = async |name: &str| {
        let (repository, tag) = (repo(name), "v1".parse().unwrap());
        let layer = world.registry.open_blob(&anonymous(), &repository, &image.layer).await;
        let pulled = world.registry.get_manifest(&anonymous(), &repository, &tag).await;
        assert_eq!(layer.is_ok(), pulled.is_ok(), "{name}: manifest and layers together");
        pulled.map(|_| Action::Allow).map_err(|error| error.kind())
    };
    assert_eq!(pull("den/app").await, Ok(Action::Allow), "signed there, before any job has run");
    for name in ["team/app", "team/beside"] {
        assert_eq!(pull(name).await, Err(Kind::Policy), "{name}");
    }
    // The accessory's own bytes do not cross either.
    let accessory = Reference::Digest(Digest::sha256(&manifest.bytes));
    let crossed = world.registry.get_manifest(&dev, &repo("team/app"), &accessory).await;
    assert_eq!(crossed.unwrap_err().kind(), Kind::NotFound);
    let page = PageRequest::default();
    let name = repo("team/app");
    let listed = world.registry.list_referrers(&dev, &name, &image.digest, None, &page);
    assert!(listed.await.unwrap().items.is_empty());
}

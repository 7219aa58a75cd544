//! Bytes and manifests in and out.

use crate::world::{World, anonymous, body, descriptor, gzip, repo, tar_of};
use jiff::SignedDuration;
use sealock_facts::Tier;
use sealock_metadata::{self as metadata, Clock as _};
use sealock_oci::{Algorithm, Digest, ErrorCode, Reference, Tag};
use sealock_registry::{ChunkRange, Kind, PageRequest, Precondition, TagsShown};
use serde_json::json;
use std::path::{Path, PathBuf};

const OS: (&str, &str) = ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_pushes_another_pulls() {
    let world = World::new().await;
    push_and_pull(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_pushes_another_pulls_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        push_and_pull(&world).await;
    }
}

async fn push_and_pull(world: &World) {
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, true).await;
    let image = world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
    world.settle().await;
    let registry = world.reopened().await;
    for reference in ["v1".to_owned(), image.digest.to_string()] {
        let pulled = registry
            .get_manifest(&anonymous(), &repo("team/app"), &reference.parse().unwrap())
            .await
            .unwrap();
        assert_eq!(pulled.payload, image.manifest);
        assert_eq!(pulled.digest, image.digest);
    }
    let reader = registry.open_blob(&anonymous(), &repo("team/app"), &image.layer).await.unwrap();
    let bytes = reader.read_all(1 << 20).await.unwrap();
    assert_eq!(Digest::sha256(&bytes), image.layer);
    let tags = registry
        .list_tags(&anonymous(), &repo("team/app"), TagsShown::All, &PageRequest::default())
        .await
        .unwrap();
    assert_eq!(tags.items, ["v1".parse::<Tag>().unwrap()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_in_chunks_go_on_after_a_restart() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let (name, bytes) = (repo("team/app"), gzip(&tar_of(&[OS])));
    let (first, second) = bytes.split_at(100);
    let digest = Digest::sha256(&bytes);
    let begun = world.registry.begin_upload(&dev, &name, Algorithm::Sha256).await.unwrap();
    let at = |start: u64, end: u64| Some(ChunkRange { start, end });
    let status = world
        .registry
        .append_upload(&dev, &name, begun.id, at(0, 99), body(&[first]))
        .await
        .unwrap();
    assert_eq!(status.offset, 100);
    let wrong = world
        .registry
        .append_upload(&dev, &name, begun.id, at(50, 99), body(&[&first[50..]]))
        .await
        .unwrap_err();
    assert_eq!((wrong.kind(), wrong.upload_offset()), (Kind::Range, Some(100)));
    // Another person does not find it.
    let other = world.admin().await;
    let foreign = world.registry.upload_status(&other, &name, begun.id).await.unwrap_err();
    assert_eq!(foreign.code(), ErrorCode::BlobUploadUnknown);
    let registry = world.reopened().await;
    assert_eq!(registry.upload_status(&dev, &name, begun.id).await.unwrap().offset, 100);
    let pushed = registry
        .finish_upload(&dev, &name, begun.id, &digest, None, body(&[second]))
        .await
        .unwrap();
    assert_eq!((pushed.digest, pushed.size), (digest, bytes.len() as u64));
    let gone = registry.upload_status(&dev, &name, begun.id).await.unwrap_err();
    assert_eq!(gone.code(), ErrorCode::BlobUploadUnknown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_digest_leaves_nothing() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let name = repo("team/app");
    let digest = Digest::sha256(b"right");
    let wrong = world.registry.push_blob(&dev, &name, &digest, body(&[b"wrong"])).await;
    assert_eq!(wrong.unwrap_err().code(), ErrorCode::DigestInvalid);
    let missing = world.registry.head_blob(&dev, &name, &digest).await.unwrap_err();
    assert_eq!(missing.code(), ErrorCode::BlobUnknown);
    let begun = world.registry.begin_upload(&dev, &name, Algorithm::Sha256).await.unwrap();
    let wrong =
        world.registry.finish_upload(&dev, &name, begun.id, &digest, None, body(&[b"wrong"])).await;
    assert_eq!(wrong.unwrap_err().code(), ErrorCode::DigestInvalid);
    let gone = world.registry.upload_status(&dev, &name, begun.id).await.unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_names_only_blobs_of_its_repository() {
    let world = World::new().await;
    let (dev, thief) = (world.user("dev").await, world.user("thief").await);
    world.project(&dev, "secret", Tier::Sandbox, false).await;
    world.project(&thief, "den", Tier::Sandbox, false).await;
    let image = world.image(&dev, "secret/app", "v1", &[OS]).await.unwrap();
    let named = world.raw_manifest(&thief, "den/app", "v1", &image.manifest).await.unwrap_err();
    assert_eq!(named.code(), ErrorCode::ManifestBlobUnknown);
    // Bytes are shared, rights are not: elsewhere the blob does not exist.
    for from in [Some(repo("secret/app")), None] {
        let mounted = world
            .registry
            .mount_blob(&thief, &repo("den/app"), &image.layer, from.as_ref())
            .await
            .unwrap();
        assert!(!mounted, "mounted from {from:?}");
    }
    let direct = world.registry.open_blob(&thief, &repo("secret/app"), &image.layer).await;
    let nowhere = world.registry.open_blob(&thief, &repo("nowhere/app"), &image.layer).await;
    let (direct, nowhere) = (direct.unwrap_err(), nowhere.unwrap_err());
    assert_eq!((direct.kind(), direct.code()), (nowhere.kind(), nowhere.code()));
    let own =
        world.registry.mount_blob(&dev, &repo("secret/other"), &image.layer, None).await.unwrap();
    assert!(own, "who may read it may mount it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn referrers_merge_what_clients_keep_themselves() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    let image = world.image(&dev, "team/app", "v1", &[OS]).await.unwrap();
    let empty = world.blob(&dev, "team/app", b"{}").await.unwrap();
    let artifact = |kind: &str, subject: bool| {
        let mut document = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": kind,
            "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
            "layers": [descriptor("application/vnd.oci.empty.v1+json", b"{}")],
            "annotations": {"kind": kind},
        });
        if subject {
            let media_type = "application/vnd.oci.image.manifest.v1+json";
            document["subject"] = descriptor(media_type, &image.manifest);
        }
        document
    };
    assert_eq!(empty, Digest::sha256(b"{}"));
    let with = world.manifest(&dev, "team/app", "", &artifact("a/with", true)).await.unwrap();
    assert_eq!(with.subject, Some(image.digest));
    let without =
        world.manifest(&dev, "team/app", "", &artifact("a/without", false)).await.unwrap();
    let payload = |document| serde_json::to_vec(document).unwrap();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let stale = json!({"mediaType": media_type, "digest": Digest::sha256(b"gone"), "size": 4});
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor(media_type, &payload(&artifact("a/without", false))), stale],
    });
    let tag = image.digest.to_string().replacen(':', "-", 1);
    world.manifest(&dev, "team/app", &tag, &index).await.unwrap();
    let list = |filter: Option<&'static str>| {
        let (registry, dev) = (world.registry.clone(), dev.clone());
        async move {
            let page = PageRequest::default();
            let name = repo("team/app");
            registry.list_referrers(&dev, &name, &image.digest, filter, &page).await.unwrap()
        }
    };
    let all: Vec<Digest> = list(None).await.items.iter().map(|d| d.digest).collect();
    let mut expected = [with.digest, without.digest];
    expected.sort_by_key(Digest::to_string);
    assert_eq!(all, expected, "both, and nothing stale");
    let filtered = list(Some("a/without")).await.items;
    assert_eq!(filtered.len(), 1);
    assert_eq!(filtered[0].annotations.get("kind").map(String::as_str), Some("a/without"));
    // Accessories die with their subject.
    let reference = Reference::Digest(image.digest);
    world
        .registry
        .delete_manifest(&dev, &repo("team/app"), &reference, &Precondition::default())
        .await
        .unwrap();
    let gone = Reference::Digest(with.digest);
    let gone = world.registry.get_manifest(&dev, &repo("team/app"), &gone).await.unwrap_err();
    assert_eq!(gone.code(), ErrorCode::ManifestUnknown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_of_very_many_packages_is_known_in_pieces() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, true).await;
    let package = |name: &str, version: &str| {
        (
            format!("srv/{name}/node_modules/{name}/package.json"),
            json!({"name": name, "version": version}).to_string(),
        )
    };
    let mut files: Vec<(String, String)> =
        (0..4_100).map(|at| package(&format!("package-{at}"), "1.0.0")).collect();
    files.push(package("lodash", "4.17.20"));
    files.push((OS.0.to_owned(), OS.1.to_owned()));
    let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let image = world.image(&dev, "team/many", "1", &files).await.unwrap();
    world.settle().await;
    let name = repo("team/many");
    let artifact =
        world.registry.artifact(&dev, &name, &Reference::Digest(image.digest)).await.unwrap();
    assert_eq!(artifact.contents[0].components, 4_101);
    assert!(artifact.findings.values().sum::<u64>() > 0, "{:?}", artifact.findings);
}

/// Who may push and is told that a blob is there has a whole lease from then on to push what names
/// it (decision D13); who only reads is promised nothing.
#[tokio::test]
async fn a_look_at_a_blob_is_a_promise_to_who_may_push() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, true).await;
    let name = repo("team/app");
    // What is granted, a little more than is promised.
    let now = world.clock.now();
    let lease = metadata::Lease::DEFAULT.ends(now).duration_since(now);
    let (asked, other) = (
        world.blob(&dev, "team/app", b"asked for").await,
        world.blob(&dev, "team/app", b"other").await,
    );
    let (asked, other) = (asked.unwrap(), other.unwrap());
    let review = async || {
        let mut tx = world.db().write().await.unwrap();
        let due = metadata::reviews::Due::Ended;
        let done = metadata::reviews::links(&mut tx, due, 100).await.unwrap();
        tx.commit().await.unwrap();
        done.links_dropped
    };
    world.clock.advance(lease - SignedDuration::from_secs(1));
    world.registry.head_blob(&dev, &name, &asked).await.unwrap();
    assert!(world.registry.head_blob(&anonymous(), &name, &other).await.is_err());
    world.clock.advance(lease - SignedDuration::from_secs(1));
    assert_eq!(review().await, 1, "the one that nobody was told of");
    world.registry.head_blob(&dev, &name, &other).await.unwrap_err();
    world.clock.advance(SignedDuration::from_secs(2));
    assert_eq!(review().await, 1, "a promise ends");
    world.registry.head_blob(&dev, &name, &asked).await.unwrap_err();
}

/// The file of a blob, wherever the store has put it.
fn file_of(folder: &Path, digest: &Digest) -> Option<PathBuf> {
    std::fs::read_dir(folder).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        let named = path.file_name().unwrap().to_string_lossy().starts_with(&digest.hex());
        match path.is_dir() {
            true => file_of(&path, digest),
            false => named.then_some(path),
        }
    })
}

/// A file that is shorter or longer than its blob is not served, nor is the part that is right.
#[tokio::test]
async fn a_file_of_another_length_is_no_blob() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    for (content, left) in [("shorter", "short"), ("longer", "longer and longer"), ("gone", "")] {
        let digest = world.blob(&dev, "team/app", content.as_bytes()).await.unwrap();
        let file = file_of(world.folder.path(), &digest).unwrap();
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, left).unwrap();
        let lost = world.registry.open_blob(&dev, &repo("team/app"), &digest).await.unwrap_err();
        assert_eq!(lost.kind(), Kind::Internal, "{content}");
        assert!(lost.message().contains("lost or damaged"), "{lost}");
    }
}

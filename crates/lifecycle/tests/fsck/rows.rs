//! Defects of rows, in the same words on both engines.

use crate::{
    store::{IMAGE, Store, counts, descriptor, told},
    zoo::Case,
};
use jiff::SignedDuration;
use sealock_lifecycle::fsck::Kind;
use sealock_metadata::{
    Access,
    manifests::{self, NewManifest, State},
    testing::TestDatabase,
};
use sealock_oci::{Digest, Manifest};
use sealock_registry::ManifestRows;
use serde_json::json;

/// A digest that nobody has.
const NONE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";

macro_rules! case {
    ($name:literal, $touches:literal, [$(($kind:ident, $count:literal)),*] =>
     [$(($rest:ident, $left:literal)),*], |$store:ident| $plant:block) => {
        Case {
            name: $name,
            plant: |$store| Box::pin(async move $plant),
            found: &[$((Kind::$kind, $count)),*],
            rest: &[$((Kind::$rest, $left)),*],
            touches: $touches,
            rows: true,
        }
    };
}

/// The number of a manifest in a repository, as SQL.
fn id(repository: &str, digest: &Digest) -> String {
    format!(
        "(SELECT m.id FROM manifests m JOIN repositories r ON r.id = m.repository_id \
         WHERE r.name = '{repository}' AND m.digest = '{digest}')"
    )
}

/// The number of a repository, as SQL.
fn repository(name: &str) -> String {
    format!("(SELECT id FROM repositories WHERE name = '{name}')")
}

/// Bytes that are no fact and no manifest of anything else, as SQL.
fn other_bytes(store: &Store) -> String {
    let index = id("p/app", &store.known.index);
    format!("(SELECT p.payload FROM manifest_payloads p WHERE p.manifest_id = {index})")
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = blobs();
    cases.extend(manifest_rows());
    cases.extend(facts());
    cases.extend(references());
    cases.extend(payloads());
    cases.extend(records());
    cases
}

fn blobs() -> Vec<Case> {
    vec![
        case!("a row's size", "layer a", [(BlobRowSize, 1)] => [], |store| {
            let layer = store.known.a.layer;
            store.sql(&format!("UPDATE blobs SET size = size + 1 WHERE digest = '{layer}'")).await;
        }),
        case!("a lost row", "layer a", [(BlobRowMissing, 1)] => [], |store| {
            let layer = store.known.a.layer;
            store.sql(&format!("DELETE FROM blobs WHERE digest = '{layer}'")).await;
        }),
        case!("an impossible row", "layer b", [(BlobRowInvalid, 1)] => [], |store| {
            let layer = store.known.b.layer;
            store.sql(&format!("UPDATE blobs SET state = 'lost' WHERE digest = '{layer}'")).await;
        }),
        case!("isolated and right", "layer b", [(BlobRecovered, 1)] => [], |store| {
            let layer = store.known.b.layer;
            store.sql(&format!("UPDATE blobs SET state = 'isolated' WHERE digest = '{layer}'")).await;
        }),
        case!("dying and needed", "layer a", [(BlobDying, 1)] => [], |store| {
            let layer = store.known.a.layer;
            store.sql(&format!("UPDATE blobs SET state = 'dying' WHERE digest = '{layer}'")).await;
        }),
        case!("dying and not needed", "long", [(BlobDying, 1)] => [], |store| {
            let long = store.known.long;
            store.sql(&format!("DELETE FROM repository_blobs WHERE digest = '{long}'")).await;
            store.sql(&format!("UPDATE blobs SET state = 'dying' WHERE digest = '{long}'")).await;
        }),
        case!("an upload's state", "upload", [(UploadUnreadable, 1)] => [], |store| {
            store.sql("UPDATE uploads SET state = '{}'").await;
        }),
        case!("a count of what a project holds", "quota", [(QuotaCount, 1)] => [], |store| {
            store.sql("UPDATE project_blobs SET refs = refs + 1 WHERE project_id = 1").await;
        }),
        case!("a sum of what a project holds", "quota", [(QuotaCount, 1)] => [], |store| {
            store.sql("DELETE FROM project_usage WHERE project_id = 1").await;
        }),
        case!("a project without a limit", "quota", [(QuotaCount, 1)] => [], |store| {
            store.sql("DELETE FROM project_quotas WHERE project_id = 1").await;
        }),
    ]
}

fn payloads() -> Vec<Case> {
    vec![
        case!("bytes lost, a twin there", "manifest a", [(PayloadMissing, 1)] => [], |store| {
            let a = id("p/app", &store.known.a.digest);
            store.sql(&format!("DELETE FROM manifest_payloads WHERE manifest_id = {a}")).await;
        }),
        case!("bytes wrong, a twin there", "manifest a", [(PayloadCorrupt, 1)] => [], |store| {
            let (a, other) = (id("p/app", &store.known.a.digest), other_bytes(store));
            store.sql(&format!(
                "UPDATE manifest_payloads SET payload = {other} WHERE manifest_id = {a}"
            )).await;
        }),
        case!("bytes lost", "manifest b", [(PayloadMissing, 1)] => [(PayloadMissing, 1)], |store| {
            let b = id("p/app", &store.known.b.digest);
            store.sql(&format!("DELETE FROM manifest_payloads WHERE manifest_id = {b}")).await;
        }),
        case!("bytes wrong", "accessory", [(PayloadCorrupt, 1)] => [(PayloadIsolated, 1)], |store| {
            let (one, other) = (id("p/app", &store.known.accessory), other_bytes(store));
            store.sql(&format!(
                "UPDATE manifest_payloads SET payload = {other} WHERE manifest_id = {one}"
            )).await;
        }),
        case!("isolated, a twin there", "manifest a", [(PayloadIsolated, 1)] => [], |store| {
            let (a, other) = (id("q/copy", &store.known.a.digest), other_bytes(store));
            store.sql(&format!("UPDATE manifests SET state = 'isolated' WHERE id = {a}")).await;
            store.sql(&format!(
                "UPDATE manifest_payloads SET payload = {other} WHERE manifest_id = {a}"
            )).await;
        }),
        case!("no manifest", "", [(ManifestInvalid, 1)] => [(ManifestInvalid, 1)], |store| {
            direct(store, b"{\"schemaVersion\": 2}", None).await;
        }),
        case!("another size than it says", "", [(DescriptorSize, 1)] => [(DescriptorSize, 1)], |store| {
            let empty = "application/vnd.oci.empty.v1+json";
            let mut config = descriptor(empty, b"{}");
            config["size"] = json!(3);
            let document = json!({
                "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [],
            });
            let payload = serde_json::to_vec(&document).unwrap();
            let parsed = Manifest::parse(IMAGE, &payload).unwrap();
            direct(store, &payload, Some(parsed)).await;
        }),
    ]
}

/// Stores a manifest that no push would let in.
async fn direct(store: &Store, payload: &[u8], parsed: Option<Manifest>) {
    let digest = Digest::sha256(payload);
    let empty = Manifest::parse(
        IMAGE,
        &serde_json::to_vec(&json!({
            "schemaVersion": 2, "layers": [], "config": descriptor("a/b", b"{}"),
        }))
        .unwrap(),
    )
    .unwrap();
    let rows = ManifestRows::new(parsed.unwrap_or(empty), digest, None);
    let database = store.open(Access::Write).await;
    let mut tx = database.write().await.unwrap();
    let of = "SELECT id FROM repositories WHERE name = 'p/app'";
    let found = tx.query_one(of, Vec::new()).await.unwrap().unwrap();
    let new = NewManifest {
        state: State::Active,
        pushed_by: "x",
        ..rows.as_new(found.get("id").unwrap(), payload)
    };
    manifests::insert(&mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
    database.close().await;
}

fn manifest_rows() -> Vec<Case> {
    vec![
        case!("no subject", "accessory", [(ManifestSubject, 1)] => [], |store| {
            let one = id("p/app", &store.known.accessory);
            store.sql(&format!("UPDATE manifests SET subject_digest = NULL WHERE id = {one}")).await;
        }),
        case!("columns", "accessory", [(ManifestColumns, 1)] => [], |store| {
            let one = id("p/app", &store.known.accessory);
            store.sql(&format!(
                "UPDATE manifests SET size = size + 1, artifact_type = 'x/y', \
                 annotations = '{{\"a\":\"1\"}}' WHERE id = {one}"
            )).await;
        }),
        case!("media type", "index", [(ManifestColumns, 1)] => [], |store| {
            let one = id("p/app", &store.known.index);
            store.sql(&format!("UPDATE manifests SET media_type = '{IMAGE}' WHERE id = {one}")).await;
        }),
        case!("a chain of other layers", "manifest b",
              [(ManifestColumns, 1)] => [], |store| {
            let one = id("p/app", &store.known.b.digest);
            store.sql(&format!("UPDATE manifests SET chain = '{NONE}' WHERE id = {one}")).await;
        }),
        case!("no layers", "manifest b", [(ManifestReferences, 1)] => [], |store| {
            let one = id("p/app", &store.known.b.digest);
            store.sql(&format!(
                "DELETE FROM manifest_blobs WHERE role = 'layer' AND manifest_id = {one}"
            )).await;
        }),
        case!("an unreadable layer", "manifest a", [(ManifestReferences, 1)] => [], |store| {
            let one = id("p/app", &store.known.a.digest);
            store.sql(&format!(
                "UPDATE manifest_blobs SET diff_id = 'x' WHERE role = 'layer' AND manifest_id = {one}"
            )).await;
        }),
        case!("a child of another repository", "index", [(ManifestReferences, 1)] => [], |store| {
            let (one, other) = (id("p/app", &store.known.index), repository("q/copy"));
            store.sql(&format!(
                "UPDATE manifest_children SET repository_id = {other} WHERE parent_id = {one} \
                 AND position = 1"
            )).await;
        }),
    ]
}

fn references() -> Vec<Case> {
    vec![
        case!("a link to nothing", "", [(LinkDangling, 1)] => [], |store| {
            let app = repository("p/app");
            store.sql(&format!("INSERT INTO repository_blobs (repository_id, digest, linked_at) VALUES ({app}, '{NONE}', 0)")).await;
        }),
        case!("no link", "layer b", [(ManifestBlobUnlinked, 1)] => [], |store| {
            let layer = store.known.b.layer;
            store.sql(&format!("DELETE FROM repository_blobs WHERE digest = '{layer}'")).await;
        }),
        case!("named and nowhere", "layer b", [(ManifestBlobMissing, 1)] => [(ManifestBlobMissing, 1)], |store| {
            let layer = store.known.b.layer;
            std::fs::remove_file(store.file(&layer)).unwrap();
            store.sql(&format!("DELETE FROM repository_blobs WHERE digest = '{layer}'")).await;
            store.sql(&format!("DELETE FROM blobs WHERE digest = '{layer}'")).await;
        }),
        case!("a tag of another repository's", "tag multi", [(TagForeign, 1)] => [], |store| {
            let (of, app) = (id("q/copy", &store.known.a.digest), repository("p/app"));
            store.sql(&format!(
                "UPDATE tags SET manifest_id = {of} WHERE repository_id = {app} AND name = '1.0'"
            )).await;
        }),
        case!("a tag of something that is not here", "tag copy", [(TagForeign, 1)] => [], |store| {
            let (of, copy) = (id("p/app", &store.known.b.digest), repository("q/copy"));
            store.sql(&format!(
                "UPDATE tags SET manifest_id = {of} WHERE repository_id = {copy} AND name = '1.0'"
            )).await;
        }),
        case!("a tag of nothing", "tag multi", [(TagDangling, 1)] => [], |store| {
            store.sql("UPDATE tags SET manifest_id = 4711 WHERE name = 'multi'").await;
        }),
        case!("a member of no project", "", [(ForeignKey, 1)] => [], |store| {
            store.sql(
                "INSERT INTO members (project_id, user_id, role, created_at) VALUES (4711, 1, 1, 0)",
            ).await;
        }),
        case!("a repository of no project", "", [(ForeignKey, 1)] => [(ForeignKey, 1)], |store| {
            store.sql(
                "INSERT INTO repositories (project_id, name, created_at) VALUES (4711, 'x/y', 0)",
            ).await;
        }),
    ]
}

fn facts() -> Vec<Case> {
    vec![
        case!("a layer's contents", "facts of layers", [(LayerFacts, 1)] => [], |store| {
            let (layer, other) = (store.known.a.layer, other_bytes(store));
            store.sql(&format!(
                "UPDATE layer_contents SET contents = {other} WHERE digest = '{layer}'"
            )).await;
        }),
        case!("an image's contents", "facts b", [(ImageFacts, 1)] => [], |store| {
            let (b, other) = (id("p/app", &store.known.b.digest), other_bytes(store));
            store.sql(&format!(
                "UPDATE image_contents SET contents = {other} WHERE id = \
                 (SELECT m.contents_id FROM manifests m WHERE m.id = {b})"
            )).await;
        }),
        case!("a component less", "facts a", [(ImageFacts, 1)] => [], |store| {
            store.sql("DELETE FROM image_components").await;
        }),
        case!("contents of another image", "facts c", [(ImageFactsWrong, 1)] => [], |store| {
            let copy = id("q/copy", &store.known.a.digest);
            store.sql(&format!(
                "UPDATE manifests SET contents_id = (SELECT max(i.id) FROM image_contents i \
                 WHERE i.chain <> manifests.chain) WHERE id = {copy}"
            )).await;
        }),
        case!("no contents", "accessory", [(ImageFactsMissing, 1)] => [], |store| {
            let one = id("p/app", &store.known.accessory);
            store.sql(&format!("UPDATE manifests SET contents_id = NULL WHERE id = {one}")).await;
        }),
    ]
}

fn records() -> Vec<Case> {
    vec![
        case!("evidence about nothing", "", [(EvidenceOrphaned, 1)] => [], |store| {
            let app = repository("p/app");
            store.sql(&format!(
                "INSERT INTO evidence (repository_id, subject_digest, accessory_digest, class, \
                 position, state, fact, first_seen) \
                 VALUES ({app}, '{NONE}', '{NONE}', 'signature', 0, 'rejected', '{{}}', 0)"
            )).await;
        }),
        case!("verdicts", "", [(VerdictWrong, 2)] => [], |store| {
            store.sql(&format!(
                "INSERT INTO verdicts (manifest_id, door, context, facts_rev, policy_rev, \
                 system_rev, verdict, input_digest) SELECT v.manifest_id, v.door, 'ahead', \
                 v.facts_rev + 1000, v.policy_rev, v.system_rev, v.verdict, v.input_digest \
                 FROM verdicts v UNION ALL SELECT v.manifest_id, v.door, 'bad', 0, 0, 0, '?', '{NONE}' \
                 FROM verdicts v"
            )).await;
        }),
        case!("a decision's document", "", [(DecisionDamaged, 1)] => [(DecisionDamaged, 1)], |store| {
            let other = other_bytes(store);
            store.sql(&format!("INSERT INTO decision_inputs VALUES ('{NONE}', {other})")).await;
        }),
        case!("a dead job", "", [(JobDead, 1)] => [], |store| {
            store.sql(
                "INSERT INTO jobs (kind, key, payload, state, attempts, run_after, lease, created_at) \
                 VALUES ('verify-again', '4711', 'null', 'dead', 9, 0, 9, 0)",
            ).await;
        }),
        case!("no key", "keys", [(KeyMissing, 1)] => [(KeyMissing, 1)], |store| {
            store.sql("DELETE FROM product_keys WHERE purpose = 'token'").await;
        }),
        case!("a damaged key", "keys", [(KeySealed, 1)] => [(KeySealed, 1)], |store| {
            let other = other_bytes(store);
            store.sql(&format!(
                "UPDATE product_keys SET sealed = {other} WHERE purpose = 'evidence'"
            )).await;
        }),
    ]
}

/// A manifest names what its bytes do not; the collector has looked at the link and kept it.
async fn what_is_named_no_more_is_collected(store: Store) {
    let long = store.known.long;
    let (one, app) = (id("p/app", &store.known.b.digest), repository("p/app"));
    store
        .sql(&format!(
            "INSERT INTO manifest_blobs (manifest_id, role, position, digest, media_type, size, \
             repository_id) VALUES ({one}, 'layer', 1, '{long}', 'a/b', 13, {app})"
        ))
        .await;
    let later = SignedDuration::from_hours(48);
    // The upload has rested for long.
    let collected = store.collect(later).await;
    assert_eq!((collected.freed.files, collected.freed.bytes), (1, 5), "{collected:?}");
    assert!(store.file(&long).is_file());
    let report = store.check(true).await;
    assert_eq!(told(&report), counts(&[(Kind::ManifestReferences, 1)]));
    assert_eq!(store.collect(SignedDuration::ZERO).await.freed.files, 0, "the lease holds");
    let file = store.file(&long);
    assert_eq!(store.collect(later).await.freed.files, 1);
    assert!(!file.exists());
    assert_eq!(told(&store.check(false).await), counts(&[]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_repaired_manifest_names_no_more_is_collected_on_sqlite() {
    what_is_named_no_more_is_collected(Store::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_repaired_manifest_names_no_more_is_collected_on_postgresql() {
    let Some(database) = TestDatabase::postgres().await else { return };
    what_is_named_no_more_is_collected(Store::on(&database).await).await;
    database.finish().await;
}

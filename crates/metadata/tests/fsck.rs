//! What a check of the whole database finds, on both engines.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use jiff::SignedDuration;
use sealock_facts::Tier;
use sealock_metadata::{
    Access, Database, Error, SCHEMA_VERSION,
    blobs::{self, BlobState},
    both_engines,
    fsck::{self, integrity, manifests::Columns},
    manifests::{self, BlobRole, Kind, ManifestBlob, NewManifest, Shown, State},
    reviews::{self, Due},
    testing::TestDatabase,
};
use sealock_oci::Digest;
use std::collections::BTreeMap;
use support::{Parts, digest, project, push, repository};

both_engines![
    rows_are_paged_in_order,
    dangling_names_are_found_and_removed,
    a_manifest_heals_when_it_is_pushed_again,
    what_manifests_need_is_compared,
    other_tables,
    as_it_is,
];

async fn two_images(t: &TestDatabase) -> (manifests::Manifest, manifests::Manifest) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "p", Tier::Sandbox).await;
    let repository = repository(&mut tx, &project, "r").await;
    let layers = ["l1", "l2"];
    let parts = Parts { layers: &layers, tag: Some("one"), ..Parts::default() };
    let one = push(&mut tx, &repository, "one", parts).await;
    let parts = Parts { layers: &layers, subject: Some("one"), ..Parts::default() };
    let two = push(&mut tx, &repository, "two", parts).await;
    tx.commit().await.unwrap();
    (one, two)
}

async fn rows_are_paged_in_order(t: &mut TestDatabase) {
    two_images(t).await;
    let mut tx = t.db.read().await.unwrap();
    let totals = fsck::blobs::totals(&mut tx).await.unwrap();
    assert_eq!((totals.blobs, totals.bytes, totals.active), (2, 2, 2));
    assert_eq!((totals.manifests, totals.projects), (2, 1));
    let first = fsck::blobs::list(&mut tx, "", 1).await.unwrap();
    let second = fsck::blobs::list(&mut tx, &first[0].digest, 5).await.unwrap();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(first[0].digest < second[0].digest);
    let user = fsck::blobs::user(&mut tx, &first[0].digest).await.unwrap();
    assert_eq!(user.as_deref(), Some("p/r"));
    let lengths = fsck::manifests::lengths(&mut tx, 0, 10).await.unwrap();
    assert_eq!(lengths.iter().map(|(_, length)| *length).collect::<Vec<_>>(), [Some(3), Some(3)]);
    drop(tx);
    let mut tx = t.db.write().await.unwrap();
    let used = fsck::blobs::remove_unused(&mut tx, &first[0].digest, 1).await.unwrap();
    assert!(!used, "a blob in use stays");
    let known: Digest = first[0].digest.parse().unwrap();
    let state = BlobState::Isolated;
    assert!(!fsck::blobs::correct(&mut tx, &known, 9, 1, 2, state).await.unwrap());
    assert!(fsck::blobs::correct(&mut tx, &known, 1, 1, 2, state).await.unwrap());
    let raw = fsck::blobs::get(&mut tx, &known).await.unwrap().unwrap();
    assert_eq!((raw.generation, raw.state.as_str()), (2, "isolated"));
}

async fn dangling_names_are_found_and_removed(t: &mut TestDatabase) {
    let (one, _) = two_images(t).await;
    t.plant("DELETE FROM blobs WHERE size = 1 AND digest IN (SELECT max(digest) FROM blobs)").await;
    t.plant("UPDATE tags SET manifest_id = 4711").await;
    t.plant(
        "INSERT INTO manifest_payloads (manifest_id, payload) SELECT 4712, payload FROM manifest_payloads \
             WHERE manifest_id = 1",
    )
    .await;
    let mut tx = t.db.write().await.unwrap();
    let links = fsck::references::dangling(&mut tx, (0, ""), 10).await.unwrap();
    assert_eq!(links.len(), 1);
    assert!(fsck::references::remove_dangling(&mut tx, &links[0]).await.unwrap());
    assert!(fsck::references::dangling(&mut tx, (0, ""), 10).await.unwrap().is_empty());
    let wrong = fsck::tags::wrong(&mut tx, 0, 10).await.unwrap();
    assert_eq!((wrong.len(), wrong[0].digest.clone()), (1, None));
    assert!(fsck::tags::retarget(&mut tx, wrong[0].id, one.id).await.unwrap());
    assert!(!fsck::tags::remove_wrong(&mut tx, wrong[0].id).await.unwrap());
    let keys = integrity::foreign_keys(&mut tx).await.unwrap();
    assert!(keys.len() > 15, "{keys:?}");
    let mut broken = Vec::new();
    for key in &keys {
        let (count, example) = integrity::broken(&mut tx, key).await.unwrap();
        if count > 0 {
            broken.push((key.table.clone(), count, example));
            assert_eq!(integrity::remove_broken(&mut tx, key).await.unwrap(), 1);
            assert_eq!(integrity::broken(&mut tx, key).await.unwrap().0, 0);
        }
    }
    assert_eq!(broken, [("manifest_payloads".to_owned(), 1, Some("4712".to_owned()))]);
    assert!(integrity::damage(&mut tx, false, 10).await.unwrap().is_empty());
    assert!(integrity::damage(&mut tx, true, 10).await.unwrap().is_empty());
}

async fn a_manifest_heals_when_it_is_pushed_again(t: &mut TestDatabase) {
    let (one, two) = two_images(t).await;
    t.clock.advance(SignedDuration::from_hours(48));
    let mut tx = t.db.write().await.unwrap();
    assert_eq!(reviews::links(&mut tx, Due::Ended, 9).await.unwrap().kept_named, 2);
    tx.commit().await.unwrap();
    t.plant("DELETE FROM manifest_payloads WHERE manifest_id = 1").await;
    t.plant("DELETE FROM manifest_blobs WHERE manifest_id = 2 AND position = 0").await;
    let mut tx = t.db.write().await.unwrap();
    assert!(fsck::manifests::isolate(&mut tx, two.id).await.unwrap());
    assert!(!fsck::manifests::isolate(&mut tx, two.id).await.unwrap());
    let repository_id = one.repository_id;
    for manifest in [&one, &two] {
        let digest = &manifest.digest;
        assert!(manifests::load(&mut tx, repository_id, digest).await.unwrap().is_none());
        assert!(manifests::find(&mut tx, repository_id, digest).await.unwrap().is_some());
    }
    let blob = ManifestBlob {
        manifest_id: 0,
        role: BlobRole::Layer,
        position: 0,
        digest: digest("l1"),
        media_type: "a/b".to_owned(),
        size: 1,
        diff_id: None,
    };
    for (manifest, payload) in [(&one, "one"), (&two, "two")] {
        let new = NewManifest {
            repository_id,
            digest: &manifest.digest,
            media_type: &manifest.media_type,
            artifact_type: None,
            kind: Kind::Image,
            payload: payload.as_bytes(),
            config: None,
            subject: None,
            annotations: &BTreeMap::new(),
            chain: None,
            state: State::Held,
            pushed_by: "ann",
            blobs: std::slice::from_ref(&blob),
            children: &[],
            shown: Shown::default(),
        };
        let (row, fresh) = manifests::insert(&mut tx, &new).await.unwrap();
        assert!(!fresh && row.facts_rev > manifest.facts_rev);
        let stored = manifests::load(&mut tx, repository_id, &manifest.digest).await.unwrap();
        assert_eq!(stored.unwrap().payload, payload.as_bytes());
        let (again, _) = manifests::insert(&mut tx, &new).await.unwrap();
        assert_eq!(again, row, "what is whole stays as it is");
    }
    let (blobs, _) = fsck::manifests::parts(&mut tx, &[one.id, two.id]).await.unwrap();
    assert_eq!(blobs.len(), 2);
    // The push decides whether an isolated one opens; one that was open stays so.
    let rows = manifests::find_many(&mut tx, repository_id, &[one.digest, two.digest]).await;
    let states: BTreeMap<_, _> = rows.unwrap().into_iter().map(|m| (m.id, m.state)).collect();
    assert_eq!((states[&one.id], states[&two.id]), (State::Active, State::Held));
    fsck::manifests::isolate(&mut tx, one.id).await.unwrap();
    assert!(fsck::manifests::restore_payload(&mut tx, one.id, b"one").await.unwrap());
    let row = manifests::get(&mut tx, one.id).await.unwrap().unwrap();
    assert_eq!(row.state, State::Held, "whether it was open is forgotten");
    tx.commit().await.unwrap();
    // What they name no more comes up for review.
    t.clock.advance(SignedDuration::from_hours(48));
    let mut tx = t.db.write().await.unwrap();
    let reviewed = reviews::links(&mut tx, Due::Ended, 9).await.unwrap();
    let gone: Vec<Digest> = reviewed.condemned.iter().map(|blob| blob.digest).collect();
    assert_eq!((reviewed.kept_named, gone), (1, vec![digest("l2")]));
}

async fn what_manifests_need_is_compared(t: &mut TestDatabase) {
    let (one, _) = two_images(t).await;
    t.plant("DELETE FROM repository_blobs WHERE digest IN (SELECT min(digest) FROM blobs)").await;
    t.plant("UPDATE manifest_blobs SET size = 7 WHERE manifest_id = 1 AND position = 1").await;
    let mut tx = t.db.write().await.unwrap();
    let start = (0, String::new(), 0);
    let unlinked = fsck::references::unlinked(&mut tx, &start, 1).await.unwrap();
    let rest = fsck::references::unlinked(&mut tx, &unlinked[0].at, 9).await.unwrap();
    assert_eq!((unlinked.len(), rest.len()), (1, 1));
    assert!(unlinked[0].stored);
    assert!(fsck::references::link_named(&mut tx, &unlinked[0]).await.unwrap());
    assert!(!fsck::references::link_named(&mut tx, &rest[0]).await.unwrap());
    assert!(fsck::references::unlinked(&mut tx, &start, 9).await.unwrap().is_empty());
    let sizes = fsck::references::other_sizes(&mut tx, &start, 9).await.unwrap();
    assert_eq!((sizes.len(), sizes[0].declared, sizes[0].actual), (1, 7, 1));
    let raw = fsck::manifests::load(&mut tx, &[one.id]).await.unwrap().remove(0);
    assert_eq!((raw.repository.as_str(), raw.payload.as_deref()), ("p/r", Some(&b"one"[..])));
    let columns = Columns { subject: Some("x".to_owned()), ..raw.columns };
    fsck::manifests::put_columns(&mut tx, one.id, &columns).await.unwrap();
    fsck::manifests::put_media_type(&mut tx, one.id, "a/b").await.unwrap();
    let raw = fsck::manifests::load(&mut tx, &[one.id]).await.unwrap().remove(0);
    assert_eq!((raw.columns, raw.media_type.as_str()), (columns, "a/b"));
    assert!(Columns::same_annotations("{\"a\": \"b\"}", "{\"a\":\"b\"}"));
    assert!(!Columns::same_annotations("{\"a\":\"b\"}", "{"));
}

async fn other_tables(t: &mut TestDatabase) {
    let (one, _) = two_images(t).await;
    let chain = one.chain.unwrap();
    t.plant(&format!(
        "INSERT INTO image_contents (chain, inspector, contents, complete, components, created_at) \
         SELECT '{}', 'i', payload, 1, 3, 0 FROM manifest_payloads WHERE manifest_id = 1",
        digest("other")
    ))
    .await;
    t.plant("UPDATE manifests SET contents_id = 1 WHERE id = 1").await;
    let mut tx = t.db.write().await.unwrap();
    let wrong = fsck::contents::wrong(&mut tx, 0, 9).await.unwrap();
    assert_eq!(wrong.iter().map(|row| row.id).collect::<Vec<_>>(), [one.id]);
    let images = fsck::contents::images(&mut tx, 0, 9).await.unwrap();
    assert_eq!((images[0].components, images[0].recorded), (3, 0));
    assert_eq!(fsck::contents::forget_image(&mut tx, 1).await.unwrap(), wrong);
    let missing = fsck::contents::missing(&mut tx, "contents", 0, 9).await.unwrap();
    assert_eq!(missing.len(), 2);
    let now = tx.now();
    sealock_metadata::jobs::enqueue(&mut tx, "contents", &chain.to_string(), "null", now)
        .await
        .unwrap();
    assert!(fsck::contents::missing(&mut tx, "contents", 0, 9).await.unwrap().is_empty());
    assert!(fsck::contents::layers(&mut tx, ("", ""), 9).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    t.plant(&format!(
        "INSERT INTO evidence (repository_id, subject_digest, accessory_digest, class, position, \
         state, fact, first_seen) VALUES (1, '{0}', '{1}', 'signature', 0, 'rejected', '{{}}', 0), \
         (1, '{2}', '{1}', 'signature', 0, 'rejected', '{{}}', 0)",
        digest("gone"),
        digest("gone too"),
        one.digest
    ))
    .await;
    t.plant(
        "INSERT INTO verdicts (manifest_id, door, context, facts_rev, policy_rev, system_rev, \
         verdict, input_digest) \
         SELECT id, 'pull', '', facts_rev + 1 - 2 * (id - 1), 1, 1, 'x', 'y' FROM manifests",
    )
    .await;
    let mut tx = t.db.write().await.unwrap();
    let orphans = fsck::records::orphans(&mut tx, 0, 9).await.unwrap();
    assert_eq!(orphans.len(), 1);
    assert!(fsck::records::remove_evidence(&mut tx, orphans[0].id).await.unwrap());
    let start = (0, String::new(), String::new());
    let verdicts = fsck::records::verdicts(&mut tx, &start, 9).await.unwrap();
    let flags: Vec<_> = verdicts.iter().map(|v| (v.ahead, v.stale)).collect();
    assert_eq!(flags, [(true, false), (false, true)]);
    assert!(fsck::records::forget_verdict(&mut tx, &verdicts[0].key).await.unwrap());
    assert!(fsck::records::inputs(&mut tx, "", 9).await.unwrap().is_empty());
    assert!(fsck::uploads::list(&mut tx, "", 9).await.unwrap().is_empty());
}

async fn as_it_is(t: &mut TestDatabase) {
    let open =
        async |access| Database::open_as_it_is(t.config.clone(), t.clock.clone(), access).await;
    let seen = open(Access::Read).await.unwrap();
    let mut tx = seen.read().await.unwrap();
    assert_eq!(fsck::blobs::totals(&mut tx).await.unwrap().projects, 0);
    drop(tx);
    if seen.engine() == sealock_metadata::Engine::Sqlite {
        let write = async {
            let mut tx = seen.write().await?;
            sealock_metadata::settings::put(&mut tx, "a", "b").await
        };
        assert!(write.await.is_err(), "it only looks");
    }
    seen.close().await;
    t.plant(&format!("DELETE FROM schema_versions WHERE version = {SCHEMA_VERSION}")).await;
    let older = open(Access::Write).await.unwrap_err();
    assert!(matches!(older, Error::OlderSchema { .. }), "{older}");
    let newer = SCHEMA_VERSION + 1;
    t.plant(&format!("INSERT INTO schema_versions (version, applied_at) VALUES ({newer}, 0)"))
        .await;
    let newer = open(Access::Write).await.unwrap_err();
    assert!(matches!(newer, Error::NewerSchema { .. }), "{newer}");
    let mut tx = t.db.write().await.unwrap();
    let known = digest("l");
    blobs::insert(&mut tx, &known, 1, 1).await.unwrap();
}

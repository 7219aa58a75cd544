//! Manifests, tags, referrers and deletion, on both engines.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use sealock_facts::Tier;
use sealock_metadata::{
    Error, blobs, both_engines,
    manifests::{self, State},
    params,
    projects::{self, Visible},
    repositories, tags,
    testing::TestDatabase,
    uploads,
};
use sealock_oci::Tag;
use support::*;

both_engines!(
    tags_stand_in_bytewise_order_and_are_paged,
    an_immutable_tag_stays,
    referrers_are_filtered_and_paged_and_need_no_subject,
    accessories_die_with_their_subject,
    a_great_many_accessories_die_in_parts,
    the_name_of_an_accessory_makes_nothing_an_accessory,
    a_tag_is_made_once,
    deleting_an_index_or_a_child_changes_the_others_facts,
    nothing_is_found_through_another_project,
    a_corrupt_blob_is_replaced_and_not_linked,
    many_layers_go_in_with_few_statements,
);

async fn tags_stand_in_bytewise_order_and_are_paged(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let repository = repository(&mut tx, &project, "x").await;
    let manifest = push(&mut tx, &repository, "m", Parts::default()).await;
    for tag in ["b", "a", "B", "_x", "a.1", "a-1", "1", "Z"] {
        tag_it(&mut tx, &repository, &manifest, tag, false).await;
    }
    let mut seen: Vec<String> = Vec::new();
    loop {
        let last = seen.last().cloned().unwrap_or_default();
        let page = tags::list(&mut tx, repository.id, &last, 3).await.unwrap();
        let names = tags::names(&mut tx, repository.id, &last, 3).await.unwrap();
        assert!(names.iter().map(Tag::as_str).eq(page.iter().map(|tag| tag.name.as_str())));
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|tag| tag.name));
    }
    assert_eq!(seen, ["1", "B", "Z", "_x", "a", "a-1", "a.1", "b"]);
    assert!(tags::list(&mut tx, repository.id + 1, "", 3).await.unwrap().is_empty());
}

async fn an_immutable_tag_stays(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Release).await;
    let here = repository(&mut tx, &project, "x").await;
    let there = repository(&mut tx, &project, "y").await;
    let one = push(&mut tx, &here, "1", Parts::default()).await;
    let two = push(&mut tx, &here, "2", Parts::default()).await;
    assert_eq!(tag_it(&mut tx, &here, &one, "v1", true).await, tags::TagSet::Created);
    let kept = tags::TagSet::Immutable { digest: one.digest };
    assert_eq!(tag_it(&mut tx, &here, &two, "v1", false).await, kept);
    let same = tags::TagSet::Moved { from: one.digest };
    assert_eq!(tag_it(&mut tx, &here, &one, "v1", false).await, same, "a push again is no move");
    let tag: Tag = "v1".parse().unwrap();
    assert!(tags::find(&mut tx, here.id, &tag).await.unwrap().unwrap().immutable);
    assert!(!tags::delete(&mut tx, here.id, &tag).await.unwrap());
    let kept = manifests::delete(&mut tx, here.id, &one.digest, false).await.unwrap().unwrap();
    assert_eq!((kept.immutable.as_deref(), kept.manifests.len()), (Some("v1"), 0));
    tag_it(&mut tx, &here, &two, "v2", false).await;
    let same = tags::TagSet::Moved { from: two.digest };
    assert_eq!(tag_it(&mut tx, &here, &one, "v2", false).await, same);
    assert!(tags::delete(&mut tx, here.id, &"v2".parse().unwrap()).await.unwrap());
    // A manifest of another repository cannot be tagged here.
    let other = push(&mut tx, &there, "3", Parts::default()).await;
    let crossed = tags::set(&mut tx, here.id, &"v3".parse().unwrap(), other.id, false, "ann").await;
    assert!(matches!(crossed, Err(Error::Retry)));
}

async fn referrers_are_filtered_and_paged_and_need_no_subject(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let there = repository(&mut tx, &project, "y").await;
    for (name, kind) in [("s1", "sig"), ("s2", "sig"), ("b1", "sbom")] {
        let parts = Parts { subject: Some("m"), artifact_type: Some(kind), ..Parts::default() };
        push(&mut tx, &here, name, parts).await;
    }
    let parts = Parts { subject: Some("m"), artifact_type: Some("sig"), ..Parts::default() };
    push(&mut tx, &there, "s3", parts).await;
    let subject = digest("m");
    let all = manifests::referrers(&mut tx, here.id, &subject, None, "", 10).await.unwrap();
    assert_eq!(all.len(), 3);
    let sigs = manifests::referrers(&mut tx, here.id, &subject, Some("sig"), "", 1).await.unwrap();
    let after = sigs[0].digest.to_string();
    let rest =
        manifests::referrers(&mut tx, here.id, &subject, Some("sig"), &after, 10).await.unwrap();
    let mut got = vec![sigs[0].digest, rest[0].digest];
    got.sort();
    let mut want = vec![digest("s1"), digest("s2")];
    want.sort();
    assert_eq!((got, rest.len()), (want, 1));
    assert_eq!(sigs[0].annotations.len(), 1);
    let none = manifests::referrers(&mut tx, here.id, &digest("n"), None, "", 10).await.unwrap();
    assert!(none.is_empty());
}

async fn accessories_die_with_their_subject(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let there = repository(&mut tx, &project, "y").await;
    push(&mut tx, &here, "m", Parts { tag: Some("v1"), layers: &["l"], ..Parts::default() }).await;
    push(&mut tx, &here, "n", Parts { tag: Some("v2"), ..Parts::default() }).await;
    push(&mut tx, &here, "sbom", Parts { subject: Some("m"), ..Parts::default() }).await;
    push(&mut tx, &here, "sbom-sig", Parts { subject: Some("sbom"), ..Parts::default() }).await;
    let legacy =
        |name: &str, kind: &str| format!("{}.{kind}", digest(name).to_string().replace(':', "-"));
    for (name, tag) in [("sig", legacy("m", "sig")), ("att", legacy("sbom-sig", "att"))] {
        push(&mut tx, &here, name, Parts { tag: Some(&tag), ..Parts::default() }).await;
    }
    push(&mut tx, &here, "of-n", Parts { subject: Some("n"), ..Parts::default() }).await;
    push(&mut tx, &there, "m", Parts::default()).await;
    push(&mut tx, &there, "far", Parts { subject: Some("m"), ..Parts::default() }).await;
    let gone = manifests::delete(&mut tx, here.id, &digest("m"), false).await.unwrap().unwrap();
    let mut names: Vec<_> = gone.manifests.iter().map(|m| m.annotations["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["att", "m", "sbom", "sbom-sig", "sig"]);
    assert_eq!((gone.tags.len(), gone.immutable), (3, None));
    assert_eq!(manifests::list(&mut tx, here.id, None, 10).await.unwrap().len(), 2);
    assert_eq!(manifests::list(&mut tx, there.id, None, 10).await.unwrap().len(), 2);
    assert_eq!(manifests::delete(&mut tx, here.id, &digest("m"), false).await.unwrap(), None);
    assert!(blobs::unlink(&mut tx, here.id, &digest("l")).await.unwrap());
}

async fn a_great_many_accessories_die_in_parts(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let subject = push(&mut tx, &here, "m", Parts::default()).await;
    for number in 0..7 {
        let parts = Parts { subject: Some("m"), ..Parts::default() };
        push(&mut tx, &here, &format!("sbom-{number}"), parts).await;
    }
    for number in 0..2 {
        let parts = Parts { subject: Some("sbom-1"), tag: Some("signed"), ..Parts::default() };
        push(&mut tx, &here, &format!("sig-{number}"), parts).await;
    }
    push(&mut tx, &here, "other", Parts { subject: Some("n"), ..Parts::default() }).await;
    tag_it(&mut tx, &here, &subject, "v1", true).await;
    let part = manifests::delete_part(&mut tx, here.id, &digest("m"), 3).await.unwrap();
    assert_eq!(part, None, "an immutable tag protects it");
    let tag: Tag = "v1".parse().unwrap();
    tx.execute("UPDATE tags SET immutable = 0 WHERE name = $1", params![&tag]).await.unwrap();
    let mut parts = Vec::new();
    while let Some(part) = manifests::delete_part(&mut tx, here.id, &digest("m"), 3).await.unwrap()
    {
        assert!(part.manifests.iter().all(|gone| gone.id != subject.id));
        parts.push((part.manifests.len(), part.tags.len()));
    }
    assert_eq!(parts, [(2, 1), (3, 0), (3, 0)]);
    let gone = manifests::delete(&mut tx, here.id, &digest("m"), false).await.unwrap().unwrap();
    assert_eq!((gone.manifests.len(), gone.tags), (2, vec!["v1".to_owned()]));
    assert_eq!(manifests::list(&mut tx, here.id, None, 10).await.unwrap().len(), 1);
    let none = manifests::delete_part(&mut tx, here.id, &digest("m"), 3).await.unwrap();
    assert_eq!(none, None);
}

async fn deleting_an_index_or_a_child_changes_the_others_facts(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let there = repository(&mut tx, &project, "y").await;
    let child = push(&mut tx, &here, "c", Parts::default()).await;
    let other = push(&mut tx, &here, "d", Parts::default()).await;
    let far = push(&mut tx, &there, "c", Parts::default()).await;
    let index =
        push(&mut tx, &here, "i", Parts { children: &["c", "d", "e"], ..Parts::default() }).await;
    let outer = push(&mut tx, &here, "o", Parts { children: &["i"], ..Parts::default() }).await;
    let facts = manifests::facts(&mut tx, here.id, &index.digest).await.unwrap().unwrap();
    let present: Vec<bool> = facts.children.iter().map(|(_, m)| m.is_some()).collect();
    assert_eq!(present, [true, true, false]);
    // A fact about a child reaches the indexes above, in its repository only.
    assert_eq!(manifests::bump_facts_rev(&mut tx, &[child.id]).await.unwrap(), 3);
    assert_eq!(facts_rev(&mut tx, &outer).await, 2);
    assert_eq!(facts_rev(&mut tx, &other).await, 1);
    assert_eq!(facts_rev(&mut tx, &far).await, 1);
    // Evidence on the index reaches its children too.
    let bumped = manifests::bump_by_digest(&mut tx, here.id, &[index.digest]).await.unwrap();
    assert_eq!(bumped, 4);
    manifests::delete(&mut tx, here.id, &other.digest, false).await.unwrap().unwrap();
    assert_eq!(facts_rev(&mut tx, &index).await, 4);
    let before = facts_rev(&mut tx, &child).await;
    manifests::delete(&mut tx, here.id, &index.digest, false).await.unwrap().unwrap();
    assert_eq!(facts_rev(&mut tx, &child).await, before + 1);
    assert_eq!(manifests::parents(&mut tx, here.id, &child.digest).await.unwrap(), []);
    assert!(manifests::parents(&mut tx, here.id, &index.digest).await.unwrap().len() == 1);
}

async fn nothing_is_found_through_another_project(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let (a, b) =
        (project(&mut tx, "a", Tier::Sandbox).await, project(&mut tx, "b", Tier::Sandbox).await);
    let (here, there) = (repository(&mut tx, &a, "x").await, repository(&mut tx, &b, "x").await);
    let manifest =
        push(&mut tx, &here, "m", Parts { layers: &["l"], tag: Some("v1"), ..Parts::default() })
            .await;
    let tag = "v1".parse().unwrap();
    assert!(manifests::load(&mut tx, there.id, &manifest.digest).await.unwrap().is_none());
    assert!(manifests::load_tagged(&mut tx, there.id, &tag).await.unwrap().is_none());
    assert!(manifests::load_id(&mut tx, there.id, manifest.id).await.unwrap().is_none());
    assert!(manifests::load_id(&mut tx, here.id, manifest.id).await.unwrap().is_some());
    assert!(manifests::load_many(&mut tx, there.id, &[manifest.digest]).await.unwrap().is_empty());
    assert_eq!(manifests::load_many(&mut tx, here.id, &[manifest.digest]).await.unwrap().len(), 1);
    assert!(manifests::blobs(&mut tx, there.id, &[manifest.id]).await.unwrap().is_empty());
    assert!(!manifests::set_state(&mut tx, there.id, manifest.id, State::Held).await.unwrap());
    assert!(manifests::set_state(&mut tx, here.id, manifest.id, State::Held).await.unwrap());
    assert_eq!(facts_rev(&mut tx, &manifest).await, 2);
    let layer = digest("l");
    assert!(blobs::find(&mut tx, there.id, &layer).await.unwrap().is_none());
    assert!(blobs::find(&mut tx, here.id, &layer).await.unwrap().is_some());
    assert!(blobs::present(&mut tx, there.id, &[layer]).await.unwrap().is_empty());
    assert_eq!(blobs::present(&mut tx, here.id, &[layer]).await.unwrap().len(), 1);
    assert_eq!(manifests::using_blob(&mut tx, there.id, &layer, 9).await.unwrap(), []);
    assert_eq!(manifests::using_blob(&mut tx, here.id, &layer, 9).await.unwrap().len(), 1);
    assert!(!blobs::unlink(&mut tx, here.id, &layer).await.unwrap(), "a manifest names it");
    let only = |project: &projects::Project| Visible::Only(vec![project.id]);
    assert_eq!(blobs::find_mountable(&mut tx, &only(&b), &layer).await.unwrap(), None);
    assert_eq!(blobs::find_mountable(&mut tx, &only(&a), &layer).await.unwrap(), Some(here.id));
    assert!(
        manifests::places(&mut tx, &only(&b), &manifest.digest, 0, 9).await.unwrap().is_empty()
    );
    assert_eq!(
        manifests::places(&mut tx, &Visible::All, &manifest.digest, 0, 9).await.unwrap().len(),
        1
    );
    assert_eq!(repositories::find(&mut tx, b.id, &here.name.parse().unwrap()).await.unwrap(), None);
    assert!(repositories::ensure(&mut tx, b.id, &here.name.parse().unwrap()).await.is_err());
    let names = repositories::list(&mut tx, &only(&b), "", 9).await.unwrap();
    assert_eq!(names.len(), 1);
    assert_eq!(repositories::list(&mut tx, &Visible::All, "a/x", 9).await.unwrap(), names);
    for (visible, after) in [(only(&b), ""), (Visible::All, "a/x")] {
        let alone = repositories::names(&mut tx, &visible, after, 9).await.unwrap();
        assert!(alone.iter().map(ToString::to_string).eq(names.iter().map(|row| row.name.clone())));
    }
    assert!(!repositories::delete(&mut tx, a.id, here.id).await.unwrap(), "not empty");
    assert!(!repositories::delete(&mut tx, a.id, there.id).await.unwrap());
    assert!(!projects::delete(&mut tx, b.id).await.unwrap(), "not empty");
    assert!(repositories::delete(&mut tx, b.id, there.id).await.unwrap());
    assert!(projects::delete(&mut tx, b.id).await.unwrap());
    assert_eq!(projects::list(&mut tx, &Visible::All, "", 9).await.unwrap().len(), 1);
    uploads::create(&mut tx, "u", here.id, "ann", "{}").await.unwrap();
    assert!(uploads::find(&mut tx, here.id, "bob", "u").await.unwrap().is_none());
    assert!(uploads::find(&mut tx, there.id, "ann", "u").await.unwrap().is_none());
    assert!(uploads::find(&mut tx, here.id, "ann", "u").await.unwrap().is_some());
    assert_eq!(uploads::count(&mut tx, here.id, "ann").await.unwrap(), 1);
    assert!(!uploads::delete(&mut tx, there.id, "u").await.unwrap());
    let future = tx.now() + jiff::SignedDuration::from_secs(1);
    assert_eq!(uploads::stale(&mut tx, future, 9).await.unwrap().len(), 1);
    assert!(uploads::delete(&mut tx, here.id, "u").await.unwrap());
}

async fn a_corrupt_blob_is_replaced_and_not_linked(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let blob = digest("b");
    blobs::insert(&mut tx, &blob, 1, 7).await.unwrap();
    assert!(blobs::set_state(&mut tx, &blob, blobs::BlobState::Isolated).await.unwrap());
    assert!(blobs::link(&mut tx, here.id, &[blob]).await.unwrap().is_empty());
    let won = blobs::insert(&mut tx, &blob, 1, 8).await.unwrap();
    assert!(matches!(won, blobs::Inserted::Won { replaced: Some(7) }));
    assert_eq!(blobs::get(&mut tx, &blob).await.unwrap().unwrap().generation, 8);
    assert_eq!(blobs::link(&mut tx, here.id, &[blob]).await.unwrap(), [blob]);
}

async fn many_layers_go_in_with_few_statements(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let names: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
    let layers: Vec<&str> = names.iter().map(String::as_str).collect();
    let manifest = push(&mut tx, &here, "m", Parts { layers: &layers, ..Parts::default() }).await;
    let stored = manifests::blobs(&mut tx, here.id, &[manifest.id]).await.unwrap();
    assert_eq!(stored.len(), 1_001);
    assert!(stored.iter().enumerate().all(|(n, b)| b.digest == digest(&n.to_string())));
}

/// Whoever may attest can put such a name on what is there: deleting the subject must not reach it.
async fn the_name_of_an_accessory_makes_nothing_an_accessory(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Release).await;
    let here = repository(&mut tx, &project, "x").await;
    push(&mut tx, &here, "m", Parts { tag: Some("v1"), ..Parts::default() }).await;
    let other = push(&mut tx, &here, "other", Parts { tag: Some("v2"), ..Parts::default() }).await;
    let chart = push(&mut tx, &here, "chart", Parts::default()).await;
    tag_it(&mut tx, &here, &chart, "stable", true).await;
    let stem = digest("m").to_string().replace(':', "-");
    tag_it(&mut tx, &here, &other, &format!("{stem}.sig"), false).await;
    tag_it(&mut tx, &here, &chart, &format!("{stem}.att"), false).await;
    // The index that a client keeps has no other name, and goes.
    let kept = Parts { children: &["far"], tag: Some(&stem), ..Parts::default() };
    push(&mut tx, &here, "index", kept).await;
    let gone = manifests::delete(&mut tx, here.id, &digest("m"), false).await.unwrap().unwrap();
    let mut names: Vec<_> = gone.manifests.iter().map(|m| m.annotations["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["index", "m"]);
    assert_eq!(gone.tags.len(), 4, "{:?}", gone.tags);
    let left = tags::list(&mut tx, here.id, "", 10).await.unwrap();
    let left: Vec<_> = left.iter().map(|tag| tag.name.as_str()).collect();
    assert_eq!(left, ["stable", "v2"]);
}

async fn a_tag_is_made_once(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let one = push(&mut tx, &here, "one", Parts::default()).await;
    let two = push(&mut tx, &here, "two", Parts::default()).await;
    let tag = "v1".parse().unwrap();
    assert!(tags::create(&mut tx, here.id, &tag, one.id, false, "ann").await.unwrap());
    assert!(!tags::create(&mut tx, here.id, &tag, two.id, false, "bob").await.unwrap());
    assert_eq!(tags::find(&mut tx, here.id, &tag).await.unwrap().unwrap().digest, one.digest);
}

//! What projects hold is counted exactly, on both engines.
#![expect(clippy::unwrap_used, reason = "a test's own errors end the test")]

mod support;

use sealock_facts::Tier;
use sealock_metadata::{
    Database, Tx, blobs, both_engines,
    fsck::quotas as check,
    listing::{Term, Wanted},
    manifests, projects,
    quotas::{self, UNLIMITED},
    repositories, reviews, settings,
    testing::TestDatabase,
};
use sealock_oci::Digest;
use support::{Parts, digest, project, push, repository};

both_engines!(
    each_blob_counts_once_in_a_project,
    a_layer_from_elsewhere_counts_once_it_is_here,
    the_limit_holds_under_concurrency,
    of_two_that_fit_one_by_one_the_second_stays_out,
    exact_among_pushes_and_deletions,
    limits_are_set_listed_and_inherited,
    a_wrong_count_is_found_and_counted_anew,
    a_push_runs_few_statements_more,
);

async fn used(tx: &mut Tx, project_id: i64) -> i64 {
    quotas::used(tx, project_id).await.unwrap()
}

/// Nothing is miscounted, in any project.
async fn exact(db: &Database) {
    let mut tx = db.read().await.unwrap();
    for id in check::projects(&mut tx, 0, 100).await.unwrap() {
        assert_eq!(check::miscount(&mut tx, id).await.unwrap(), None);
    }
}

async fn each_blob_counts_once_in_a_project(test: &mut TestDatabase) {
    let mut tx = test.db.write().await.unwrap();
    let team = project(&mut tx, "team", Tier::Sandbox).await;
    let other = project(&mut tx, "other", Tier::Sandbox).await;
    let here = repository(&mut tx, &team, "here").await;
    let there = repository(&mut tx, &team, "there").await;
    let far = repository(&mut tx, &other, "far").await;
    // Two layers of a byte and three bytes of manifest; the same layer twice counts once.
    push(&mut tx, &here, "one", Parts { layers: &["a", "b", "b"], ..Parts::default() }).await;
    assert_eq!(used(&mut tx, team.id).await, 5);
    // Another repository of the project: nothing new but the manifest.
    push(&mut tx, &there, "two", Parts { layers: &["a", "b"], ..Parts::default() }).await;
    assert_eq!(used(&mut tx, team.id).await, 8);
    // The same manifest again, elsewhere in the project: nothing.
    push(&mut tx, &there, "one", Parts { layers: &["a", "b", "b"], ..Parts::default() }).await;
    assert_eq!(used(&mut tx, team.id).await, 8);
    push(&mut tx, &far, "one", Parts { layers: &["a", "b", "b"], ..Parts::default() }).await;
    assert_eq!((used(&mut tx, team.id).await, used(&mut tx, other.id).await), (8, 5));
    // An accessory counts, and dies with its subject.
    let signature = Parts { layers: &["sig"], subject: Some("two"), ..Parts::default() };
    push(&mut tx, &there, "signed", signature).await;
    assert_eq!(used(&mut tx, team.id).await, 15);
    tx.commit().await.unwrap();
    exact(&test.db).await;

    let mut tx = test.db.write().await.unwrap();
    manifests::delete(&mut tx, there.id, &digest("two"), false).await.unwrap().unwrap();
    assert_eq!(used(&mut tx, team.id).await, 5);
    manifests::delete(&mut tx, here.id, &digest("one"), false).await.unwrap().unwrap();
    assert_eq!(used(&mut tx, team.id).await, 5);
    manifests::delete(&mut tx, there.id, &digest("one"), false).await.unwrap().unwrap();
    assert_eq!((used(&mut tx, team.id).await, used(&mut tx, other.id).await), (0, 5));
    // A layer that was only linked never counts.
    blobs::insert(&mut tx, &digest("loose"), 100, 1).await.unwrap();
    blobs::link(&mut tx, here.id, &[digest("loose")]).await.unwrap();
    assert_eq!(used(&mut tx, team.id).await, 0);
    assert_eq!(quotas::unnamed(&mut tx, team.id).await.unwrap(), 100);
    tx.commit().await.unwrap();
    exact(&test.db).await;

    let mut tx = test.db.write().await.unwrap();
    for repository in [&here, &there] {
        assert!(repositories::delete(&mut tx, team.id, repository.id).await.unwrap());
    }
    assert!(projects::delete(&mut tx, team.id).await.unwrap());
    assert_eq!(quotas::get(&mut tx, team.id).await.unwrap(), None);
    tx.commit().await.unwrap();
    exact(&test.db).await;
}

async fn a_layer_from_elsewhere_counts_once_it_is_here(test: &mut TestDatabase) {
    let mut tx = test.db.write().await.unwrap();
    let team = project(&mut tx, "team", Tier::Sandbox).await;
    let here = repository(&mut tx, &team, "here").await;
    let row = push(&mut tx, &here, "one", Parts::default()).await;
    let foreign = manifests::ManifestBlob {
        manifest_id: 0,
        role: manifests::BlobRole::Layer,
        position: 0,
        digest: digest("windows"),
        media_type: "application/vnd.oci.image.layer.nondistributable.v1.tar".to_owned(),
        // What a descriptor says of what is elsewhere is nobody's truth.
        size: 1_000_000,
        diff_id: None,
    };
    let annotations = std::collections::BTreeMap::new();
    let (two, three) = (digest("two"), digest("three"));
    let new = |digest| manifests::NewManifest {
        repository_id: here.id,
        digest,
        media_type: "m",
        artifact_type: None,
        kind: manifests::Kind::Image,
        payload: b"12345",
        config: None,
        subject: None,
        annotations: &annotations,
        chain: None,
        state: manifests::State::Active,
        pushed_by: "ann",
        blobs: std::slice::from_ref(&foreign),
        children: &[],
        shown: manifests::Shown::default(),
    };
    manifests::insert(&mut tx, &new(&two)).await.unwrap();
    assert_eq!(used(&mut tx, team.id).await, 3 + 5);
    // It comes after all: the review of its link counts it.
    blobs::insert(&mut tx, &foreign.digest, 70, 1).await.unwrap();
    blobs::link(&mut tx, here.id, &[foreign.digest]).await.unwrap();
    assert_eq!(quotas::unnamed(&mut tx, team.id).await.unwrap(), 70);
    tx.commit().await.unwrap();
    exact(&test.db).await;
    let mut tx = test.db.write().await.unwrap();
    reviews::links(&mut tx, reviews::Due::All, 100).await.unwrap();
    assert_eq!(used(&mut tx, team.id).await, 3 + 5 + 70);
    assert_eq!(quotas::unnamed(&mut tx, team.id).await.unwrap(), 0);
    // Another manifest names it: the same row.
    manifests::insert(&mut tx, &new(&three)).await.unwrap();
    assert_eq!(used(&mut tx, team.id).await, 3 + 5 + 70 + 5);
    tx.commit().await.unwrap();
    exact(&test.db).await;
    let mut tx = test.db.write().await.unwrap();
    for name in ["two", "three"] {
        manifests::delete(&mut tx, here.id, &digest(name), false).await.unwrap().unwrap();
    }
    assert_eq!(used(&mut tx, row.project_id).await, 3);
    tx.commit().await.unwrap();
    exact(&test.db).await;
}

/// Sixteen at once, each of whom fits by itself: no more get in than fit together.
async fn the_limit_holds_under_concurrency(test: &mut TestDatabase) {
    let mut tx = test.db.write().await.unwrap();
    let team = project(&mut tx, "team", Tier::Sandbox).await;
    quotas::set(&mut tx, team.id, 30).await.unwrap();
    let mut places = Vec::new();
    for n in 0..16 {
        places.push(repository(&mut tx, &team, &format!("r{n}")).await);
    }
    tx.commit().await.unwrap();
    let pushes = places.into_iter().enumerate().map(|(n, place)| {
        let db = test.db.clone();
        tokio::spawn(async move {
            loop {
                let pushed = async {
                    let mut tx = db.write().await?;
                    // Five bytes each: a layer of its own, one that all share, a manifest.
                    let (name, own) = (format!("m{n:02}"), format!("own-{n}"));
                    let parts = Parts { layers: &[&own, "shared"], ..Parts::default() };
                    push(&mut tx, &place, &name, parts).await;
                    let settled = quotas::settle(&mut tx, place.project_id).await?.unwrap();
                    if settled.used > settled.hard {
                        return Ok(false);
                    }
                    tx.commit().await?;
                    Ok::<_, sealock_metadata::Error>(true)
                };
                match pushed.await {
                    Ok(done) => return done,
                    Err(error) => assert!(error.is_retryable(), "{error}"),
                }
            }
        })
    });
    let tasks: Vec<_> = pushes.collect();
    let mut entered = 0;
    for task in tasks {
        entered += i64::from(task.await.unwrap());
    }
    // One shared byte and four of its own for each.
    assert_eq!(entered, 7);
    let mut tx = test.db.read().await.unwrap();
    assert_eq!(used(&mut tx, team.id).await, 1 + 4 * entered);
    drop(tx);
    exact(&test.db).await;
}

/// The second waits for the first to end before it sees whether it fits.
async fn of_two_that_fit_one_by_one_the_second_stays_out(test: &mut TestDatabase) {
    let mut tx = test.db.write().await.unwrap();
    let team = project(&mut tx, "team", Tier::Sandbox).await;
    let (here, there) =
        (repository(&mut tx, &team, "a").await, repository(&mut tx, &team, "b").await);
    quotas::set(&mut tx, team.id, 10).await.unwrap();
    tx.commit().await.unwrap();
    let mut first = test.db.write().await.unwrap();
    push(&mut first, &here, "first", Parts { layers: &["a"], ..Parts::default() }).await;
    let settled = quotas::settle(&mut first, team.id).await.unwrap().unwrap();
    assert_eq!((settled.added, settled.used, settled.hard), (6, 6, 10));
    let db = test.db.clone();
    let second = tokio::spawn(async move {
        let mut tx = db.write().await.unwrap();
        push(&mut tx, &there, "later", Parts { layers: &["b"], ..Parts::default() }).await;
        quotas::settle(&mut tx, there.project_id).await.unwrap().unwrap()
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!second.is_finished(), "it did not wait");
    first.commit().await.unwrap();
    let settled = second.await.unwrap();
    assert_eq!((settled.added, settled.used, settled.hard), (6, 12, 10));
}

/// Pushes and deletions of images with common layers, in several repositories of one project.
async fn exact_among_pushes_and_deletions(test: &mut TestDatabase) {
    let mut tx = test.db.write().await.unwrap();
    let team = project(&mut tx, "team", Tier::Sandbox).await;
    let mut places = Vec::new();
    for n in 0..4 {
        places.push(repository(&mut tx, &team, &format!("r{n}")).await);
    }
    tx.commit().await.unwrap();
    let writers = places.into_iter().enumerate().map(|(n, place)| {
        let db = test.db.clone();
        tokio::spawn(async move {
            let mut again = 0;
            for round in 0..40 {
                // The same few names everywhere, out of step.
                let name = format!("m{}", (round + n) % 3);
                let layers = [["a", "b"], ["b", "c"], ["a", "c"]][(round + n) % 3];
                let deletes = (round / 3) % 2 == 1;
                loop {
                    let done = async {
                        let mut tx = db.write().await?;
                        let known = digest(&name);
                        if deletes {
                            manifests::delete(&mut tx, place.id, &known, false).await?;
                        } else if manifests::find(&mut tx, place.id, &known).await?.is_none() {
                            push(
                                &mut tx,
                                &place,
                                &name,
                                Parts { layers: &layers, ..Parts::default() },
                            )
                            .await;
                        }
                        tx.commit().await
                    };
                    match done.await {
                        Ok(()) => break,
                        Err(error) => assert!(error.is_retryable(), "{error}"),
                    }
                    again += 1;
                }
            }
            again
        })
    });
    let tasks: Vec<_> = writers.collect();
    let mut again = 0;
    for task in tasks {
        again += task.await.unwrap();
    }
    assert!(again < 1_000, "{again} began again");
    exact(&test.db).await;
}

async fn limits_are_set_listed_and_inherited(test: &mut TestDatabase) {
    let mut tx = test.db.write().await.unwrap();
    let one = project(&mut tx, "one", Tier::Sandbox).await;
    settings::put(&mut tx, quotas::DEFAULT_SETTING, "100").await.unwrap();
    let two = project(&mut tx, "two", Tier::Sandbox).await;
    assert_eq!(quotas::standing(&mut tx, one.id).await.unwrap(), None);
    let standing = quotas::standing(&mut tx, two.id).await.unwrap().unwrap();
    assert_eq!((standing.used, standing.hard), (0, 100));
    let place = repository(&mut tx, &one, "a").await;
    push(&mut tx, &place, "m", Parts::default()).await;
    assert_eq!(quotas::settle(&mut tx, one.id).await.unwrap(), None, "no limit");
    let all = Wanted { limit: 10, ..Wanted::default() };
    for (order, expected) in [
        ("id", [one.id, two.id]),
        ("-id", [two.id, one.id]),
        ("hard.storage", [two.id, one.id]),
        ("-hard.storage", [one.id, two.id]),
        ("used.storage", [two.id, one.id]),
        ("-used.storage", [one.id, two.id]),
        ("unheard", [two.id, one.id]),
    ] {
        let key = order.strip_prefix('-').unwrap_or(order);
        let order_by = vec![(key.to_owned(), order != key)];
        let wanted = Wanted { order: order_by, ..all.clone() };
        let listed = quotas::page(&mut tx, &wanted).await.unwrap();
        let ids: Vec<i64> = listed.items.iter().map(|row| row.id).collect();
        assert_eq!((ids, listed.total), (expected.to_vec(), 2), "{order}");
    }
    let terms = vec![("reference_id".to_owned(), Term::Is(two.id.to_string()))];
    let listed = quotas::page(&mut tx, &Wanted { terms, ..all.clone() }).await.unwrap();
    assert_eq!((listed.items.len(), listed.total, listed.items[0].hard), (1, 1, 100));
    let order = vec![("id".to_owned(), false)];
    let second = Wanted { offset: 1, limit: 1, order, ..all };
    let listed = quotas::page(&mut tx, &second).await.unwrap();
    assert_eq!((listed.items[0].project.as_str(), listed.total), ("two", 2));
    assert!(quotas::used_by_all(&mut tx).await.unwrap() > 0);
    assert_eq!(quotas::set(&mut tx, two.id, UNLIMITED).await.unwrap(), Some(100));
    assert_eq!(quotas::set(&mut tx, 999, 1).await.unwrap(), None);
    tx.commit().await.unwrap();
}

async fn a_wrong_count_is_found_and_counted_anew(test: &mut TestDatabase) {
    let mut tx = test.db.write().await.unwrap();
    let team = project(&mut tx, "team", Tier::Sandbox).await;
    let here = repository(&mut tx, &team, "here").await;
    push(&mut tx, &here, "one", Parts { layers: &["a", "b"], ..Parts::default() }).await;
    let signature = Parts { layers: &["b"], subject: Some("one"), ..Parts::default() };
    push(&mut tx, &here, "signed", signature).await;
    tx.commit().await.unwrap();
    let plants = [
        "UPDATE project_blobs SET refs = 9 WHERE refs = 2",
        "UPDATE project_blobs SET size = 9 WHERE refs = 2",
        "DELETE FROM project_blobs WHERE refs = 2",
        "INSERT INTO project_blobs (project_id, digest, size, refs) VALUES (1, 'x', 1, 1)",
        "INSERT INTO project_blobs (project_id, digest, size, refs) VALUES (77, 'x', 1, 1)",
        "UPDATE project_usage SET bytes = bytes + 1",
        "INSERT INTO project_usage (project_id, bytes) VALUES (78, 5)",
        "DELETE FROM project_quotas",
    ];
    for plant in plants {
        exact(&test.db).await;
        let mut tx = test.db.write().await.unwrap();
        assert_eq!(tx.execute(plant, vec![]).await.unwrap(), 1, "{plant}");
        let mut found = 0;
        for id in check::projects(&mut tx, 0, 100).await.unwrap() {
            if check::miscount(&mut tx, id).await.unwrap().is_some() {
                found += 1;
                check::recount(&mut tx, id).await.unwrap();
            }
        }
        assert_eq!(found, 1, "{plant}");
        tx.commit().await.unwrap();
    }
    exact(&test.db).await;
    let mut tx = test.db.read().await.unwrap();
    assert_eq!(used(&mut tx, team.id).await, 2 + 3 + 6);
    assert!(quotas::get(&mut tx, team.id).await.unwrap().is_some());
}

/// What the quota adds to the statements of a push.
async fn a_push_runs_few_statements_more(test: &mut TestDatabase) {
    let mut tx = test.db.write().await.unwrap();
    let team = project(&mut tx, "team", Tier::Sandbox).await;
    let here = repository(&mut tx, &team, "here").await;
    push(&mut tx, &here, "first", Parts::default()).await;
    let layers: Vec<String> = (0..20).map(|n| format!("layer-{n}")).collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let digests: Vec<Digest> = layers.iter().map(|layer| digest(layer)).collect();
    for layer in &digests {
        blobs::insert(&mut tx, layer, 1, 1).await.unwrap();
    }
    blobs::link(&mut tx, here.id, &digests).await.unwrap();
    tx.commit().await.unwrap();
    let mut counts = Vec::new();
    for hard in [UNLIMITED, 1_000_000] {
        let mut tx = test.db.write().await.unwrap();
        quotas::set(&mut tx, team.id, hard).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = test.db.write().await.unwrap();
        let before = test.db.statements();
        let blobs: Vec<_> = (0..)
            .zip(&digests)
            .map(|(position, digest)| manifests::ManifestBlob {
                manifest_id: 0,
                role: manifests::BlobRole::Layer,
                position,
                digest: *digest,
                media_type: "layer".to_owned(),
                size: 1,
                diff_id: None,
            })
            .collect();
        let name = format!("with {hard}");
        let own = digest(&name);
        let annotations = std::collections::BTreeMap::new();
        let new = manifests::NewManifest {
            repository_id: here.id,
            digest: &own,
            media_type: "m",
            artifact_type: None,
            kind: manifests::Kind::Image,
            payload: name.as_bytes(),
            config: None,
            subject: None,
            annotations: &annotations,
            chain: None,
            state: manifests::State::Active,
            pushed_by: "ann",
            blobs: &blobs,
            children: &[],
            shown: manifests::Shown::default(),
        };
        manifests::insert(&mut tx, &new).await.unwrap();
        quotas::settle(&mut tx, team.id).await.unwrap();
        counts.push(test.db.statements() - before);
        tx.commit().await.unwrap();
    }
    // Row, payload, blobs, children (none), the row read; then two for the quota, and with a
    // limit two more.
    assert_eq!(counts, [6, 8], "{:?}", test.db.engine());
}

//! Each race between collection and a request, its transactions interleaved by hand. On PostgreSQL
//! only: SQLite has one writer, so there is nothing to interleave.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use jiff::SignedDuration;
use sealock_facts::Tier;
use sealock_metadata::{
    Database, Tx,
    blobs::{self, Inserted},
    dying_files, manifests,
    repositories::Repository,
    reviews::{self, Due, Reviewed},
    testing::TestDatabase,
};
use sealock_oci::Digest;
use std::time::Duration;
use support::{Parts, digest, project, push, repository};

/// A repository with a blob whose lease is over, another repository, and an image that is named.
struct Stage {
    t: TestDatabase,
    here: Repository,
    there: Repository,
    loose: Digest,
}

impl Stage {
    async fn set() -> Option<Self> {
        let t = TestDatabase::postgres().await?;
        let mut tx = t.db.write().await.unwrap();
        let project = project(&mut tx, "app", Tier::Sandbox).await;
        let here = repository(&mut tx, &project, "x").await;
        let there = repository(&mut tx, &project, "y").await;
        let loose = digest("loose");
        blobs::insert(&mut tx, &loose, 1, 1).await.unwrap();
        blobs::link(&mut tx, here.id, &[loose]).await.unwrap();
        tx.commit().await.unwrap();
        t.clock.advance(SignedDuration::from_hours(48));
        Some(Self { t, here, there, loose })
    }

    async fn write(&self) -> Tx {
        self.t.db.write().await.unwrap()
    }

    async fn review(&self) -> Reviewed {
        review(&self.t.db).await
    }

    /// Runs `work` in a transaction of its own that must wait for `other`, which then commits.
    async fn after<T: Send + 'static, F>(
        &self,
        other: Tx,
        work: impl FnOnce(Tx) -> F + Send + 'static,
    ) -> T
    where
        F: Future<Output = T> + Send + 'static,
    {
        let tx = self.write().await;
        let task = tokio::spawn(work(tx));
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert!(!task.is_finished(), "it did not wait for the lock");
        other.commit().await.unwrap();
        task.await.unwrap()
    }

    async fn finish(self) {
        self.t.finish().await;
    }
}

async fn review(db: &Database) -> Reviewed {
    let mut tx = db.write().await.unwrap();
    let done = reviews::links(&mut tx, Due::Ended, 100).await.unwrap();
    tx.commit().await.unwrap();
    done
}

fn image() -> Parts<'static> {
    Parts { layers: &["loose"], ..Parts::default() }
}

/// A story on a stage.
macro_rules! stories {
    ($($name:ident |$stage:ident| $story:block)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let Some($stage) = Stage::set().await else { return };
            $story
            $stage.finish().await;
        }
    )+};
}

stories! {
    a_push_that_has_looked_is_passed_over_and_then_seen |stage| {
        let mut put = stage.write().await;
        let present = blobs::present(&mut put, stage.here.id, &[stage.loose]).await.unwrap();
        assert_eq!(present.len(), 1);
        assert_eq!(stage.review().await, Reviewed::default(), "the link is locked by the push");
        insert_only(&mut put, &stage.here, stage.loose).await;
        put.commit().await.unwrap();
        let done = stage.review().await;
        assert_eq!((done.kept_named, done.links_dropped), (1, 0));
        let mut tx = stage.write().await;
        assert!(blobs::find(&mut tx, stage.here.id, &stage.loose).await.unwrap().is_some());
    }

    a_push_that_comes_late_is_told_that_the_blob_is_missing |stage| {
        let mut tx = stage.write().await;
        assert_eq!(reviews::links(&mut tx, Due::Ended, 9).await.unwrap().condemned.len(), 1);
        let (here, loose) = (stage.here.id, stage.loose);
        let present = stage.after(tx, move |mut put| async move {
            blobs::present(&mut put, here, &[loose]).await.unwrap()
        });
        assert!(present.await.is_empty());
    }

    a_mount_that_was_first_is_passed_over_and_keeps_the_bytes |stage| {
        let mut mount = stage.write().await;
        let linked = blobs::link(&mut mount, stage.there.id, &[stage.loose]).await.unwrap();
        assert_eq!(linked, [stage.loose]);
        let done = stage.review().await;
        assert_eq!((done.looked_at, done.links_dropped), (1, 0), "the blob is locked");
        mount.commit().await.unwrap();
        let done = stage.review().await;
        assert_eq!((done.links_dropped, done.kept_held, done.condemned.len()), (1, 1, 0));
    }

    a_mount_that_comes_late_links_nothing |stage| {
        let mut tx = stage.write().await;
        reviews::links(&mut tx, Due::Ended, 9).await.unwrap();
        let (there, loose) = (stage.there.id, stage.loose);
        let linked = stage.after(tx, move |mut mount| async move {
            blobs::link(&mut mount, there, &[loose]).await.unwrap()
        });
        assert!(linked.await.is_empty());
    }

    a_promotion_into_the_same_repository_holds_the_old_link |stage| {
        let mut promote = stage.write().await;
        blobs::link(&mut promote, stage.here.id, &[stage.loose]).await.unwrap();
        assert_eq!(stage.review().await.links_dropped, 0);
        push(&mut promote, &stage.here, "m", image()).await;
        promote.commit().await.unwrap();
        assert_eq!(stage.review().await, Reviewed::default(), "the lease is new");
    }

    an_upload_that_comes_late_wins_with_a_file_of_its_own |stage| {
        let mut tx = stage.write().await;
        reviews::links(&mut tx, Due::Ended, 9).await.unwrap();
        let (here, loose) = (stage.here.id, stage.loose);
        let won = stage.after(tx, move |mut upload| async move {
            let won = blobs::insert(&mut upload, &loose, 1, 2).await.unwrap();
            assert_eq!(blobs::link(&mut upload, here, &[loose]).await.unwrap(), [loose]);
            upload.commit().await.unwrap();
            won
        });
        assert_eq!(won.await, Inserted::Won { replaced: None });
        let mut tx = stage.write().await;
        assert_eq!(blobs::get(&mut tx, &stage.loose).await.unwrap().unwrap().generation, 2);
        let dying = dying_files::list(&mut tx, 0, 9).await.unwrap();
        let first = dying_files::DyingFile::Blob { digest: stage.loose, generation: 1 };
        assert_eq!(dying.into_iter().map(|row| row.file).collect::<Vec<_>>(), [first]);
    }

    an_upload_of_bytes_that_are_here_saves_them |stage| {
        let mut upload = stage.write().await;
        let lost = blobs::insert(&mut upload, &stage.loose, 1, 2).await.unwrap();
        assert!(matches!(lost, Inserted::Lost(_)));
        assert_eq!(stage.review().await.links_dropped, 0, "the blob is locked");
        blobs::link(&mut upload, stage.there.id, &[stage.loose]).await.unwrap();
        upload.commit().await.unwrap();
        assert_eq!(stage.review().await.condemned, []);
    }

    a_look_that_was_first_gets_its_lease |stage| {
        let mut head = stage.write().await;
        assert!(blobs::lease(&mut head, stage.here.id, &stage.loose).await.unwrap());
        assert_eq!(stage.review().await, Reviewed::default());
        head.commit().await.unwrap();
        assert_eq!(stage.review().await, Reviewed::default());
    }

    a_look_that_comes_late_is_told_that_it_is_gone |stage| {
        let mut tx = stage.write().await;
        reviews::links(&mut tx, Due::Ended, 9).await.unwrap();
        let (here, loose) = (stage.here.id, stage.loose);
        let leased = stage.after(tx, move |mut head| async move {
            blobs::lease(&mut head, here, &loose).await.unwrap()
        });
        assert!(!leased.await);
    }

    a_deletion_by_hand_waits_for_a_push_and_is_refused |stage| {
        let mut put = stage.write().await;
        blobs::present(&mut put, stage.here.id, &[stage.loose]).await.unwrap();
        insert_only(&mut put, &stage.here, stage.loose).await;
        let (here, loose) = (stage.here.id, stage.loose);
        let unlinked = stage.after(put, move |mut delete| async move {
            let done = blobs::unlink(&mut delete, here, &loose).await.unwrap();
            delete.commit().await.unwrap();
            done
        });
        assert!(!unlinked.await, "a manifest names it by now");
        let mut tx = stage.write().await;
        assert!(blobs::find(&mut tx, stage.here.id, &stage.loose).await.unwrap().is_some());
    }

    a_deletion_of_a_manifest_under_way_is_passed_over |stage| {
        let mut tx = stage.write().await;
        push(&mut tx, &stage.here, "m", image()).await;
        tx.commit().await.unwrap();
        stage.t.clock.advance(SignedDuration::from_hours(48));
        let mut delete = stage.write().await;
        manifests::delete(&mut delete, stage.here.id, &digest("m"), false).await.unwrap().unwrap();
        assert_eq!(stage.review().await, Reviewed::default(), "the link is locked");
        delete.commit().await.unwrap();
        assert_eq!(stage.review().await, Reviewed::default(), "and has a day from now");
        stage.t.clock.advance(SignedDuration::from_hours(48));
        assert_eq!(stage.review().await.condemned.len(), 1);
    }

    a_review_that_keeps_a_link_does_not_undo_a_deletion_that_follows |stage| {
        let mut tx = stage.write().await;
        push(&mut tx, &stage.here, "m", image()).await;
        tx.commit().await.unwrap();
        stage.t.clock.advance(SignedDuration::from_hours(48));
        let mut tx = stage.write().await;
        assert_eq!(reviews::links(&mut tx, Due::Ended, 9).await.unwrap().kept_named, 1);
        let here = stage.here.id;
        stage.after(tx, move |mut delete| async move {
            manifests::delete(&mut delete, here, &digest("m"), false).await.unwrap().unwrap();
            delete.commit().await.unwrap();
        }).await;
        stage.t.clock.advance(SignedDuration::from_hours(48));
        assert_eq!(stage.review().await.condemned.len(), 1, "it is queued again");
    }

    two_replicas_share_the_work |stage| {
        let mut tx = stage.write().await;
        for number in 0..4 {
            let digest = digest(&number.to_string());
            blobs::insert(&mut tx, &digest, 1, 1).await.unwrap();
            blobs::link(&mut tx, stage.here.id, &[digest]).await.unwrap();
        }
        tx.commit().await.unwrap();
        stage.t.clock.advance(SignedDuration::from_hours(48));
        let mut one = stage.write().await;
        let first = reviews::links(&mut one, Due::Ended, 3).await.unwrap();
        let second = stage.review().await;
        one.commit().await.unwrap();
        assert_eq!((first.condemned.len(), second.condemned.len()), (3, 2));
        let (mut one, mut two) = (stage.write().await, stage.write().await);
        let minute = SignedDuration::from_mins(1);
        let first = dying_files::claim(&mut one, minute, 3).await.unwrap();
        let second = dying_files::claim(&mut two, minute, 9).await.unwrap();
        assert_eq!((first.len(), second.len()), (3, 2));
    }

    deletions_with_common_layers_do_not_meet |stage| {
        let layers: Vec<String> = (0..40).map(|n| format!("layer {n}")).collect();
        let up: Vec<&str> = layers.iter().map(String::as_str).collect();
        let down: Vec<&str> = up.iter().rev().copied().collect();
        for round in 0..8 {
            let mut tx = stage.write().await;
            let (one, two) = (format!("up {round}"), format!("down {round}"));
            push(&mut tx, &stage.here, &one, Parts { layers: &up, ..Parts::default() }).await;
            push(&mut tx, &stage.here, &two, Parts { layers: &down, ..Parts::default() }).await;
            tx.commit().await.unwrap();
            let delete = |name: String| {
                let (db, here) = (stage.t.db.clone(), stage.here.id);
                tokio::spawn(async move {
                    let mut tx = db.write().await.unwrap();
                    manifests::delete(&mut tx, here, &digest(&name), false).await.unwrap();
                    tx.commit().await.unwrap();
                })
            };
            let (one, two) = (delete(one), delete(two));
            one.await.unwrap();
            two.await.unwrap();
        }
    }
}

/// A manifest that names the blob, stored without touching links or blobs.
async fn insert_only(tx: &mut Tx, repository: &Repository, blob: Digest) {
    let named = manifests::ManifestBlob {
        manifest_id: 0,
        role: manifests::BlobRole::Layer,
        position: 0,
        digest: blob,
        media_type: "application/octet-stream".to_owned(),
        size: 1,
        diff_id: None,
    };
    let new = manifests::NewManifest {
        repository_id: repository.id,
        digest: &digest("only"),
        media_type: "application/vnd.oci.image.manifest.v1+json",
        artifact_type: None,
        kind: manifests::Kind::Image,
        payload: b"only",
        config: None,
        subject: None,
        annotations: &std::collections::BTreeMap::new(),
        chain: None,
        state: manifests::State::Active,
        pushed_by: "ann",
        blobs: &[named],
        children: &[],
        shown: manifests::Shown::default(),
    };
    manifests::insert(tx, &new).await.unwrap();
}

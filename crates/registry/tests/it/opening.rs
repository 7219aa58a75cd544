//! Opening a registry.

use crate::world::World;
use sealock_blobs::testing::Operation;
use sealock_facts::Tier;

/// What opening asks of the disk of the blobs, in numbers of operations.
async fn asked(world: &World) -> Vec<(Operation, u64)> {
    let all = [
        Operation::OpenWrite,
        Operation::OpenRead,
        Operation::Write,
        Operation::Read,
        Operation::SetLen,
        Operation::SyncData,
        Operation::Rename,
        Operation::Remove,
        Operation::CreateDir,
        Operation::SyncDir,
        Operation::List,
        Operation::Restrict,
    ];
    let before = all.map(|operation| world.disk.count(operation));
    world.reopened().await.close().await;
    let counted = all.into_iter().zip(before);
    counted.map(|(operation, before)| (operation, world.disk.count(operation) - before)).collect()
}

/// However much is stored, a start looks at none of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_looks_at_nothing_that_is_stored() {
    let world = World::new().await;
    let dev = world.user("dev").await;
    world.project(&dev, "team", Tier::Sandbox, false).await;
    world.blob(&dev, "team/app", b"one").await.unwrap();
    let with_one = asked(&world).await;
    for number in 0..100 {
        world.blob(&dev, "team/app", format!("blob {number}").as_bytes()).await.unwrap();
    }
    let app = crate::world::repo("team/app");
    for _ in 0..5 {
        let begun = world.registry.begin_upload(&dev, &app, sealock_oci::Algorithm::Sha256).await;
        begun.unwrap();
    }
    assert_eq!(asked(&world).await, with_one);
    let counts = |wanted| with_one.iter().find(|(operation, _)| *operation == wanted).unwrap().1;
    assert_eq!((counts(Operation::List), counts(Operation::OpenRead)), (0, 0), "{with_one:?}");
}

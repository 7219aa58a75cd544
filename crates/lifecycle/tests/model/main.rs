//! The protocol between collector, leases, mounts, pushes and a crash, checked in every
//! interleaving: one digest, two repositories, two clients, a collector. What holds is written in
//! `sealock_lifecycle::invariants`, which the code asserts too. Each guard of the protocol is then
//! taken away, and the checker must find the harm.

mod protocol;
mod state;

use protocol::Protocol;
use state::Guard;
use stateright::{Checker, HasDiscoveries, Model as _};

/// Explores every state and answers the names of the properties that do not hold.
fn broken(guard: Option<Guard>) -> (Vec<&'static str>, usize) {
    let stop = if guard.is_some() { HasDiscoveries::Any } else { HasDiscoveries::All };
    let checker =
        Protocol { without: guard }.checker().threads(2).finish_when(stop).spawn_bfs().join();
    let mut found: Vec<_> = checker.discoveries().into_keys().collect();
    found.sort_unstable();
    (found, checker.unique_state_count())
}

#[test]
fn the_protocol_holds_in_every_interleaving() {
    let (found, states) = broken(None);
    assert_eq!(found, Vec::<&str>::new());
    assert!(states > 10_000, "only {states} states: does the model still move?");
}

/// Makes a test for each guard.
macro_rules! without {
    ($($name:ident: $guard:ident;)+) => {$(
        #[test]
        fn $name() {
            let (found, _) = broken(Some(Guard::$guard));
            assert!(!found.is_empty(), "nothing is lost without this guard");
        }
    )+

    #[test]
    fn every_guard_has_its_test() {
        assert_eq!(Guard::ALL, [$(Guard::$guard),+]);
    }
    };
}

without! {
    a_look_that_grants_no_lease_breaks_a_push: LookGrantsLease;
    a_deletion_that_is_due_at_once_breaks_a_promise: DeletionWaitsForLease;
    a_deletion_that_queues_nothing_leaks: DeletionQueues;
    a_push_that_does_not_lock_loses_a_layer: PushLocksLinks;
    a_review_that_looks_before_it_locks_loses_a_layer: ReviewLocksFirst;
    a_mount_that_does_not_lock_dangles: MountLocksBlob;
    files_without_generation_are_hit_by_a_late_removal: FilesHaveGenerations;
    bytes_before_the_row_are_missed: RowBeforeBytes;
    a_crash_between_row_and_bytes_leaks_when_nothing_remembers: DyingIsRemembered;
    an_upload_that_trusts_a_dying_file_loses_it: UploadHasItsOwnFile;
    a_blob_without_links_that_is_not_queued_stays: UnlinkQueues;
}

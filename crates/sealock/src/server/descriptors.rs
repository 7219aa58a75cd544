//! Files and sockets that the process may hold at once. Systems start programs with few; what is
//! allowed beyond that is taken, and connections keep to what there is, so that a crowd of them
//! leaves files for those who are served.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files of the process itself: database, log, sockets that listen, blobs that are kept open.
const OWN_FILES: u64 = 512;
/// Files of a connection: its socket, and the blob that is read or written for it.
const FILES_PER_CONNECTION: u64 = 2;
/// Fewest connections, however little the system allows.
const FEWEST: u64 = 64;

/// Takes what the system allows, and says how many connections fit.
pub(crate) fn connections(wanted: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit on open files could not be raised");
        }
        limit = getrlimit(Resource::Nofile);
    }
    let most = limit.current.map_or(usize::MAX, fitting);
    if most < wanted {
        tracing::info!(
            open_files = limit.current,
            connections = most,
            "the system allows fewer open files than --max-connections needs; raise its limit \
             (ulimit -n, LimitNOFILE=) for more connections"
        );
    }
    most
}

/// Connections that so many files are enough for.
fn fitting(files: u64) -> usize {
    let most = (files.saturating_sub(OWN_FILES) / FILES_PER_CONNECTION).max(FEWEST);
    usize::try_from(most).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_work() {
        assert_eq!(fitting(1_024), 256);
        assert_eq!(fitting(20_512), 10_000);
        assert_eq!(fitting(100), 64);
        assert!(connections(1) >= 64);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}

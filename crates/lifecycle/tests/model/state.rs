use sealock_lifecycle::invariants::{Row as SeenRow, View};

/// A lease, in ticks.
pub(crate) const LEASE: u8 = 1;
/// Ticks that pass at most.
pub(crate) const LAST_TICK: u8 = 3;
/// Uploads at most.
pub(crate) const MOST_UPLOADS: u8 = 2;
/// The one digest.
pub(crate) const DIGEST: u8 = 0;

/// What the protocol rests on, one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Guard {
    /// A pusher who looks gets a lease on what no manifest names.
    LookGrantsLease,
    /// What a deletion leaves behind is reviewed a lease later.
    DeletionWaitsForLease,
    /// A deletion queues what it leaves behind.
    DeletionQueues,
    /// A push locks the links that its manifest rests on.
    PushLocksLinks,
    /// A review locks, then looks.
    ReviewLocksFirst,
    /// A mount locks the blob that it links.
    MountLocksBlob,
    /// A file is named by its generation.
    FilesHaveGenerations,
    /// The row goes before the bytes.
    RowBeforeBytes,
    /// A dying file is remembered until its bytes are gone.
    DyingIsRemembered,
    /// An upload of dying bytes brings its own file.
    UploadHasItsOwnFile,
    /// Taking the last link away queues the blob.
    UnlinkQueues,
}

impl Guard {
    pub(crate) const ALL: [Self; 11] = [
        Self::LookGrantsLease,
        Self::DeletionWaitsForLease,
        Self::DeletionQueues,
        Self::PushLocksLinks,
        Self::ReviewLocksFirst,
        Self::MountLocksBlob,
        Self::FilesHaveGenerations,
        Self::RowBeforeBytes,
        Self::DyingIsRemembered,
        Self::UploadHasItsOwnFile,
        Self::UnlinkQueues,
    ];
}

/// A blob's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) generation: u8,
    pub(crate) review: Option<u8>,
}

/// What a client is in the middle of. Each step is one transaction or one act on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    Idle,
    /// The file is on the disk, the row is not written.
    Uploaded {
        generation: u8,
        repository: usize,
    },
    /// The row was there before; the own file is to be removed.
    Spare {
        generation: u8,
    },
    /// Has looked, and is about to write a lease.
    Looked {
        repository: usize,
    },
    /// Has seen the blob in the other repository, and is about to link it.
    Mounting {
        repository: usize,
    },
    /// Without a lock: has seen the link, and is about to store the manifest.
    Pushing {
        repository: usize,
    },
    /// Without a lock: has seen the blob's row, and is about to insert the link.
    Linking {
        repository: usize,
    },
}

/// What the collector is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Collector {
    Idle,
    /// Has claimed a dying file.
    Removing {
        generation: u8,
    },
    /// Has removed it.
    Removed {
        generation: u8,
    },
    /// Without a lock: has seen that nothing names this repository's link.
    Judged {
        repository: usize,
    },
    /// With the bytes first: has removed the file, the rows are still there.
    Bare {
        repository: usize,
    },
}

/// Everything at one moment. Sets of generations are bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) now: u8,
    pub(crate) row: Option<Row>,
    /// By repository: the link, with its review.
    pub(crate) links: [Option<Option<u8>>; 2],
    /// By repository: a manifest names the digest.
    pub(crate) named: [bool; 2],
    /// By repository: a lease that was granted holds until this tick.
    pub(crate) promised: [Option<u8>; 2],
    pub(crate) files: u8,
    pub(crate) dying: u8,
    /// Files that a crash left behind, for a check of the store to find.
    pub(crate) leaked: u8,
    pub(crate) uploads: u8,
    pub(crate) clients: [Client; 2],
    pub(crate) collector: Collector,
    pub(crate) crashed: bool,
}

pub(crate) const fn bit(generation: u8) -> u8 {
    1 << generation
}

pub(crate) fn bits(set: u8) -> impl Iterator<Item = u8> {
    (0..8).filter(move |generation| set & bit(*generation) != 0)
}

impl State {
    pub(crate) fn empty() -> Self {
        Self {
            now: 0,
            row: None,
            links: [None; 2],
            named: [false; 2],
            promised: [None; 2],
            files: 0,
            dying: 0,
            leaked: 0,
            uploads: 0,
            clients: [Client::Idle; 2],
            collector: Collector::Idle,
            crashed: false,
        }
    }

    /// Files that a client is writing or will remove by itself.
    pub(crate) fn writing(&self) -> u8 {
        self.clients.iter().fold(0, |set, client| match client {
            Client::Uploaded { generation, .. } | Client::Spare { generation } => {
                set | bit(*generation)
            }
            _ => set,
        })
    }

    /// As the invariants see it.
    pub(crate) fn view(&self) -> View<usize, u8> {
        let files = |set: u8| bits(set).map(|generation| (DIGEST, i64::from(generation))).collect();
        let mut view = View {
            dying: files(self.dying),
            files: files(self.files & !self.leaked),
            writing: files(self.writing()),
            ..View::default()
        };
        for repository in 0..2 {
            if self.named[repository] {
                view.named.insert((repository, DIGEST));
            }
            if let Some(review) = self.links[repository] {
                view.links.insert((repository, DIGEST), review.is_some());
            }
            if self.promised[repository].is_some_and(|until| until > self.now) {
                view.promised.insert((repository, DIGEST));
            }
        }
        if let Some(row) = self.row {
            let generation = i64::from(row.generation);
            view.rows.insert(DIGEST, SeenRow { generation, queued: row.review.is_some() });
        }
        view
    }
}

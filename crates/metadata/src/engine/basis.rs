//! What an answer was read from, so that it can be given again while nothing of that has changed.
//!
//! On SQLite this process is the only one that writes. Every transaction counts the tables that it
//! has written to, once before its commit begins and once after it has ended; a transaction that
//! reads notes these counts before its snapshot begins. What was read therefore stands as long as
//! no commit to one of its tables has begun since: then no request, whenever it came, could be
//! answered otherwise. On PostgreSQL other replicas write too, and nothing is ever said to stand
//! (decision D4).

use super::tables::{PLACES, TableSet};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

/// The tables that an answer was read from, and how often they had been written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    tables: TableSet,
    /// Of all its tables together: no count ever falls, so the sum tells whether one has risen.
    count: u64,
}

/// How often each table was written to.
#[derive(Debug)]
pub(super) struct Changes {
    begun: [AtomicU64; PLACES],
    ended: [AtomicU64; PLACES],
}

/// A commit under way. It has ended when this is dropped.
pub(super) struct UnderWay {
    changes: Arc<Changes>,
    tables: TableSet,
}

/// The counts of every table at one moment, none for one to which a commit was under way.
#[derive(Debug)]
pub(super) struct Note([Option<u64>; PLACES]);

impl Changes {
    pub(super) fn new() -> Arc<Self> {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Arc::new(Self { begun: zeros(), ended: zeros() })
    }

    /// To be called before the commit of a transaction that wrote to these tables, and to be held
    /// until the commit has ended one way or the other.
    pub(super) fn begin(self: &Arc<Self>, tables: TableSet) -> UnderWay {
        tables.places().for_each(|place| _ = self.begun[place].fetch_add(1, SeqCst));
        UnderWay { changes: self.clone(), tables }
    }

    /// To be called before a snapshot begins.
    pub(super) fn note(&self) -> Box<Note> {
        // In this order: a commit that begins between the two looks is seen as under way.
        Box::new(Note(std::array::from_fn(|place| {
            let ended = self.ended[place].load(SeqCst);
            (self.begun[place].load(SeqCst) == ended).then_some(ended)
        })))
    }

    pub(super) fn stands(&self, basis: &Basis) -> bool {
        let counts = basis.tables.places().map(|place| self.begun[place].load(SeqCst));
        counts.fold(0, u64::wrapping_add) == basis.count
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.tables.places().for_each(|place| _ = self.changes.ended[place].fetch_add(1, SeqCst));
    }
}

impl Note {
    /// The basis of what was read from these tables; none when one of them was being written to.
    pub(super) fn basis(&self, tables: TableSet) -> Option<Basis> {
        let mut count = 0_u64;
        for place in tables.places() {
            count = count.wrapping_add(self.0[place]?);
        }
        Some(Basis { tables, count })
    }
}

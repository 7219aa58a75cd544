//! The collector beside the clients, and what it may take from them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sealock_lifecycle::{Collector, Limits, Report};
use sealock_metadata::{Clock as _, Lease, reviews::Due};
use sealock_registry::Error;

use crate::{
    known::{
        Effect::{self, Becomes, Perhaps},
        State::{Absent, Present},
        Thing,
    },
    recording::{Promises, Recording},
};

/// Longer than any lease, and shorter than uploads rest.
pub(crate) const OVER: SignedDuration = SignedDuration::from_hours(25);

/// A run as fast as it can be.
pub(crate) async fn collect(
    registry: &sealock_registry::Registry,
    due: Due,
) -> Result<Report, Error> {
    let limits = Limits { rest_percent: 0, due, ..Limits::default() };
    Collector::default().run_once(registry, limits).await
}

impl Promises {
    /// Blobs that a collector may take by `now`: promised to nobody any more.
    fn ended(&self, now: Timestamp) -> impl Iterator<Item = &Thing> {
        self.leased.iter().filter(move |(_, until)| **until <= now).map(|(blob, _)| blob)
    }
}

impl Recording {
    /// Time goes on, past every lease.
    pub(crate) fn leases_end(&self) {
        self.clock.advance(OVER);
    }

    /// Collects what is due, and remembers what may come of it.
    pub(crate) async fn collect(&self) -> Report {
        self.collect_due(Due::Ended).await
    }

    /// The same; what is due is the caller's choice, what may come of it is not.
    pub(crate) async fn collect_due(&self, due: Due) -> Report {
        let before = self.memory.lock().unwrap().promises.clone();
        let begin = self.disk.position();
        let report = Box::pin(collect(&self.registry, due)).await.unwrap();
        let (end, now) = (self.disk.position(), self.clock.now());
        let mut memory = self.memory.lock().unwrap();
        let after = &memory.promises;
        // Whoever was told of a blob meanwhile may have been told after it was taken.
        let new = after.ended(now).filter(|blob| !before.leased.contains_key(blob));
        let may_go = before.ended(now).chain(new);
        // What names a blob all the time keeps it.
        let stood = |manifest: &Thing| after.standing.contains_key(manifest);
        let named: Vec<&Thing> = before
            .standing
            .iter()
            .filter(|(manifest, _)| stood(manifest))
            .flat_map(|(_, blobs)| blobs)
            .collect();
        let effects: Vec<(Thing, Effect)> = may_go
            .filter(|blob| !named.contains(blob))
            .map(|blob| (blob.clone(), Perhaps(Absent)))
            .collect();
        memory.known.add(begin, Some(end), effects);
        report
    }

    /// A client that asked at `asked` was told this.
    pub(crate) fn told(&self, effects: &[(Thing, Effect)], asked: Timestamp) {
        let mut memory = self.memory.lock().unwrap();
        for (thing, effect) in effects {
            if matches!((thing, effect), (Thing::Blob(..), Becomes(Present))) {
                lease(&mut memory.promises.leased, thing, asked);
            }
        }
    }

    /// How many deletions began or ended.
    pub(crate) fn deletions(&self) -> u64 {
        self.memory.lock().unwrap().promises.deletions
    }

    /// A manifest was pushed that names these blobs. It stands, unless a deletion came between,
    /// which may have taken it away again.
    pub(crate) fn stands(&self, manifest: &Thing, named: Vec<Thing>, before: u64) {
        let promises = &mut self.memory.lock().unwrap().promises;
        if promises.deletions == before && promises.deleting == 0 {
            promises.standing.insert(manifest.clone(), named);
        }
    }

    /// Somebody asks for the deletion of a manifest: from here on it may go, and what refers to it.
    pub(crate) fn deletion(&self, manifest: &Thing) -> Deletion<'_> {
        let mut memory = self.memory.lock().unwrap();
        let accessories = memory.accessories.clone();
        let promises = &mut memory.promises;
        promises.deletions += 1;
        promises.deleting += 1;
        let blobs = promises.standing.remove(manifest).unwrap_or_default();
        for (accessory, _) in accessories.iter().filter(|(_, subject)| subject == manifest) {
            promises.standing.remove(accessory);
        }
        Deletion { at: self, blobs, asked: self.clock.now() }
    }
}

fn lease(leased: &mut BTreeMap<Thing, Timestamp>, blob: &Thing, asked: Timestamp) {
    let until = asked + Lease::DEFAULT.span();
    let end = leased.entry(blob.clone()).or_insert(until);
    *end = until.max(*end);
}

/// A deletion under way.
pub(crate) struct Deletion<'a> {
    at: &'a Recording,
    blobs: Vec<Thing>,
    asked: Timestamp,
}

impl Deletion<'_> {
    /// It was acknowledged. Whoever was told before that the blobs are there has a lease from now.
    pub(crate) fn was_done(&self) {
        let promises = &mut self.at.memory.lock().unwrap().promises;
        for blob in &self.blobs {
            // Those that were taken away by hand were promised to nobody.
            if promises.leased.contains_key(blob) {
                lease(&mut promises.leased, blob, self.asked);
            }
        }
    }
}

impl Drop for Deletion<'_> {
    fn drop(&mut self) {
        let promises = &mut self.at.memory.lock().unwrap().promises;
        promises.deletions += 1;
        promises.deleting -= 1;
    }
}

//! What collection tells an operator's Prometheus.

use crate::Report;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use sealock_metadata::{dying_files::Reason, forecast::Queue};
use std::time::Duration;

/// Bounds of the durations of runs, in seconds.
const SECONDS: [f64; 8] = [0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3_600.0, 36_000.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: String,
}

impl Why {
    fn of(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string() }
    }
}

/// Counters of collection. Clones count together.
#[derive(Debug, Clone)]
pub struct CollectionMetrics {
    reviewed: Counter,
    freed_files: Family<Why, Counter>,
    freed_bytes: Family<Why, Counter>,
    kept: Family<Why, Counter>,
    failures: Counter,
    broken_runs: Counter,
    run_seconds: Histogram,
    due: Gauge,
    waiting: Gauge,
    dying_files: Gauge,
    dying_bytes: Gauge,
}

impl Default for CollectionMetrics {
    fn default() -> Self {
        let metrics = Self {
            reviewed: Counter::default(),
            freed_files: Family::default(),
            freed_bytes: Family::default(),
            kept: Family::default(),
            failures: Counter::default(),
            broken_runs: Counter::default(),
            run_seconds: Histogram::new(SECONDS),
            due: Gauge::default(),
            waiting: Gauge::default(),
            dying_files: Gauge::default(),
            dying_bytes: Gauge::default(),
        };
        // A series that begins at zero can be summed; one that appears later loses its first step.
        for reason in Reason::ALL {
            drop(metrics.freed_files.get_or_create(&Why::of(reason)));
            drop(metrics.freed_bytes.get_or_create(&Why::of(reason)));
        }
        for reason in ["named", "held"] {
            drop(metrics.kept.get_or_create(&Why::of(reason)));
        }
        metrics
    }
}

impl CollectionMetrics {
    /// Makes the metrics part of what a server shows, under `sealock_collection_`.
    pub fn register(&self, registry: &mut Registry) {
        let here = registry.sub_registry_with_prefix("sealock_collection");
        let counters = [
            ("reviews", "Entries of the queue that were reviewed", &self.reviewed),
            ("failures", "Files whose removal failed; each is tried again", &self.failures),
            ("broken_runs", "Runs that an error ended; the next one goes on", &self.broken_runs),
        ];
        for (name, help, counter) in counters {
            here.register(name, help, counter.clone());
        }
        let families = [
            ("freed_files", "Files removed from the disk, by reason", &self.freed_files),
            ("freed_bytes", "Bytes of files removed from the disk, by reason", &self.freed_bytes),
            ("kept", "Reviews that found a user, by reason", &self.kept),
        ];
        for (name, help, family) in families {
            here.register(name, help, family.clone());
        }
        let help = "Seconds that runs took, rests included";
        here.register("run_seconds", help, self.run_seconds.clone());
        let gauges = [
            ("queue_due", "Reviews whose time has come", &self.due),
            ("queue_waiting", "Reviews that wait for a lease to end", &self.waiting),
            ("dying_files", "Files that are to be removed from the disk", &self.dying_files),
            ("dying_bytes", "Bytes of files that are to be removed", &self.dying_bytes),
        ];
        for (name, help, gauge) in gauges {
            here.register(name, help, gauge.clone());
        }
    }

    pub(crate) fn freed(&self, reason: Reason, bytes: u64) {
        self.freed_files.get_or_create(&Why::of(reason)).inc();
        self.freed_bytes.get_or_create(&Why::of(reason)).inc_by(bytes);
    }

    pub(crate) fn ran(&self, report: &Report, whole: bool, took: Duration) {
        self.reviewed.inc_by(report.reviewed);
        for (reason, kept) in &report.kept_by {
            self.kept.get_or_create(&Why::of(reason)).inc_by(kept.files);
        }
        self.failures.inc_by(report.failures);
        if !whole {
            self.broken_runs.inc();
        }
        self.run_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn queue(&self, queue: Queue) {
        let numbers = [
            (&self.due, queue.due),
            (&self.waiting, queue.waiting),
            (&self.dying_files, queue.dying),
            (&self.dying_bytes, queue.dying_bytes),
        ];
        for (gauge, number) in numbers {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
}

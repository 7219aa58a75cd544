//! Percentiles.

use serde_json::{Value, json};
use std::time::Duration;

/// Summary of measured durations, in microseconds.
pub(crate) fn summary(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |part: f64| -> u128 {
        let last = times.len().saturating_sub(1);
        #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "0 ≤ part ≤ 1")]
        let index = (part * last as f64).round() as usize;
        times.get(index).map_or(0, Duration::as_micros)
    };
    json!({
        "count": times.len(),
        "min": at(0.0), "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999),
        "max": at(1.0),
    })
}

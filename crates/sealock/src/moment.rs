//! Moments as a person writes them.

use crate::failure::Failure;
use anyhow::Result;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, civil, tz::TimeZone};

/// Reads when something ends: `30d` from now, a date (its end, UTC) or a moment (RFC 3339).
pub(crate) fn end(text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Some(length) = length(text) {
        return now.checked_add(length).map_err(|_| unreadable(text));
    }
    on_day(text, |date| date.at(23, 59, 59, 0))
}

/// Reads when something began: `2h` ago, a date (its begin, UTC) or a moment (RFC 3339).
pub(crate) fn begin(text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Some(length) = length(text) {
        return now.checked_sub(length).map_err(|_| unreadable(text));
    }
    on_day(text, |date| date.at(0, 0, 0, 0))
}

/// A moment, or the one that stands for a date.
fn on_day(text: &str, which: impl Fn(civil::Date) -> civil::DateTime) -> Result<Timestamp> {
    // The moment first: a date is found in every moment.
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    let date = text.parse::<civil::Date>().map_err(|_| unreadable(text))?;
    Ok(which(date).to_zoned(TimeZone::UTC)?.timestamp())
}

/// A length of time such as `90m`, `12h`, `30d`, `2w`; days have 24 hours.
fn length(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours())
        .ok()
        .filter(|length| !length.is_negative())
}

/// Reads a length of time, for options.
pub(crate) fn pause(text: &str) -> Result<std::time::Duration, String> {
    let help = "give a length of time: 30s, 5m, 24h, 7d";
    length(text).and_then(|length| length.try_into().ok()).ok_or_else(|| help.to_owned())
}

fn unreadable(text: &str) -> anyhow::Error {
    Failure::usage(format!(
        "{text:?} is no moment; give a length of time (90m, 12h, 30d), a date (2027-01-31) or a \
         moment (2027-01-31T12:00:00Z)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_people_write_them() {
        let now: Timestamp = "2027-01-10T12:00:00Z".parse().expect("a moment");
        let at = |text: &str| text.parse::<Timestamp>().expect("a moment");
        for (text, ends, began) in [
            ("30d", "2027-02-09T12:00:00Z", "2026-12-11T12:00:00Z"),
            ("2h", "2027-01-10T14:00:00Z", "2027-01-10T10:00:00Z"),
            ("2w", "2027-01-24T12:00:00Z", "2026-12-27T12:00:00Z"),
            ("2027-01-31", "2027-01-31T23:59:59Z", "2027-01-31T00:00:00Z"),
            ("2027-01-31T01:00:00+01:00", "2027-01-31T00:00:00Z", "2027-01-31T00:00:00Z"),
        ] {
            assert_eq!(end(text, now).expect(text), at(ends), "{text}");
            assert_eq!(begin(text, now).expect(text), at(began), "{text}");
        }
        for bad in ["", "soon", "-3d", "30", "2027-02-30", "99999999999d"] {
            assert!(end(bad, now).is_err() && begin(bad, now).is_err(), "{bad}");
        }
    }
}

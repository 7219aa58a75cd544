//! CISA's catalogue of known exploited vulnerabilities, JSON.

use super::Collector;
use crate::error::{AdvisoryError, Result};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use sealock_facts::Kev;
use serde::Deserialize;

#[derive(Deserialize)]
struct Catalogue {
    vulnerabilities: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "cveID")]
    cve_id: String,
    date_added: String,
    #[serde(default)]
    known_ransomware_campaign_use: String,
}

fn midnight(date: &str) -> Option<Timestamp> {
    let date: Date = date.parse().ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

pub(super) fn read(origin: &str, json: &[u8], into: &mut Collector) -> Result<()> {
    let catalogue: Catalogue =
        serde_json::from_slice(json).map_err(|e| AdvisoryError::input(origin, e))?;
    for entry in catalogue.vulnerabilities {
        let Some(date_added) = midnight(&entry.date_added) else {
            into.skip(origin, "bad_kev_date", &entry.cve_id);
            continue;
        };
        let ransomware = entry.known_ransomware_campaign_use.eq_ignore_ascii_case("known");
        into.kev(entry.cve_id, Kev { date_added, ransomware })?;
    }
    Ok(())
}

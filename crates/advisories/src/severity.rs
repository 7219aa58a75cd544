//! Severity of a record: from CVSS vectors, whose scores are computed here, or from the words of
//! the advisory's publisher.

use sealock_facts::{Severity, SeveritySource};
use serde::{Deserialize, Serialize};

/// Kinds of statement, the most trusted first. Added to a level: that of the affected package
/// stands above that of the whole record.
pub(crate) const VENDOR: u8 = 0;
pub(crate) const LABEL: u8 = 1;
const V4: u8 = 2;
const V31: u8 = 3;
const V30: u8 = 4;
const V2: u8 = 5;

/// What the affected entry itself says.
pub(crate) const AFFECTED_LEVEL: u8 = 0;
/// What the record says.
pub(crate) const RECORD_LEVEL: u8 = 10;
/// What the CVE record of the group says (NVD and the like): asked last.
pub(crate) const CVE_LEVEL: u8 = 20;

/// One statement of severity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Assessment {
    /// Level plus kind; lower is preferred.
    pub(crate) rank: u8,
    pub(crate) severity: Severity,
    pub(crate) source: SeveritySource,
}

impl Assessment {
    /// From a publisher's word. `None` for words that state nothing.
    pub(crate) fn from_word(level: u8, kind: u8, word: &str) -> Option<Self> {
        let severity = match word.trim().trim_end_matches('*').to_ascii_lowercase().as_str() {
            "unimportant" | "negligible" => Severity::Negligible,
            "low" => Severity::Low,
            "medium" | "moderate" => Severity::Medium,
            "high" | "important" => Severity::High,
            "critical" => Severity::Critical,
            _ => return None,
        };
        Some(Self { rank: level + kind, severity, source: SeveritySource::Vendor })
    }

    /// From a CVSS vector of any version; `None` if it cannot be read.
    pub(crate) fn from_vector(level: u8, vector: &str) -> Option<Self> {
        let vector = vector.trim();
        let (kind, severity, score_tenths) = score(vector)?;
        let source = SeveritySource::Cvss { vector: vector.to_owned(), score_tenths };
        Some(Self { rank: level + kind, severity, source })
    }

    /// Whether it rests on a vector and not on a word.
    pub(crate) const fn is_scored(&self) -> bool {
        matches!(self.source, SeveritySource::Cvss { .. })
    }
}

/// Longest vector that is read, in bytes: a full CVSS 4.0 vector has about 200.
const MAX_VECTOR: usize = 512;

/// Kind, severity and score in tenths of a vector.
fn score(vector: &str) -> Option<(u8, Severity, u32)> {
    if vector.len() > MAX_VECTOR {
        return None;
    }
    if !is_whole(vector) {
        return None;
    }
    let kind = match vector {
        v if v.starts_with("CVSS:4.0/") => V4,
        v if v.starts_with("CVSS:3.1/") => V31,
        v if v.starts_with("CVSS:3.0/") => V30,
        v if v.starts_with("CVSS:") => return None,
        _ => V2,
    };
    let score = match kind {
        V2 => vector.trim_matches(['(', ')']).parse::<cvss::v2::Vector>().ok()?.score().value(),
        _ => vector.parse::<cvss::Cvss>().ok()?.score(),
    };
    if !(0.0..=10.0).contains(&score) {
        return None;
    }
    let tenths = (score * 10.0).round() as u32;
    Some((kind, label(kind, tenths), tenths))
}

/// Whether every base metric of CVSS 3 is stated, and none twice: a vector cut short would score
/// low.
fn is_whole(vector: &str) -> bool {
    let Some(metrics) = vector.strip_prefix("CVSS:3.") else { return true };
    ["/AV:", "/AC:", "/PR:", "/UI:", "/S:", "/C:", "/I:", "/A:"]
        .iter()
        .all(|name| metrics.matches(name).count() == 1)
}

/// CVSS 3.1 section 5 and CVSS 4.0 section 6 (none, low, medium, high, critical); CVSS 2 has no
/// critical. A score of zero is a statement that there is no impact, so it is not "unknown".
const fn label(kind: u8, tenths: u32) -> Severity {
    match tenths {
        0 => Severity::Negligible,
        1..=39 => Severity::Low,
        40..=69 => Severity::Medium,
        70..=89 => Severity::High,
        _ if kind == V2 => Severity::High,
        _ => Severity::Critical,
    }
}

/// The statement that counts: lowest rank, at equal rank the worst severity.
pub(crate) fn preferred<'a>(
    statements: impl Iterator<Item = &'a Assessment>,
) -> Option<&'a Assessment> {
    statements.min_by(|a, b| {
        a.rank
            .cmp(&b.rank)
            .then_with(|| b.severity.cmp(&a.severity))
            .then_with(|| a.source.cmp(&b.source))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::PathBuf};

    #[test]
    fn scores_of_each_version() {
        for (vector, severity, tenths) in [
            ("AV:N/AC:L/Au:N/C:C/I:C/A:C", Severity::High, 100),
            ("AV:L/AC:H/Au:M/C:N/I:P/A:N", Severity::Low, 8),
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Severity::Critical, 98),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", Severity::High, 75),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", Severity::Negligible, 0),
            (
                "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
                Severity::Critical,
                93,
            ),
        ] {
            let found = Assessment::from_vector(0, vector).unwrap();
            assert_eq!(found.severity, severity, "{vector}");
            assert_eq!(
                found.source,
                SeveritySource::Cvss { vector: vector.to_owned(), score_tenths: tenths }
            );
        }
        for bad in ["", "9.8", "CVSS:5.0/AV:N", "CVSS:3.1/AV:N/AC:L", "CVSS:3.1/AV:Q/AC:L"] {
            assert_eq!(Assessment::from_vector(0, bad), None, "{bad}");
        }
    }

    #[test]
    fn preference() {
        let word = Assessment::from_word(RECORD_LEVEL, LABEL, "MODERATE").unwrap();
        let v31 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
        let v30 = "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H";
        let record = Assessment::from_vector(RECORD_LEVEL, v31).unwrap();
        let older = Assessment::from_vector(RECORD_LEVEL, v30).unwrap();
        let entry = Assessment::from_vector(AFFECTED_LEVEL, v30).unwrap();
        let pick = |list: &[&Assessment]| preferred(list.iter().copied()).cloned();
        assert_eq!(pick(&[&older, &record]), Some(record.clone()));
        assert_eq!(pick(&[&record, &word]), Some(word.clone()));
        assert_eq!(pick(&[&word, &entry]), Some(entry));
        assert_eq!(pick(&[]), None);
        assert_eq!(Assessment::from_word(0, VENDOR, "not yet assigned"), None);
        assert_eq!(
            Assessment::from_word(0, VENDOR, "low**").map(|a| a.severity),
            Some(Severity::Low)
        );
    }

    /// The published vectors: the first score given is the base score, which is what counts here.
    #[test]
    fn shared_vectors() {
        let base = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared/testdata/scanning/cvss");
        if !base.is_dir() {
            eprintln!("note: shared CVSS vectors are absent, only the own table was checked");
            return;
        }
        let mut seen = 0;
        for file in fs::read_dir(base).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            for line in text.lines().filter(|l| !l.trim().is_empty()) {
                let (vector, scores) = line.split_once(" - ").unwrap();
                let expected = scores
                    .trim_matches(['(', ')', ' '])
                    .split(',')
                    .filter_map(|s| s.trim().parse::<f64>().ok())
                    .next()
                    .unwrap();
                let found = score(vector).map(|s| s.2);
                assert_eq!(found, Some((expected * 10.0).round() as u32), "{line}");
                seen += 1;
            }
        }
        assert!(seen > 1000, "only {seen} vectors");
    }
}

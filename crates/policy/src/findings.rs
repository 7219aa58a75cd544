//! The rule over vulnerabilities.

use crate::{
    AfterPromotion, FindingsRule, PolicyDocument, UnknownSeverity,
    contents::{Inside, inside},
    evaluate::{Image, MAX_NAMED, Part, View},
    time::Age,
    waiver,
};
use sealock_facts::{Coverage, Finding, FixState, Outcome, Severity, Waiver};
use std::collections::BTreeSet;

/// The name of the built-in scanner; coverage of advisories is a matter of it alone.
const BUILT_IN_SCANNER: &str = "sealock";

/// Every finding on one image, sorted by what it means to the rule.
#[derive(Default)]
struct Sorted<'a> {
    exploited: Vec<&'a Finding>,
    counting: Vec<&'a Finding>,
    unrated: Vec<&'a Finding>,
    in_grace: usize,
    waived: Vec<(&'a Finding, &'a Waiver)>,
}

/// No finding counts, and what is not known is said.
pub(crate) fn check(
    view: &View<'_>,
    document: &PolicyDocument,
    rule: &FindingsRule,
    image: &Image<'_>,
) -> Vec<Part> {
    let sorted = sort(view, rule, image);
    let mut parts = objections(rule, &sorted);
    match inside(document, image) {
        // Findings count even on what "cannot be scanned": another scanner may have reported them.
        Inside::Nothing(part) if part.outcome == Outcome::NotApplicable => {
            if parts.is_empty() {
                parts.push(part);
            }
            return parts;
        }
        Inside::Nothing(part) => {
            parts.push(part);
            return parts;
        }
        Inside::Known(known, shortcomings) => {
            parts.extend(shortcomings);
            if uses_built_in(rule) {
                parts.extend(coverage(view, rule, known));
            }
        }
    }
    parts.extend(scans(view, rule, image));
    if parts.is_empty() {
        parts.push(passed(view, rule, image, &sorted));
    }
    parts
}

fn counts_scanner(rule: &FindingsRule, scanner: &str) -> bool {
    rule.scanners.as_ref().is_none_or(|list| list.iter().any(|name| name == scanner))
}

fn uses_built_in(rule: &FindingsRule) -> bool {
    counts_scanner(rule, BUILT_IN_SCANNER)
}

fn sort<'a>(view: &View<'a>, rule: &FindingsRule, image: &Image<'a>) -> Sorted<'a> {
    let mut sorted = Sorted::default();
    for finding in &image.facts.findings {
        if !counts_scanner(rule, &finding.scanner) {
            continue;
        }
        let Some(weight) = weigh(view, rule, finding) else { continue };
        if weight == Weight::InGrace {
            sorted.in_grace += 1;
            continue;
        }
        let waiver = if rule.accept_waivers { waiver::excuse(view, image, finding) } else { None };
        match (waiver, weight) {
            (Some(waiver), _) => sorted.waived.push((finding, waiver)),
            (None, Weight::Exploited) => sorted.exploited.push(finding),
            (None, Weight::Counts) => sorted.counting.push(finding),
            (None, _) => sorted.unrated.push(finding),
        }
    }
    for list in [&mut sorted.exploited, &mut sorted.counting, &mut sorted.unrated] {
        list.sort_by(|a, b| {
            (std::cmp::Reverse(a.severity), &a.vulnerability, &a.purl).cmp(&(
                std::cmp::Reverse(b.severity),
                &b.vulnerability,
                &b.purl,
            ))
        });
    }
    sorted
}

#[derive(PartialEq)]
enum Weight {
    Exploited,
    Counts,
    Unrated,
    InGrace,
}

/// What a finding means to the rule; none when it is no matter to it.
fn weigh(view: &View<'_>, rule: &FindingsRule, finding: &Finding) -> Option<Weight> {
    let exploited = finding
        .kev
        .as_ref()
        .map(|kev| view.moments.reached(rule.known_exploited_grace_days.after(kev.date_added)));
    if exploited == Some(true) {
        return Some(Weight::Exploited);
    }
    let waiting = exploited.map(|_| Weight::InGrace);
    if rule.only_fixed && !matches!(finding.fix, FixState::Fixed { .. }) {
        return waiting;
    }
    let Some(threshold) = rule.severity else { return waiting };
    let weight = match (finding.severity, rule.unknown_severity) {
        (Severity::Unknown, UnknownSeverity::Ignore) => return waiting,
        (Severity::Unknown, UnknownSeverity::Unknown) => Weight::Unrated,
        (Severity::Unknown, UnknownSeverity::Count) => Weight::Counts,
        (severity, _) if severity >= threshold => Weight::Counts,
        _ => return waiting,
    };
    // Without a date there is no grace.
    let due = finding
        .published
        .is_none_or(|published| view.moments.reached(rule.grace_days.after(published)));
    Some(if due { weight } else { Weight::InGrace })
}

fn objections(rule: &FindingsRule, sorted: &Sorted<'_>) -> Vec<Part> {
    let soft = rule.after_promotion == AfterPromotion::Warn;
    let mut parts = Vec::new();
    let mut object = |findings: &[&Finding], outcome, softened, what: String| {
        if findings.is_empty() {
            return;
        }
        let many = if findings.len() == 1 { "finding" } else { "findings" };
        let told: Vec<_> = findings.iter().take(MAX_NAMED).map(|f| describe(f)).collect();
        let mut message = format!("{} {many} {what}: {}", findings.len(), told.join("; "));
        if findings.len() > MAX_NAMED {
            message.push_str(&format!("; and {} more", findings.len() - MAX_NAMED));
        }
        let ids: BTreeSet<_> = findings.iter().map(|f| f.vulnerability.clone()).collect();
        let mut part = Part::new(outcome, message).evidence(ids).remedy(remedy(findings));
        part.softened = softened;
        parts.push(part);
    };
    object(&sorted.exploited, Outcome::Fail, false, "known to be exploited".to_owned());
    let threshold = rule.severity.unwrap_or(Severity::Critical);
    object(&sorted.counting, Outcome::Fail, soft, format!("at or above {threshold}"));
    object(&sorted.unrated, Outcome::Unknown, soft, "whose severity nobody states".to_owned());
    parts
}

/// One finding in words.
fn describe(finding: &Finding) -> String {
    let package = finding.purl.split(['?', '#']).next().unwrap_or_default();
    let fix = match &finding.fix {
        FixState::Fixed { version } => format!("fixed in {version}"),
        FixState::NotFixed => "no fix is known".to_owned(),
        FixState::WontFix => "the distribution will not fix it".to_owned(),
    };
    let severity = match finding.severity {
        Severity::Unknown => "severity not stated",
        severity => severity.as_str(),
    };
    format!("{} ({severity}) in {package}, {fix}", finding.vulnerability)
}

fn remedy(findings: &[&Finding]) -> String {
    let fixed = findings.iter().any(|f| matches!(f.fix, FixState::Fixed { .. }));
    let rebuild = if fixed { "rebuild with the fixed versions" } else { "rebuild without them" };
    format!("{rebuild}, or ask for a waiver with `sealock waiver request`")
}

/// Components that no advisory could name are unknown, not clean (decision D12).
fn coverage(view: &View<'_>, rule: &FindingsRule, known: &crate::KnownContents) -> Vec<Part> {
    let mut parts = Vec::new();
    if known.without_ecosystem > 0 {
        let message = format!(
            "{} components are of a release or ecosystem that is not known",
            known.without_ecosystem
        );
        parts.push(
            Part::new(Outcome::Unknown, message)
                .remedy("build on a release that advisories are published for"),
        );
    }
    let Some(snapshot) = &view.input.advisories else {
        parts.push(
            Part::new(Outcome::Unknown, "there is no advisory data")
                .remedy("import advisories with `sealock advisories update`"),
        );
        return parts;
    };
    for (ecosystem, count) in &known.ecosystems {
        let coverage = snapshot.ecosystems.get(ecosystem).map_or(Coverage::None, |e| e.coverage);
        if coverage >= rule.minimum_coverage.into() {
            continue;
        }
        let word = if coverage == Coverage::None { "no" } else { "only partial" };
        let message = format!("{word} advisory data for the {count} components of {ecosystem}");
        parts.push(
            Part::new(Outcome::Unknown, message)
                .evidence([snapshot.digest.clone()])
                .remedy(format!("import the advisories of {ecosystem}")),
        );
    }
    parts
}

/// A scanner that counts must have judged the image, not too long ago.
fn scans(view: &View<'_>, rule: &FindingsRule, image: &Image<'_>) -> Vec<Part> {
    let scans = &image.facts.scans;
    let wait = "wait for the scan to end";
    let mut parts = Vec::new();
    match &rule.scanners {
        None if scans.is_empty() => {
            parts.push(Part::new(Outcome::Unknown, "no scanner has judged the image").remedy(wait));
        }
        None => {}
        Some(names) => {
            for name in names.iter().filter(|name| scans.iter().all(|s| s.scanner != **name)) {
                let message = format!("the scanner {name} has not judged the image");
                parts.push(Part::new(Outcome::Unknown, message).remedy(wait));
            }
        }
    }
    let Some(limit) = rule.max_age_days else { return parts };
    for scan in scans.iter().filter(|scan| counts_scanner(rule, &scan.scanner)) {
        let (name, date) = (&scan.scanner, scan.as_of);
        let message = match view.moments.age(date, limit) {
            Age::Fresh => continue,
            Age::TooOld => {
                format!("the findings of {name} are of {date}, over {} days old", limit.get())
            }
            Age::Future => format!("the findings of {name} are dated {date}, later than the clock"),
        };
        parts.push(Part::new(Outcome::Unknown, message).remedy("scan the image again"));
    }
    parts
}

fn passed(view: &View<'_>, rule: &FindingsRule, image: &Image<'_>, sorted: &Sorted<'_>) -> Part {
    let what = match rule.severity {
        Some(threshold) => format!("counts at or above {threshold}"),
        None => "is known to be exploited".to_owned(),
    };
    let mut message = format!("none of {} findings {what}", image.facts.findings.len());
    if sorted.in_grace > 0 {
        message.push_str(&format!("; {} within their grace", sorted.in_grace));
    }
    let mut evidence = BTreeSet::new();
    for (index, (finding, waiver)) in sorted.waived.iter().enumerate() {
        if index < MAX_NAMED {
            message.push_str(&format!(
                "; {} waived by #{} until {}",
                finding.vulnerability, waiver.id, waiver.expires_at
            ));
        }
        evidence.insert(format!("waiver:{}", waiver.id));
    }
    if let Some(snapshot) = &view.input.advisories
        && uses_built_in(rule)
    {
        evidence.insert(snapshot.digest.clone());
        let partial: Vec<_> = known_ecosystems(image)
            .filter(|name| {
                snapshot.ecosystems.get(*name).is_some_and(|e| e.coverage == Coverage::Partial)
            })
            .collect();
        if !partial.is_empty() {
            message.push_str(&format!("; advisory data is partial for {}", partial.join(", ")));
        }
    }
    Part::new(Outcome::Pass, message).evidence(evidence)
}

fn known_ecosystems<'a>(image: &Image<'a>) -> impl Iterator<Item = &'a str> {
    let known = match &image.facts.contents {
        crate::ContentsFact::Known(known) => Some(known),
        _ => None,
    };
    known.into_iter().flat_map(|known| known.ecosystems.keys().map(String::as_str))
}

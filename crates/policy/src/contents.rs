//! Rules over what is known of an image's inside. What was not read is unknown, never clean.

use crate::{
    AdvisoriesRule, ContentsFact, ContentsRule, KnownContents, PolicyDocument,
    evaluate::{Image, MAX_NAMED, Part, View},
    time::Age,
};
use sealock_facts::{Completeness, Outcome};

/// What rules about contents find before they look further.
pub(crate) enum Inside<'a> {
    /// The contents, and what makes them less than whole.
    Known(&'a KnownContents, Vec<Part>),
    /// Nothing to look at: unknown, or not applicable where the policy says so.
    Nothing(Part),
}

/// Looks inside, with the one judgement on what "known" means.
pub(crate) fn inside<'a>(document: &PolicyDocument, image: &Image<'a>) -> Inside<'a> {
    let facts = image.facts;
    match &facts.contents {
        ContentsFact::Unknown { detail } => Inside::Nothing(
            Part::new(Outcome::Unknown, format!("the contents are not known: {detail}"))
                .evidence([facts.digest.to_string()])
                .remedy(
                    "wait for the inspection to end; push the image again if it cannot be read",
                ),
        ),
        ContentsFact::NotRunnable { .. } => Inside::Nothing(not_runnable(document, image)),
        ContentsFact::Known(known) => Inside::Known(known, shortcomings(document, image, known)),
    }
}

fn not_runnable(document: &PolicyDocument, image: &Image<'_>) -> Part {
    let artifact_type = image.facts.artifact_type.as_deref().unwrap_or_default();
    let listed =
        document.unscannable_artifact_types.iter().any(|pattern| pattern.matches(artifact_type));
    let shown = if artifact_type.is_empty() { "no type stated" } else { artifact_type };
    if listed {
        return Part::new(
            Outcome::NotApplicable,
            format!(
                "holds no layer that can run, and the policy lists its artifact type ({shown})"
            ),
        );
    }
    Part::new(Outcome::Unknown, format!("holds no layer that can be scanned ({shown})"))
        .evidence([image.facts.digest.to_string()])
        .remedy(
            "list the artifact type in the policy's unscannableArtifactTypes, if it is expected",
        )
}

fn shortcomings(document: &PolicyDocument, image: &Image<'_>, known: &KnownContents) -> Vec<Part> {
    let digest = image.facts.digest.to_string();
    let mut parts = Vec::new();
    if let Completeness::Partial { reasons } = &known.completeness {
        let told: Vec<_> = reasons
            .iter()
            .take(MAX_NAMED)
            .map(|reason| format!("{} ({})", reason.detail, reason.code))
            .collect();
        let message = format!("the contents were read in part only: {}", told.join("; "));
        let layers = reasons.iter().map(|reason| reason.layer.to_string());
        parts.push(
            Part::new(Outcome::Unknown, message)
                .evidence(layers)
                .remedy("rebuild the layer that cannot be read"),
        );
    }
    match &known.distro {
        Some(distro) if known.system_packages == 0 => parts.push(
            Part::new(
                Outcome::Unknown,
                format!(
                    "the system packages of {} {} cannot be read",
                    distro.id, distro.version_id
                ),
            )
            .evidence([digest])
            .remedy("build on a base whose package database is in the image and can be read"),
        ),
        _ if known.components == 0 && !document.allow_empty_contents => parts.push(
            Part::new(Outcome::Unknown, "no component was recognised in the image")
                .evidence([digest])
                .remedy("set allowEmptyContents in the policy, if this is expected"),
        ),
        _ => {}
    }
    parts
}

/// Contents are known, wholly, and not too old.
pub(crate) fn check(
    view: &View<'_>,
    document: &PolicyDocument,
    rule: &ContentsRule,
    image: &Image<'_>,
) -> Vec<Part> {
    let (known, mut parts) = match inside(document, image) {
        Inside::Nothing(part) => return vec![part],
        Inside::Known(known, parts) => (known, parts),
    };
    if let Some(limit) = rule.max_age_days {
        let (date, days) = (known.inspected_at, limit.get());
        let message = match view.moments.age(date, limit) {
            Age::Fresh => None,
            Age::TooOld => Some(format!("the contents were read at {date}, over {days} days ago")),
            Age::Future => Some(format!("the contents are dated {date}, later than the clock")),
        };
        parts.extend(
            message.map(|message| {
                Part::new(Outcome::Unknown, message).remedy("inspect the image again")
            }),
        );
    }
    if parts.is_empty() {
        let message =
            format!("{} components known, read by inspector {}", known.components, known.inspector);
        parts.push(Part::new(Outcome::Pass, message));
    }
    parts
}

/// The advisories of every ecosystem in the image are not too old.
pub(crate) fn advisories(
    view: &View<'_>,
    document: &PolicyDocument,
    rule: &AdvisoriesRule,
    image: &Image<'_>,
) -> Vec<Part> {
    let known = match inside(document, image) {
        Inside::Nothing(part) => return vec![part],
        Inside::Known(known, _) => known,
    };
    if known.ecosystems.is_empty() {
        return vec![Part::new(Outcome::NotApplicable, "no component that advisories could name")];
    }
    let update = "import newer advisories with `sealock advisories update`";
    let mut parts = Vec::new();
    for ecosystem in known.ecosystems.keys() {
        let data = view.input.advisories.as_ref().and_then(|all| all.ecosystems.get(ecosystem));
        let Some(date) = data.and_then(|data| data.data_date) else {
            let message = format!("there is no dated advisory data for {ecosystem}");
            parts.push(Part::new(Outcome::Unknown, message).remedy(update));
            continue;
        };
        let days = rule.max_age_days.get();
        let message = match view.moments.age(date, rule.max_age_days) {
            Age::Fresh => continue,
            Age::TooOld => {
                format!("the advisories for {ecosystem} are of {date}, over {days} days old")
            }
            Age::Future => {
                format!("the advisories for {ecosystem} are dated {date}, later than the clock")
            }
        };
        parts.push(Part::new(Outcome::Unknown, message).remedy(update));
    }
    if parts.is_empty() {
        let names = known.ecosystems.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let message =
            format!("advisories for {names} are at most {} days old", rule.max_age_days.get());
        parts.push(Part::new(Outcome::Pass, message));
    }
    parts
}

use crate::{
    AppliedPolicy, ArtifactFacts, Check, ChildFacts, ContentsFact, Door, GateInput, Mode,
    PolicyDocument, Rule, access, contents, evidence, findings, quarantine, time::Moments,
};
use sealock_facts::{Action, Outcome, Reason, Tier, Verdict};
use sealock_oci::{Digest, ManifestKind};

/// Name of the implicit rule that closes every door to quarantined digests.
pub const RULE_NOT_QUARANTINED: &str = "not-quarantined";
/// Name of the implicit rule that closes every door but push to what is stored but not yet judged.
pub const RULE_NOT_HELD: &str = "not-held";
/// Where the implicit rules stand, as reasons name it.
pub const BUILT_IN: &str = "floor/built-in";

/// How deep indexes may list indexes. What lies deeper is unknown.
pub const MAX_INDEX_DEPTH: usize = 4;
/// Most images that one verdict looks at. More are unknown.
pub const MAX_IMAGES: usize = 10_000;
/// Most images and findings that one message names.
pub(crate) const MAX_NAMED: usize = 5;
/// Most entries of one reason's evidence.
const MAX_EVIDENCE: usize = 200;

/// The gate: facts, policies, a door and a moment give a verdict. Pure and total: equal inputs give
/// equal verdicts, to the letter, in whatever order their lists stand, and nothing panics. A replay
/// from the canonical document would not be the same otherwise.
///
/// Each document is evaluated by itself; the worst action of all reasons stands (decision D2). The
/// verdict holds until its `valid_until`, exclusive. An input that was normalised is not copied.
pub fn evaluate(input: &GateInput) -> Verdict {
    let input = &*input.in_order();
    let moments = Moments::new(input.now);
    let view = View::of(input, &moments);
    let mut reasons = vec![quarantine::reason(&view)];
    reasons.extend(held(input));
    let is_evidence = input.artifact.evidence_about.is_some()
        && matches!(input.artifact.contents, ContentsFact::NotRunnable { .. });
    for policy in input.policies.iter().filter(|_| !is_evidence) {
        for rule in &policy.document.rules {
            reasons.extend(judge(&view, policy, rule));
        }
    }
    reasons.extend(access::minimum_tier(input));
    if let Some(request) = &input.request {
        reasons.extend(access::reasons(input.door, &input.subject, &input.policies, request));
    }
    Verdict::from_reasons(reasons, moments.valid_until())
}

/// What rules look at: the input, and the images of the artifact in one list.
pub(crate) struct View<'a> {
    pub(crate) input: &'a GateInput,
    pub(crate) moments: &'a Moments,
    pub(crate) images: Vec<Image<'a>>,
    /// What was not there or not looked at: unknown for every rule about contents.
    pub(crate) gaps: Vec<Part>,
}

/// One image, alone or as part of an index.
pub(crate) struct Image<'a> {
    pub(crate) facts: &'a ArtifactFacts,
    /// The digests under which a waiver may name it: its own, those of the indexes it was reached
    /// through and those that list it.
    pub(crate) names: Vec<Digest>,
}

/// What one check says about one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) outcome: Outcome,
    /// Whether a promotion in the past makes this a warning at pull and admit.
    pub(crate) softened: bool,
    pub(crate) message: String,
    pub(crate) evidence: Vec<String>,
    pub(crate) remedy: String,
}

impl Part {
    pub(crate) fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        Self {
            outcome,
            softened: false,
            message: message.into(),
            evidence: Vec::new(),
            remedy: String::new(),
        }
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    pub(crate) fn evidence(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }
}

impl<'a> View<'a> {
    fn of(input: &'a GateInput, moments: &'a Moments) -> Self {
        let mut view = Self { input, moments, images: Vec::new(), gaps: Vec::new() };
        let above = input.artifact.covered_by.iter().map(|covering| covering.index).collect();
        view.walk(&input.artifact, above, 0);
        view
    }

    fn walk(&mut self, facts: &'a ArtifactFacts, mut names: Vec<Digest>, depth: usize) {
        names.push(facts.digest);
        if facts.kind == ManifestKind::Image {
            if self.images.len() < MAX_IMAGES {
                self.images.push(Image { facts, names: names.clone() });
            } else {
                self.gap("too many images in one index", MAX_IMAGES);
            }
        } else if facts.children.is_empty() {
            let message = format!("the index {} lists no image that is known", facts.digest);
            self.gaps.push(
                Part::new(Outcome::Unknown, message)
                    .evidence([facts.digest.to_string()])
                    .remedy("push every image that the index lists"),
            );
        }
        if !facts.children.is_empty() && depth >= MAX_INDEX_DEPTH {
            return self.gap("indexes within indexes are too deep", MAX_INDEX_DEPTH);
        }
        for child in &facts.children {
            match child {
                ChildFacts::Present { facts } => self.walk(facts, names.clone(), depth + 1),
                ChildFacts::Absent { digest, platform } => {
                    let platform = platform.as_deref().unwrap_or("no platform stated");
                    let part = Part::new(
                        Outcome::Unknown,
                        format!("the child {digest} ({platform}) is not in the repository"),
                    );
                    self.gaps.push(
                        part.evidence([digest.to_string()])
                            .remedy("push every image that the index lists"),
                    );
                }
            }
        }
    }

    fn gap(&mut self, what: &str, limit: usize) {
        let part = Part::new(Outcome::Unknown, format!("{what}; the limit is {limit}"))
            .remedy("split the index into smaller ones");
        if !self.gaps.contains(&part) {
            self.gaps.push(part);
        }
    }

    /// Runs a check on every image and adds what could not be looked at.
    fn each(&self, check: impl Fn(&Image<'_>) -> Vec<Part>) -> Vec<Part> {
        let many = self.images.len() > 1 || self.input.artifact.kind == ManifestKind::Index;
        let mut parts = self.gaps.clone();
        for image in &self.images {
            let found = check(image).into_iter().map(|mut part| {
                if many {
                    let platform = image.facts.platform.as_deref().unwrap_or("image");
                    part.message =
                        format!("{platform} {}: {}", short(&image.facts.digest), part.message);
                }
                part
            });
            parts.extend(found);
        }
        parts
    }
}

/// A digest as people read it in a sentence; the whole one stands in the evidence.
pub(crate) fn short(digest: &Digest) -> String {
    let text = digest.to_string();
    text.get(..19).map(str::to_owned).unwrap_or(text)
}

/// What a door does with a rule's outcomes.
struct Plan {
    fail: Action,
    unknown: Action,
}

/// The plan of a rule at a door; none when it is off there.
fn plan(view: &View<'_>, policy: &AppliedPolicy, rule: &Rule) -> Option<Plan> {
    let door = view.input.door;
    let document = &policy.document;
    let (own, general) = (rule.doors.get(door), document.doors.get(door));
    let mode = match own.or(general) {
        Some(setting) => setting.mode,
        None if door == Door::Push => Mode::Off,
        None => Mode::Enforce,
    };
    let begins = own.or(general).and_then(|setting| {
        let after = setting.after_days.map(|days| days.after(policy.in_force_since));
        after.or(setting.from.map(|from| from.0))
    });
    let fail = match mode {
        Mode::Off => return None,
        Mode::Warn => Action::Warn,
        Mode::Enforce if begins.is_some_and(|begins| !view.moments.reached(begins)) => Action::Warn,
        Mode::Enforce => Action::Deny,
    };
    let stated = own
        .and_then(|setting| setting.unknown)
        .or_else(|| general.and_then(|setting| setting.unknown));
    let unknown = stated.map(Action::from).unwrap_or_else(|| default_unknown(view.input));
    Some(Plan { fail, unknown: unknown.min(fail) })
}

/// Law 2: above sandbox, unknown is refused; at the push door it is stored, closed.
fn default_unknown(input: &GateInput) -> Action {
    match (input.subject.tier > Tier::Sandbox, input.door) {
        (false, _) => Action::Warn,
        (true, Door::Push) => Action::Hold,
        (true, _) => Action::Deny,
    }
}

/// Evaluates one rule: at most one reason per outcome.
fn judge(view: &View<'_>, policy: &AppliedPolicy, rule: &Rule) -> Vec<Reason> {
    let Some(plan) = plan(view, policy, rule) else { return Vec::new() };
    let document = &policy.document;
    let parts = match &rule.check {
        Check::Signed(signed) => evidence::signed(view, signed),
        Check::Attestation(attestation) => evidence::attested(view, attestation),
        Check::Findings(check) => view.each(|image| findings::check(view, document, check, image)),
        Check::Contents(check) => view.each(|image| contents::check(view, document, check, image)),
        Check::Advisories(check) => {
            view.each(|image| contents::advisories(view, document, check, image))
        }
        Check::NotQuarantined(_) => vec![quarantine::part(view)],
    };
    let name = format!("{}/{}", policy.scope.as_str(), document.name);
    let promoted = view.input.artifact.promoted_at.is_some()
        && matches!(view.input.door, Door::Pull | Door::Admit);
    combine(parts, promoted)
        .into_iter()
        .map(|part| reason(&name, &rule.name, &plan, part))
        .collect()
}

fn reason(policy: &str, rule: &str, plan: &Plan, part: Part) -> Reason {
    let action = match part.outcome {
        Outcome::Pass | Outcome::NotApplicable => Action::Allow,
        Outcome::Unknown => plan.unknown,
        Outcome::Fail => plan.fail,
    };
    let action = if part.softened { action.min(Action::Warn) } else { action };
    Reason {
        policy: policy.to_owned(),
        rule: rule.to_owned(),
        outcome: part.outcome,
        action,
        message: part.message,
        evidence: part.evidence,
        remedy: part.remedy,
    }
}

/// Brings the parts of one rule together: one for each outcome (and for what promotion softens).
/// Passing parts are told only when nothing else is to be said.
fn combine(parts: Vec<Part>, promoted: bool) -> Vec<Part> {
    let mut groups: Vec<Vec<Part>> = Vec::new();
    for mut part in parts {
        part.softened &= promoted;
        let same = |group: &&mut Vec<Part>| {
            group.first().is_some_and(|first| {
                first.outcome == part.outcome && first.softened == part.softened
            })
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(part),
            None => groups.push(vec![part]),
        }
    }
    let objects = |group: &Vec<Part>| group.first().is_some_and(|p| p.outcome > Outcome::Pass);
    let passes = |group: &Vec<Part>| group.first().is_some_and(|p| p.outcome == Outcome::Pass);
    if groups.iter().any(objects) {
        groups.retain(objects);
    } else if groups.iter().any(passes) {
        groups.retain(passes);
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.first().map(|part| part.outcome)));
    groups.into_iter().filter_map(one).collect()
}

/// One part that says what a group says, shortened where it is long.
fn one(group: Vec<Part>) -> Option<Part> {
    let count = group.len();
    let mut group = group.into_iter();
    let mut whole = group.next()?;
    for (index, part) in group.enumerate() {
        if index + 1 < MAX_NAMED {
            whole.message.push_str("; ");
            whole.message.push_str(&part.message);
        }
        if whole.remedy.is_empty() {
            whole.remedy = part.remedy;
        } else if index + 1 < MAX_NAMED && !whole.remedy.contains(&part.remedy) {
            whole.remedy.push_str("; ");
            whole.remedy.push_str(&part.remedy);
        }
        whole.evidence.extend(part.evidence);
    }
    if count > MAX_NAMED {
        whole.message.push_str(&format!("; and {} more", count - MAX_NAMED));
    }
    whole.evidence.sort();
    whole.evidence.dedup();
    whole.evidence.truncate(MAX_EVIDENCE);
    Some(whole)
}

/// What is stored but not judged stays closed everywhere but at the push door, where it is judged;
/// so does an index that lists it.
fn held(input: &GateInput) -> Option<Reason> {
    if input.door == Door::Push {
        return None;
    }
    let digest = first_held(&input.artifact, 0)?;
    Some(Reason {
        policy: BUILT_IN.to_owned(),
        rule: RULE_NOT_HELD.to_owned(),
        outcome: Outcome::Unknown,
        action: Action::Deny,
        message: format!("{digest} is held: it has not been judged yet"),
        evidence: vec![digest.to_string()],
        remedy: "wait for inspection and matching to end, or add what the push policy asks for"
            .to_owned(),
    })
}

/// The first held digest among an artifact and its children. What is too deep is unknown anyway.
fn first_held(facts: &ArtifactFacts, depth: usize) -> Option<Digest> {
    if facts.held {
        return Some(facts.digest);
    }
    facts.children.iter().filter(|_| depth <= MAX_INDEX_DEPTH).find_map(|child| match child {
        ChildFacts::Present { facts } => first_held(facts, depth + 1),
        ChildFacts::Absent { .. } => None,
    })
}

/// Whether a verdict was refused because of a quarantine. Such content is closed to all but the
/// security role; other refusals leave manifests readable to those who may push (decision D10).
pub fn is_quarantined(verdict: &Verdict) -> bool {
    verdict.reasons.iter().any(|reason| {
        reason.policy == BUILT_IN
            && reason.rule == RULE_NOT_QUARANTINED
            && reason.outcome == Outcome::Fail
    })
}

/// Whether tags of a project may not move: any document says so, or the tier is above integration.
pub fn immutable_tags<'a>(
    tier: Tier,
    documents: impl IntoIterator<Item = &'a PolicyDocument>,
) -> bool {
    tier >= Tier::Release || documents.into_iter().any(|document| document.access.immutable_tags)
}

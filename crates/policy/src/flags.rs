//! Harbor's flags over a project's own document: one truth (decision D18).
//!
//! A flag is read from the rules that stand, whoever wrote them, and set by a rule of its own name:
//! other rules are never touched. What another rule demands cannot be switched off by a flag.

use crate::{
    ApiVersion, Check, DoorSetting, Doors, FindingsRule, Keys, Kind, Mode, OnUnknown,
    PolicyDocument, Rule, SignedRule,
};
use sealock_facts::{Door, Severity};

/// The rule that the flag "content trust" sets: signed by any key that the project lists.
pub const RULE_CONTENT_TRUST: &str = "harbor-content-trust";
/// The rule that the older flag "content trust" sets, which in Harbor asks for a signature by
/// Notation. Here it asks for the same as the other one, in a rule of its own: refused is what has
/// no verified signature.
pub const RULE_NOTATION_TRUST: &str = "harbor-content-trust-notation";
/// The rule that the flag "vulnerability prevention" sets.
pub const RULE_VULNERABILITIES: &str = "harbor-vulnerabilities";
/// The name of a document that only flags made.
const DOCUMENT: &str = "harbor-flags";

/// What the pull door demands, in Harbor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Pulled is only what is signed by a key that the project lists.
    pub content_trust: bool,
    /// The same, as the older flag asks for it.
    pub notation_trust: bool,
    /// Pulled is only what has no finding of this severity or a higher one.
    pub prevent: Option<Severity>,
}

/// A flag that cannot be set as it was asked, because of a rule that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the project's policy demands more by its rule {rule:?}, which the flag {flag} does not \
     change; edit the policy document"
)]
pub struct FlagConflict {
    /// Which flag.
    pub flag: &'static str,
    /// Which rule.
    pub rule: String,
}

/// Whether a rule refuses at the pull door, from now on.
fn enforced(document: &PolicyDocument, rule: &Rule) -> bool {
    let setting = rule.doors.get(Door::Pull).or_else(|| document.doors.get(Door::Pull));
    setting.is_none_or(|setting| {
        setting.mode == Mode::Enforce && setting.after_days.is_none() && setting.from.is_none()
    })
}

/// The rules that refuse what is not signed: those of the older flag, or the others.
fn signing(document: &PolicyDocument, notation: bool) -> impl Iterator<Item = &Rule> {
    let of = move |rule: &&Rule| {
        matches!(rule.check, Check::Signed(_))
            && (rule.name == RULE_NOTATION_TRUST) == notation
            && enforced(document, rule)
    };
    document.rules.iter().filter(of)
}

/// The rules that refuse findings, with their thresholds.
fn finding(document: &PolicyDocument) -> impl Iterator<Item = (&Rule, Severity)> {
    document.rules.iter().filter_map(|rule| match &rule.check {
        Check::Findings(FindingsRule { severity: Some(severity), .. })
            if enforced(document, rule) =>
        {
            Some((rule, *severity))
        }
        _ => None,
    })
}

impl Flags {
    /// The flags as a project's document has them; none without a document.
    pub fn of(document: Option<&PolicyDocument>) -> Self {
        let Some(document) = document else { return Self::default() };
        Self {
            content_trust: signing(document, false).next().is_some(),
            notation_trust: signing(document, true).next().is_some(),
            prevent: finding(document).map(|(_, severity)| severity).min(),
        }
    }

    /// The document with these flags; the same one if it has them already, and none if nothing is
    /// left of one that only flags made.
    pub fn set(
        self,
        document: Option<&PolicyDocument>,
    ) -> Result<Option<PolicyDocument>, FlagConflict> {
        if Self::of(document) == self {
            return Ok(document.cloned());
        }
        let mut made = document.cloned().unwrap_or_else(empty);
        made.rules.retain(|rule| rule.name != RULE_CONTENT_TRUST);
        let foreign = signing(&made, false).next().map(|rule| rule.name.clone());
        match (self.content_trust, foreign) {
            (true, None) => made.rules.push(content_trust(RULE_CONTENT_TRUST)),
            (false, Some(rule)) => {
                return Err(FlagConflict { flag: "enable_content_trust_cosign", rule });
            }
            (true, Some(_)) | (false, None) => {}
        }
        made.rules.retain(|rule| rule.name != RULE_NOTATION_TRUST);
        if self.notation_trust {
            made.rules.push(content_trust(RULE_NOTATION_TRUST));
        }
        made.rules.retain(|rule| rule.name != RULE_VULNERABILITIES);
        let foreign = finding(&made).min_by_key(|(_, severity)| *severity);
        let foreign = foreign.map(|(rule, severity)| (rule.name.clone(), severity));
        match (self.prevent, foreign) {
            (None, Some((rule, _))) => return Err(FlagConflict { flag: "prevent_vul", rule }),
            (Some(wanted), Some((rule, severity))) if severity < wanted => {
                return Err(FlagConflict { flag: "severity", rule });
            }
            (Some(wanted), Some((_, severity))) if severity == wanted => {}
            (Some(wanted), _) => made.rules.push(vulnerabilities(wanted)),
            (None, None) => {}
        }
        let bare = made.name == DOCUMENT && made == empty();
        Ok((!bare).then_some(made))
    }
}

fn empty() -> PolicyDocument {
    PolicyDocument {
        api_version: ApiVersion::V1,
        kind: Kind::Policy,
        name: DOCUMENT.to_owned(),
        description: "What the project's flags in Harbor's API demand".to_owned(),
        doors: Doors::default(),
        access: crate::Access::default(),
        unscannable_artifact_types: Vec::new(),
        allow_empty_contents: false,
        rules: Vec::new(),
    }
}

fn rule(name: &str, description: &str, check: Check) -> Rule {
    Rule {
        name: name.to_owned(),
        description: description.to_owned(),
        // What is not known is not pulled either, in whatever tier.
        doors: Doors {
            pull: Some(DoorSetting { unknown: Some(OnUnknown::Deny), ..Mode::Enforce.into() }),
            ..Doors::default()
        },
        check,
    }
}

fn content_trust(name: &str) -> Rule {
    let check = Check::Signed(SignedRule {
        by: Keys::Any,
        at_least: 1,
        before_compromise: crate::BeforeCompromise::default(),
    });
    let description = match name {
        RULE_NOTATION_TRUST => "Set by Harbor's flag enable_content_trust",
        _ => "Set by Harbor's flag enable_content_trust_cosign",
    };
    rule(name, description, check)
}

fn vulnerabilities(severity: Severity) -> Rule {
    let check = Check::Findings(FindingsRule {
        severity: Some(severity),
        only_fixed: false,
        grace_days: crate::Days::default(),
        known_exploited_grace_days: crate::Days::default(),
        // As in Harbor: a threshold is about what somebody has rated.
        unknown_severity: crate::UnknownSeverity::Ignore,
        scanners: None,
        max_age_days: None,
        minimum_coverage: crate::MinimumCoverage::default(),
        accept_waivers: true,
        after_promotion: crate::AfterPromotion::default(),
    });
    rule(RULE_VULNERABILITIES, "Set by Harbor's flags prevent_vul and severity", check)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn flags(content_trust: bool, prevent: Option<Severity>) -> Flags {
        Flags { content_trust, notation_trust: false, prevent }
    }

    #[test]
    fn flags_make_a_document_and_leave_none() {
        assert_eq!(Flags::of(None), Flags::default());
        assert_eq!(Flags::default().set(None).unwrap(), None);
        for wanted in [
            flags(true, None),
            flags(false, Some(Severity::High)),
            flags(true, Some(Severity::Negligible)),
            Flags { notation_trust: true, ..Flags::default() },
            Flags { notation_trust: true, ..flags(true, Some(Severity::Low)) },
        ] {
            let made = wanted.set(None).unwrap().unwrap();
            assert_eq!(Flags::of(Some(&made)), wanted);
            let text = serde_json::to_string_pretty(&made).unwrap();
            assert_eq!(parse(&text).unwrap(), made, "it is read as it is written");
            assert_eq!(wanted.set(Some(&made)).unwrap().as_ref(), Some(&made));
            let lower = flags(true, Some(Severity::Low)).set(Some(&made)).unwrap().unwrap();
            assert_eq!(Flags::of(Some(&lower)), flags(true, Some(Severity::Low)));
            assert_eq!(Flags::default().set(Some(&lower)).unwrap(), None);
        }
    }

    #[test]
    fn foreign_rules_stay_and_are_seen() {
        let text = "apiVersion: sealock/v1\nkind: Policy\nname: own\nrules:\n\
                    - {name: mine, signed: {by: [ci, rel], atLeast: 2}}\n\
                    - {name: later, doors: {pull: {mode: enforce, afterDays: 9}}, \
                    findings: {severity: low}}\n\
                    - {name: at-the-way-in, doors: {pull: off}, findings: {severity: low}}\n\
                    - {name: bad, findings: {severity: high}}\n";
        let own = parse(text).unwrap();
        assert_eq!(Flags::of(Some(&own)), flags(true, Some(Severity::High)));
        // Stricter is added, and taken away again.
        let more = flags(true, Some(Severity::Medium)).set(Some(&own)).unwrap().unwrap();
        assert_eq!(more.rules.len(), own.rules.len() + 1);
        assert_eq!(more.rules[..own.rules.len()], own.rules);
        assert_eq!(flags(true, Some(Severity::High)).set(Some(&more)).unwrap(), Some(own.clone()));
        // What somebody wrote is not switched off by a flag.
        for (wanted, flag, rule) in [
            (flags(false, Some(Severity::High)), "enable_content_trust_cosign", "mine"),
            (flags(true, None), "prevent_vul", "bad"),
            (flags(true, Some(Severity::Critical)), "severity", "bad"),
        ] {
            let rule = rule.to_owned();
            assert_eq!(wanted.set(Some(&own)), Err(FlagConflict { flag, rule }));
        }
        let warns = parse(&text.replace("name: own\n", "name: own\ndoors: {pull: warn}\n"));
        assert_eq!(Flags::of(Some(&warns.unwrap())), Flags::default());
    }
}

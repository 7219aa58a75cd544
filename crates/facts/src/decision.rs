use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// Where a verdict is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// A client uploads a manifest.
    Push,
    /// A client downloads.
    Pull,
    /// Into a higher tier.
    Promote,
    /// To or from another registry.
    Replicate,
    /// A cluster asks whether it may run.
    Admit,
}

impl Door {
    /// All doors.
    pub const ALL: [Self; 5] =
        [Self::Push, Self::Pull, Self::Promote, Self::Replicate, Self::Admit];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Promote => "promote",
            Self::Replicate => "replicate",
            Self::Admit => "admit",
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Door {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|door| door.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a door"))
    }
}

/// A project's tier, in order of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Proxies of the outside world.
    External,
    /// Short-lived work.
    Sandbox,
    /// Built and integrated.
    Integration,
    /// What may run in production. Bytes enter by promotion only.
    Release,
    /// Copies of releases for elsewhere. Bytes enter by promotion only.
    Mirror,
}

impl Tier {
    /// All tiers, lowest first.
    pub const ALL: [Self; 5] =
        [Self::External, Self::Sandbox, Self::Integration, Self::Release, Self::Mirror];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::Sandbox => "sandbox",
            Self::Integration => "integration",
            Self::Release => "release",
            Self::Mirror => "mirror",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a tier"))
    }
}

/// The four values of a rule (decision D3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The rule does not apply to these bytes.
    NotApplicable,
    /// Satisfied by a verified fact.
    Pass,
    /// Not known. Never a pass.
    Unknown,
    /// Contradicted by a fact.
    Fail,
}

/// What a door does, ordered from mildest to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Go on.
    Allow,
    /// Go on, and say why one might not.
    Warn,
    /// Stored, but closed until it is judged.
    Hold,
    /// Refused.
    Deny,
}

impl Action {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One rule's result, with what a person needs to act on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// Where the rule stands, as `scope/policy name`, such as `tier/release`.
    pub policy: String,
    /// The rule's name in the document.
    pub rule: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// What this rule asks of the door.
    pub action: Action,
    /// Plain words.
    pub message: String,
    /// The evidence, by digest or id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// What would change it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

/// The gate's answer. The worst action of all reasons stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer.
    pub action: Action,
    /// Every rule that was evaluated, in document order.
    pub reasons: Vec<Reason>,
    /// The first moment at which time alone may change the answer (decision D4); none for never.
    pub valid_until: Option<Timestamp>,
}

impl Verdict {
    /// The verdict that reasons make: the worst action stands; no reason means allow.
    pub fn from_reasons(reasons: Vec<Reason>, valid_until: Option<Timestamp>) -> Self {
        let action = reasons.iter().map(|reason| reason.action).max().unwrap_or(Action::Allow);
        Self { action, reasons, valid_until }
    }

    /// Both verdicts together: every reason of both, the worse action, the earlier end.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.action = self.action.max(other.action);
        self.reasons.extend(other.reasons);
        self.valid_until = match (self.valid_until, other.valid_until) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        self
    }

    /// Whether the door opens, with or without a warning.
    pub fn is_open(&self) -> bool {
        self.action <= Action::Warn
    }

    /// The reasons that ask for more than `Allow`, worst first. What several rules say in the same
    /// words, such as the built-in one and a document's about a quarantine, is said once.
    pub fn objections(&self) -> Vec<&Reason> {
        let mut found: Vec<_> =
            self.reasons.iter().filter(|reason| reason.action > Action::Allow).collect();
        found.sort_by_key(|reason| std::cmp::Reverse(reason.action));
        let mut said = BTreeSet::new();
        found.retain(|reason| said.insert(reason.message.as_str()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_rules_say_in_the_same_words_is_said_once_and_worst_first() {
        let reason = |policy: &str, action, message: &str| Reason {
            policy: policy.to_owned(),
            rule: "not-quarantined".to_owned(),
            outcome: Outcome::Fail,
            action,
            message: message.to_owned(),
            evidence: Vec::new(),
            remedy: String::new(),
        };
        let verdict = Verdict::from_reasons(
            vec![
                reason("tier/release", Action::Warn, "banned"),
                reason("floor/built-in", Action::Deny, "banned"),
                reason("floor/floor", Action::Deny, "banned"),
                reason("floor/floor", Action::Deny, "not signed"),
                reason("floor/floor", Action::Allow, "fine"),
            ],
            None,
        );
        let said: Vec<_> =
            verdict.objections().iter().map(|r| (r.policy.as_str(), r.message.as_str())).collect();
        assert_eq!(said, [("floor/built-in", "banned"), ("floor/floor", "not signed")]);
        assert_eq!(verdict.reasons.len(), 5, "the record keeps every one");
    }
}

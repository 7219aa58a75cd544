//! Who may bring bytes in and take them out: the part of policies that asks who calls and how.

use crate::{Access, AppliedPolicy, GateInput, RequestFacts, Scope, Subject, evaluate::BUILT_IN};
use sealock_facts::{Action, Door, Outcome, Reason, Tier, Verdict};

/// The answer of the rules on access alone, for a door that has a stored verdict about the
/// artifact. The two are joined with [`Verdict::and`].
pub fn evaluate_access(
    door: Door,
    subject: &Subject,
    policies: &[AppliedPolicy],
    request: &RequestFacts,
) -> Verdict {
    Verdict::from_reasons(reasons(door, subject, policies, request), None)
}

struct Refusal {
    rule: &'static str,
    message: String,
    remedy: String,
}

impl Refusal {
    fn new(rule: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { rule, message: message.into(), remedy: remedy.into() }
    }

    fn at(self, policy: String) -> Reason {
        Reason {
            policy,
            rule: self.rule.to_owned(),
            outcome: Outcome::Fail,
            action: Action::Deny,
            message: self.message,
            evidence: Vec::new(),
            remedy: self.remedy,
        }
    }
}

pub(crate) fn reasons(
    door: Door,
    subject: &Subject,
    policies: &[AppliedPolicy],
    request: &RequestFacts,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if door == Door::Push
        && let Some(refusal) = promotion_only(subject, policies, request)
    {
        reasons.push(refusal.at(BUILT_IN.to_owned()));
    }
    for policy in policies {
        let access = &policy.document.access;
        let refusals = match door {
            Door::Pull => pull(access, subject, request),
            Door::Push => direct_push(access, subject, request).into_iter().collect(),
            Door::Promote => sources(access, subject, request).into_iter().collect(),
            Door::Replicate | Door::Admit => Vec::new(),
        };
        let name = format!("{}/{}", policy.scope.as_str(), policy.document.name);
        reasons.extend(refusals.into_iter().map(|refusal| refusal.at(name.clone())));
    }
    reasons
}

fn who(request: &RequestFacts) -> &str {
    request.principal.as_deref().unwrap_or("an anonymous caller")
}

fn pull(access: &Access, subject: &Subject, request: &RequestFacts) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if access.pull_by_digest_only && !request.by_digest {
        refusals.push(Refusal::new(
            "pull-by-digest",
            format!("{} is pulled by digest only", subject.repository),
            "name the image as repository@sha256:… instead of by tag",
        ));
    }
    let Some(consumers) = &access.consumers else { return refusals };
    if let Some(principals) = &consumers.principals {
        let name = request.principal.as_deref();
        let listed = name.is_some_and(|name| principals.iter().any(|p| p.matches(name)));
        if !listed {
            refusals.push(Refusal::new(
                "consumers",
                format!("{} is not among the consumers of {}", who(request), subject.project),
                "ask the project's administrator to be listed as a consumer",
            ));
        }
    }
    if let Some(networks) = &consumers.networks {
        let inside =
            request.address.is_some_and(|address| networks.iter().any(|n| n.contains(address)));
        if !inside {
            let address =
                request.address.map_or("an unknown address".to_owned(), |a| a.to_string());
            refusals.push(Refusal::new(
                "consumers",
                format!(
                    "{address} is in none of the networks that may pull from {}",
                    subject.project
                ),
                "pull from a listed network, or ask for yours to be listed",
            ));
        }
    }
    refusals
}

fn is_named(access: &Access, request: &RequestFacts) -> bool {
    let robots = access.direct_push.as_ref().map(|push| push.robots.as_slice()).unwrap_or_default();
    request.robot && request.principal.as_ref().is_some_and(|name| robots.contains(name))
}

const BY_PROMOTION: &str =
    "push to a sandbox or integration project and promote from there with `sealock promote`";

fn direct_push(access: &Access, subject: &Subject, request: &RequestFacts) -> Option<Refusal> {
    let refused = access.direct_push.is_some() && !request.accessory && !is_named(access, request);
    refused.then(|| {
        Refusal::new(
            "direct-push",
            format!("{} may not push to {} directly", who(request), subject.project),
            BY_PROMOTION,
        )
    })
}

/// Bytes enter release and above by promotion only, save by robots that the tier's (or the floor's)
/// document names.
fn promotion_only(
    subject: &Subject,
    policies: &[AppliedPolicy],
    request: &RequestFacts,
) -> Option<Refusal> {
    let named = policies.iter().any(|policy| {
        matches!(policy.scope, Scope::Floor | Scope::Tier)
            && is_named(&policy.document.access, request)
    });
    let refused = subject.tier >= Tier::Release && !request.accessory && !named;
    refused.then(|| {
        Refusal::new(
            "promotion-only",
            format!(
                "{} is in the tier {}: artifacts enter it by promotion, not by push",
                subject.project, subject.tier
            ),
            BY_PROMOTION,
        )
    })
}

fn sources(access: &Access, subject: &Subject, request: &RequestFacts) -> Option<Refusal> {
    let sources = access.sources.as_ref()?;
    let allowed = request.source.as_ref().is_some_and(|source| {
        sources.tiers.contains(&source.tier)
            || sources.projects.iter().any(|pattern| pattern.matches(&source.project))
    });
    (!allowed).then(|| {
        let from = request.source.as_ref().map_or("elsewhere".to_owned(), |source| {
            format!("{} (tier {})", source.project, source.tier)
        });
        Refusal::new(
            "sources",
            format!("nothing is promoted into {} from {from}", subject.project),
            "promote from a listed source, or ask for this one to be listed",
        )
    })
}

/// A cluster's document may ask for a minimum tier.
pub(crate) fn minimum_tier(input: &GateInput) -> Vec<Reason> {
    if input.door != Door::Admit {
        return Vec::new();
    }
    let judge = |policy: &AppliedPolicy| {
        let minimum = policy.document.access.minimum_tier?;
        let name = format!("{}/{}", policy.scope.as_str(), policy.document.name);
        let (project, tier) = (&input.subject.project, input.subject.tier);
        if tier < minimum {
            let refusal = Refusal::new(
                "minimum-tier",
                format!(
                    "{project} is in the tier {tier}; images must come from {minimum} or above"
                ),
                format!("promote the image into a project of the tier {minimum}"),
            );
            return Some(refusal.at(name));
        }
        Some(Reason {
            policy: name,
            rule: "minimum-tier".to_owned(),
            outcome: Outcome::Pass,
            action: Action::Allow,
            message: format!("{project} is in the tier {tier}, at or above {minimum}"),
            evidence: Vec::new(),
            remedy: String::new(),
        })
    };
    input.policies.iter().filter_map(judge).collect()
}

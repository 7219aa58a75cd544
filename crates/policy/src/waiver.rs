//! Which waiver excuses a finding (decision D20).

use crate::{
    Pattern,
    evaluate::{Image, View},
};
use sealock_facts::{Finding, Tier, Waiver, WaiverScope, WaiverState};
use sealock_oci::Digest;

/// The waiver that excuses a finding for the longest time, if any does.
pub(crate) fn excuse<'a>(
    view: &View<'a>,
    image: &Image<'_>,
    finding: &Finding,
) -> Option<&'a Waiver> {
    let subject = &view.input.subject;
    let strict = subject.tier > Tier::Sandbox;
    let best = view
        .input
        .waivers
        .iter()
        .filter(|waiver| is_granted(waiver, strict))
        .filter(|waiver| covers(&waiver.scope, &subject.repository, &image.names, finding))
        .max_by_key(|waiver| (waiver.expires_at, std::cmp::Reverse(waiver.id)))?;
    (!view.moments.reached(best.expires_at)).then_some(best)
}

/// Granted, and above sandbox by another person than the one who asked.
fn is_granted(waiver: &Waiver, strict: bool) -> bool {
    let by_another =
        waiver.decided_by.as_ref().is_some_and(|granter| *granter != waiver.requested_by);
    waiver.state == WaiverState::Granted && (by_another || !strict)
}

/// Whether a waiver's scope holds a finding on an artifact in a repository. All given parts must
/// match.
pub fn covers(
    scope: &WaiverScope,
    repository: &str,
    digests: &[Digest],
    finding: &Finding,
) -> bool {
    // The cheapest question first: most waivers name another vulnerability.
    finding.ids().any(|id| id.eq_ignore_ascii_case(&scope.vulnerability))
        && scope.digest.is_none_or(|digest| digests.contains(&digest))
        && scope.component.as_deref().is_none_or(|purl| purl_covers(purl, &finding.purl))
        && scope.repository.as_deref().is_none_or(|pattern| {
            Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(repository))
        })
}

/// The parts of a purl: type to name, version, qualifiers.
fn split(purl: &str) -> (&str, Option<&str>, Vec<&str>) {
    let purl = purl.split('#').next().unwrap_or_default();
    let (head, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
    // A version follows the last `@` of the name's part; the `@` of an npm scope is written %40.
    let cut = head.rfind('@').filter(|at| head.rfind('/').is_none_or(|slash| slash < *at));
    let (base, version) = match cut {
        Some(at) => (&head[..at], head.get(at + 1..)),
        None => (head, None),
    };
    (base, version, qualifiers.split('&').filter(|part| !part.is_empty()).collect())
}

/// Whether the purl of a waiver names that of a component: the same package, the same version if it
/// states one, and every qualifier that it states.
fn purl_covers(waiver: &str, component: &str) -> bool {
    let (base, version, qualifiers) = split(waiver);
    let (own_base, own_version, own_qualifiers) = split(component);
    !base.is_empty()
        && base == own_base
        && version.is_none_or(|version| own_version == Some(version))
        && qualifiers.iter().all(|qualifier| own_qualifiers.contains(qualifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purls() {
        let component = "pkg:deb/debian/openssl@3.0.11-1?arch=amd64&distro=debian-12";
        for good in [
            component,
            "pkg:deb/debian/openssl",
            "pkg:deb/debian/openssl@3.0.11-1",
            "pkg:deb/debian/openssl?arch=amd64",
        ] {
            assert!(purl_covers(good, component), "{good}");
        }
        for bad in [
            "",
            "pkg:deb/debian/openss",
            "pkg:deb/debian/openssl@3.0.11-2",
            "pkg:deb/debian/openssl?arch=arm64",
            "pkg:deb/ubuntu/openssl",
            "pkg:deb/debian",
        ] {
            assert!(!purl_covers(bad, component), "{bad}");
        }
        assert!(purl_covers("pkg:npm/%40a/b", "pkg:npm/%40a/b@1.0.0"));
    }
}

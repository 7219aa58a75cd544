//! Contents, findings, impact, evidence and the gate's records, on both engines.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use jiff::SignedDuration;
use sealock_facts::{
    Action, Door, EvidenceFormat, EvidenceState, QuarantineTarget, RejectReason, Severity,
    SignatureFact, Tier, Verdict, WaiverScope, WaiverState,
};
use sealock_metadata::{
    Tx, both_engines, components,
    contents::{self, LayerContents},
    decisions,
    evidence::{self, Evidence},
    findings::{self, FindingsCursor, FindingsFilter},
    impact, manifests,
    projects::{self, Visible},
    promotions, quarantines, settings,
    testing::TestDatabase,
    verdicts,
    waivers::{self, Decided},
};
use support::*;

const SNAPSHOT: &str = "sha256:one";

/// Gives a manifest contents with these components; the number of the contents.
async fn inspect(tx: &mut Tx, manifest: &manifests::Manifest, parts: &[(&str, &str)]) -> i64 {
    let components: Vec<_> = parts.iter().map(|(name, version)| component(name, version)).collect();
    let chain = manifest.chain.unwrap();
    let (id, _) = contents::put_image(tx, &chain, "1", b"{}", true, &components).await.unwrap();
    let waiting = manifests::waiting_for_chain(tx, &chain).await.unwrap();
    let changed = manifests::set_contents(tx, &chain, id).await.unwrap();
    assert_eq!(waiting, changed);
    manifests::bump_facts_rev(tx, &changed).await.unwrap();
    id
}

async fn openssl(tx: &mut Tx, contents_id: i64) -> i64 {
    let all = components::of_contents(tx, &[contents_id]).await.unwrap();
    all.iter().find(|placed| placed.component.name == "openssl").unwrap().component.id
}

fn verdict(action: Action) -> Verdict {
    Verdict { action, reasons: Vec::new(), valid_until: None }
}

fn signature(state: EvidenceState, at: &str) -> SignatureFact {
    SignatureFact {
        subject: digest("m"),
        accessory: digest("sig"),
        position: 0,
        format: EvidenceFormat::CosignLegacy,
        status: state,
        first_seen: at.parse().unwrap(),
    }
}

both_engines!(
    contents_are_stored_once_for_the_same_bytes,
    hostile_components_are_stored_all_the_same,
    findings_change_only_what_changed,
    impact_names_every_image_that_the_caller_may_read,
    evidence_is_one_repositorys_own_and_verified_facts_stay,
    a_waiver_takes_two_persons,
    a_quarantine_touches_what_it_should,
    a_stored_verdict_holds_only_while_everything_does,
    decisions_keep_their_input_and_promotions_their_decision,
);

async fn contents_are_stored_once_for_the_same_bytes(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let (a, b) =
        (repository(&mut tx, &project, "a").await, repository(&mut tx, &project, "b").await);
    let layer = LayerContents {
        digest: digest("l"),
        inspector: "1".into(),
        contents: vec![1, 2, 3],
        complete: true,
    };
    assert!(contents::put_layer(&mut tx, &layer).await.unwrap());
    assert!(!contents::put_layer(&mut tx, &layer).await.unwrap());
    let wanted = [digest("l"), digest("k")];
    assert_eq!(contents::layers(&mut tx, &wanted, "1").await.unwrap(), [layer]);
    assert_eq!(contents::layers_known(&mut tx, &wanted, "1").await.unwrap(), [digest("l")]);
    assert!(contents::layers_known(&mut tx, &wanted, "2").await.unwrap().is_empty());

    let parts = || Parts { layers: &["l"], ..Parts::default() };
    let one = push(&mut tx, &a, "m", parts()).await;
    let two = push(&mut tx, &b, "m", parts()).await;
    assert_eq!(manifests::without_contents(&mut tx, "1", 0, 9).await.unwrap().len(), 2);
    let id =
        inspect(&mut tx, &one, &[("openssl", "3.0.1"), ("zlib", "1.2"), ("zlib", "1.2")]).await;
    assert_eq!(facts_rev(&mut tx, &two).await, 2);
    assert!(manifests::without_contents(&mut tx, "1", 0, 9).await.unwrap().is_empty());
    assert_eq!(manifests::without_contents(&mut tx, "2", one.id, 9).await.unwrap().len(), 1);
    let again = contents::put_image(&mut tx, &one.chain.unwrap(), "1", b"x", true, &[]).await;
    assert_eq!(again.unwrap(), (id, false));
    let stored = contents::images(&mut tx, &[id]).await.unwrap();
    assert_eq!((stored[0].contents.as_slice(), stored[0].components), (&b"{}"[..], 3));
    assert_eq!(components::of_contents(&mut tx, &[id]).await.unwrap().len(), 3);
    assert_eq!(components::unmatched(&mut tx, &[id], 100).await.unwrap().len(), 2, "distinct ones");
    assert_eq!(components::unmatched(&mut tx, &[id], 1).await.unwrap().len(), 1);
    assert_eq!(components::waiting(&mut tx, 0, 1).await.unwrap().len(), 1);
    let found = components::by_purl_name(&mut tx, "pkg:deb/debian/zlib", 0, 9).await.unwrap();
    assert_eq!((found.len(), found[0].version.as_str()), (1, "1.2"));
    assert_eq!(found[0].match_key.as_ref().unwrap().ecosystem, "Debian:12");
}

async fn hostile_components_are_stored_all_the_same(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "a").await;
    let image = push(&mut tx, &here, "m", Parts { layers: &["l"], ..Parts::default() }).await;
    let long = "é".repeat(20_000);
    let id = inspect(&mut tx, &image, &[(&long, "1"), ("nul\0name", "1"), ("", "")]).await;
    let stored = components::of_contents(&mut tx, &[id]).await.unwrap();
    assert_eq!(stored.len(), 3);
    assert_eq!(stored[0].component.name, long);
    let name = contents::purl_name(&stored[0].component.purl).to_owned();
    assert_eq!(components::by_purl_name(&mut tx, &name, 0, 9).await.unwrap().len(), 1);
    let finding = finding(&long, &["\0"], Severity::Low);
    let results = [(stored[0].component.id, vec![finding])];
    findings::store(&mut tx, "sealock", SNAPSHOT, &results).await.unwrap();
    let page =
        impact::by_vulnerability(&mut tx, &Visible::All, &long, impact::Cursor::default(), 9)
            .await
            .unwrap();
    assert_eq!(page.len(), 1);
}

async fn findings_change_only_what_changed(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "a").await;
    let image = push(&mut tx, &here, "m", Parts { layers: &["l"], ..Parts::default() }).await;
    let index = push(&mut tx, &here, "i", Parts { children: &["m"], ..Parts::default() }).await;
    let other = push(&mut tx, &here, "n", Parts { layers: &["k"], ..Parts::default() }).await;
    let id = inspect(&mut tx, &image, &[("openssl", "3.0.1"), ("zlib", "1.2")]).await;
    inspect(&mut tx, &other, &[("zlib", "1.2")]).await;
    let openssl = openssl(&mut tx, id).await;
    let state = components::match_state(&mut tx, &[id]).await.unwrap()[0];
    assert_eq!((state.unmatched, state.pending, state.oldest), (2, 0, None));

    let cve = finding("CVE-2025-1", &["GHSA-x"], Severity::High);
    let one = [(openssl, vec![cve.clone(), finding("CVE-2025-2", &[], Severity::Low)])];
    let changed = findings::store(&mut tx, "sealock", SNAPSHOT, &one).await.unwrap();
    assert_eq!((changed.components.as_slice(), changed.added.len()), (&[openssl][..], 2));
    let before = [facts_rev(&mut tx, &image).await, facts_rev(&mut tx, &index).await];
    assert_eq!(findings::bump_holders(&mut tx, &changed.components).await.unwrap(), 2);
    let after = [facts_rev(&mut tx, &image).await, facts_rev(&mut tx, &index).await];
    assert_eq!(after, before.map(|rev| rev + 1));
    assert_eq!(facts_rev(&mut tx, &other).await, 2);
    let state = components::match_state(&mut tx, &[id]).await.unwrap()[0];
    assert_eq!((state.unmatched, state.pending), (1, 0));

    // The same again: nothing changed. A match without findings is a change only the first time.
    let same = findings::store(&mut tx, "sealock", "sha256:two", &one).await.unwrap();
    assert_eq!(same, findings::Changed::default());
    let rest = components::unmatched(&mut tx, &[id], 100).await.unwrap();
    let none = [(rest[0].id, vec![])];
    assert_eq!(
        findings::store(&mut tx, "sealock", SNAPSHOT, &none).await.unwrap().components,
        [rest[0].id]
    );
    assert_eq!(
        findings::store(&mut tx, "sealock", SNAPSHOT, &none).await.unwrap(),
        findings::Changed::default()
    );

    // A snapshot touches the package: its findings stay until it is matched again.
    let touched = [("Debian:12".to_owned(), "openssl".to_owned()), ("PyPI".into(), "zlib".into())];
    assert_eq!(components::unmatch(&mut tx, &touched).await.unwrap(), 1);
    let state = components::match_state(&mut tx, &[id]).await.unwrap()[0];
    assert_eq!((state.unmatched, state.pending), (0, 1));
    assert_eq!(findings::of_contents(&mut tx, &[id]).await.unwrap().len(), 2);
    assert_eq!(components::unmatched(&mut tx, &[id], 100).await.unwrap()[0].id, openssl);
    let mut worse = cve.clone();
    worse.severity = Severity::Critical;
    worse.aliases = vec!["GHSA-y".into()];
    let two = [(openssl, vec![worse.clone(), finding("CVE-2025-3", &[], Severity::Medium)])];
    let changed = findings::store(&mut tx, "sealock", "sha256:two", &two).await.unwrap();
    assert_eq!(changed.components, [openssl]);
    assert_eq!(changed.added.len(), 1, "a changed one is not new");
    let all = FindingsFilter::default();
    let start = FindingsCursor::default();
    let page = findings::page(&mut tx, &[image.id], all, &start, 1).await.unwrap();
    assert_eq!(page[0].1.finding, worse);
    let next = findings::page(&mut tx, &[image.id], all, &page[0].0, 9).await.unwrap();
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].1.finding.vulnerability, "CVE-2025-3");
    let critical = FindingsFilter { severity: Some(Severity::Critical), ..all };
    let found = findings::page(&mut tx, &[image.id], critical, &start, 9).await.unwrap();
    assert_eq!(found, page);
    let fixable = |wanted| FindingsFilter { fixable: Some(wanted), ..all };
    for (filter, count) in [(fixable(true), 2), (fixable(false), 0)] {
        let found = findings::page(&mut tx, &[image.id], filter, &start, 9).await.unwrap();
        assert_eq!(found.len(), count);
    }
    let counts = findings::count(&mut tx, &[image.id, image.id]).await.unwrap();
    assert_eq!(counts, [(Severity::Medium, 1), (Severity::Critical, 1)].into());
    assert!(findings::page(&mut tx, &[], all, &start, 9).await.unwrap().is_empty());
    let all = |id: &'static str| (id, impact::Cursor::default());
    for (name, count) in [("CVE-2025-2", 0), ("GHSA-x", 0), ("ghsa-Y", 1), ("cve-2025-1", 1)] {
        let (name, from) = all(name);
        let rows = impact::by_vulnerability(&mut tx, &Visible::All, name, from, 9).await.unwrap();
        assert_eq!(rows.len(), count, "{name}");
    }
}

async fn impact_names_every_image_that_the_caller_may_read(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let a = project(&mut tx, "a", Tier::Sandbox).await;
    let b = project(&mut tx, "b", Tier::Release).await;
    let (here, there) = (repository(&mut tx, &a, "x").await, repository(&mut tx, &b, "y").await);
    let parts = |tag| Parts { layers: &["l"], tag, ..Parts::default() };
    let one = push(&mut tx, &here, "m", parts(Some("v1"))).await;
    push(&mut tx, &here, "i", Parts { children: &["m"], tag: Some("multi"), ..Parts::default() })
        .await;
    push(&mut tx, &here, "o", Parts { children: &["i"], tag: Some("outer"), ..Parts::default() })
        .await;
    push(&mut tx, &there, "m", parts(Some("stable"))).await;
    let id = inspect(&mut tx, &one, &[("openssl", "3.0.1"), ("libssl", "3.0.1")]).await;
    let openssl = openssl(&mut tx, id).await;
    let results = [(openssl, vec![finding("CVE-2025-1", &["GHSA-x"], Severity::High)])];
    findings::store(&mut tx, "sealock", SNAPSHOT, &results).await.unwrap();
    let start = impact::Cursor::default();
    let first = impact::by_vulnerability(&mut tx, &Visible::All, "GHSA-x", start, 1).await.unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].tags, ["multi", "outer", "v1"], "of every index above it");
    assert_eq!((first[0].project.as_str(), first[0].tier), ("a", Tier::Sandbox));
    assert_eq!(first[0].finding.as_ref().unwrap().fixed_version.as_deref(), Some("3.0.2"));
    let rest = impact::by_vulnerability(&mut tx, &Visible::All, "GHSA-x", first[0].cursor, 9)
        .await
        .unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!((rest[0].repository.as_str(), rest[0].tags.len()), ("b/y", 1));
    let only = Visible::Only(vec![b.id]);
    let mine = impact::by_vulnerability(&mut tx, &only, "CVE-2025-1", start, 9).await.unwrap();
    assert_eq!(mine, rest);
    let nothing = Visible::Only(vec![]);
    assert!(
        impact::by_vulnerability(&mut tx, &nothing, "CVE-2025-1", start, 9)
            .await
            .unwrap()
            .is_empty()
    );
    let held = impact::by_components(&mut tx, &only, &[openssl], start, 9).await.unwrap();
    assert_eq!((held.len(), held[0].purl.as_str()), (1, "pkg:deb/debian/openssl@3.0.1?arch=amd64"));
    let after = impact::by_components(&mut tx, &only, &[openssl], held[0].cursor, 9).await.unwrap();
    assert!(after.is_empty());
}

async fn evidence_is_one_repositorys_own_and_verified_facts_stay(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "app", Tier::Sandbox).await;
    let (here, there) =
        (repository(&mut tx, &project, "a").await, repository(&mut tx, &project, "b").await);
    let rejected =
        EvidenceState::Rejected { reason: RejectReason::NoKeyMatches, detail: String::new() };
    let verified = EvidenceState::Verified { key: "k".into() };
    let wrap =
        |fact: &SignatureFact| Evidence { signatures: vec![fact.clone()], ..Evidence::default() };
    let first = signature(rejected.clone(), "2026-01-01T00:00:00Z");
    assert_eq!(evidence::put(&mut tx, here.id, &wrap(&first)).await.unwrap(), 1);
    assert_eq!(evidence::put(&mut tx, here.id, &wrap(&first)).await.unwrap(), 0);
    let waiting = evidence::rejected(&mut tx, project.id, (0, ""), 9).await.unwrap();
    assert_eq!(waiting, [(here.id, digest("sig"))]);
    let later = signature(verified.clone(), "2026-02-01T00:00:00Z");
    assert_eq!(evidence::put(&mut tx, here.id, &wrap(&later)).await.unwrap(), 1);
    let known = evidence::of_subjects(&mut tx, here.id, &[digest("m")]).await.unwrap();
    let mut want = later.clone();
    want.first_seen = first.first_seen;
    assert_eq!(known, wrap(&want), "verified, and first seen when it was first seen");
    assert_eq!(evidence::put(&mut tx, here.id, &wrap(&first)).await.unwrap(), 0, "it stays");
    assert_eq!(evidence::of_accessory(&mut tx, here.id, &digest("sig")).await.unwrap(), known);
    assert!(evidence::of_subjects(&mut tx, there.id, &[digest("m")]).await.unwrap().is_empty());
    assert!(evidence::rejected(&mut tx, project.id, (0, ""), 9).await.unwrap().is_empty());
    let many = Evidence {
        signatures: (0..1_001)
            .map(|position| SignatureFact { position, ..later.clone() })
            .collect(),
        ..Evidence::default()
    };
    assert_eq!(evidence::put(&mut tx, there.id, &many).await.unwrap(), 1_001);
    let twice = Evidence { signatures: vec![later.clone(), first], ..Evidence::default() };
    let third = repository(&mut tx, &project, "c").await;
    assert_eq!(evidence::put(&mut tx, third.id, &twice).await.unwrap(), 1);
    let kept = evidence::of_subjects(&mut tx, third.id, &[digest("m")]).await.unwrap();
    assert_eq!(kept.signatures[0].status, verified);
    // It goes with its subject.
    push(&mut tx, &here, "m", Parts::default()).await;
    manifests::delete(&mut tx, here.id, &digest("m"), false).await.unwrap().unwrap();
    assert!(evidence::of_subjects(&mut tx, here.id, &[digest("m")]).await.unwrap().is_empty());
}

async fn a_waiver_takes_two_persons(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let (a, b) =
        (project(&mut tx, "a", Tier::Sandbox).await, project(&mut tx, "b", Tier::Sandbox).await);
    let scope = WaiverScope { vulnerability: "CVE-2025-1".into(), ..WaiverScope::default() };
    let end = tx.now() + SignedDuration::from_hours(24);
    let row = waivers::request(&mut tx, a.id, &scope, "why", (1, "ann"), end).await.unwrap();
    let id = row.waiver.id;
    let (ann, bob) = ((1, "ann"), (2, "bob"));
    let grant = WaiverState::Granted;
    assert_eq!(
        waivers::decide(&mut tx, a.id, id, grant, ann, "").await.unwrap(),
        Decided::SamePerson
    );
    assert_eq!(
        waivers::decide(&mut tx, b.id, id, grant, bob, "").await.unwrap(),
        Decided::NotFound
    );
    let revoke = waivers::decide(&mut tx, a.id, id, WaiverState::Revoked, bob, "").await.unwrap();
    assert_eq!(revoke, Decided::State(WaiverState::Requested));
    assert!(waivers::in_force(&mut tx, a.id).await.unwrap().is_empty());
    assert_eq!(projects::get(&mut tx, a.id).await.unwrap().unwrap().policy_rev, a.policy_rev);
    let granted = waivers::decide(&mut tx, a.id, id, grant, bob, "ok").await.unwrap();
    assert!(
        matches!(granted, Decided::Done(row) if row.waiver.decided_by.as_deref() == Some("bob"))
    );
    assert_eq!(projects::get(&mut tx, a.id).await.unwrap().unwrap().policy_rev, a.policy_rev + 1);
    assert_eq!(waivers::in_force(&mut tx, a.id).await.unwrap()[0].scope, scope);
    assert!(waivers::in_force(&mut tx, b.id).await.unwrap().is_empty());
    assert!(waivers::get(&mut tx, b.id, id).await.unwrap().is_none());
    let only = Visible::Only(vec![a.id]);
    assert_eq!(waivers::list(&mut tx, &only, Some(grant), None, 9).await.unwrap().len(), 1);
    assert!(waivers::list(&mut tx, &only, None, Some(id), 9).await.unwrap().is_empty());
    t.clock.advance(SignedDuration::from_hours(24));
    assert!(waivers::in_force(&mut tx, a.id).await.unwrap().is_empty(), "it has ended");
    let late = waivers::request(&mut tx, a.id, &scope, "why", ann, end).await.unwrap().waiver.id;
    assert_eq!(
        waivers::decide(&mut tx, a.id, late, grant, bob, "").await.unwrap(),
        Decided::Expired
    );
    let refused =
        waivers::decide(&mut tx, a.id, late, WaiverState::Refused, bob, "").await.unwrap();
    assert!(matches!(refused, Decided::Done(_)));
    let again = waivers::decide(&mut tx, a.id, late, grant, bob, "").await.unwrap();
    assert_eq!(again, Decided::State(WaiverState::Refused));
}

async fn a_quarantine_touches_what_it_should(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "a", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let image = push(&mut tx, &here, "m", Parts { layers: &["l"], ..Parts::default() }).await;
    let index =
        push(&mut tx, &here, "i", Parts { children: &["m", "absent"], ..Parts::default() }).await;
    let clean = push(&mut tx, &here, "n", Parts { layers: &["k"], ..Parts::default() }).await;
    let rev = settings::system_rev(&mut tx).await.unwrap();
    for (name, target, image_hit, index_hit) in [
        ("l", QuarantineTarget::Blob, true, true),
        ("l", QuarantineTarget::Manifest, false, false),
        ("m", QuarantineTarget::Manifest, true, true),
        ("m", QuarantineTarget::Blob, false, false),
        ("i", QuarantineTarget::Manifest, false, true),
        ("absent", QuarantineTarget::Manifest, false, true),
    ] {
        let name = digest(name);
        assert!(quarantines::add(&mut tx, &name, target, "bad", "sec").await.unwrap());
        assert!(!quarantines::add(&mut tx, &name, target, "bad", "sec").await.unwrap());
        for (manifest, hit) in [(&image, image_hit), (&index, index_hit), (&clean, false)] {
            let found = quarantines::touching(&mut tx, here.id, &[manifest.id]).await.unwrap();
            assert_eq!(!found.is_empty(), hit, "{name} {target:?} {:?}", manifest.annotations);
            assert!(
                quarantines::touching(&mut tx, here.id + 1, &[manifest.id])
                    .await
                    .unwrap()
                    .is_empty()
            );
        }
        assert_eq!(quarantines::in_force(&mut tx, &[name]).await.unwrap().len(), 1);
        assert!(quarantines::lift(&mut tx, &name, target, "sec").await.unwrap());
        assert!(!quarantines::lift(&mut tx, &name, target, "sec").await.unwrap());
        assert!(
            quarantines::touching(&mut tx, here.id, &[image.id, index.id])
                .await
                .unwrap()
                .is_empty()
        );
    }
    assert_eq!(settings::system_rev(&mut tx).await.unwrap(), rev + 12);
    assert!(quarantines::list(&mut tx, false, None, 9).await.unwrap().is_empty());
    assert_eq!(quarantines::list(&mut tx, true, None, 9).await.unwrap().len(), 6);
}

async fn a_stored_verdict_holds_only_while_everything_does(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let project = project(&mut tx, "a", Tier::Sandbox).await;
    let here = repository(&mut tx, &project, "x").await;
    let image = push(&mut tx, &here, "m", Parts { layers: &["l"], ..Parts::default() }).await;
    let pull = Door::Pull;
    macro_rules! fresh {
        () => {{
            let found = verdicts::fresh(&mut tx, here.id, image.id, pull, "").await.unwrap();
            let name = here.name.parse().unwrap();
            let by_name = verdicts::fresh_by_name(&mut tx, &name, &image.digest, pull, "").await;
            let by_name = by_name.unwrap().map(|(project, stored)| {
                assert_eq!(project.id, here.project_id);
                stored
            });
            assert_eq!(by_name, found, "both ask the same");
            found
        }};
    }
    macro_rules! store {
        ($verdict:expr) => {{
            let revisions = verdicts::revisions(&mut tx, here.id, image.id).await.unwrap().unwrap();
            let (verdict, input_digest) = ($verdict, digest("in"));
            let until = verdict.valid_until;
            let stored = verdicts::StoredVerdict { verdict, input_digest, revisions, until };
            verdicts::put(&mut tx, image.id, (pull, ""), &stored).await.unwrap();
        }};
    }
    assert_eq!(fresh!(), None);
    store!(verdict(Action::Deny));
    assert_eq!(fresh!().unwrap().verdict, verdict(Action::Deny));
    assert_eq!(verdicts::fresh(&mut tx, here.id, image.id, Door::Admit, "").await.unwrap(), None);
    assert_eq!(verdicts::fresh(&mut tx, here.id, image.id, pull, "c").await.unwrap(), None);
    assert_eq!(verdicts::fresh(&mut tx, here.id + 1, image.id, pull, "").await.unwrap(), None);
    assert!(verdicts::revisions(&mut tx, here.id + 1, image.id).await.unwrap().is_none());
    manifests::bump_facts_rev(&mut tx, &[image.id]).await.unwrap();
    assert_eq!(fresh!(), None, "facts");
    store!(verdict(Action::Allow));
    assert_eq!(fresh!().unwrap().verdict.action, Action::Allow);
    projects::bump_policy_rev(&mut tx, project.id).await.unwrap();
    assert_eq!(fresh!(), None, "policy");
    store!(verdict(Action::Allow));
    settings::bump_system_rev(&mut tx).await.unwrap();
    assert_eq!(fresh!(), None, "system");
    let mut soon = verdict(Action::Allow);
    soon.valid_until = Some(tx.now() + SignedDuration::from_secs(10));
    store!(soon);
    t.clock.advance(SignedDuration::from_millis(9_999));
    assert!(fresh!().is_some());
    t.clock.advance(SignedDuration::from_millis(1));
    assert_eq!(fresh!(), None, "time");
    // Clocks of replicas lie a little apart; one that ran ahead is set back.
    store!(verdict(Action::Allow));
    t.clock.advance(SignedDuration::from_secs(-60));
    assert!(fresh!().is_some());
    t.clock.advance(SignedDuration::from_secs(-1));
    assert_eq!(fresh!(), None, "made later than now");
    let policy = projects::lock_policy_rev(&mut tx, project.id).await.unwrap();
    assert_eq!(policy, Some(project.policy_rev + 1));
    let facts = manifests::lock_facts_rev(&mut tx, here.id, image.id).await.unwrap();
    assert_eq!(facts, Some(2));
    assert_eq!(
        settings::lock_system_rev(&mut tx).await.unwrap(),
        settings::system_rev(&mut tx).await.unwrap()
    );
}

async fn decisions_keep_their_input_and_promotions_their_decision(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let (a, b) =
        (project(&mut tx, "a", Tier::Sandbox).await, project(&mut tx, "b", Tier::Release).await);
    let (deny, subject, input) = (verdict(Action::Deny), digest("m"), digest("{}"));
    let mut new = decisions::NewDecision {
        door: Door::Promote,
        project_id: Some(a.id),
        repository: "a/x",
        digest: &subject,
        verdict: &deny,
        input_digest: &input,
        input: Some(b"{}"),
        actor: "ann",
        address: "127.0.0.1",
        context: "b/x",
        at: None,
    };
    let first = decisions::record(&mut tx, &new).await.unwrap();
    new.input = None;
    new.door = Door::Admit;
    new.project_id = None;
    let second = decisions::record(&mut tx, &new).await.unwrap();
    let (found, document) = decisions::get(&mut tx, &Visible::All, first).await.unwrap().unwrap();
    assert_eq!((found.verdict, document.as_slice()), (deny.clone(), &b"{}"[..]));
    let (only_a, only_b) = (Visible::Only(vec![a.id]), Visible::Only(vec![b.id]));
    assert!(decisions::get(&mut tx, &only_a, first).await.unwrap().is_some());
    assert!(decisions::get(&mut tx, &only_b, first).await.unwrap().is_none());
    assert!(decisions::get(&mut tx, &only_a, second).await.unwrap().is_none());
    let mut filter = decisions::Filter {
        visible: Visible::All,
        digest: Some(subject),
        door: None,
        project_id: None,
    };
    let all = decisions::list(&mut tx, &filter, None, 9).await.unwrap();
    assert_eq!(all.iter().map(|d| d.id).collect::<Vec<_>>(), [second, first]);
    filter.door = Some(Door::Admit);
    filter.digest = None;
    assert_eq!(decisions::list(&mut tx, &filter, None, 9).await.unwrap().len(), 1);
    assert!(decisions::list(&mut tx, &filter, Some(second), 9).await.unwrap().is_empty());

    let promotion = promotions::NewPromotion {
        digest: &subject,
        source: (a.id, "a/x"),
        target: (b.id, "b/x"),
        target_tag: Some("v1"),
        decision_id: first,
        summary: None,
        left_behind: &[digest("sig")],
        actor: "ann",
    };
    promotions::record(&mut tx, &promotion).await.unwrap();
    let listed = promotions::list(&mut tx, &only_b, Some(&subject), None, 9).await.unwrap();
    assert_eq!((listed.len(), listed[0].left_behind.as_slice()), (1, &[digest("sig")][..]));
    assert!(promotions::list(&mut tx, &only_a, None, None, 9).await.unwrap().is_empty());
    assert!(promotions::into_project(&mut tx, b.id, &subject).await.unwrap().is_some());
    assert!(promotions::into_project(&mut tx, a.id, &subject).await.unwrap().is_none());
    tx.commit().await.unwrap();
    let mut tx = t.db.write().await.unwrap();
    let missing = digest("never stored");
    new.input_digest = &missing;
    assert!(decisions::record(&mut tx, &new).await.is_err(), "no decision without its input");
}

//! The vocabulary of trust: component, finding, signature, attestation, waiver, verdict, reason.
//!
//! No I/O. Every type here can stand in a decision's canonical input document, so all of them
//! serialise the same way each time (ordered maps, no floats that are computed twice).

mod contents;
mod decision;
mod evidence;
mod finding;

pub use contents::{
    Completeness, Component, ComponentKind, Distro, ImageContents, MatchKey, PartialReason,
};
pub use decision::{Action, Door, Outcome, Reason, Tier, Verdict};
pub use evidence::{
    AttestationFact, EvidenceFormat, EvidenceState, KeyId, Quarantine, QuarantineTarget,
    RejectReason, SignatureFact, Waiver, WaiverScope, WaiverState,
};
pub use finding::{
    AdvisorySnapshot, Coverage, EcosystemCoverage, Finding, FixState, Kev, Severity, SeveritySource,
};

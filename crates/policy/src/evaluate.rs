use crate::GateInput;
use sealock_facts::{Action, Verdict};

/// Name of the implicit rule that closes every door to quarantined digests.
pub const RULE_NOT_QUARANTINED: &str = "not-quarantined";
/// Name of the implicit rule that closes every door but push to what is stored but not yet judged.
pub const RULE_NOT_HELD: &str = "not-held";

/// The gate: facts, policies, a door and a moment give a verdict. Pure and total: equal inputs give
/// equal verdicts, and nothing panics.
pub fn evaluate(_input: &GateInput) -> Verdict {
    Verdict { action: Action::Allow, reasons: Vec::new(), valid_until: None }
}

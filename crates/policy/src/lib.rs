//! Policy documents and the pure function that turns facts into a verdict.
//!
//! [`parse`] reads a document (YAML or JSON) and names the line of what is wrong with it.
//! [`GateInput`] is the canonical input of one decision, and [`evaluate`] its answer: no clock, no
//! I/O, no state.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access;
mod contents;
mod defaults;
mod document;
mod error;
mod evaluate;
mod evidence;
mod findings;
mod flags;
mod fuzz;
mod input;
mod locate;
mod parse;
mod quarantine;
mod schema;
mod time;
mod values;
mod waiver;

pub use access::evaluate_access;
pub use defaults::{default_floor, default_text, default_tier};
pub use document::{
    Access, AdvisoriesRule, AfterPromotion, ApiVersion, AttestationRule, BeforeCompromise, Check,
    Consumers, ContentsRule, DirectPush, Doors, FindingsRule, Kind, MinimumCoverage, Mode,
    NotQuarantinedRule, OnUnknown, PolicyDocument, Rule, SignedRule, Sources, UnknownSeverity,
};
pub use error::PolicyError;
pub use evaluate::{
    BUILT_IN, MAX_IMAGES, MAX_INDEX_DEPTH, RULE_NOT_HELD, RULE_NOT_QUARANTINED, evaluate,
    immutable_tags, is_quarantined,
};
pub use flags::{
    FlagConflict, Flags, RULE_CONTENT_TRUST, RULE_NOTATION_TRUST, RULE_VULNERABILITIES,
};
pub use fuzz::{fuzz_gate_input, fuzz_policy};
pub use input::{
    AppliedPolicy, ArtifactFacts, ChildFacts, ContentsFact, Covering, FORMAT_VERSION, GateInput,
    KnownContents, ListedKey, MAX_INPUT_BYTES, RequestFacts, Scan, Scope, Subject,
};
pub use parse::{MAX_POLICY_BYTES, MAX_RULES, parse};
pub use schema::json_schema;
pub use values::{Days, DoorSetting, Keys, MAX_DAYS, MAX_LIST, Moment, NetworkText, Pattern};
pub use waiver::covers as waiver_covers;

use sealock_facts::Door;

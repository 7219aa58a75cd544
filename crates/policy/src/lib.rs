//! Policy documents and the pure function that turns facts into a verdict.
//!
//! [`parse`] reads a document (YAML or JSON) and names the line of what is wrong with it. [`GateInput`]
//! is the canonical input of one decision, and [`evaluate`] its answer: no clock, no I/O, no state.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod document;
mod error;
mod evaluate;
mod input;
mod parse;
mod schema;
mod values;

pub use document::{
    Access, AdvisoriesRule, AfterPromotion, ApiVersion, AttestationRule, BeforeCompromise, Check,
    Consumers, ContentsRule, DirectPush, Doors, FindingsRule, Kind, MinimumCoverage, Mode,
    NotQuarantinedRule, OnUnknown, PolicyDocument, Rule, SignedRule, Sources, UnknownSeverity,
};
pub use error::PolicyError;
pub use evaluate::{RULE_NOT_HELD, RULE_NOT_QUARANTINED, evaluate};
pub use input::{
    AppliedPolicy, ArtifactFacts, ChildFacts, ContentsFact, Covering, FORMAT_VERSION, GateInput,
    KnownContents, ListedKey, MAX_INPUT_BYTES, RequestFacts, Scan, Scope, Subject,
};
pub use parse::{MAX_POLICY_BYTES, parse};
pub use schema::json_schema;
pub use values::{Days, DoorSetting, Keys, MAX_DAYS, MAX_LIST, Moment, NetworkText, Pattern};

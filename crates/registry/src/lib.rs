//! What the product does with an artifact: push, pull, tag, delete, promote, attest.
//!
//! [`Registry`] brings the floors below together; one file for each thing that it does. Every call
//! takes the [`sealock_auth::Caller`] and checks rights itself: a face only parses and
//! authenticates. A push goes this way: `uploads` (stream, hash, write, with an inspector riding
//! along) -> `push` (judge, one transaction) -> jobs: `contents` (merge, match) and `verify`
//! (accessories) -> `gate`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access;
mod accounts;
mod admission;
mod admission_log;
mod advisories;
mod allowlists;
mod artifacts;
mod asking;
mod audit;
mod background;
mod body;
mod clusters;
mod configuration;
mod contents;
mod decisions;
mod delete;
mod error;
mod evidence;
mod examiners;
mod facts;
mod flights;
mod gate;
pub mod harbor;
mod harbor_flags;
mod immutability;
mod impact;
mod incoming;
mod inspect;
mod jobs;
mod limits;
mod listing;
mod logins;
mod members;
mod names;
mod open_uploads;
mod pace;
mod page;
mod personal_tokens;
mod policies;
mod precondition;
mod product_keys;
mod project_keys;
mod projects;
mod promote;
mod promotion_plan;
mod pull;
mod push;
mod quarantine;
mod quotas;
mod refusals;
mod registry;
mod renaming;
mod ride;
mod robots;
mod sessions;
mod settle;
mod shown;
mod standing;
mod summary;
mod twins;
mod upkeep;
mod uploads;
mod users;
mod verdicts;
mod verify;
mod waivers;
mod webhooks;

pub use admission::{Admission, AdmissionAsk, Pinned};
pub use advisories::{AdvisoryImport, AdvisoryStatus};
pub use allowlists::{
    AllowlistChange, CveAllowlist, MAX_ALLOWLIST_ITEMS, MAX_CVE_BYTES, MAX_LIST_DAYS,
};
pub use artifacts::{
    Artifact, ArtifactFinding, ArtifactSummary, ContentsSummary, DoorVerdict, FindingQuery,
};
pub use asking::AskingCluster;
pub use audit::AuditQuery;
pub use body::Body;
#[doc(hidden)]
pub use clusters::fuzz_certificate;
pub use clusters::{Cluster, ClusterChange, NamespaceRule, NewCluster};
pub use configuration::Configuration;
pub use contents::MAX_CONFIG_BYTES;
pub use decisions::{Decision, DecisionQuery, Replay, replay_document};
pub use error::{Error, Kind, Refusal, Result};
pub use evidence::{EvidenceDocument, ScanSummary, Signer, SourcedProvenance};
pub use examiners::Examiner;
pub use immutability::{ImmutableRule, MAX_IMMUTABLE_RULES, MAX_SELECTORS, Selector};
pub use impact::{AffectedImage, ImpactQuery};
pub use incoming::ManifestRows;
pub use inspect::Fact;
pub use jiff::Timestamp;
pub use jobs::{
    CONTENTS as CONTENTS_JOB, queue_contents_of as queue_contents, queue_judge_of as queue_judge,
};
pub use listing::{REFERRERS_PIECE, TagsShown, is_accessory_tag};
pub use logins::Account;
pub use members::Member;
pub use open_uploads::{MAX_UNENDED_UPLOADS, UNENDED_UPLOADS_PER_SECOND};
pub use page::{DEFAULT_PAGE_ITEMS, MAX_PAGE_ITEMS, Page, PageRequest};
pub use personal_tokens::{
    DEFAULT_TOKEN_DAYS, MAX_TOKEN_DAYS, MAX_TOKEN_PROJECTS, MAX_TOKENS, NewPersonalToken,
    PersonalToken,
};
pub use policies::{PolicyTarget, PolicyText};
pub use precondition::{Expected, Precondition};
pub use product_keys::{KEY_PURPOSES, ProductKeys, key_opens};
pub use project_keys::{MAX_PROJECT_KEYS, ProjectKey};
pub use projects::{NewProject, Project, RepositorySummary};
pub use promote::{Promotion, PromotionTarget, RecordedPromotion};
pub use pull::{BlobInfo, PulledManifest};
pub use push::{MAX_INDEX_DEPTH, MAX_TAGS, ManifestPush, PushedManifest};
pub use quarantine::{DeletedFrom, Eradication, Seen};
pub use quotas::{MIN_UNNAMED_BYTES, QUOTA_WARNING_PERCENT, Quota, UNLIMITED};
pub use registry::{Config, DOOR_WAIT, Registry};
pub use robots::{MAX_ROBOT_DAYS, NewRobot, Robot};
pub use sealock_blobs::BlobReader;
pub use sealock_metadata::audit::Event as AuditEvent;
pub use sealock_metadata::listing::{Listed, MAX_ROWS, MAX_TERMS, Term, Wanted};
pub use sessions::Session;
pub use upkeep::UPLOAD_REST;
pub use uploads::{ChunkRange, MAX_BLOB_BYTES, MAX_OPEN_UPLOADS, PushedBlob, UploadStatus};
pub use users::{NewUser, RenamedUser, User, UserChange};
pub use waivers::{MAX_WAIVER_DAYS, WaiverRequest, WaiverStep};
pub use webhooks::{WebhookOptions, webhook_configurations};

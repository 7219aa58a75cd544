use sealock_facts::{Action, Outcome, Severity, Verdict};
use sealock_oci::{Digest, DigestError, ErrorCode, ManifestError, NameError};
use std::{collections::BTreeSet, fmt};

/// What went wrong, in the words that a face needs to choose a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed or contradicts itself.
    Invalid,
    /// Nobody is logged in and the thing asked for is not public.
    Unauthenticated,
    /// Logged in, but without the right.
    Forbidden,
    /// It does not exist, or it exists where the caller may not look: the same answer.
    NotFound,
    /// It exists already, or changed meanwhile.
    Conflict,
    /// Well formed, but what it says cannot be used (a policy document with an error).
    Unprocessable,
    /// Larger than a named limit.
    TooLarge,
    /// A chunk does not begin where the upload stands.
    Range,
    /// What the caller expected to find is not what is there (`If-Match`, `If-None-Match`).
    Precondition,
    /// The gate refuses; the verdict says why.
    Policy,
    /// Understood, and not offered here.
    Unsupported,
    /// The caller has too many of something open.
    TooMany,
    /// The server is short of something; try again later.
    Busy,
    /// No space is left on the server.
    Full,
    /// The server failed. The log says why, the caller only that it happened.
    Internal,
}

/// An error with two messages: one for the caller, one for the log.
///
/// `Display` is the caller's message. The log's message is in [`Error::log`].
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    code: ErrorCode,
    message: String,
    log: Option<String>,
    refusal: Option<Refusal>,
    offset: Option<u64>,
    upload_lost: bool,
    over_quota: bool,
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the gate refused, and where the record of it stands.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The digest that was judged.
    pub digest: Digest,
    /// The verdict with every reason.
    pub verdict: Verdict,
    /// Number of the recorded decision, for replay.
    pub decision: Option<i64>,
    /// The severity at which Harbor's flag stops, where it does.
    pub threshold: Option<Severity>,
}

impl Error {
    /// An error with a caller's message.
    pub fn new(kind: Kind, code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            code,
            message: message.into(),
            log: None,
            refusal: None,
            offset: None,
            upload_lost: false,
            over_quota: false,
        }))
    }

    /// A failure of the server: `log` is for the log only.
    pub fn internal(log: impl fmt::Display) -> Self {
        let mut error = Self::new(
            Kind::Internal,
            ErrorCode::Unknown,
            "the registry could not complete the request; its log has the cause",
        );
        error.0.log = Some(log.to_string());
        error
    }

    /// The request is malformed.
    pub fn invalid(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, code, message)
    }

    /// There is no such thing for this caller.
    pub fn not_found(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, code, message)
    }

    /// The caller lacks a right.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, ErrorCode::Denied, message)
    }

    /// It exists already or changed meanwhile.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, ErrorCode::Denied, message)
    }

    /// Nobody is logged in.
    pub fn unauthenticated() -> Self {
        Self::new(
            Kind::Unauthenticated,
            ErrorCode::Unauthorized,
            "authentication is required; log in with a user or a robot account",
        )
    }

    /// A chunk does not begin where the upload stands.
    pub(crate) fn range(offset: u64) -> Self {
        let mut error = Self::new(
            Kind::Range,
            ErrorCode::BlobUploadInvalid,
            format!("the chunk is out of order; the upload stands at byte {offset}"),
        );
        error.0.offset = Some(offset);
        error
    }

    /// The gate refuses.
    pub fn refused(refusal: Refusal) -> Self {
        let mut error = Self::new(
            Kind::Policy,
            ErrorCode::ProjectPolicyViolation,
            format!("{}{}", harbor_words(&refusal), refusal_message(&refusal.verdict)),
        );
        error.0.refusal = Some(refusal);
        error
    }

    /// Adds a message for the log.
    #[must_use]
    pub fn with_log(mut self, log: impl fmt::Display) -> Self {
        self.0.log = Some(log.to_string());
        self
    }

    /// Marks that the upload at hand cannot go on.
    pub(crate) fn losing_upload(mut self) -> Self {
        self.0.upload_lost = true;
        self
    }

    /// Marks that a project has no room for it.
    pub(crate) fn over_quota(mut self) -> Self {
        self.0.over_quota = true;
        self
    }

    /// Whether a project has no room for it.
    pub(crate) fn is_over_quota(&self) -> bool {
        self.0.over_quota
    }

    /// Whether the upload at hand cannot go on.
    pub(crate) fn upload_is_lost(&self) -> bool {
        self.0.upload_lost
    }

    /// What kind of error it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// What to tell the caller.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to tell the log, if there is more to say.
    pub fn log(&self) -> Option<&str> {
        self.0.log.as_deref()
    }

    /// The gate's refusal, for [`Kind::Policy`].
    pub fn refusal(&self) -> Option<&Refusal> {
        self.0.refusal.as_ref()
    }

    /// Where the upload stands, in bytes, for [`Kind::Range`].
    pub fn upload_offset(&self) -> Option<u64> {
        self.0.offset
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

/// What Harbor says where one of its flags refuses, for the clients that match it.
fn harbor_words(refusal: &Refusal) -> String {
    let refusing = |rule: &str| {
        let objections = refusal.verdict.objections().into_iter();
        objections
            .filter(|reason| reason.action > Action::Warn && reason.rule == rule)
            .collect::<Vec<_>>()
    };
    let mut words = String::new();
    for (rule, signer) in [
        (sealock_policy::RULE_CONTENT_TRUST, "cosign"),
        (sealock_policy::RULE_NOTATION_TRUST, "notation"),
    ] {
        if !refusing(rule).is_empty() {
            words.push_str(&format!("The image is not signed by {signer}. "));
        }
    }
    let findings = refusing(sealock_policy::RULE_VULNERABILITIES);
    if !findings.is_empty() {
        let failed = findings.iter().filter(|reason| reason.outcome == Outcome::Fail);
        let named: BTreeSet<&String> = failed.flat_map(|reason| &reason.evidence).collect();
        let with = match named.len() {
            0 => "without vulnerability scanning".to_owned(),
            1 => "with 1 vulnerability".to_owned(),
            count => format!("with {count} vulnerabilities"),
        };
        let threshold = match refusal.threshold {
            None | Some(Severity::Unknown | Severity::Negligible) => "None",
            Some(Severity::Low) => "Low",
            Some(Severity::Medium) => "Medium",
            Some(Severity::High) => "High",
            Some(Severity::Critical) => "Critical",
        };
        words.push_str(&format!(
            "current image {with} cannot be pulled due to configured policy in 'Prevent images \
             with vulnerability severity of \"{threshold}\" or higher from running.' "
        ));
    }
    words
}

/// One sentence per objection that refuses, with what would change it; apart from these, and
/// shorter, what only warns: a caller need not clear it.
fn refusal_message(verdict: &Verdict) -> String {
    /// Most reasons spelled out in a message; the rest are counted.
    const SPELLED_OUT: usize = 8;
    let (refusing, warning): (Vec<_>, Vec<_>) =
        verdict.objections().into_iter().partition(|reason| reason.action > Action::Warn);
    let mut parts: Vec<String> = refusing
        .iter()
        .take(SPELLED_OUT)
        .map(|reason| {
            let mut text = format!("[{}/{}] {}", reason.policy, reason.rule, reason.message);
            if !reason.remedy.is_empty() {
                text.push_str(" (");
                text.push_str(&reason.remedy);
                text.push(')');
            }
            text
        })
        .collect();
    if refusing.len() > SPELLED_OUT {
        parts.push(format!("and {} more", refusing.len() - SPELLED_OUT));
    }
    if parts.is_empty() {
        return "refused by policy".to_owned();
    }
    let mut text = format!("refused by policy: {}", parts.join("; "));
    if !warning.is_empty() {
        let rules: Vec<_> =
            warning.iter().map(|reason| format!("{}/{}", reason.policy, reason.rule)).collect();
        text.push_str(&format!(". Warned of, which refuses nothing: {}", rules.join(", ")));
    }
    text
}

impl From<DigestError> for Error {
    fn from(error: DigestError) -> Self {
        Self::invalid(ErrorCode::DigestInvalid, error.to_string())
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::invalid(ErrorCode::NameInvalid, error.to_string())
    }
}

impl From<ManifestError> for Error {
    fn from(error: ManifestError) -> Self {
        let kind = match error {
            ManifestError::TooLarge => Kind::TooLarge,
            _ => Kind::Invalid,
        };
        Self::new(kind, ErrorCode::ManifestInvalid, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealock_facts::Reason;

    #[test]
    fn a_refusal_says_why_and_what_to_do() {
        let reason = |action, rule: &str| Reason {
            policy: "tier/release".into(),
            rule: rule.into(),
            outcome: Outcome::Fail,
            action,
            message: "no signature by a listed key".into(),
            evidence: Vec::new(),
            remedy: "sign it".into(),
        };
        let verdict = Verdict {
            action: Action::Deny,
            reasons: vec![
                reason(Action::Allow, "a"),
                Reason { message: "old data".into(), ..reason(Action::Warn, "fresh") },
                reason(Action::Deny, "signed"),
            ],
            valid_until: None,
        };
        let digest = Digest::sha256(b"");
        let refusal = Refusal { digest, verdict, decision: Some(7), threshold: None };
        let error = Error::refused(refusal);
        assert_eq!(
            error.to_string(),
            "refused by policy: [tier/release/signed] no signature by a listed key (sign it). \
             Warned of, which refuses nothing: tier/release/fresh"
        );
        assert_eq!(error.code(), ErrorCode::ProjectPolicyViolation);
    }

    #[test]
    fn the_cause_of_a_failure_stays_in_the_log() {
        let error = Error::internal("disk /var is on fire");
        assert!(!error.to_string().contains("fire"));
        assert_eq!(error.log(), Some("disk /var is on fire"));
    }
}

use serde::Serialize;

/// Error codes of the distribution specification ("Error Codes"), and the one that Harbor adds for
/// policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum ErrorCode {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    Unauthorized,
    Denied,
    Unsupported,
    #[serde(rename = "TOOMANYREQUESTS")]
    TooManyRequests,
    /// Harbor's code for a refusal by policy; always HTTP 412.
    #[serde(rename = "PROJECTPOLICYVIOLATION")]
    ProjectPolicyViolation,
    /// Harbor's code for what a rule of the project forbids; always HTTP 412.
    Precondition,
    /// Harbor's code for an artifact that cannot go because an index lists it; always HTTP 412.
    ViolateForeignKeyConstraint,
    /// A failure of the server itself; details stand in its log only.
    Unknown,
}

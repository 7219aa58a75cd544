//! Advisory data: what there is, imports, updates.

use crate::{
    face::{Face, Known, Query, Sent, bad},
    schema,
};
use axum::{Json, body::Body, extract::State};
use http::StatusCode;
use http_body_util::BodyExt as _;
use sealock_advisories::{
    AdvisoryError, CoverageStatement, Download, FILE_ENDINGS, ImportMode, ImportRequest,
};
use sealock_auth::Caller;
use sealock_facts::{AdvisorySnapshot, Coverage};
use sealock_http::{HttpError, Result};
use sealock_oci::ErrorCode;
use sealock_registry::{AdvisoryImport, AdvisoryStatus};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use utoipa::{IntoParams, ToSchema};

/// Largest file of advisories that is uploaded, in bytes.
pub const MAX_ADVISORY_UPLOAD_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// The form of a body when the request names none.
const DEFAULT_FORM: &str = "jsonl";
/// Most ecosystems of one update.
const MAX_ECOSYSTEMS: usize = 100;

/// What advisory data there is: coverage and date per ecosystem, sources.
#[utoipa::path(get, path = "/advisories", tag = "advisories",
    responses((status = 200, body = schema::AdvisoryStatus)))]
pub(crate) async fn status(
    State(face): State<Face>,
    Known(caller): Known,
) -> Result<Json<AdvisoryStatus>> {
    Ok(Json(face.registry.advisory_status(&caller).await?))
}

/// What is imported, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportQuery {
    /// Name of the source, `a-z0-9._-`; importing it again replaces what it held.
    source: String,
    /// Form of the body: `jsonl` (when absent), `ndjson`, `json`, each also with `.zst`, or `zip`.
    format: Option<String>,
    /// `replace` (when absent) or `add`.
    mode: Option<String>,
    /// How much of its ecosystems the source holds: `partial` (when absent) or `full`.
    coverage: Option<String>,
    /// Accept data that shrinks an ecosystem by more than a tenth.
    #[serde(default)]
    force: bool,
}

/// The report of an import, with what it led to.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    report: sealock_advisories::ImportReport,
    /// The snapshot in force now.
    snapshot: AdvisorySnapshot,
    /// Components that were matched again.
    rematched: u64,
    /// Findings that were not there before.
    new_findings: u64,
}

impl From<AdvisoryImport> for Report {
    fn from(import: AdvisoryImport) -> Self {
        let AdvisoryImport { snapshot, report, rematched, new_findings } = import;
        Self { report, snapshot, rematched, new_findings }
    }
}

/// Imports a file of OSV records or of CISA's KEV catalogue, which is the request's body. For
/// system administrators and security officers.
#[utoipa::path(post, path = "/advisories/import", tag = "advisories", params(ImportQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = schema::ImportReport), (status = 409, body = schema::Errors)))]
pub(crate) async fn import(
    State(face): State<Face>,
    Known(caller): Known,
    Query(query): Query<ImportQuery>,
    body: Body,
) -> Result<Json<Report>> {
    require_operator(&caller)?;
    let form = query.format.as_deref().unwrap_or(DEFAULT_FORM);
    if !FILE_ENDINGS.contains(&form) {
        return Err(bad(format!("format is one of {}", FILE_ENDINGS.join(", "))));
    }
    let mode = match query.mode.as_deref() {
        None | Some("replace") => ImportMode::Replace,
        Some("add") => ImportMode::Add,
        Some(_) => return Err(bad("mode is replace or add")),
    };
    let default = match query.coverage.as_deref() {
        None | Some("partial") => Coverage::Partial,
        Some("full") => Coverage::Full,
        Some(_) => return Err(bad("coverage is partial or full")),
    };
    let file = receive(body, form).await?;
    let request = ImportRequest {
        source: query.source,
        paths: vec![file.path().to_owned()],
        mode,
        coverage: CoverageStatement { default, ..CoverageStatement::default() },
        force: query.force,
        ..ImportRequest::default()
    };
    Ok(Json(face.registry.import_advisories(&caller, request).await?.into()))
}

/// An update from an address in osv.dev's layout, or from one file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    /// The address; the server fetches it.
    url: String,
    /// Ecosystems, such as `PyPI`, `npm`, `Debian`, `Alpine`.
    #[serde(default)]
    ecosystems: Vec<String>,
    /// Name of the source; `osv` when absent.
    source: Option<String>,
    /// Accept data that shrinks an ecosystem by more than a tenth.
    #[serde(default)]
    force: bool,
}

/// Fetches advisories, if they have changed since the last time, and puts them in force. For system
/// administrators and security officers.
#[utoipa::path(post, path = "/advisories/update", tag = "advisories", request_body = Update,
    responses((status = 200, body = schema::ImportReport), (status = 409, body = schema::Errors)))]
pub(crate) async fn update(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(sent): Sent<Update>,
) -> Result<Json<Report>> {
    require_operator(&caller)?;
    if sent.ecosystems.len() > MAX_ECOSYSTEMS {
        return Err(bad(format!("at most {MAX_ECOSYSTEMS} ecosystems at a time")));
    }
    // Whole archives of the ecosystems that were asked for.
    let named = sent.ecosystems.iter().map(|name| (name.clone(), Coverage::Full)).collect();
    let download = Download {
        url: sent.url,
        ecosystems: sent.ecosystems,
        egress: face.egress.clone(),
        ..Download::default()
    };
    let request = ImportRequest {
        source: sent.source.unwrap_or_else(|| "osv".to_owned()),
        coverage: CoverageStatement { named, ..CoverageStatement::default() },
        force: sent.force,
        ..ImportRequest::default()
    };
    Ok(Json(face.registry.update_advisories(&caller, &download, request).await?.into()))
}

/// Refuses others before their upload is received; the registry decides again.
fn require_operator(caller: &Caller) -> Result<()> {
    if caller.principal.is_sysadmin() || caller.principal.is_security_officer() {
        return Ok(());
    }
    Err(sealock_registry::Error::forbidden(
        "only a system administrator or a security officer imports advisories",
    )
    .into())
}

/// A full disk is the operator's to mend, and the client's to know.
fn no_room(source: std::io::Error) -> HttpError {
    let path = std::env::temp_dir();
    sealock_registry::Error::from(AdvisoryError::File { path, source }).into()
}

/// Writes the body to a file of its own, which goes when it is dropped.
async fn receive(mut body: Body, form: &str) -> Result<tempfile::NamedTempFile> {
    let file = tempfile::Builder::new()
        .prefix("sealock-advisories-")
        .suffix(&format!(".{form}"))
        .tempfile()
        .map_err(HttpError::internal)?;
    let handle = file.as_file().try_clone().map_err(HttpError::internal)?;
    let mut writer = tokio::io::BufWriter::new(tokio::fs::File::from_std(handle));
    let mut received: u64 = 0;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| bad("the upload broke off before its end").with_log(error))?;
        let Ok(bytes) = frame.into_data() else { continue };
        received += bytes.len() as u64;
        if received > MAX_ADVISORY_UPLOAD_BYTES {
            return Err(HttpError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                ErrorCode::SizeInvalid,
                format!("a file of advisories has at most {MAX_ADVISORY_UPLOAD_BYTES} bytes"),
            ));
        }
        writer.write_all(&bytes).await.map_err(no_room)?;
    }
    writer.flush().await.map_err(no_room)?;
    Ok(file)
}

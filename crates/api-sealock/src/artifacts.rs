//! Artifacts as people look at them: what they are, hold and prove, and what each door says.

use crate::{
    face::{Asking, Face, ImageQuery, List, Paging, Query, bad, image, list},
    schema,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use sealock_facts::{
    AdvisorySnapshot, AttestationFact, Completeness, Coverage, Severity, SignatureFact,
};
use sealock_http::{HttpError, Result};
use sealock_oci::{Digest, RepositoryName};
use sealock_registry::{
    Artifact, ArtifactFinding, ArtifactSummary, ContentsSummary, DoorVerdict, EvidenceDocument,
    FindingQuery, Page,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::IntoParams;

/// Which artifacts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Artifacts {
    /// Full name of the repository.
    repository: String,
    /// The cursor of the page before.
    after: Option<String>,
    /// Most items, 1 to 1,000; 100 when absent.
    limit: Option<u32>,
}

/// Artifacts of a repository, accessories included.
#[utoipa::path(get, path = "/artifacts", tag = "artifacts", params(Artifacts),
    responses((status = 200, body = List<schema::ArtifactSummary>)))]
pub(crate) async fn artifacts(
    State(face): State<Face>,
    Asking(caller): Asking,
    Query(query): Query<Artifacts>,
) -> Result<Json<List<ArtifactSummary>>> {
    let page = Paging::new(query.after, query.limit).request()?;
    let name: RepositoryName = query
        .repository
        .parse()
        .map_err(|error| bad(format!("{:?}: {error}", query.repository)))?;
    Ok(list(face.registry.artifacts(&caller, &name, &page).await?))
}

/// An artifact with what is known about it.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    repository: RepositoryName,
    #[serde(flatten)]
    summary: ArtifactSummary,
    facts: Facts,
}

/// What is known about an artifact.
#[derive(Debug, Serialize)]
struct Facts {
    contents: Contents,
    /// Each image of it.
    images: Vec<ContentsSummary>,
    findings: BTreeMap<Severity, u64>,
    /// How much is known about each ecosystem that its components are of.
    coverage: BTreeMap<String, Coverage>,
    /// Components that are not matched, because no ecosystem is known for them.
    unmatched: u64,
    advisories: Option<AdvisorySnapshot>,
    signatures: Vec<SignatureFact>,
    attestations: Vec<AttestationFact>,
}

/// The contents of all images of an artifact together.
#[derive(Debug, Serialize)]
struct Contents {
    state: &'static str,
    components: u64,
    distributions: BTreeSet<String>,
    kinds: BTreeMap<String, u64>,
    /// What is not known, in plain words: "no finding" and "no data" are never the same.
    remarks: Vec<String>,
}

impl Contents {
    fn of(images: &[ContentsSummary]) -> Self {
        let mut contents = Self {
            state: "known",
            components: 0,
            distributions: BTreeSet::new(),
            kinds: BTreeMap::new(),
            remarks: Vec::new(),
        };
        for image in images {
            contents.add(image);
        }
        if images.is_empty() {
            contents.state = "pending";
        } else if images.iter().all(|image| image.state == "not_runnable") {
            contents.state = "not_runnable";
        } else if images.iter().any(|image| image.state == "pending") {
            contents.state = "pending";
        } else if !contents.remarks.is_empty() {
            contents.state = "partial";
        }
        contents
    }

    fn add(&mut self, image: &ContentsSummary) {
        self.components += image.components;
        for (kind, count) in &image.kinds {
            *self.kinds.entry(kind.clone()).or_insert(0) += count;
        }
        if let Some(distro) = &image.distro {
            let name = distro.pretty_name.clone();
            let name = name.unwrap_or_else(|| format!("{} {}", distro.id, distro.version_id));
            self.distributions.insert(name.trim().to_owned());
        }
        let which = image.platform.clone().unwrap_or_else(|| image.digest.to_string());
        if image.state == "pending" {
            self.remarks.push(format!("{which}: the contents are not known yet"));
        }
        if let Some(Completeness::Partial { reasons }) = &image.completeness {
            let reasons = reasons.iter().map(|reason| {
                format!("{which}: not read whole: {}: {}", reason.code, reason.detail)
            });
            self.remarks.extend(reasons);
        }
    }
}

impl From<Artifact> for Detail {
    fn from(artifact: Artifact) -> Self {
        let Artifact { repository, summary, contents, findings, .. } = artifact;
        let known = |ecosystem: &String| {
            let snapshot = artifact.advisories.as_ref();
            let of = snapshot.and_then(|snapshot| snapshot.ecosystems.get(ecosystem));
            (ecosystem.clone(), of.map_or(Coverage::None, |of| of.coverage))
        };
        let facts = Facts {
            contents: Contents::of(&contents),
            coverage: contents.iter().flat_map(|image| &image.ecosystems).map(known).collect(),
            unmatched: contents.iter().map(|image| image.unmatched).sum(),
            images: contents,
            findings,
            advisories: artifact.advisories,
            signatures: artifact.signatures,
            attestations: artifact.attestations,
        };
        Self { repository, summary, facts }
    }
}

/// One artifact: what it is, holds and proves.
#[utoipa::path(get, path = "/artifact", tag = "artifacts", params(ImageQuery),
    responses((status = 200, body = schema::Artifact)))]
pub(crate) async fn artifact(
    State(face): State<Face>,
    Asking(caller): Asking,
    Query(query): Query<ImageQuery>,
) -> Result<Json<Detail>> {
    let (name, reference) = image(&face.registry, &caller, &query.image).await?;
    Ok(Json(face.registry.artifact(&caller, &name, &reference).await?.into()))
}

/// Which findings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Findings {
    /// The image, `project/repository[:tag][@digest]`; `:latest` when neither is given.
    image: String,
    /// Of this severity and above.
    #[param(value_type = Option<schema::Severity>)]
    severity: Option<Severity>,
    /// With a fixed version (`true`), or without one (`false`).
    fixable: Option<bool>,
    /// The cursor of the page before.
    after: Option<String>,
    /// Most items, 1 to 1,000; 100 when absent.
    limit: Option<u32>,
}

/// A finding with where it lies.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    #[serde(flatten)]
    finding: ArtifactFinding,
    known_exploited: bool,
}

/// Findings of an artifact with path and layer; of an index, those of its children.
#[utoipa::path(get, path = "/artifact/findings", tag = "artifacts", params(Findings),
    responses((status = 200, body = List<schema::Finding>)))]
pub(crate) async fn findings(
    State(face): State<Face>,
    Asking(caller): Asking,
    Query(query): Query<Findings>,
) -> Result<Json<List<Found>>> {
    let page = Paging::new(query.after, query.limit).request()?;
    let (name, reference) = image(&face.registry, &caller, &query.image).await?;
    let wanted = FindingQuery { severity: query.severity, fixable: query.fixable };
    let found = face.registry.artifact_findings(&caller, &name, &reference, wanted, &page).await?;
    Ok(list(found.map(|finding| {
        let known_exploited = finding.finding.kev.is_some();
        Found { finding, known_exploited }
    })))
}

/// Which image of an artifact.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SbomQuery {
    /// The image, `project/repository[:tag][@digest]`; `:latest` when neither is given.
    image: String,
    /// Which image of an index, such as `linux/arm64`.
    platform: Option<String>,
}

/// The bill of materials, CycloneDX 1.6.
#[utoipa::path(get, path = "/artifact/sbom", tag = "artifacts", params(SbomQuery),
    responses((status = 200, body = Object, content_type = "application/vnd.cyclonedx+json")))]
pub(crate) async fn sbom(
    State(face): State<Face>,
    Asking(caller): Asking,
    Query(query): Query<SbomQuery>,
) -> Result<Response> {
    let (name, reference) = image(&face.registry, &caller, &query.image).await?;
    let platform = query.platform.as_deref();
    let sbom = face.registry.artifact_sbom(&caller, &name, &reference, platform).await?;
    let text = serde_json::to_vec(&sbom).map_err(HttpError::internal)?;
    let kind = "application/vnd.cyclonedx+json; version=1.6";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Which verdicts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Verdicts {
    /// The image, `project/repository[:tag][@digest]`; `:latest` when neither is given.
    image: String,
    /// One door; all when absent.
    #[param(value_type = Option<schema::Door>)]
    door: Option<sealock_facts::Door>,
}

/// What each door says about an artifact where it stands, with every reason and what would change
/// it.
#[utoipa::path(get, path = "/artifact/verdicts", tag = "artifacts", params(Verdicts),
    responses((status = 200, body = List<schema::DoorVerdict>)))]
pub(crate) async fn verdicts(
    State(face): State<Face>,
    Asking(caller): Asking,
    Query(query): Query<Verdicts>,
) -> Result<Json<List<DoorVerdict>>> {
    let (name, reference) = image(&face.registry, &caller, &query.image).await?;
    let items = face.registry.artifact_verdicts(&caller, &name, &reference, query.door).await?;
    Ok(list(Page { items, next: None }))
}

/// The evidence of an artifact in one document: source and pipeline where a verified attestation
/// gives them, contents, findings, signers, waivers, promotions, decisions, events.
#[utoipa::path(get, path = "/artifact/evidence", tag = "artifacts", params(ImageQuery),
    responses((status = 200, body = Object)))]
pub(crate) async fn evidence(
    State(face): State<Face>,
    Asking(caller): Asking,
    Query(query): Query<ImageQuery>,
) -> Result<Json<EvidenceDocument>> {
    let (name, reference) = image(&face.registry, &caller, &query.image).await?;
    Ok(Json(face.registry.evidence(&caller, &name, &reference).await?))
}

/// Digest of a query, for lists that filter by it.
pub(crate) fn optional_digest(text: Option<&str>) -> Result<Option<Digest>> {
    text.map(crate::face::digest).transpose()
}

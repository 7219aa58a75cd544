//! The tag artifact: what stands in repositories, with its tags, labels and accessories.

use crate::{
    face::{Asking, BASE, Face, Known, Naming, Path, Sent, bad, created},
    icons, labels,
    paging::{Listing, Params},
    repositories::decoded,
};
use axum::{Json, extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use sealock_http::{Result, encode};
use sealock_registry::{
    Term,
    harbor::{
        AccessoryDetail, ArtifactDetail, ArtifactRow, Beside, Overview, ScanState, TagDetail,
    },
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Reports of vulnerabilities by Harbor's media types, the newer one first.
pub(crate) const REPORTS: [&str; 2] = [
    "application/vnd.security.vulnerability.report; version=1.1",
    "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0",
];
/// Which of them a client wants.
const ACCEPT: &str = "x-accept-vulnerabilities";
/// What Harbor says of a moment that never was.
const NEVER: &str = "0001-01-01T00:00:00.000Z";

/// Which artifact is asked about: project, repository, tag or digest.
type Place = Path<(String, String, String)>;

/// What of Harbor's `Tag` a client may choose.
#[derive(Deserialize)]
pub(crate) struct TagRequest {
    #[serde(default)]
    name: String,
}

/// What of Harbor's `Label` counts: its number.
#[derive(Deserialize)]
pub(crate) struct LabelRequest {
    #[serde(default)]
    id: i64,
}

/// What is to be shown of artifacts.
pub(crate) struct Show {
    beside: Beside,
    scan: bool,
    sbom: bool,
    accessories: bool,
    report: Option<&'static str>,
}

impl Show {
    fn read(params: &Params, headers: &HeaderMap) -> Result<Self> {
        let flag = |name: &str| params.flag(&format!("with_{name}"));
        let (scan, sbom) = (flag("scan_overview")?, flag("sbom_overview")?);
        let (scan, sbom) = (scan.unwrap_or(false), sbom.unwrap_or(false));
        let accessories = flag("accessory")?.unwrap_or(false);
        let beside = Beside {
            tags: flag("tag")?.unwrap_or(true),
            immutable: flag("immutable_status")?.unwrap_or(false),
            labels: flag("label")?.unwrap_or(false),
            accessories: accessories || sbom,
            overview: scan || sbom,
            signature: flag("signature")?.unwrap_or(false),
        };
        Ok(Self { beside, scan, sbom, accessories, report: report(headers) })
    }
}

/// The first of the reports that a client accepts and that there is.
pub(crate) fn report(headers: &HeaderMap) -> Option<&'static str> {
    let plain = |text: &str| text.replace(' ', "").to_ascii_lowercase();
    let Some(accepted) = headers.get(ACCEPT).filter(|value| !value.is_empty()) else {
        return Some(REPORTS[0]);
    };
    let accepted = plain(accepted.to_str().unwrap_or_default());
    let known = |one: &str| REPORTS.into_iter().find(|report| plain(report) == one);
    accepted.split(',').find_map(known)
}

/// The address of an artifact, or of something about it.
pub(crate) fn address(repository: &str, reference: &str, rest: &str) -> String {
    let (project, within) = repository.split_once('/').unwrap_or((repository, ""));
    // Names hold slashes, which are encoded twice.
    let within = within.replace('/', "%252F");
    format!("/projects/{project}/repositories/{within}/artifacts/{reference}{rest}")
}

fn shown(detail: ArtifactDetail, show: &Show) -> Value {
    let row = &detail.row;
    let mut shown = json!({
        "id": row.id,
        "type": row.shown_type,
        "media_type": row.shown_media_type,
        "manifest_media_type": row.media_type,
        "artifact_type": row.artifact_type.as_ref().unwrap_or(&row.media_type),
        "project_id": row.project_id,
        "repository_id": row.repository_id,
        "repository_name": detail.repository,
        "digest": row.digest.to_string(),
        "size": row.total_size,
        "icon": icons::of(&row.shown_type),
        "push_time": row.pushed_at.to_string(),
        "pull_time": moment(detail.pulled_at.map(|at| at.to_string())),
        "extra_attrs": attributes(&detail),
        "annotations": row.annotations,
        "references": references(&detail),
        "addition_links": links(&detail),
    });
    if show.scan
        && let (Some(overview), Some(report)) = (&detail.overview, show.report)
    {
        shown["scan_overview"] = json!({report: scan_overview(row, overview)});
    }
    if show.sbom
        && let Some(overview) = &detail.overview
    {
        shown["sbom_overview"] = sbom_overview(&detail, overview);
    }
    let list = |rows: Option<Vec<Value>>| rows.map(Value::Array);
    let tags = detail.tags.map(|tags| tags.into_iter().map(shown_tag).collect());
    let labels = detail.labels.map(|labels| labels.into_iter().map(labels::shown).collect());
    let accessories = detail.accessories.filter(|_| show.accessories);
    let accessories = accessories.map(|all| all.into_iter().map(shown_accessory).collect());
    for (name, rows) in [("tags", tags), ("labels", labels), ("accessories", accessories)] {
        if let Some(rows) = list(rows) {
            shown[name] = rows;
        }
    }
    shown
}

fn moment(at: Option<String>) -> String {
    at.unwrap_or_else(|| NEVER.to_owned())
}

/// What the configuration says; and, where it is asked for, how the artifact's signatures were
/// judged, for which the contract has no place of its own.
fn attributes(detail: &ArtifactDetail) -> Value {
    let known = detail.attributes.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let mut attributes: Map<String, Value> = known.unwrap_or_default();
    if let Some(signature) = &detail.signature {
        let state = match (signature.keys.is_empty(), signature.total) {
            (false, _) => "verified",
            (true, 0) => "unsigned",
            (true, _) => "unverified",
        };
        let signature = json!({"state": state, "keys": signature.keys});
        attributes.insert("signature".to_owned(), signature);
    }
    Value::Object(attributes)
}

fn references(detail: &ArtifactDetail) -> Vec<Value> {
    let one = |child: &sealock_registry::harbor::Child| {
        let mut shown = json!({
            "parent_id": child.parent_id,
            "child_id": child.child_id,
            "child_digest": child.digest.to_string(),
        });
        if let Some(platform) = &child.platform {
            let mut words = platform.splitn(3, '/');
            let mut named = Map::new();
            for name in ["os", "architecture", "variant"] {
                let word = words.next().filter(|word| !word.is_empty());
                named.extend(word.map(|word| (name.to_owned(), word.into())));
            }
            shown["platform"] = named.into();
        }
        shown
    };
    detail.children.iter().map(one).collect()
}

/// Where more about an artifact of this type is told.
fn links(detail: &ArtifactDetail) -> Value {
    let is_index = !detail.row.media_type.contains(".manifest.v");
    let additions: &[&str] = match detail.row.shown_type.as_str() {
        "IMAGE" if is_index => &["vulnerabilities"],
        "IMAGE" => &["build_history", "sbom", "vulnerabilities"],
        "CNAB" => &["vulnerabilities"],
        "CHART" => &["dependencies", "readme.md", "values.yaml"],
        "SBOM" => &["sbom"],
        _ => &[],
    };
    let digest = detail.row.digest.to_string();
    let link = |addition: &&str| {
        let rest = format!("/additions/{addition}");
        let href = format!("{BASE}{}", address(&detail.repository, &digest, &rest));
        ((*addition).to_owned(), json!({"absolute": false, "href": href}))
    };
    Value::Object(additions.iter().map(link).collect())
}

/// A severity in Harbor's words.
pub(crate) fn severity_word(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}", first.to_ascii_uppercase(), letters.as_str())
    })
}

/// What finds vulnerabilities here.
pub(crate) fn scanner() -> Value {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    json!({"name": "Sealock", "vendor": "Sealock", "version": version})
}

fn scan_overview(row: &ArtifactRow, overview: &Overview) -> Value {
    let mut shown = json!({
        "report_id": report_id(row, "vulnerability"),
        "scan_status": overview.state.as_str(),
        "scanner": scanner(),
        "complete_percent": if overview.state == ScanState::Success { 100 } else { 0 },
    });
    let begin = overview.contents_at;
    let end = overview.matched_at.max(begin);
    if let (Some(begin), Some(end)) = (begin, end) {
        shown["start_time"] = begin.to_string().into();
        if overview.state == ScanState::Success {
            shown["end_time"] = end.to_string().into();
            shown["duration"] = (end.as_second() - begin.as_second()).max(0).into();
        }
    }
    if overview.state == ScanState::Success {
        let counts = overview.counts.iter().filter(|(_, count)| **count > 0);
        let counts = counts
            .map(|(severity, count)| (severity_word(severity.as_str()), (*count).into()))
            .collect();
        let worst = overview.severity().map(|severity| severity_word(severity.as_str()));
        shown["severity"] = worst.unwrap_or_else(|| "None".to_owned()).into();
        shown["summary"] = json!({
            "total": overview.total(),
            "fixable": overview.fixable,
            "summary": Value::Object(counts),
        });
    }
    shown
}

fn sbom_overview(detail: &ArtifactDetail, overview: &Overview) -> Value {
    let mut shown = json!({
        "report_id": report_id(&detail.row, "sbom"),
        "scan_status": if overview.contents_at.is_some() { "Success" } else { "Pending" },
        "scanner": scanner(),
    });
    if let Some(at) = overview.contents_at {
        shown["start_time"] = at.to_string().into();
        shown["end_time"] = at.to_string().into();
        shown["duration"] = 0.into();
    }
    let accessories = detail.accessories.iter().flatten();
    let mut sboms = accessories.filter(|one| one.row.accessory.as_deref() == Some("sbom.harbor"));
    if let Some(sbom) = sboms.next() {
        shown["sbom_digest"] = sbom.row.digest.to_string().into();
    }
    shown
}

/// A name of what is known about an artifact as it is now.
fn report_id(row: &ArtifactRow, what: &str) -> String {
    format!("{what}-{}-{}", row.id, row.facts_rev)
}

fn shown_tag(detail: TagDetail) -> Value {
    let tag = detail.shown.tag;
    json!({
        "id": tag.id,
        "repository_id": tag.repository_id,
        "artifact_id": tag.manifest_id,
        "name": tag.name,
        "push_time": tag.updated_at.to_string(),
        "pull_time": moment(detail.shown.pulled_at.map(|at| at.to_string())),
        "immutable": detail.immutable,
    })
}

fn shown_accessory(detail: AccessoryDetail) -> Value {
    let kind = detail.row.accessory.as_deref().unwrap_or("subject.accessory");
    json!({
        "id": detail.row.id,
        "artifact_id": detail.row.id,
        "subject_artifact_id": detail.subject_id,
        "subject_artifact_digest": detail.subject.to_string(),
        "subject_artifact_repo": detail.repository,
        "size": detail.row.total_size,
        "digest": detail.row.digest.to_string(),
        "type": kind,
        "icon": icons::of(kind),
        "creation_time": detail.row.pushed_at.to_string(),
    })
}

/// `GET …/artifacts`
pub(crate) async fn list(
    State(face): State<Face>,
    Asking(caller): Asking,
    Path((project, repository)): Path<(String, String)>,
    headers: HeaderMap,
    listing: Listing,
) -> Result<Response> {
    let show = Show::read(&listing.params, &headers)?;
    let (name, wanted) = (decoded(&repository)?, &listing.wanted);
    let registry = &face.registry;
    let listed = registry.harbor_artifacts(&caller, &project, &name, wanted, show.beside).await?;
    Ok(listing.answer(listed, |detail| shown(detail, &show)))
}

/// `GET /projects/{project_name_or_id}/artifacts`
pub(crate) async fn list_of_project(
    State(face): State<Face>,
    Known(caller): Known,
    naming: Naming,
    Path(project): Path<String>,
    headers: HeaderMap,
    listing: Listing,
) -> Result<Response> {
    let show = Show::read(&listing.params, &headers)?;
    let newest = listing.params.flag("latest_in_repository")?.unwrap_or(false);
    let typed = |(name, term): &(String, Term)| {
        matches!(name.as_str(), "artifact_type" | "media_type") && matches!(term, Term::Is(_))
    };
    if newest && !listing.wanted.terms.iter().any(typed) {
        return Err(bad("latest_in_repository needs artifact_type or media_type in q"));
    }
    let (project, wanted) = (naming.project(&project), &listing.wanted);
    let registry = &face.registry;
    let listed = registry
        .harbor_artifacts_of_project(&caller, &project, wanted, newest, show.beside)
        .await?;
    Ok(listing.answer(listed, |detail| shown(detail, &show)))
}

/// `GET …/artifacts/{reference}`
pub(crate) async fn get(
    State(face): State<Face>,
    Asking(caller): Asking,
    Path((project, repository, reference)): Place,
    headers: HeaderMap,
    params: Params,
) -> Result<Json<Value>> {
    let show = Show::read(&params, &headers)?;
    let name = decoded(&repository)?;
    let detail =
        face.registry.harbor_artifact(&caller, (&project, &name, &reference), show.beside).await?;
    Ok(Json(shown(detail, &show)))
}

/// `DELETE …/artifacts/{reference}`
pub(crate) async fn delete(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, repository, reference)): Place,
) -> Result<StatusCode> {
    let place = (project.as_str(), &*decoded(&repository)?, reference.as_str());
    face.registry.delete_harbor_artifact(&caller, place).await?;
    Ok(StatusCode::OK)
}

/// `GET …/artifacts/{reference}/tags`
pub(crate) async fn list_tags(
    State(face): State<Face>,
    Asking(caller): Asking,
    Path((project, repository, reference)): Place,
    listing: Listing,
) -> Result<Response> {
    let immutable = listing.params.flag("with_immutable_status")?.unwrap_or(false);
    let place = (project.as_str(), &*decoded(&repository)?, reference.as_str());
    let listed = face.registry.harbor_tags(&caller, place, &listing.wanted, immutable).await?;
    Ok(listing.answer(listed, shown_tag))
}

/// `POST …/artifacts/{reference}/tags`
pub(crate) async fn create_tag(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, repository, reference)): Place,
    Sent(request): Sent<TagRequest>,
) -> Result<Response> {
    let name = decoded(&repository)?;
    let place = (project.as_str(), name.as_str(), reference.as_str());
    face.registry.create_harbor_tag(&caller, place, &request.name).await?;
    let rest = format!("/tags/{}", request.name);
    created(&address(&format!("{project}/{name}"), &encode(&reference), &rest))
}

/// `DELETE …/artifacts/{reference}/tags/{tag_name}`
pub(crate) async fn delete_tag(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, repository, reference, tag)): Path<(String, String, String, String)>,
) -> Result<StatusCode> {
    let place = (project.as_str(), &*decoded(&repository)?, reference.as_str());
    face.registry.delete_harbor_tag(&caller, place, &tag).await?;
    Ok(StatusCode::OK)
}

/// `GET …/artifacts/{reference}/accessories`
pub(crate) async fn list_accessories(
    State(face): State<Face>,
    Asking(caller): Asking,
    Path((project, repository, reference)): Place,
    listing: Listing,
) -> Result<Response> {
    let place = (project.as_str(), &*decoded(&repository)?, reference.as_str());
    let listed = face.registry.harbor_accessories(&caller, place, &listing.wanted).await?;
    Ok(listing.answer(listed, shown_accessory))
}

/// `POST …/artifacts/{reference}/labels`
pub(crate) async fn add_label(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, repository, reference)): Place,
    Sent(request): Sent<LabelRequest>,
) -> Result<StatusCode> {
    let place = (project.as_str(), &*decoded(&repository)?, reference.as_str());
    face.registry.add_harbor_artifact_label(&caller, place, request.id).await?;
    Ok(StatusCode::OK)
}

/// `DELETE …/artifacts/{reference}/labels/{label_id}`
pub(crate) async fn remove_label(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, repository, reference, label)): Path<(String, String, String, i64)>,
) -> Result<StatusCode> {
    let place = (project.as_str(), &*decoded(&repository)?, reference.as_str());
    face.registry.remove_harbor_artifact_label(&caller, place, label).await?;
    Ok(StatusCode::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(text: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, text.parse().unwrap());
        report(&headers)
    }

    #[test]
    fn the_first_report_that_is_accepted_is_given() {
        assert_eq!(report(&HeaderMap::new()), Some(REPORTS[0]));
        assert_eq!(accepting(""), Some(REPORTS[0]));
        assert_eq!(accepting(REPORTS[1]), Some(REPORTS[1]));
        let both = format!("text/plain, {},{}", REPORTS[1].replace("; ", ";"), REPORTS[0]);
        assert_eq!(accepting(&both), Some(REPORTS[1]));
        assert_eq!(accepting("application/json"), None);
    }

    #[test]
    fn an_address_names_a_repository_within_slashes() {
        let found = address("shop/team/app", "v1", "/tags");
        assert_eq!(found, "/projects/shop/repositories/team%252Fapp/artifacts/v1/tags");
    }
}

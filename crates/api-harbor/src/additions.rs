//! What artifacts hold besides their manifests, and copies of artifacts: the rest of the tag
//! artifact.

use crate::{
    artifacts::{self, REPORTS},
    face::{Asking, Face, Known, Path, bad, created, unprocessable},
    paging::Params,
    repositories::decoded,
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use sealock_http::{Result, encode};
use sealock_registry::harbor::{Finding, FixState, Report, Severity, SeveritySource};
use serde_json::{Map, Value, json};

/// Harbor's names for what artifacts may hold.
const NAMES: [&str; 7] =
    ["build_history", "values.yaml", "readme.md", "dependencies", "sbom", "license", "files"];

/// `POST …/artifacts?from=`: copies an artifact into a repository.
pub(crate) async fn copy(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, repository)): Path<(String, String)>,
    params: Params,
) -> Result<Response> {
    let name = decoded(&repository)?;
    let from = params.text("from").ok_or_else(|| unprocessable("from is missing"))?;
    let reference = face.registry.copy_harbor_artifact(&caller, from, &project, &name).await?;
    created(&artifacts::address(&format!("{project}/{name}"), &encode(&reference), ""))
}

/// `GET …/additions/{addition}`
pub(crate) async fn get(
    State(face): State<Face>,
    Asking(caller): Asking,
    Path((project, repository, reference, name)): Path<(String, String, String, String)>,
) -> Result<Response> {
    if !NAMES.contains(&name.as_str()) {
        return Err(unprocessable(format!("an addition is one of {}", NAMES.join(", "))));
    }
    let place = (project.as_str(), &*decoded(&repository)?, reference.as_str());
    let addition = face.registry.harbor_addition(&caller, place, &name).await?;
    let content_type = addition.content_type;
    // What somebody uploaded is never rendered by a browser as a page of this origin.
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ];
    Ok((headers, addition.content).into_response())
}

/// `GET …/additions/vulnerabilities`
pub(crate) async fn vulnerabilities(
    State(face): State<Face>,
    Asking(caller): Asking,
    Path((project, repository, reference)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let place = (project.as_str(), &*decoded(&repository)?, reference.as_str());
    let wanted = artifacts::report(&headers).ok_or_else(|| {
        bad(format!("X-Accept-Vulnerabilities: there is {}", REPORTS.join(" and ")))
    })?;
    let report = face.registry.harbor_report(&caller, place).await?;
    let mut reports = Map::new();
    reports.extend(report.map(|report| (wanted.to_owned(), shown(&report))));
    Ok(([(header::CONTENT_TYPE, "application/json")], Value::Object(reports).to_string())
        .into_response())
}

fn shown(report: &Report) -> Value {
    let worst = report.findings.iter().map(|(_, finding)| finding.severity).max();
    let vulnerabilities: Vec<Value> =
        report.findings.iter().map(|(holder, finding)| vulnerability(holder, finding)).collect();
    json!({
        "generated_at": report.at.to_string(),
        "artifact": {"repository": report.repository, "digest": report.digest.to_string()},
        "scanner": artifacts::scanner(),
        "severity": worst.map_or_else(|| "None".to_owned(), word),
        "vulnerabilities": vulnerabilities,
    })
}

fn word(severity: Severity) -> String {
    artifacts::severity_word(severity.as_str())
}

fn vulnerability(holder: &impl std::fmt::Display, finding: &Finding) -> Value {
    let (fixed, status) = match &finding.fix {
        FixState::Fixed { version } => (version.as_str(), "fixed"),
        FixState::NotFixed => ("", "affected"),
        FixState::WontFix => ("", "will_not_fix"),
    };
    let mut shown = json!({
        "id": finding.vulnerability,
        "package": package(&finding.purl),
        "version": finding.version,
        "fix_version": fixed,
        "severity": word(finding.severity),
        "status": status,
        "description": finding.summary,
        "links": [link(&finding.vulnerability)],
        "artifact_digests": [holder.to_string()],
        "cwe_ids": [],
        "vendor_attributes": {"purl": finding.purl, "aliases": finding.aliases},
    });
    if let Some(SeveritySource::Cvss { vector, score_tenths }) = &finding.severity_source {
        let (score, text) = match vector.starts_with("CVSS:") {
            true => ("score_v3", "vector_v3"),
            false => ("score_v2", "vector_v2"),
        };
        let points = f64::from(*score_tenths) / 10.0;
        shown["preferred_cvss"] = json!({score: points, text: vector});
    }
    shown
}

/// The name of a package out of its purl.
fn package(purl: &str) -> String {
    let end = purl.find(['?', '#']).unwrap_or(purl.len());
    let body = purl.get(..end).unwrap_or_default().trim_start_matches("pkg:");
    let body = body.rsplit_once('@').map_or(body, |(body, _)| body);
    let name = match body.split_once('/') {
        // The namespace is part of a name in npm; elsewhere it is a distribution.
        Some(("npm", name)) => name,
        Some((_, name)) => name.rsplit('/').next().unwrap_or(name),
        None => body,
    };
    percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// Where people read about a vulnerability.
fn link(id: &str) -> String {
    let id = encode(id);
    if id.starts_with("CVE-") {
        return format!("https://nvd.nist.gov/vuln/detail/{id}");
    }
    match id.starts_with("GHSA-") {
        true => format!("https://github.com/advisories/{id}"),
        false => format!("https://osv.dev/vulnerability/{id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_as_people_know_them() {
        for (purl, name) in [
            ("pkg:pypi/jinja2@3.1.2", "jinja2"),
            ("pkg:deb/debian/openssl@3.0.11-1?arch=amd64&distro=debian-12", "openssl"),
            ("pkg:npm/%40babel/core@7.0.0", "@babel/core"),
            ("pkg:apk/alpine/libstdc%2B%2B@1", "libstdc++"),
        ] {
            assert_eq!(package(purl), name, "{purl}");
        }
        assert!(link("CVE-2031-0001").ends_with("/CVE-2031-0001"));
        assert!(link("DSA-1\"><script>").starts_with("https://osv.dev/vulnerability/DSA-1%22"));
    }
}

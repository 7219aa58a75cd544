//! The way up and what follows: a promotion, its record, and an advisory of afterwards.

use crate::{artifacts::released, server::Server};
use http::{Method, StatusCode};
use serde_json::json;

on_both_engines!(a_promoted_image_is_found_when_an_advisory_arrives);

/// A tier that asks only for what can be read.
const POLICY: &str = "apiVersion: sealock/v1
kind: Policy
name: readable
access: {sources: {tiers: [sandbox]}}
rules:
- name: contents
  contents: {}
";

const ADVISORY: &str = r#"{"id": "CVE-2031-7", "modified": "2031-01-01T00:00:00Z",
 "published": "2025-12-31T00:00:00Z", "summary": "made up", "severity": [{"type": "CVSS_V3",
 "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}], "affected": [{"package":
 {"ecosystem": "npm", "name": "lodash"}, "ranges": [{"type": "SEMVER",
 "events": [{"introduced": "0"}, {"fixed": "9.9.9"}]}]}]}"#;

async fn a_promoted_image_is_found_when_an_advisory_arrives(server: &Server) {
    let digest = released(server, "4.17.21").await;
    let (status, set) = server.ask("admin", Method::PUT, "/tiers/release/policy", POLICY).await;
    assert_eq!(status, StatusCode::OK, "{set}");
    let promote = json!({"image": "shop/app:1", "to": "shop-release"});
    let (status, made) = server.post("admin", "/promotions", &promote).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["digest"], digest.as_str());
    assert!(made["vsa"].as_str().unwrap().starts_with("sha256:"), "{made}");
    let recorded = server.all("admin", "/promotions?project=shop-release").await;
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0]["decision"], made["decision"]);
    assert_eq!(server.get("dana", "/promotions").await.1["items"], json!([]));
    let replay = format!("/decisions/{}/replay", made["decision"]);
    assert_eq!(server.ask("admin", Method::POST, &replay, "").await.1["same"], true);

    let import = "/advisories/import?source=ours&format=json";
    let (status, _) = server.ask("dana", Method::POST, import, ADVISORY).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    for (bad, wanted) in [
        ("/advisories/import?source=ours&format=rpm", StatusCode::BAD_REQUEST),
        ("/advisories/import?source=../x", StatusCode::UNPROCESSABLE_ENTITY),
        ("/advisories/import", StatusCode::BAD_REQUEST),
    ] {
        let (status, answer) = server.ask("sofia", Method::POST, bad, ADVISORY).await;
        assert_eq!(status, wanted, "{bad}: {answer}");
    }
    let (status, report) = server.ask("sofia", Method::POST, import, ADVISORY).await;
    assert_eq!((status, &report["records"]), (StatusCode::OK, &json!(1)), "{report}");
    assert_eq!(report["new_findings"], 1, "{report}");
    let found = server.all("admin", "/affected?vulnerability=CVE-2031-7").await;
    let places: Vec<_> = found.iter().map(|one| one["repository"].as_str().unwrap()).collect();
    assert_eq!(places, ["shop/app", "shop-release/app"]);
    assert_eq!(found[1]["tags"], json!(["1"]));
    let events = server.all("admin", "/audit?action=finding.new").await;
    assert!(events.iter().any(|event| event["repository"] == "shop-release/app"), "{events:?}");
    let listed = server.all("admin", "/artifact/findings?image=shop-release/app:1").await;
    assert!(listed.iter().any(|one| one["vulnerability"] == "CVE-2031-7"), "{listed:?}");
    let cursor = "/artifact/findings?image=shop/app:1&after=nonsense";
    assert_eq!(server.get("admin", cursor).await.0, StatusCode::BAD_REQUEST);
}

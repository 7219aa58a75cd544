//! What every answer has: codes of errors, warnings, when to come again, what docker expects.

use crate::{
    member::{Member, UPLOADS, manifest_path},
    support::{Api, OCI_MANIFEST, header, json_of},
};
use reqwest::{Method, Response};
use sealock_oci::Digest;
use sealock_registry::PolicyTarget;
use serde_json::Value;

/// The specification's table.
const CODES: [&str; 14] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
];

async fn is_an_error_of_the_specification(answer: Response, status: u16, what: &str) {
    assert_eq!(answer.status(), status, "{what}");
    assert!(header(&answer, "content-type").starts_with("application/json"), "{what}");
    assert_eq!(header(&answer, "docker-distribution-api-version"), "registry/2.0", "{what}");
    let body: Value = json_of(answer).await;
    let errors = body["errors"].as_array().expect("a list of errors");
    assert!(!errors.is_empty(), "{what}: {body}");
    for error in errors {
        let code = error["code"].as_str().expect("a code");
        assert!(CODES.contains(&code), "{what}: {code}");
        assert!(error["message"].as_str().is_some_and(|text| text.len() > 8), "{what}: {body}");
    }
}

#[tokio::test]
async fn every_error_has_a_code_of_the_specification() {
    let member = Member::new().await;
    member.push("v1", "one").await;
    let location = member.begin().await;
    let missing = Digest::sha256(b"missing");
    let config = Digest::sha256(b"{}");
    let blob = |digest: &Digest| format!("/v2/team/app/blobs/{digest}");
    let long = format!("/v2/team/app/tags/list?last={}", "a".repeat(20_000));
    for (method, path, status) in [
        (Method::GET, manifest_path("v2"), 404),
        (Method::GET, manifest_path(missing), 404),
        (Method::GET, "/v2/team/nothing/tags/list".to_owned(), 401),
        (Method::GET, "/v2/team/empty/tags/list".to_owned(), 404),
        (Method::GET, blob(&missing), 404),
        (Method::DELETE, blob(&missing), 404),
        (Method::DELETE, blob(&config), 405),
        (Method::GET, "/v2/team/app/blobs/sha256:x".to_owned(), 400),
        (Method::GET, "/v2/team/app/referrers/sha256:x".to_owned(), 400),
        (Method::GET, "/v2/TEAM/app/tags/list".to_owned(), 400),
        (Method::GET, "/v2/team/app/nothing".to_owned(), 404),
        (Method::GET, "/v2/team/app/tags/list?n=x".to_owned(), 400),
        (Method::GET, long, 414),
        (Method::PUT, manifest_path("v2"), 400),
        (Method::PUT, location.clone(), 400),
        (Method::PUT, format!("{location}?digest={missing}"), 400),
        (Method::PATCH, location, 404),
        (Method::POST, format!("{UPLOADS}?digest={missing}"), 400),
        (Method::POST, format!("{UPLOADS}?digest-algorithm=md5"), 400),
        (Method::POST, format!("{UPLOADS}?mount=x"), 400),
        (Method::PATCH, manifest_path("v1"), 405),
        (Method::PUT, blob(&missing), 405),
        (Method::GET, UPLOADS.to_owned(), 405),
        (Method::DELETE, "/v2/".to_owned(), 405),
        (Method::DELETE, "/v2/_catalog".to_owned(), 405),
    ] {
        let what = format!("{method} {path}");
        let answer = member.ask(method, &path).send().await.unwrap();
        is_an_error_of_the_specification(answer, status, &what).await;
    }
    let nobody = member.api.anonymous(Method::GET, &manifest_path("v1")).send().await.unwrap();
    is_an_error_of_the_specification(nobody, 401, "nobody").await;
    let stale = member.ask(Method::PUT, &manifest_path("v1")).header("if-none-match", "*");
    let stale = stale.header("content-type", OCI_MANIFEST);
    let stale = stale.body(member.manifest("two").await.to_string()).send().await.unwrap();
    is_an_error_of_the_specification(stale, 412, "a condition").await;
    let ranged = member.ask(Method::GET, &blob(&config)).header("range", "bytes=7-");
    is_an_error_of_the_specification(ranged.send().await.unwrap(), 416, "a range").await;
}

/// What docker and its older relatives look for.
#[tokio::test]
async fn dockers_ways_are_known() {
    let member = Member::new().await;
    let base = member.get("/v2/").await;
    assert_eq!(base.status(), 200);
    assert_eq!(header(&base, "docker-distribution-api-version"), "registry/2.0");
    assert_eq!(header(&base, "content-type"), "application/json");
    assert_eq!(base.text().await.unwrap(), "{}");
    // The engine streams: no range and no length, then an empty PUT.
    let location = member.begin().await;
    let content = vec![3_u8; 70_000];
    let pieces = content.chunks(7_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec()));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces.collect::<Vec<_>>()));
    let sent = member.ask(Method::PATCH, &location).body(body).send().await.unwrap();
    assert_eq!((sent.status().as_u16(), header(&sent, "range")), (202, "0-69999"));
    assert!(location.ends_with(header(&sent, "docker-upload-uuid")));
    let digest = Digest::sha256(&content);
    assert_eq!(member.end(&location, &digest, "", b"").await.status(), 201);
    // Schema 1 is no manifest any more, by whatever name it comes.
    let old = r#"{"schemaVersion":1,"name":"team/app","tag":"v1","fsLayers":[],"history":[]}"#;
    for kind in ["application/vnd.docker.distribution.manifest.v1+prettyjws", "", OCI_MANIFEST] {
        let put = member.put("v1", kind, old).await;
        is_an_error_of_the_specification(put, 400, kind).await;
    }
}

/// A token says what it is for in as many scopes as the client asked by; together they count.
#[tokio::test]
async fn what_a_token_was_asked_for_adds_up() {
    let member = Member::new().await;
    let token = async |scopes: &[&str]| {
        let scopes: Vec<String> = scopes.iter().map(|s| format!("scope=repository:{s}")).collect();
        let path = format!("/service/token?service=sealock&{}", scopes.join("&"));
        let given = member.api.by("max", Method::GET, &path).send().await.unwrap();
        json_of(given).await["token"].as_str().unwrap().to_owned()
    };
    for (scopes, status) in [
        (&["team/app:pull,push"][..], 202),
        (&["team/app:pull", "team/app:push"], 202),
        (&["team/app:push", "team/other:delete", "team/app:pull"], 202),
        (&["team/app:pull+repository:team/app:push"], 202),
        (&["team/app:push"], 401),
        (&["team/app:pull", "team/other:push"], 401),
        (&["team/app:pull,delete"], 401),
        (&[], 401),
    ] {
        let token = token(scopes).await;
        let post = member.api.anonymous(Method::POST, UPLOADS).bearer_auth(token);
        assert_eq!(post.send().await.unwrap().status(), status, "{scopes:?}");
    }
}

const WARN: &str = "\
apiVersion: sealock/v1
kind: Policy
name: warnings
doors: {push: warn, pull: warn}
rules:
";

/// A verdict that only warns is said in headers that a client can show: agent `-`, code 299, no
/// date, 4,096 bytes in all.
#[tokio::test]
async fn warnings_have_the_one_form_and_an_end() {
    let member = Member::new().await;
    let Api { stand, .. } = &member.api;
    let rules: String = (0..90)
        .map(|n| format!("  - name: reviewed-{n:02}\n    attestation: {{predicateType: \"https://example.com/{n}\", by: any}}\n"))
        .collect();
    let target = PolicyTarget::Project("team".to_owned());
    stand.registry.put_policy(&stand.admin, &target, &format!("{WARN}{rules}")).await.unwrap();
    let text = member.manifest("one").await.to_string();
    let put = member.put("v1", OCI_MANIFEST, &text).await;
    assert_eq!(put.status(), 201, "{}", put.text().await.unwrap());
    let got = member.get(&manifest_path("v1")).await;
    assert_eq!(got.status(), 200);
    for answer in [put, got] {
        let warnings: Vec<&str> =
            answer.headers().get_all("warning").iter().map(|w| w.to_str().unwrap()).collect();
        assert!(warnings.len() > 3, "{warnings:?}");
        assert!(warnings.iter().map(|w| w.len()).sum::<usize>() <= 4_096);
        for warning in warnings {
            let text = warning.strip_prefix("299 - \"").and_then(|w| w.strip_suffix('"'));
            let text = text.unwrap_or_else(|| panic!("{warning}"));
            assert!(text.contains("reviewed-"), "{warning}");
            let bare = text.replace("\\\\", "").replace("\\\"", "");
            assert!(!bare.contains(['"', '\\']), "{warning}");
            assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{warning}");
        }
    }
}

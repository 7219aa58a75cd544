use std::net::TcpListener;

use reqwest::Method;
use sealock_tests::{
    http::Http,
    images::{MANIFEST, Made, digest},
    server::{Options, Server},
};
use serde_json::json;

/// What a collection freed is in its report, in the audit log and in the metrics, which strangers
/// on the registry's own address do not see.
#[test]
fn a_collection_reports_what_it_freed_and_why() {
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let environment = vec![("SEALOCK_METRICS_LISTEN".to_owned(), metrics.clone())];
    let server = Server::start_with(Options { environment, ..Options::default() });
    let http = server.admin();
    let image = Made::new(1, 100_000);
    for blob in &image.blobs {
        http.push_blob("library/app", &digest(blob), blob.clone()).unwrap();
    }
    let put = http.push_manifest("library/app", "v1", MANIFEST, &image.manifest).unwrap();
    assert_eq!(put.status(), 201);
    let loose = b"nobody names this".to_vec();
    assert_eq!(
        http.push_blob("library/app", &digest(&loose), loose.clone()).unwrap().status(),
        201
    );

    let bytes: usize = image.blobs.iter().map(Vec::len).sum();
    let dry = collect(&http, &json!({"dry_run": true}));
    assert_eq!(dry["report"]["freed"]["files"], 0, "leases hold: {dry}");
    assert_eq!(dry["report"]["kept_by"]["named"], json!({"files": 2, "bytes": bytes}));
    let leased = json!({"files": 1, "bytes": loose.len()});
    assert_eq!(dry["report"]["kept_by"]["leased"], leased);
    let dry = collect(&http, &json!({"dry_run": true, "ignore_leases": true}));
    assert_eq!(dry["report"]["freed_by"], json!({"unnamed": leased}));
    let run = collect(&http, &json!({"ignore_leases": true}));
    assert_eq!(run["report"]["freed_by"], json!({"unnamed": leased}), "as it was foretold");
    let blob = |bytes: &[u8]| format!("/v2/library/app/blobs/{}", digest(bytes));
    assert_eq!(http.get(&blob(&loose)).unwrap().status(), 404);
    assert_eq!(http.get(&blob(&image.blobs[1])).unwrap().status(), 200);

    let delete = format!("/v2/library/app/manifests/{}", image.digest());
    assert_eq!(http.request(Method::DELETE, &delete).send().unwrap().status(), 202);
    let run = collect(&http, &json!({"ignore_leases": true}));
    let deleted = json!({"files": 2, "bytes": bytes});
    assert_eq!(run["report"]["freed_by"], json!({"manifest-deleted": deleted}));
    assert_eq!(run["actor"], "admin");
    let runs = http.json("/api/sealock/v1/collections");
    assert_eq!(runs["items"].as_array().unwrap().len(), 4);
    let events = http.json("/api/sealock/v1/audit?action=collect");
    assert_eq!(events["items"].as_array().unwrap().len(), 4);
    assert_eq!(events["items"][0]["detail"]["ignore_leases"], true);

    let numbers = Http::new(&format!("http://{metrics}")).get("/metrics").unwrap();
    let text = numbers.text().unwrap();
    for line in [
        format!("sealock_collection_freed_bytes_total{{reason=\"manifest-deleted\"}} {bytes}"),
        "sealock_collection_freed_files_total{reason=\"unnamed\"} 1".to_owned(),
        "sealock_collection_freed_files_total{reason=\"replaced\"} 0".to_owned(),
        "sealock_collection_failures_total 0".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert_eq!(http.get("/metrics").unwrap().status(), 404, "not beside the registry");
    let stranger = server.http();
    for method in [Method::GET, Method::POST] {
        let ask = stranger.request(method, "/api/sealock/v1/collections").body("{}");
        assert_eq!(ask.send().unwrap().status(), 401);
    }
    let body = json!({"name": "dana", "password": "Correct-horse-1"});
    http.write(Method::POST, "/api/sealock/v1/users", &body);
    let dana = server.http().with_user("dana", "Correct-horse-1");
    for (method, path) in [(Method::GET, ""), (Method::POST, ""), (Method::GET, "/1")] {
        let path = format!("/api/sealock/v1/collections{path}");
        let ask = dana.request(method, &path).body("{}");
        assert_eq!(ask.send().unwrap().status(), 403, "{path}");
    }
}

/// Begins a collection and waits for its end.
fn collect(http: &Http, options: &serde_json::Value) -> serde_json::Value {
    let mut run = http.write(Method::POST, "/api/sealock/v1/collections", options);
    let path = format!("/api/sealock/v1/collections/{}", run["id"]);
    sealock_tests::server::eventually("the run ends", std::time::Duration::from_secs(30), || {
        run = http.json(&path);
        (run["state"] != "running").then_some(())
    });
    assert_eq!(run["state"], "finished", "{run}");
    run
}

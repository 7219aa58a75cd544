use crate::support::{Api, OCI_MANIFEST, error, header};
use reqwest::Method;
use sealock_oci::Digest;
use serde_json::json;

#[tokio::test]
async fn as_pushed_by_tag_and_by_digest() {
    let api = Api::new().await;
    let manifest = api.image("team/app", "one").await;
    let text = manifest.to_string();
    let digest = Digest::sha256(text.as_bytes());
    let put = api.put("team/app", "v1", &manifest).await;
    assert_eq!(put.status(), 201);
    assert_eq!(header(&put, "location"), format!("/v2/team/app/manifests/{digest}"));
    assert_eq!(header(&put, "docker-content-digest"), digest.to_string());
    for reference in ["v1".to_owned(), digest.to_string()] {
        for method in [Method::GET, Method::HEAD] {
            let path = format!("/v2/team/app/manifests/{reference}");
            let get = api.ask(method.clone(), &path).send().await.unwrap();
            assert_eq!(get.status(), 200);
            assert_eq!(header(&get, "content-type"), OCI_MANIFEST);
            assert_eq!(header(&get, "docker-content-digest"), digest.to_string());
            assert_eq!(header(&get, "content-length"), text.len().to_string());
            let body = get.text().await.unwrap();
            assert!(method == Method::HEAD && body.is_empty() || body == text);
        }
    }
    for missing in ["v2".to_owned(), Digest::sha256(b"x").to_string(), "-x".to_owned()] {
        let get = api.ask(Method::GET, &format!("/v2/team/app/manifests/{missing}"));
        assert_eq!(error(get.send().await.unwrap()).await, (404, "MANIFEST_UNKNOWN".into()));
    }
}

#[tokio::test]
async fn what_is_not_a_manifest_is_refused() {
    let api = Api::new().await;
    let good = api.image("team/app", "one").await;
    let absent = json!({
        "mediaType": "application/vnd.example.text",
        "digest": Digest::sha256(b"never pushed"),
        "size": 12,
    });
    let mut missing_blob = good.clone();
    missing_blob["layers"] = json!([absent]);
    let put = api.put("team/app", "v1", &missing_blob).await;
    assert_eq!(error(put).await, (404, "MANIFEST_BLOB_UNKNOWN".into()));
    let mut both = good.clone();
    both["manifests"] = json!([]);
    assert_eq!(
        error(api.put("team/app", "v1", &both).await).await,
        (400, "MANIFEST_INVALID".into())
    );
    let other = Digest::sha256(b"other").to_string();
    assert_eq!(error(api.put("team/app", &other, &good).await).await.0, 400);
    let put = |body: Vec<u8>, media_type: &'static str| {
        let request = api.ask(Method::PUT, "/v2/team/app/manifests/v1");
        request.header("content-type", media_type).body(body).send()
    };
    let text = good.to_string().into_bytes();
    assert_eq!(error(put(text.clone(), "text/plain").await.unwrap()).await.0, 400);
    let cut = text[..text.len() - 1].to_vec();
    assert_eq!(
        error(put(cut, OCI_MANIFEST).await.unwrap()).await,
        (400, "MANIFEST_INVALID".into())
    );
    let large = vec![b' '; 4 * 1024 * 1024 + 1];
    assert_eq!(put(large, OCI_MANIFEST).await.unwrap().status(), 413);
    assert_eq!(api.status(Method::GET, "/v2/team/app/manifests/v1").await, 404);
    assert_eq!(
        put(text, "application/vnd.oci.image.manifest.v1+json; x=y").await.unwrap().status(),
        201
    );
}

#[tokio::test]
async fn a_digest_with_many_tags() {
    let api = Api::new().await;
    let manifest = api.image("team/app", "one").await;
    let digest = Digest::sha256(manifest.to_string().as_bytes());
    let tags: Vec<String> = (0..12).map(|i| format!("v{i}")).collect();
    let put = api.put("team/app", &format!("{digest}?tag={}", tags.join("&tag=")), &manifest).await;
    assert_eq!(put.status(), 201);
    let set = put.headers().get_all("oci-tag").iter().map(|line| line.to_str().unwrap());
    assert_eq!(set.flat_map(|line| line.split(", ")).collect::<Vec<_>>(), tags);
    for tag in &tags {
        let get = api.ask(Method::HEAD, &format!("/v2/team/app/manifests/{tag}")).send().await;
        assert_eq!(header(&get.unwrap(), "docker-content-digest"), digest.to_string());
    }
    let many = "&tag=x".repeat(200);
    let put = api.put("team/app", &format!("{digest}?tag=y{many}"), &manifest).await;
    assert_eq!(put.status(), 414);
}

#[tokio::test]
async fn conditions_keep_writers_from_losing_each_others_tags() {
    let api = Api::new().await;
    let first = api.push("team/app", "v1", "one").await;
    let second = api.image("team/app", "two").await;
    let put = |name: &'static str, tag: String| {
        let request = api.ask(Method::PUT, "/v2/team/app/manifests/v1").header(name, tag);
        request.header("content-type", OCI_MANIFEST).body(second.to_string()).send()
    };
    assert_eq!(put("if-none-match", "*".into()).await.unwrap().status(), 412);
    let stale = format!("\"{}\"", Digest::sha256(b"x"));
    assert_eq!(put("if-match", stale).await.unwrap().status(), 412);
    let get = api.ask(Method::GET, "/v2/team/app/manifests/v1");
    let get = get.header("if-none-match", format!("\"{first}\"")).send().await.unwrap();
    assert_eq!(get.status(), 304);
    for method in [Method::GET, Method::HEAD] {
        let other =
            api.ask(method.clone(), "/v2/team/app/manifests/v1").header("if-match", "\"x\"");
        assert_eq!(other.send().await.unwrap().status(), 412, "{method}");
        let known = api.ask(method, "/v2/team/app/manifests/v1");
        let known = known.header("if-none-match", format!("W/\"{first}\"")).send().await.unwrap();
        assert_eq!(known.status(), 304);
        assert_ne!(known.headers().get("content-length").map(|value| value == "0"), Some(true));
    }
    assert_eq!(put("if-match", format!("\"{first}\"")).await.unwrap().status(), 201);
    assert_eq!(put("if-match", format!("\"{first}\"")).await.unwrap().status(), 412);
}

#[tokio::test]
async fn deleted_by_tag_and_by_digest() {
    let api = Api::new().await;
    let digest = api.push("team/app", "v1", "one").await;
    api.push("team/app", "v2", "one").await;
    let path = |reference: &str| format!("/v2/team/app/manifests/{reference}");
    assert_eq!(api.status(Method::DELETE, &path("v1")).await, 202);
    assert_eq!(api.status(Method::GET, &path("v1")).await, 404);
    assert_eq!(api.status(Method::DELETE, &path("v1")).await, 404);
    assert_eq!(api.status(Method::GET, &path(&digest.to_string())).await, 200);
    assert_eq!(api.status(Method::DELETE, &path(&digest.to_string())).await, 202);
    for reference in ["v2", &digest.to_string()] {
        assert_eq!(api.status(Method::GET, &path(reference)).await, 404);
    }
}

/// What Go's JSON reader, and with it every container client, takes for another image than we do.
#[tokio::test]
async fn a_manifest_that_clients_read_otherwise_is_refused() {
    let api = Api::new().await;
    let good = api.image("team/app", "good").await;
    let evil = api.image("team/app", "evil").await;
    let put = async |name: &str, text: String| {
        let request = api.ask(Method::PUT, &format!("/v2/team/app/manifests/{name}"));
        let put = request.header("content-type", OCI_MANIFEST).body(text).send().await.unwrap();
        if put.status() == 201 { (201, String::new()) } else { error(put).await }
    };
    let layers = evil["layers"].to_string();
    for field in ["Layers", "LAYERS", "layer\u{17f}", "layer\\u017f", "layers", "fsLayers"] {
        let text = good.to_string();
        let doubled = format!("{},\"{field}\":{layers}}}", &text[..text.len() - 1]);
        assert_eq!(put("v1", doubled).await, (400, "MANIFEST_INVALID".into()), "{field}");
    }
    let digest = good["layers"][0]["digest"].as_str().unwrap();
    let twice = good.to_string().replace(
        &format!("\"digest\":\"{digest}\""),
        &format!("\"digest\":\"{digest}\",\"Digest\":{}", evil["layers"][0]["digest"]),
    );
    assert_ne!(twice, good.to_string());
    assert_eq!(put("v1", twice).await, (400, "MANIFEST_INVALID".into()));
    let list = json!([2, OCI_MANIFEST, null, good["config"], good["layers"], null, null, null]);
    assert_eq!(put("v1", list.to_string()).await, (400, "MANIFEST_INVALID".into()));
    assert_eq!(api.status(Method::GET, "/v2/team/app/manifests/v1").await, 404);
    // Beside the fields that clients know, anything goes; and annotations are the pusher's own.
    let mut free = good.clone();
    free["annotations"] = json!({"Layers": "a", "layers": "b"});
    free["x"] = json!({"Digest": 1});
    assert_eq!(put("v1", free.to_string()).await.0, 201);
    assert_eq!(put("-v1", good.to_string()).await, (400, "MANIFEST_INVALID".into()));
}

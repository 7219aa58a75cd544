use crate::support::{Api, error, header, json_of};
use reqwest::Method;
use sealock_oci::Digest;
use serde_json::{Value, json};

#[tokio::test]
async fn tags_in_order_and_in_pages() {
    let api = Api::new().await;
    let missing = api.ask(Method::GET, "/v2/team/app/tags/list").send().await.unwrap();
    assert_eq!(error(missing).await, (404, "NAME_UNKNOWN".into()));
    let manifest = api.image("team/app", "one").await;
    for tag in ["b", "a", "C", "_x", "1"] {
        assert_eq!(api.put("team/app", tag, &manifest).await.status(), 201);
    }
    let get = async |query: &str| {
        let path = format!("/v2/team/app/tags/list{query}");
        let response = api.ask(Method::GET, &path).send().await.unwrap();
        let link = header(&response, "link").to_owned();
        (json_of(response).await, link)
    };
    let (all, link) = get("").await;
    assert_eq!(all, json!({ "name": "team/app", "tags": ["1", "C", "_x", "a", "b"] }));
    assert_eq!(link, "");
    let (page, link) = get("?n=2").await;
    assert_eq!(page["tags"], json!(["1", "C"]));
    assert_eq!(link, "</v2/team/app/tags/list?n=2&last=C>; rel=\"next\"");
    assert_eq!(get("?n=2&last=C").await.0["tags"], json!(["_x", "a"]));
    let (last, link) = get("?n=2&last=a").await;
    assert_eq!((last["tags"].clone(), link.as_str()), (json!(["b"]), ""));
    assert_eq!(get("?last=D").await.0["tags"], json!(["_x", "a", "b"]), "last need not exist");
    let (none, link) = get("?n=0").await;
    assert_eq!((none["tags"].clone(), link.as_str()), (json!([]), ""));
    assert_eq!(api.status(Method::GET, "/v2/team/app/tags/list?n=-1").await, 400);
    assert_eq!(api.status(Method::POST, "/v2/team/app/tags/list").await, 405);
}

#[tokio::test]
async fn referrers_by_type_and_in_pages() {
    let api = Api::new().await;
    let subject = api.push("team/app", "v1", "subject").await;
    let mut expected = Vec::new();
    for (i, kind) in ["application/vnd.example.a", "application/vnd.example.b"].iter().enumerate() {
        let mut manifest = api.image("team/app", &format!("referrer {i}")).await;
        manifest["artifactType"] = json!(kind);
        manifest["subject"] = json!({
            "mediaType": crate::support::OCI_MANIFEST,
            "digest": subject,
            "size": 100,
        });
        manifest["annotations"] = json!({ "which": i.to_string() });
        let digest = Digest::sha256(manifest.to_string().as_bytes());
        let put = api.put("team/app", &digest.to_string(), &manifest).await;
        assert_eq!(header(&put, "oci-subject"), subject.to_string());
        expected.push(digest.to_string());
    }
    let get = async |query: &str| {
        let path = format!("/v2/team/app/referrers/{subject}{query}");
        let response = api.ask(Method::GET, &path).send().await.unwrap();
        assert_eq!(header(&response, "content-type"), "application/vnd.oci.image.index.v1+json");
        let filters = header(&response, "oci-filters-applied").to_owned();
        let link = header(&response, "link").to_owned();
        (json_of(response).await, filters, link)
    };
    let digests = |index: &Value| -> Vec<String> {
        let manifests = index["manifests"].as_array().unwrap();
        manifests.iter().map(|m| m["digest"].as_str().unwrap().to_owned()).collect()
    };
    let (all, filters, link) = get("").await;
    expected.sort();
    assert_eq!((digests(&all), filters.as_str(), link.as_str()), (expected.clone(), "", ""));
    assert!(
        all["manifests"].as_array().unwrap().iter().all(|m| m["annotations"]["which"].is_string())
    );
    let (some, filters, _) = get("?artifactType=application/vnd.example.b").await;
    assert_eq!(
        (some["manifests"].as_array().unwrap().len(), filters.as_str()),
        (1, "artifactType")
    );
    assert_eq!(some["manifests"][0]["annotations"]["which"], "1");
    let (first, _, link) = get("?n=1").await;
    assert_eq!(digests(&first), expected[..1]);
    let next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    let second = json_of(api.ask(Method::GET, &next).send().await.unwrap()).await;
    assert_eq!(digests(&second), expected[1..]);

    let unknown = format!("/v2/team/app/referrers/{}", Digest::sha256(b"x"));
    let none = json_of(api.ask(Method::GET, &unknown).send().await.unwrap()).await;
    assert_eq!(none["manifests"], json!([]));
    let wrong = api.ask(Method::GET, "/v2/team/app/referrers/sha256:x").send().await.unwrap();
    assert_eq!(error(wrong).await, (400, "DIGEST_INVALID".into()));
}

/// Annotations may be megabytes; a page of referrers is not gigabytes.
#[tokio::test]
async fn referrers_with_long_annotations_come_in_shorter_pages() {
    let api = Api::new().await;
    let subject = api.push("team/app", "v1", "subject").await;
    let mut expected = std::collections::BTreeMap::new();
    for i in 0..4 {
        let mut manifest = api.image("team/app", "referrer").await;
        let text = format!("{i}").repeat(2_000_000);
        manifest["subject"] = json!({
            "mediaType": crate::support::OCI_MANIFEST, "digest": subject, "size": 100,
        });
        manifest["annotations"] = json!({ "long": text });
        let digest = Digest::sha256(manifest.to_string().as_bytes()).to_string();
        assert_eq!(api.put("team/app", &digest, &manifest).await.status(), 201);
        expected.insert(digest, text);
    }
    let mut next = format!("/v2/team/app/referrers/{subject}");
    let mut found = Vec::new();
    let mut pages = 0;
    while !next.is_empty() {
        let response = api.ask(Method::GET, &next).send().await.unwrap();
        let link = header(&response, "link").to_owned();
        next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
        let page = json_of(response).await;
        for entry in page["manifests"].as_array().unwrap() {
            let digest = entry["digest"].as_str().unwrap().to_owned();
            assert_eq!(entry["annotations"]["long"], expected[&digest], "{digest}");
            found.push(digest);
        }
        pages += 1;
    }
    assert_eq!(found, expected.into_keys().collect::<Vec<_>>(), "in order, none twice");
    assert_eq!(pages, 2);
}

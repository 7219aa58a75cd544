//! From a pushed image to a refused promotion, its record and its replay.

use crate::server::Server;
use http::{Method, StatusCode};
use sealock_auth::{Caller, Principal};
use sealock_oci::Digest;
use sealock_policy::{GateInput, evaluate};
use sealock_registry::{Body, ManifestPush, Precondition};
use serde_json::{Value, json};
use std::collections::BTreeSet;

on_both_engines!(what_is_known_of_an_image, a_refusal_has_reasons_a_record_and_a_replay,);

fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

impl Server {
    async fn push_blob(&self, caller: &Caller, kind: &str, bytes: Vec<u8>) -> Value {
        let digest = Digest::sha256(&bytes);
        let size = bytes.len();
        let stream: Body<'static> =
            Body::new(futures_util::stream::iter([Ok(bytes::Bytes::from(bytes))]));
        let name = "shop/app".parse().unwrap();
        self.registry.push_blob(caller, &name, &digest, stream).await.unwrap();
        json!({"mediaType": kind, "digest": digest, "size": size})
    }

    /// Pushes an image with one npm package as `shop/app:1`. Its digest.
    async fn image(&self, lodash: &str) -> String {
        let (_, me) = self.get("admin", "/users").await;
        let caller = Caller {
            principal: Principal::User {
                id: me["items"][0]["id"].as_i64().unwrap(),
                name: "admin".to_owned(),
                sysadmin: true,
                security_officer: true,
            },
            address: [192, 0, 2, 7].into(),
            user_agent: "test/1".to_owned(),
            request_id: String::new(),
            scope: None,
        };
        let package = format!(r#"{{"name": "lodash", "version": "{lodash}"}}"#);
        let layer = tar_of(&[("app/node_modules/lodash/package.json", &package)]);
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(&layer)]},
        });
        let config = serde_json::to_vec(&config).unwrap();
        let kind = "application/vnd.oci.image";
        let config = self.push_blob(&caller, &format!("{kind}.config.v1+json"), config).await;
        let layer = self.push_blob(&caller, &format!("{kind}.layer.v1.tar"), layer).await;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": format!("{kind}.manifest.v1+json"),
            "config": config, "layers": [layer],
        });
        let payload = serde_json::to_vec(&manifest).unwrap();
        let push = ManifestPush {
            repository: &"shop/app".parse().unwrap(),
            reference: &"1".parse().unwrap(),
            tags: &[],
            content_type: "",
            payload: payload.into(),
            condition: &Precondition::default(),
        };
        self.registry.put_manifest(&caller, push).await.unwrap().digest.to_string()
    }
}

pub(crate) async fn released(server: &Server, lodash: &str) -> String {
    for (name, tier) in [("shop", "sandbox"), ("shop-release", "release")] {
        let project = json!({"name": name, "tier": tier});
        assert_eq!(server.post("admin", "/projects", &project).await.0, StatusCode::CREATED);
    }
    server.registry.catch_up_advisories().await.unwrap();
    let digest = server.image(lodash).await;
    server.registry.jobs().drain().await.unwrap();
    digest
}

fn same(name: &str, answer: &Value) {
    let document = serde_json::to_value(sealock_api_sealock::openapi()).unwrap();
    let pointer = format!("/components/schemas/{name}/properties");
    let described = document.pointer(&pointer).unwrap_or_else(|| panic!("{pointer}"));
    let described: BTreeSet<&String> = described.as_object().unwrap().keys().collect();
    let found = answer.as_object().unwrap_or_else(|| panic!("{name}: {answer}"));
    let strange: Vec<_> = found.keys().filter(|field| !described.contains(field)).collect();
    assert!(strange.is_empty(), "{name} has {strange:?}, which the document does not describe");
}

async fn what_is_known_of_an_image(server: &Server) {
    let digest = released(server, "4.17.15").await;
    let list = server.get("admin", "/artifacts?repository=shop/app").await.1;
    same("ArtifactSummary", &list["items"][0]);
    assert_eq!((&list["items"][0]["digest"], &list["next"]), (&json!(digest), &Value::Null));
    let (status, artifact) = server.get("admin", "/artifact?image=shop/app:1").await;
    assert_eq!(status, StatusCode::OK, "{artifact}");
    same("Artifact", &artifact);
    same("ArtifactFacts", &artifact["facts"]);
    same("Contents", &artifact["facts"]["contents"]);
    assert_eq!(artifact["facts"]["contents"]["state"], "known", "{artifact}");
    assert_eq!(artifact["facts"]["contents"]["components"], 1);
    let by_digest = format!("/artifact?image=shop/app@{digest}");
    assert_eq!(server.get("admin", &by_digest).await.1["digest"], digest.as_str());
    let (status, findings) = server.get("admin", "/artifact/findings?image=shop/app:1").await;
    assert_eq!(status, StatusCode::OK, "{findings}");
    let found = findings["items"].as_array().unwrap();
    assert!(!found.is_empty(), "the starter data knows lodash 4.17.15: {findings}");
    same("Finding", &found[0]);
    assert_eq!(found[0]["path"], "app/node_modules/lodash/package.json");
    let none = server.get("admin", "/artifact/findings?image=shop/app:1&fixable=false").await.1;
    assert!(none["items"].as_array().unwrap().len() < found.len());
    let sbom = server.get("admin", "/artifact/sbom?image=shop/app:1").await.1;
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
    let verdicts = server.get("admin", "/artifact/verdicts?image=shop/app:1").await.1;
    assert_eq!(verdicts["items"].as_array().unwrap().len(), 5, "{verdicts}");
    same("DoorVerdict", &verdicts["items"][0]);
    let one = server.get("admin", "/artifact/verdicts?image=shop/app:1&door=admit").await.1;
    assert_eq!(one["items"][0]["door"], "admit");
    let (status, evidence) = server.get("admin", "/artifact/evidence?image=shop/app:1").await;
    assert_eq!((status, &evidence["artifact"]["digest"]), (StatusCode::OK, &json!(digest)));
    // A digest alone names it too, for those who may read a repository that holds it.
    let alone = format!("/artifact/evidence?image={digest}");
    let (status, evidence) = server.get("admin", &alone).await;
    assert_eq!((status, &evidence["artifact"]["repository"]), (StatusCode::OK, &json!("shop/app")));
    let (status, refused) = server.get("dana", &alone).await;
    let absent = alone.replace(&digest, &format!("sha256:{}", "0".repeat(64)));
    let (absent_status, absent) = server.get("dana", &absent).await;
    assert_eq!((status, absent_status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    let other = absent.to_string().replace(&format!("sha256:{}", "0".repeat(64)), &digest);
    assert_eq!(refused.to_string(), other);
    let affected = server.get("admin", "/affected?purl=pkg:npm/lodash&range=%3C4.17.21").await.1;
    same("AffectedImage", &affected["items"][0]);
    assert_eq!(affected["items"][0]["digest"], digest.as_str(), "{affected}");
    for bad in ["", "shop", "shop/app:1:2", "other.example.com/shop/app:1", "shop/app@sha256:12"] {
        let (status, answer) = server.get("admin", &format!("/artifact?image={bad}")).await;
        assert!(status.is_client_error(), "{bad}: {answer}");
    }
    let (status, _) = server.get("admin", "/artifact?image=shop/app:2").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

async fn a_refusal_has_reasons_a_record_and_a_replay(server: &Server) {
    let digest = released(server, "4.17.15").await;
    let promote = json!({"image": "shop/app:1", "to": "shop-release"});
    let (status, refusal) = server.post("admin", "/promotions", &promote).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{refusal}");
    let error = &refusal["errors"][0];
    assert_eq!(error["code"], "PROJECTPOLICYVIOLATION");
    let message = error["message"].as_str().unwrap();
    for word in ["no signature", "at or above high", "pkg:npm/lodash@4.17.15", "sealock waiver"] {
        assert!(message.contains(word), "{word} in {message}");
    }
    let id = error["detail"]["decision"].as_i64().unwrap();
    let list = server.get("admin", &format!("/decisions?digest={digest}&door=promote")).await.1;
    same("Decision", &list["items"][0]);
    assert_eq!(list["items"][0]["id"], id);
    let (_, document) = server.get("admin", &format!("/decisions/{id}/document")).await;
    let bytes = serde_json::to_vec(&document).unwrap();
    let replayed = serde_json::to_value(evaluate(&GateInput::parse(&bytes).unwrap())).unwrap();
    assert_eq!(replayed, error["detail"]["verdict"]);
    let path = format!("/decisions/{id}/replay");
    let (_, replay) = server.ask("admin", Method::POST, &path, "").await;
    same("Replay", &replay);
    assert_eq!((&replay["same"], &replay["intact"]), (&json!(true), &json!(true)));
    // Strangers see neither the decision nor that there is one.
    assert_eq!(server.get("dana", &format!("/decisions/{id}")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(server.get("dana", "/decisions").await.1["items"], json!([]));
    let (status, key) = server.get("", "/evidence-key").await;
    assert!(status == StatusCode::OK && key.as_str().unwrap().contains("BEGIN PUBLIC KEY"));
}

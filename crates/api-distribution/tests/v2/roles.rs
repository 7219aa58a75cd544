//! Who may pull, push and delete: Harbor's five roles, people beside them, and robots with each
//! right alone; by a password and by a token alike.

use crate::support::{Api, OCI_MANIFEST, json_of};
use reqwest::{Method, RequestBuilder};
use sealock_auth::{Right, Role};
use sealock_http::testing::PASSWORD;
use sealock_oci::Digest;
use serde_json::{Value, json};

struct Who {
    name: String,
    secret: String,
}

impl Who {
    fn user(name: &str) -> Self {
        Self { name: name.to_owned(), secret: PASSWORD.to_owned() }
    }
}

/// A request as somebody, by their secret or by a token for all that they may do.
async fn by(api: &Api, who: &Who, token: bool, method: Method, path: &str) -> RequestBuilder {
    let with_secret = |request: RequestBuilder| match who.name.is_empty() {
        true => request,
        false => request.basic_auth(&who.name, Some(&who.secret)),
    };
    if !token {
        return with_secret(api.anonymous(method, path));
    }
    let repository = path.trim_start_matches("/v2/").split('/').take(2).collect::<Vec<_>>();
    let scope = format!("repository:{}:pull,push,delete", repository.join("/"));
    let path_of_token = format!("/service/token?service=sealock&scope={scope}");
    let given = with_secret(api.anonymous(Method::GET, &path_of_token)).send().await.unwrap();
    let given = json_of(given).await;
    api.anonymous(method, path).bearer_auth(given["token"].as_str().unwrap())
}

/// Whether somebody may pull, push and delete in a repository. A refusal is 401, 403 or 404.
async fn rights(api: &Api, who: &Who, repository: &str, token: bool) -> [bool; 3] {
    let marks = format!("{}-{repository}-{token}", who.name).replace(['$', '+', '/'], "-");
    let digest = api.push(repository, &format!("t-{}", marks.len()), &marks).await;
    let may = async |request: RequestBuilder| {
        let status = request.send().await.unwrap().status().as_u16();
        let refused = [401, 403, 404].contains(&status);
        assert!(refused || (200..300).contains(&status), "{} {repository}: {status}", who.name);
        !refused
    };
    let manifest = format!("/v2/{repository}/manifests/{digest}");
    let pull = may(by(api, who, token, Method::GET, &manifest).await).await;
    let head = may(by(api, who, token, Method::HEAD, &manifest).await).await;
    let list = format!("/v2/{repository}/tags/list");
    let tags = may(by(api, who, token, Method::GET, &list).await).await;
    assert_eq!((pull, pull), (head, tags), "{} reads by every way or by none", who.name);
    let bytes = format!("config {marks}").into_bytes();
    let config = Digest::sha256(&bytes);
    let upload = format!("/v2/{repository}/blobs/uploads/?digest={config}");
    let blob = may(by(api, who, token, Method::POST, &upload).await.body(bytes.clone())).await;
    let mut pushed = image(&config, bytes.len());
    pushed["annotations"] = json!({"of": marks});
    let path = format!("/v2/{repository}/manifests/new");
    let put = by(api, who, token, Method::PUT, &path).await;
    let put = put.header("content-type", OCI_MANIFEST).body(pushed.to_string());
    // Who may only attest uploads, but no image of its own.
    let push = blob && may(put).await;
    let delete = may(by(api, who, token, Method::DELETE, &manifest).await).await;
    let there = api.status(Method::GET, &manifest).await.is_success();
    assert_eq!(there, !delete, "{}", who.name);
    [pull, push, delete]
}

fn image(config: &Digest, size: usize) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
        "config": {
            "mediaType": "application/vnd.example.config.v1+json", "digest": config, "size": size,
        },
    })
}

#[tokio::test]
async fn roles_pull_push_and_delete_as_in_harbor() {
    let api = Api::new().await;
    api.stand.project("open", true).await;
    let mut table: Vec<(Who, [bool; 3])> = Vec::new();
    for (role, expected) in [
        (Role::ProjectAdmin, [true, true, true]),
        (Role::Maintainer, [true, true, true]),
        (Role::Developer, [true, true, false]),
        (Role::Guest, [true, false, false]),
        (Role::LimitedGuest, [true, false, false]),
    ] {
        let name = role.name().to_ascii_lowercase();
        api.stand.user(&name).await;
        for project in ["team", "open"] {
            api.stand.member(project, &name, role).await;
        }
        table.push((Who::user(&name), expected));
    }
    assert_eq!(table.len(), Role::ALL.len());
    api.stand.officer("officer").await;
    api.stand.user("stranger").await;
    table.push((Who::user("admin"), [true, true, true]));
    // Who judges waivers and quarantines looks everywhere and changes nothing.
    table.push((Who::user("officer"), [true, false, false]));
    table.push((Who::user("stranger"), [false, false, false]));
    table.push((Who::user(""), [false, false, false]));
    for (who, expected) in &table {
        for token in [false, true] {
            let found = rights(&api, who, "team/app", token).await;
            assert_eq!(found, *expected, "{:?} in a private project, token: {token}", who.name);
            let found = rights(&api, who, "open/app", token).await;
            let public = [true, expected[1], expected[2]];
            assert_eq!(found, public, "{:?} in a public project, token: {token}", who.name);
        }
    }
}

#[tokio::test]
async fn a_robot_with_one_right_has_no_other() {
    let api = Api::new().await;
    api.stand.project("other", false).await;
    for (right, expected) in [
        (Right::Pull, [true, false, false]),
        // Who writes reads: no client can push without it.
        (Right::Push, [true, true, false]),
        (Right::Attest, [true, false, false]),
        (Right::Promote, [true, false, false]),
    ] {
        let (name, secret) = api.stand.robot("team", right.as_str(), &[right]).await;
        let robot = Who { name, secret };
        for token in [false, true] {
            let found = rights(&api, &robot, "team/app", token).await;
            assert_eq!(found, expected, "{right}, token: {token}");
            let found = rights(&api, &robot, "other/app", token).await;
            assert_eq!(found, [false; 3], "{right} elsewhere, token: {token}");
            // Evidence for what exists: for those who push, and for those who attest.
            let subject = api.push("team/app", "signed", "signed").await;
            let config = api.blob("team/app", b"{}").await;
            let mut evidence = image(&config, 2);
            let size = api.ask(Method::GET, &format!("/v2/team/app/manifests/{subject}"));
            let size = size.send().await.unwrap().bytes().await.unwrap().len();
            evidence["artifactType"] = json!("application/vnd.example.evidence");
            evidence["subject"] =
                json!({"mediaType": OCI_MANIFEST, "digest": subject, "size": size});
            evidence["annotations"] = json!({"by": robot.name, "token": token.to_string()});
            let digest = Digest::sha256(evidence.to_string().as_bytes());
            let path = format!("/v2/team/app/manifests/{digest}");
            let put = by(&api, &robot, token, Method::PUT, &path).await;
            let put = put.header("content-type", OCI_MANIFEST).body(evidence.to_string());
            let status = put.send().await.unwrap().status().as_u16();
            match right {
                Right::Push | Right::Attest => assert_eq!(status, 201, "{right}"),
                _ => assert!([401, 403].contains(&status), "{right}: {status}"),
            }
        }
    }
}

/// A token is for the project that it was made in, not for another one of that name; and it ends
/// with the account, its secret and its rights.
#[tokio::test]
async fn a_token_ends_with_what_it_stands_for() {
    let api = Api::new().await;
    api.stand.user("dev").await;
    api.stand.member("team", "dev", Role::Developer).await;
    api.push("team/app", "v1", "one").await;
    let dev = Who::user("dev");
    let path = "/v2/team/app/manifests/v1";
    let token = by(&api, &dev, true, Method::GET, path).await;
    let status = async |request: &RequestBuilder| {
        request.try_clone().unwrap().send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(&token).await, 200);
    // Rights are those of now: out of the project, out of the door.
    api.stand.registry.remove_member(&api.stand.admin, "team", "dev").await.unwrap();
    assert_ne!(status(&token).await, 200);
    api.stand.member("team", "dev", Role::Guest).await;
    assert_eq!(status(&token).await, 200);
    let push = by(&api, &dev, true, Method::POST, "/v2/team/app/blobs/uploads/").await;
    assert_eq!(status(&push).await, 401);
    let change = sealock_registry::UserChange { disabled: Some(true), ..Default::default() };
    let (registry, admin) = (&api.stand.registry, &api.stand.admin);
    registry.update_user(admin, &api.stand.authenticator, "dev", &change).await.unwrap();
    assert_eq!(status(&token).await, 401);
    let change = sealock_registry::UserChange { disabled: Some(false), ..Default::default() };
    registry.update_user(admin, &api.stand.authenticator, "dev", &change).await.unwrap();
    assert_eq!(status(&token).await, 200);
    let change = sealock_registry::UserChange {
        password: Some("Another-horse-8".into()),
        ..Default::default()
    };
    registry.update_user(admin, &api.stand.authenticator, "dev", &change).await.unwrap();
    assert_eq!(status(&token).await, 401);
    registry.delete_user(admin, "dev").await.unwrap();
    assert_eq!(status(&token).await, 401);
    // A robot whose secret was renewed.
    let (name, secret) = api.stand.robot("team", "ci", &[Right::Pull]).await;
    let robot = Who { name, secret };
    let token = by(&api, &robot, true, Method::GET, path).await;
    assert_eq!(status(&token).await, 200);
    let (_, secret) = registry.renew_robot(admin, "team", "ci").await.unwrap();
    assert_eq!(status(&token).await, 401);
    let renewed = Who { secret: secret.expose().to_owned(), ..robot };
    assert_eq!(status(&by(&api, &renewed, true, Method::GET, path).await).await, 200);
}

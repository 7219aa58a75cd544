use crate::support::{Api, error, header, json_of};
use reqwest::Method;
use sealock_auth::Role;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test]
async fn nobody_is_told_how_to_authenticate() {
    let api = Api::new().await;
    let response = api.anonymous(Method::GET, "/v2/").send().await.unwrap();
    assert_eq!(header(&response, "docker-distribution-api-version"), "registry/2.0");
    let expected = format!("Bearer realm=\"{}/service/token\",service=\"sealock\"", api.url);
    assert_eq!(header(&response, "www-authenticate"), expected);
    assert_eq!(error(response).await, (401, "UNAUTHORIZED".into()));
    assert_eq!(api.status(Method::GET, "/v2/").await, 200);
    assert_eq!(api.status(Method::HEAD, "/v2/").await, 200);
    let wrong = api.anonymous(Method::GET, "/v2/").basic_auth("admin", Some("wrong"));
    assert_eq!(error(wrong.send().await.unwrap()).await, (401, "UNAUTHORIZED".into()));
    let forged = api.anonymous(Method::GET, "/v2/").bearer_auth("x.y.z").send().await.unwrap();
    assert!(header(&forged, "www-authenticate").ends_with(",error=\"invalid_token\""));
    let other = api.ask(Method::POST, "/v2/").send().await.unwrap();
    assert_eq!(header(&other, "allow"), "GET, HEAD");
    assert_eq!(error(other).await, (405, "UNSUPPORTED".into()));
}

#[tokio::test]
async fn the_token_service_says_what_it_answers() {
    let api = Api::new().await;
    for path in ["/v2/token", "/service/token"] {
        for method in [Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = api.anonymous(method, path).send().await.unwrap();
            assert_eq!(header(&answer, "allow"), "GET, HEAD, POST");
            assert_eq!(error(answer).await, (405, "UNSUPPORTED".into()));
        }
    }
}

#[tokio::test]
async fn private_and_missing_repositories_look_alike() {
    let api = Api::new().await;
    api.stand.user("eve").await;
    api.stand.user("gus").await;
    api.stand.member("team", "gus", Role::Guest).await;
    let digest = api.push("team/app", "v1", "private").await;
    for path in [
        "tags/list".to_owned(),
        "manifests/v1".to_owned(),
        format!("manifests/{digest}"),
        format!("blobs/{digest}"),
        format!("referrers/{digest}"),
    ] {
        let mut answers = Vec::new();
        for name in ["team/app", "team/nothing", "nowhere/app"] {
            let request = api.by("eve", Method::GET, &format!("/v2/{name}/{path}"));
            answers.push(error(request.send().await.unwrap()).await);
            let nobody = api.anonymous(Method::GET, &format!("/v2/{name}/{path}"));
            let nobody = nobody.send().await.unwrap();
            assert!(
                header(&nobody, "www-authenticate")
                    .ends_with(&format!(",scope=\"repository:{name}:pull\"")),
            );
            assert_eq!(error(nobody).await, (401, "UNAUTHORIZED".into()));
        }
        assert_eq!(answers[0].0, 404, "{path}");
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{path}: {answers:?}");
    }
    // A guest reads and does not write.
    let get = |method, path: &str| api.by("gus", method, &format!("/v2/team/app/{path}")).send();
    assert_eq!(get(Method::GET, "manifests/v1").await.unwrap().status(), 200);
    for (method, path) in [
        (Method::POST, "blobs/uploads/".to_owned()),
        (Method::DELETE, "manifests/v1".to_owned()),
        (Method::DELETE, format!("manifests/{digest}")),
    ] {
        let answer = get(method, &path).await.unwrap();
        assert_eq!(error(answer).await, (403, "DENIED".into()), "{path}");
    }
    assert_eq!(api.status(Method::GET, "/v2/team/app/manifests/v1").await, 200);
}

#[tokio::test]
async fn paths_are_taken_as_they_stand() {
    let api = Api::new().await;
    api.push("team/app", "v1", "text").await;
    let address = api.url.strip_prefix("http://").unwrap().to_owned();
    for (path, status) in [
        ("/v2/team/app/tags/list", "200"),
        ("/v2/team//app/tags/list", "400"),
        ("/v2//team/app/tags/list", "400"),
        ("/v2/team%2fapp/tags/list", "400"),
        ("/v2/team/x/../app/tags/list", "400"),
        ("/v2/team/app/tags/list/", "404"),
        ("/v2/./team/app/tags/list", "400"),
        ("//v2/team/app/tags/list", "404"),
        ("/v2/team/app/manifests/v1%00", "404"),
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        // admin:Correct-horse-7-battery
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             authorization: Basic YWRtaW46Q29ycmVjdC1ob3JzZS03LWJhdHRlcnk=\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{path}: {answer}");
    }
}

#[tokio::test]
async fn the_catalog_lists_what_the_caller_may_read() {
    let api = Api::new().await;
    api.stand.project("open", true).await;
    api.stand.user("eve").await;
    for name in ["team/a", "open/b", "open/c"] {
        api.push(name, "v1", "text").await;
    }
    let all = json_of(api.ask(Method::GET, "/v2/_catalog").send().await.unwrap()).await;
    assert_eq!(all["repositories"], serde_json::json!(["open/b", "open/c", "team/a"]));
    let page = api.by("eve", Method::GET, "/v2/_catalog?n=1").send().await.unwrap();
    assert_eq!(header(&page, "link"), "</v2/_catalog?n=1&last=open/b>; rel=\"next\"");
    assert_eq!(json_of(page).await["repositories"], serde_json::json!(["open/b"]));
    let page = api.by("eve", Method::GET, "/v2/_catalog?n=5&last=open/b").send().await.unwrap();
    assert_eq!(header(&page, "link"), "");
    assert_eq!(json_of(page).await["repositories"], serde_json::json!(["open/c"]));
    // Who waits to be asked is asked; who has no account sees what is public.
    let nobody = api.anonymous(Method::GET, "/v2/_catalog").send().await.unwrap();
    assert!(header(&nobody, "www-authenticate").ends_with(",scope=\"registry:catalog:*\""));
    assert_eq!(error(nobody).await, (401, "UNAUTHORIZED".into()));
    let path = "/service/token?scope=registry:catalog:*";
    let token = json_of(api.anonymous(Method::GET, path).send().await.unwrap()).await;
    let request = api.anonymous(Method::GET, "/v2/_catalog");
    let public = request.bearer_auth(token["token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(json_of(public).await["repositories"], serde_json::json!(["open/b", "open/c"]));
    let wrong = api.ask(Method::GET, "/v2/_catalog?n=x").send().await.unwrap();
    assert_eq!(wrong.status(), 400);
}

//! Every endpoint of the distribution specification, asked by everybody: with a password, with a
//! token that covers it, with one that does not, from another project, and by nobody.

use crate::support::{Api, OCI_MANIFEST, error, header, json_of};
use reqwest::{Method, RequestBuilder};
use sealock_auth::{Right, Role};
use sealock_http::testing::PASSWORD;
use sealock_oci::Digest;
use std::collections::BTreeMap;

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Pull,
    Push,
    Delete,
}

/// A request of the specification's list of endpoints, and what comes when it is let in.
struct Endpoint {
    id: &'static str,
    needs: Needs,
    method: Method,
    path: String,
    body: String,
    good: u16,
}

/// How somebody asks.
struct Asker {
    who: &'static str,
    name: String,
    secret: String,
    /// The scope of a token; a password without.
    scope: Option<&'static str>,
    may: &'static [Needs],
    /// What a refusal is.
    refused: u16,
}

const BLOB: &[u8] = b"layer content";

async fn endpoints(api: &Api) -> Vec<Endpoint> {
    let of = |id, needs, method, path: String, good| Endpoint {
        id,
        needs,
        method,
        path: format!("/v2/team/app/{path}"),
        body: String::new(),
        good,
    };
    let manifest = api.image("team/app", "content").await.to_string();
    let digest = api.push("team/app", "v1", "content").await;
    let extra = api.push("team/app", "extra", "extra").await;
    let loose = api.blob("team/app", b"loose").await;
    let (blob, new) = (Digest::sha256(BLOB), Digest::sha256(b"new"));
    let uploads = "blobs/uploads/";
    let put = |id, path: String| Endpoint {
        body: manifest.clone(),
        ..of(id, Needs::Push, Method::PUT, path, 201)
    };
    let (get, head, post, delete) = (Method::GET, Method::HEAD, Method::POST, Method::DELETE);
    vec![
        of("2 GET", Needs::Pull, get.clone(), format!("blobs/{blob}"), 200),
        of("2 HEAD", Needs::Pull, head.clone(), format!("blobs/{blob}"), 200),
        of("3 GET tag", Needs::Pull, get.clone(), "manifests/v1".into(), 200),
        of("3 HEAD digest", Needs::Pull, head.clone(), format!("manifests/{digest}"), 200),
        of("8 GET", Needs::Pull, get.clone(), "tags/list".into(), 200),
        of("8 HEAD", Needs::Pull, head.clone(), "tags/list?n=1".into(), 200),
        of("12 GET", Needs::Pull, get.clone(), format!("referrers/{digest}"), 200),
        of("12 HEAD", Needs::Pull, head, format!("referrers/{digest}"), 200),
        of("4a", Needs::Push, post.clone(), uploads.into(), 202),
        Endpoint {
            body: "new".into(),
            ..of("4b", Needs::Push, post.clone(), format!("{uploads}?digest={new}"), 201)
        },
        of("4c", Needs::Push, post.clone(), format!("{uploads}?digest-algorithm=sha512"), 202),
        of("11", Needs::Push, post, format!("{uploads}?mount={blob}&from=team/app"), 201),
        of("5", Needs::Push, Method::PATCH, format!("{uploads}{UNKNOWN}"), 404),
        of("6", Needs::Push, Method::PUT, format!("{uploads}{UNKNOWN}?digest={new}"), 404),
        of("13", Needs::Push, get, format!("{uploads}{UNKNOWN}"), 404),
        of("14", Needs::Push, delete.clone(), format!("{uploads}{UNKNOWN}"), 404),
        put("7a", "manifests/v2".into()),
        put("7b", format!("manifests/{digest}?tag=v3&tag=v4")),
        of("9 digest", Needs::Delete, delete.clone(), format!("manifests/{extra}"), 202),
        of("9 tag", Needs::Delete, delete.clone(), "manifests/v2".into(), 202),
        of("10", Needs::Delete, delete, format!("blobs/{loose}"), 202),
    ]
}

/// The id of no upload.
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

async fn askers(api: &Api) -> Vec<Asker> {
    api.stand.project("other", false).await;
    for (user, project, role) in [
        ("gus", "team", Role::Guest),
        ("dev", "team", Role::Developer),
        ("max", "team", Role::Maintainer),
        ("eve", "other", Role::Maintainer),
    ] {
        api.stand.user(user).await;
        api.stand.member(project, user, role).await;
    }
    let every = [Right::Pull, Right::Push];
    let robots = [
        ("a robot that reads", api.stand.robot("team", "reader", &[Right::Pull]).await),
        ("a robot that writes", api.stand.robot("team", "writer", &every).await),
        ("another project's robot", api.stand.robot("other", "ci", &every).await),
    ];
    const ALL: &str = "repository:team/app:pull,push,delete";
    const NONE: &[Needs] = &[];
    const READ: &[Needs] = &[Needs::Pull];
    const WRITE: &[Needs] = &[Needs::Pull, Needs::Push];
    const EVERY: &[Needs] = &[Needs::Pull, Needs::Push, Needs::Delete];
    let user = |who, name: &str, scope, may, refused| Asker {
        who,
        name: name.to_owned(),
        secret: PASSWORD.to_owned(),
        scope,
        may,
        refused,
    };
    let mut all = vec![
        user("nobody", "", None, NONE, 401),
        user("nobody with a token", "", Some(ALL), NONE, 401),
        Asker { secret: "wrong".into(), ..user("a wrong password", "max", None, NONE, 401) },
        user("no such user", "nick", None, NONE, 401),
        user("a guest", "gus", None, READ, 403),
        user("a guest's token", "gus", Some(ALL), READ, 401),
        user("a developer", "dev", None, WRITE, 403),
        user("a maintainer", "max", None, EVERY, 403),
        user("a token for all", "max", Some(ALL), EVERY, 401),
        user("a token for pulling", "max", Some("repository:team/app:pull"), READ, 401),
        user("a token for pushing", "max", Some("repository:team/app:pull,push"), WRITE, 401),
        user("a token for elsewhere", "max", Some("repository:team/other:pull,push"), NONE, 401),
        user("a token for a longer name", "max", Some("repository:team/app2:pull"), NONE, 401),
        user("a token for nothing", "max", Some(""), NONE, 401),
        user("a stranger", "eve", None, NONE, 404),
        user("a stranger's token", "eve", Some(ALL), NONE, 401),
    ];
    for (who, (name, secret)) in robots {
        let may = match who {
            "a robot that reads" => READ,
            "a robot that writes" => WRITE,
            _ => NONE,
        };
        let refused = if may.is_empty() { 404 } else { 403 };
        let robot = |scope, refused| Asker {
            who,
            name: name.clone(),
            secret: secret.clone(),
            scope,
            may,
            refused,
        };
        all.extend([robot(None, refused), robot(Some(ALL), 401)]);
    }
    all
}

/// Adds who asks to a request.
async fn with(api: &Api, asker: &Asker, request: RequestBuilder) -> RequestBuilder {
    let basic = |request: RequestBuilder| match asker.name.is_empty() {
        true => request,
        false => request.basic_auth(&asker.name, Some(&asker.secret)),
    };
    let Some(scope) = asker.scope else { return basic(request) };
    let path = format!("/service/token?service=sealock&scope={scope}");
    let answer = basic(api.anonymous(Method::GET, &path)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", asker.who);
    request.bearer_auth(json_of(answer).await["token"].as_str().unwrap())
}

#[tokio::test]
async fn every_endpoint_lets_in_who_may_and_nobody_else() {
    let api = Api::new().await;
    let askers = askers(&api).await;
    let mut count = BTreeMap::new();
    for asker in &askers {
        // Made anew for each: deletions that are let in delete.
        for endpoint in endpoints(&api).await {
            let what = format!("{} asks {} {}", asker.who, endpoint.id, endpoint.path);
            let request = api.anonymous(endpoint.method.clone(), &endpoint.path);
            let request = request.header("content-type", OCI_MANIFEST).body(endpoint.body);
            let answer = with(&api, asker, request).await.send().await.unwrap();
            let may = asker.may.contains(&endpoint.needs);
            let expected = if may { endpoint.good } else { asker.refused };
            assert_eq!(answer.status(), expected, "{what}");
            assert_eq!(header(&answer, "docker-distribution-api-version"), "registry/2.0");
            let challenge = header(&answer, "www-authenticate").to_owned();
            assert_eq!(challenge.is_empty(), expected != 401, "{what}: {challenge}");
            if expected == 401 {
                assert!(challenge.contains(",scope=\"repository:team/app:"), "{what}: {challenge}");
            }
            if expected >= 400 && endpoint.method != Method::HEAD {
                let code = error(answer).await.1;
                let codes: &[&str] = match expected {
                    401 => &["UNAUTHORIZED"],
                    403 => &["DENIED"],
                    _ if may => &["BLOB_UPLOAD_UNKNOWN"],
                    _ => &["NAME_UNKNOWN"],
                };
                assert!(codes.contains(&code.as_str()), "{what}: {code}");
            }
            *count.entry(may).or_insert(0) += 1;
        }
    }
    assert_eq!(count.values().sum::<i32>(), 22 * 21, "{count:?}");
}

/// HEAD is GET without its body, also where the answer is an error.
#[tokio::test]
async fn head_says_what_get_says() {
    let api = Api::new().await;
    let digest = api.push("team/app", "v1", "content").await;
    let blob = Digest::sha256(BLOB);
    let missing = Digest::sha256(b"missing");
    for (path, status) in [
        (format!("blobs/{blob}"), 200),
        (format!("blobs/{missing}"), 404),
        ("blobs/sha256:00".to_owned(), 400),
        ("manifests/v1".to_owned(), 200),
        (format!("manifests/{digest}"), 200),
        (format!("manifests/{missing}"), 404),
        ("manifests/v9".to_owned(), 404),
        ("tags/list".to_owned(), 200),
        ("tags/list?n=0".to_owned(), 200),
        (format!("referrers/{digest}?artifactType=a/b"), 200),
        (format!("referrers/{missing}"), 200),
        ("referrers/sha512:00".to_owned(), 400),
        (format!("blobs/uploads/{UNKNOWN}"), 404),
    ] {
        let ask = async |method| {
            let path = format!("/v2/team/app/{path}");
            let answer = api.ask(method, &path).send().await.unwrap();
            let mut headers = answer.headers().clone();
            for of_the_request in ["date", "x-request-id"] {
                headers.remove(of_the_request);
            }
            (answer.status().as_u16(), headers, answer.bytes().await.unwrap())
        };
        let (get, head) = (ask(Method::GET).await, ask(Method::HEAD).await);
        assert_eq!((get.0, head.0), (status, status), "{path}");
        assert_eq!(get.1, head.1, "{path}");
        assert!(head.2.is_empty() && !get.2.is_empty(), "{path}");
        let length = get.1["content-length"].to_str().unwrap();
        assert_eq!(length, get.2.len().to_string(), "{path}");
    }
}

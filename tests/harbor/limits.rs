//! Members and robots that are limited to the repositories that a pattern matches: at every door
//! and in every list they see and touch these and no others.

use crate::{PASSWORD, member, on_both, permission, person, project, push, robot};
use reqwest::Method;
use sealock_tests::{harbor::Harbor, server::Server};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The repositories of the project, and what is beside it in another one.
const REPOSITORIES: [&str; 5] =
    ["team/app-1", "team/app-1/sub", "team/app-2", "team/other", "team/other/app-1"];
/// The newest image of each repository.
const NEWEST: &str = "/projects/team/artifacts?latest_in_repository=true\
                      &q=media_type=application/vnd.oci.image.config.v1%2Bjson";
const ELSEWHERE: &str = "elsewhere/app-1";

/// Patterns, and which of the repositories they let in.
const PATTERNS: [(&str, &[&str]); 7] = [
    ("team/app-*", &["team/app-1", "team/app-2"]),
    ("team/app-**", &["team/app-1", "team/app-2"]),
    ("team/*/**", &["team/app-1/sub", "team/other/app-1"]),
    ("team/**/app-1", &["team/app-1", "team/other/app-1"]),
    ("team/{app-2,other}", &["team/app-2", "team/other"]),
    ("team/app-1", &["team/app-1"]),
    ("team/nothing", &[]),
];

fn names(value: &Value, field: &str) -> BTreeSet<String> {
    let rows = value.as_array().unwrap_or_else(|| panic!("{value}")).iter();
    rows.map(|row| row[field].as_str().unwrap().to_owned()).collect()
}

/// Everything that somebody sees of the project's repositories, list by list.
fn lists(who: &Harbor) -> Vec<(&'static str, BTreeSet<String>)> {
    let of = |path: &str| names(who.get(path).is(200), "name");
    let search = who.get("/search?q=app");
    let catalog = who.http().json("/v2/_catalog")["repositories"].clone();
    let catalog = catalog.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    let own = who.http().json("/api/sealock/v1/projects/team/repositories")["items"].clone();
    let mut pages = BTreeSet::new();
    for page in 1..=REPOSITORIES.len() {
        let path = format!("/projects/team/repositories?page_size=1&page={page}");
        pages.extend(names(who.get(&path).is(200), "name"));
    }
    vec![
        ("repositories", of("/repositories")),
        ("of the project", of("/projects/team/repositories")),
        ("one by one", pages),
        ("artifacts", names(who.get("/projects/team/artifacts").is(200), "repository_name")),
        ("newest artifacts", names(who.get(NEWEST).is(200), "repository_name")),
        ("search", names(&search.is(200)["repository"], "repository_name")),
        ("catalog", catalog.collect()),
        ("Sealock's own", names(&own, "name")),
    ]
}

/// Asks at each door of a repository: those that let in, and those that do not.
fn doors(who: &Harbor, repository: &str, digest: &str) -> (Vec<String>, Vec<String>) {
    let http = who.http();
    let (project, within) = repository.split_once('/').unwrap();
    let within = within.replace('/', "%252F");
    let (mut open, mut closed) = (Vec::new(), Vec::new());
    let mut tell = |door: &str, status: u16| {
        assert!(matches!(status, 200 | 202 | 401 | 403 | 404), "{repository} {door}: {status}");
        if status < 300 { &mut open } else { &mut closed }.push(format!("{door}: {status}"));
    };
    for path in
        ["manifests/1", "tags/list", &format!("manifests/{digest}"), &format!("referrers/{digest}")]
    {
        tell(path, http.get(&format!("/v2/{repository}/{path}")).unwrap().status().as_u16());
    }
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    tell("upload", http.request(Method::POST, &uploads).send().unwrap().status().as_u16());
    let harbors = format!("/projects/{project}/repositories/{within}");
    for path in ["", "/artifacts", "/artifacts/1", "/artifacts/1/tags", "/artifacts/1/accessories"]
    {
        tell(path, who.get(&format!("{harbors}{path}")).status.as_u16());
    }
    let own = format!("/api/sealock/v1/artifact?image={repository}:1");
    tell(&own, http.get(&own).unwrap().status().as_u16());
    let scope = format!("/service/token?service=sealock&scope=repository:{repository}:pull,push");
    let body = http.json(&scope);
    let token = body["token"].as_str().unwrap();
    let request = http.request(Method::GET, &format!("/v2/{repository}/manifests/1"));
    // In the place of the name and secret that it would have.
    let bearer = format!("Bearer {token}").parse().unwrap();
    let request = request.headers([(reqwest::header::AUTHORIZATION, bearer)].into_iter().collect());
    tell("token", request.send().unwrap().status().as_u16());
    (open, closed)
}

fn prove(who: &Harbor, matched: &[&str], digest: &str, what: &str) {
    let expected: BTreeSet<String> = matched.iter().map(|&name| name.to_owned()).collect();
    for (list, seen) in lists(who) {
        let here: BTreeSet<String> = match list {
            "search" => expected.iter().filter(|name| name.contains("app")).cloned().collect(),
            _ => expected.clone(),
        };
        assert_eq!(seen, here, "{what}: {list}");
    }
    for repository in REPOSITORIES.into_iter().chain([ELSEWHERE]) {
        let (open, closed) = doors(who, repository, digest);
        let wrong = if expected.contains(repository) { closed } else { open };
        assert!(wrong.is_empty(), "{what}: {repository}: {wrong:?}");
    }
    // What is outside is as what does not exist.
    let outside = |name: &str| {
        let answer = who.get(&format!("/projects/team/repositories/{name}"));
        (answer.status, answer.body.to_string().replace(name, "#"))
    };
    if !matched.contains(&"team/other") {
        assert_eq!(outside("other"), outside("no-such"), "{what}");
    }
}

fn set_up(server: &Server) -> (Harbor, i64, String) {
    let admin = Harbor::admin(server);
    let team = project(&admin, "team", false);
    project(&admin, "elsewhere", false);
    for repository in REPOSITORIES.into_iter().chain([ELSEWHERE]) {
        push(server, &format!("{repository}:1"));
    }
    admin.delete("/projects/library").is(200);
    let manifest = admin.http().get("/v2/team/other/manifests/1").unwrap();
    let digest = manifest.headers()["docker-content-digest"].to_str().unwrap().to_owned();
    (admin, team, digest)
}

#[test]
fn a_limited_member_sees_and_touches_what_the_pattern_matches() {
    on_both(|server| {
        let (admin, team, digest) = set_up(server);
        let lia = person(server, "lia");
        let id = member(&admin, team, "lia", 2);
        let path = format!("/projects/{team}/members/{id}");
        for (pattern, matched) in PATTERNS {
            admin.put(&path, &json!({"role_id": 2, "repositories": pattern})).is(200);
            prove(&lia, matched, &digest, pattern);
            let count = matched.len();
            let listed = lia.get("/projects");
            assert_eq!(listed.column("name"), ["team"]);
            assert_eq!(listed.column("repo_count"), [count]);
            assert_eq!(lia.get("/projects/team").is(200)["repo_count"], count);
            assert_eq!(lia.get("/projects/team/summary").is(200)["repo_count"], count);
            assert_eq!(lia.get("/statistics").is(200)["private_repo_count"], count);
        }
        // A role without a word of repositories leaves the limit; `**` lifts it.
        admin.put(&path, &json!({"role_id": 4})).is(200);
        assert_eq!(lia.get("/repositories").total(), 0);
        admin.put(&path, &json!({"role_id": 2, "repositories": "**"})).is(200);
        prove(&lia, &REPOSITORIES, &digest, "no limit");
    });
}

#[test]
fn a_limited_robot_sees_and_touches_what_the_pattern_matches() {
    on_both(|server| {
        let (admin, _, digest) = set_up(server);
        let words = &[
            "project:read",
            "repository:read",
            "repository:list",
            "repository:pull",
            "repository:push",
            "artifact:list",
            "artifact:read",
            "tag:list",
            "accessory:list",
        ];
        for (number, (pattern, matched)) in PATTERNS.into_iter().enumerate() {
            for level in ["project", "system"] {
                let one = permission("project", pattern, words);
                let made = robot(&admin, level, &format!("r{number}"), &[one]);
                let seen = admin.get(&made.path());
                assert_eq!(seen.is(200)["permissions"][0]["namespace"], pattern);
                prove(&made.harbor(server), matched, &digest, &format!("{level} {pattern}"));
            }
        }
    });
}

/// What is outside comes in by no detour: not as the source of a mount, not by its digest alone.
#[test]
fn nothing_is_mounted_or_found_from_outside() {
    let server = Server::start();
    let (admin, team, _) = set_up(&server);
    let lia = person(&server, "lia");
    let body = json!({"role_id": 2, "repositories": "team/app-*",
        "member_user": {"username": "lia"}});
    admin.post(&format!("/projects/{team}/members"), &body).is(201);
    // A blob that only the other repository holds.
    let bytes = b"only in team/other".to_vec();
    let blob = sealock_oci::Digest::sha256(&bytes).to_string();
    let pushed = admin.http().push_blob("team/other", &blob, bytes).unwrap();
    assert_eq!(pushed.status(), 201);
    let mount = |who: &Harbor, from: &str, into: &str| {
        let path = format!("/v2/{into}/blobs/uploads/?mount={blob}{from}");
        who.http().request(Method::POST, &path).send().unwrap().status().as_u16()
    };
    assert_eq!(mount(&lia, "&from=team/other", "team/app-1"), 202, "an upload begins instead");
    assert_eq!(mount(&lia, "", "team/app-1"), 202);
    assert_eq!(mount(&lia, "&from=team/other", "team/new"), 404);
    assert_eq!(mount(&admin, "&from=team/other", "team/app-1"), 201);
    // By its digest alone an artifact is found only where the caller may read.
    let only = sealock_tests::images::Image::named("app-index");
    let desk = sealock_tests::clients::Desk::admin(&server);
    desk.skopeo_push(&only.reference(), "team/other:2", &["--all"]).ok();
    let manifest = admin.http().get("/v2/team/other/manifests/2").unwrap();
    let digest = manifest.headers()["docker-content-digest"].to_str().unwrap().to_owned();
    let located = |who: &Harbor| {
        let path = format!("/api/sealock/v1/artifact?image={digest}");
        who.http().get(&path).unwrap().status().as_u16()
    };
    assert_eq!((located(&admin), located(&lia)), (200, 404));
    // Nor by a copy, from outside or to outside.
    let copy = |from: &str, to: &str| {
        let path = format!("/projects/team/repositories/{to}/artifacts?from={from}");
        lia.ask(Method::POST, &path, None).status.as_u16()
    };
    assert_eq!(copy("team/app-1:1", "app-3"), 201);
    assert_eq!(copy("team/app-1:1", "new"), 403);
    assert_eq!(copy("team/other:1", "app-4"), copy("team/nothing:1", "app-4"));
    assert_ne!(copy("team/other:1", "app-4"), 201);
    desk.skopeo_push(&only.reference(), "team/app-2:2", &["--all"]).ok();
    assert_eq!(located(&lia), 200);
}

/// A limit is for roles and permissions that are about repositories: who administers the project
/// could lift it, and what is about the whole project is not for the limited.
#[test]
fn who_is_limited_changes_nothing_of_the_project() {
    let server = Server::start();
    let (admin, team, _) = set_up(&server);
    let mia = person(&server, "mia");
    let id = member(&admin, team, "mia", 4);
    let path = format!("/projects/{team}/members/{id}");
    let limit = |role: i64, pattern: &str| {
        admin.put(&path, &json!({"role_id": role, "repositories": pattern})).status.as_u16()
    };
    for bad in ["", "app-*", "elsewhere/*", "team/", "team/[", "te*/x"] {
        assert_eq!(limit(4, bad), 400, "{bad}");
    }
    assert_eq!(limit(1, "team/app-*"), 400);
    assert_eq!(limit(4, "team/app-*"), 200);
    assert_eq!(limit(1, "team/app-*"), 400);
    assert_eq!(admin.put(&path, &json!({"role_id": 1})).status, 400, "raised with a limit");
    let label = json!({"name": "one", "scope": "p", "project_id": team});
    assert_eq!(mia.post("/labels", &label).status, 403);
    mia.get(&format!("/labels?scope=p&project_id={team}")).is(200);
    mia.get(&format!("/projects/{team}/members")).is(200);
    assert_eq!(mia.put("/projects/team", &json!({"metadata": {}})).status, 403);
    let description = json!({"description": "mine"});
    mia.put("/projects/team/repositories/app-1", &description).is(200);
    assert_eq!(mia.put("/projects/team/repositories/other", &description).status, 403);
    assert_eq!(mia.delete("/projects/team/repositories/other").status, 403);
    mia.delete("/projects/team/repositories/app-1").is(200);
    let put = |limit: Value| {
        let mut body = json!({"user": "mia", "role": "maintainer"});
        if !limit.is_null() {
            body["repositories"] = limit;
        }
        admin.http().write(Method::POST, "/api/sealock/v1/projects/team/members", &body)
    };
    assert_eq!(put(Value::Null)["repositories"], "team/app-*");
    assert_eq!(put(json!("team/**"))["repositories"], Value::Null);
    let again = Harbor::of(&server, "mia", PASSWORD);
    again.delete("/projects/team/repositories/other").is(200);
}

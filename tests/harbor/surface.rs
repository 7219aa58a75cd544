//! Which operations of the contract there are: each is here, or belongs to a tag of a later piece,
//! or is named below as owed. None is neither.

use reqwest::{Method, StatusCode};
use sealock_tests::{
    harbor::{Contract, Harbor, Operation},
    server::Server,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Tags that come with later pieces.
const LATER: [&str; 18] = [
    "Retention",
    "gc",
    "purge",
    "webhook",
    "webhookjob",
    "scan",
    "scanAll",
    "scanner",
    "scan data export",
    "securityhub",
    "schedule",
    "jobservice",
    "Ldap",
    "oidc",
    "replication",
    "registry",
    "preheat",
    // Operations of the tag project that belong to the scanner.
    "project scanner",
];

/// Operations of this piece that are still to be built, by tag. The list only gets shorter.
const OWED: &[(&str, usize)] = &[];

/// The tag that counts: the scanner's operations stand under `project` in the contract.
fn tag(operation: &Operation) -> &str {
    match operation.id.contains("Scanner") && operation.tag == "project" {
        true => "project scanner",
        false => &operation.tag,
    }
}

/// A path of the operation that means nothing in particular.
fn example(operation: &Operation) -> String {
    let parts = operation.path.split('/').map(|part| match part {
        "{project_name_or_id}" | "{project_name}" | "{repository_name}" => "nothing",
        "{meta_name}" | "{tag_name}" | "{reference}" | "{addition}" => "nothing",
        "{scope}" | "{job_type}" | "{pool_id}" | "{uuid}" => "nothing",
        part if part.starts_with('{') => "99999999",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// The names of the operations that are not there.
pub(crate) fn missing(server: &Server) -> BTreeSet<String> {
    let admin = Harbor::admin(server);
    let mut missing = BTreeSet::new();
    for operation in Contract::get().operations() {
        let body = [Method::POST, Method::PUT, Method::PATCH].contains(&operation.method);
        let body = body.then(|| json!({}));
        let answer = admin.ask(operation.method.clone(), &example(operation), body.as_ref());
        if answer.status == StatusCode::NOT_IMPLEMENTED {
            missing.insert(operation.id.clone());
        }
    }
    missing
}

#[test]
fn each_operation_of_the_contract_is_here_or_said_to_be_missing() {
    let server = Server::start();
    let (admin, nobody) = (Harbor::admin(&server), Harbor::anonymous(&server));
    let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
    let mut here = BTreeSet::new();
    for operation in Contract::get().operations() {
        let path = example(operation);
        let body = [Method::POST, Method::PUT, Method::PATCH].contains(&operation.method);
        let body = body.then(|| json!({}));
        let answer = admin.ask(operation.method.clone(), &path, body.as_ref());
        assert!(
            answer.status != 405 && !answer.body.to_string().contains("has no path"),
            "{} is not routed: {answer:?}",
            operation.id
        );
        assert!(answer.status == 501 || !answer.status.is_server_error(), "{answer:?}");
        if answer.status == StatusCode::NOT_IMPLEMENTED {
            assert_eq!(answer.code(), "NOT_IMPLEMENTED");
            assert!(answer.message().contains("not available in this version"));
            let stranger = nobody.ask(operation.method.clone(), &path, body.as_ref());
            assert_eq!(stranger.status, 401, "{} before authentication", operation.id);
            if !LATER.contains(&tag(operation)) {
                *missing.entry(tag(operation)).or_default() += 1;
            }
        } else {
            here.insert(operation.id.as_str());
            assert!(!LATER.contains(&tag(operation)), "{} is here already", operation.id);
        }
    }
    assert_eq!(missing.into_iter().collect::<Vec<_>>(), OWED, "what is owed");
    println!("{} of {} operations are here", here.len(), Contract::get().operations().len());
}

#[test]
fn what_no_contract_knows_is_not_there() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    let nowhere = admin.get("/chartrepo/library/charts");
    assert_eq!((nowhere.status.as_u16(), nowhere.code()), (404, "NOT_FOUND"));
    let wrong = admin.delete("/ping");
    assert_eq!((wrong.status.as_u16(), wrong.code()), (405, "METHOD_NOT_ALLOWED"));
    assert_eq!(server.http().json("/api/version"), json!({"version": "v2.0"}));
    // Scripts name Harbor's token service.
    let status = |service: &str| {
        let path = format!("/service/token?service={service}&scope=repository:library/app:pull");
        server.http().get(&path).unwrap().status().as_u16()
    };
    assert_eq!(["harbor-registry", "harbor-notary"].map(status), [200, 400]);
    let asked = admin.with_header("X-Request-Id", "my-request-1").get("/ping");
    assert_eq!(
        (asked.is(200), &asked.headers["x-request-id"]),
        (&json!("Pong"), &"my-request-1".parse().unwrap())
    );
}

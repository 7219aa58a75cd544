//! Robots of both levels by operation: with one permission of the catalogue alone a robot does what
//! that permission says, and with all the others it does not. And: no operation that is here is
//! left out of these tables.

use crate::{
    matrix::{Place, cases, set_up},
    permission, person, robot,
};
use reqwest::Method;
use sealock_tests::{
    harbor::{Contract, Harbor},
    server::Server,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What of the catalogue each case of the matrix of roles asks for, by method and path; nothing
/// where no robot may be given it. Whoever adds a case there writes it down here.
fn asks_for(method: &Method, path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap();
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if parts.first() == Some(&"projects") {
        parts.drain(..2);
    }
    let act = match method.as_str() {
        "GET" => "read",
        "POST" => "create",
        "PUT" | "PATCH" => "update",
        _ => "delete",
    };
    let (resource, act) = match parts.as_slice() {
        [] | ["summary"] => ("project", act),
        ["_deletable"] => ("project", "delete"),
        ["metadatas"] if act == "read" => ("metadata", "list"),
        ["metadatas", ..] => ("metadata", act),
        ["members"] if act == "read" => ("member", "list"),
        ["members", ..] => ("member", act),
        ["logs" | "auditlog-exts"] => ("log", "list"),
        ["immutabletagrules"] if act == "read" => ("immutable-tag", "list"),
        ["immutabletagrules", ..] => ("immutable-tag", act),
        ["labels"] if act == "read" => ("label", "list"),
        ["labels", ..] => ("label", act),
        ["robots"] if act == "read" => ("robot", "list"),
        // There is no permission to change robots.
        ["robots", ..] if act == "update" => return None,
        ["robots", ..] => ("robot", act),
        ["artifacts"] => ("artifact", "list"),
        ["repositories"] => ("repository", "list"),
        ["repositories", _] => ("repository", act),
        ["repositories", _, "artifacts"] if act == "read" => ("artifact", "list"),
        ["repositories", _, "artifacts"] => ("artifact", "create"),
        ["repositories", _, "artifacts", _] => ("artifact", act),
        ["repositories", _, "artifacts", _, "tags"] if act == "read" => ("tag", "list"),
        ["repositories", _, "artifacts", _, "tags", ..] => ("tag", act),
        ["repositories", _, "artifacts", _, "accessories"] => ("accessory", "list"),
        ["repositories", _, "artifacts", _, "additions", ..] => ("artifact-addition", "read"),
        ["repositories", _, "artifacts", _, "labels", ..] => ("artifact-label", act),
        // These are of the system.
        ["quotas", ..] | ["system", ..] => return None,
        _ => panic!("say what {method} {path} asks for"),
    };
    let word = format!("{resource}:{act}");
    let known = catalogue("project").into_iter().find(|one| *one == word);
    known.map(|word| &*word.leak())
}

/// The whole catalogue, as it is told.
fn catalogue(part: &str) -> Vec<String> {
    static TOLD: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
    let told = TOLD.get_or_init(|| Harbor::admin(&Server::start()).get("/permissions").body);
    let pairs = told[part].as_array().unwrap().iter();
    let word = |pair: &Value| {
        format!("{}:{}", pair["resource"].as_str().unwrap(), pair["action"].as_str().unwrap())
    };
    pairs.map(word).collect()
}

/// Operations of the system: method, path, what they ask for, and a body. Each fails for another
/// reason where it is allowed, or changes nothing.
fn of_system() -> Vec<(Method, &'static str, Option<&'static str>, Option<Value>)> {
    use Method as M;
    let empty = || Some(json!({}));
    vec![
        (M::GET, "/users", Some("user:list"), None),
        (M::GET, "/users/search?username=a", Some("user:list"), None),
        (M::POST, "/users", Some("user:create"), empty()),
        (M::GET, "/users/{person}", Some("user:read"), None),
        (M::PUT, "/users/{person}", Some("user:update"), Some(json!({"email": "none"}))),
        (
            M::PUT,
            "/users/{person}/password",
            Some("user:update"),
            Some(json!({"new_password": ""})),
        ),
        (M::PUT, "/users/{person}/sysadmin", None, Some(json!({"sysadmin_flag": false}))),
        (M::PUT, "/users/{person}/cli_secret", None, Some(json!({"secret": "x"}))),
        (M::DELETE, "/users/99999999", Some("user:delete"), None),
        (M::GET, "/usergroups", Some("user-group:list"), None),
        (M::GET, "/usergroups/search?groupname=a", Some("user-group:list"), None),
        (M::POST, "/usergroups", Some("user-group:create"), empty()),
        (M::GET, "/usergroups/99999999", Some("user-group:read"), None),
        (
            M::PUT,
            "/usergroups/99999999",
            Some("user-group:update"),
            Some(json!({"group_name": "x"})),
        ),
        (M::DELETE, "/usergroups/99999999", Some("user-group:delete"), None),
        (M::POST, "/labels", Some("label:create"), Some(json!({"scope": "g"}))),
        (M::GET, "/labels/{global}", Some("label:read"), None),
        (M::PUT, "/labels/{global}", Some("label:update"), empty()),
        (M::GET, "/quotas", Some("quota:list"), None),
        (M::GET, "/quotas/{id}", Some("quota:read"), None),
        (M::PUT, "/quotas/{id}", Some("quota:update"), Some(json!({"hard": {"storage": -9}}))),
        (M::PUT, "/system/CVEAllowlist", None, Some(json!({"items": []}))),
        (M::GET, "/systeminfo/volumes", Some("system-volumes:read"), None),
        (M::GET, "/auditlog-exts/events", Some("audit-log:list"), None),
        (M::POST, "/projects", Some("project:create"), empty()),
        (M::GET, "/robots", Some("robot:list"), None),
        (
            M::POST,
            "/robots",
            Some("robot:create"),
            Some(json!({"name": "none", "level": "system",
                "permissions": [permission("system", "/", &["nothing:read"])]})),
        ),
        (M::GET, "/robots/{system}", Some("robot:read"), None),
        (M::PUT, "/robots/{system}", None, empty()),
        (M::PATCH, "/robots/{system}", None, empty()),
        (M::GET, "/configurations", None, None),
        (M::PUT, "/configurations", None, empty()),
        (M::GET, "/internalconfig", None, None),
    ]
}

/// Operations that are for everybody, or for everybody who is logged in, and show each what they
/// may see; a robot's part in them has tests of its own.
const OPEN: [&str; 17] = [
    "getPing",
    "getHealth",
    "getSystemInfo",
    "getCert",
    "getStatistic",
    "search",
    "listProjects",
    "headProject",
    "listAllRepositories",
    "listAuditLogs",
    "listAuditLogExts",
    "getPermissions",
    "getCurrentUserInfo",
    "getCurrentUserPermissions",
    "getSystemCVEAllowlist",
    "getIcon",
    // Removed by whom it may be in `robots`: one that is not there is refused to all alike.
    "DeleteRobot",
];

fn without<'w>(words: &'w [String], one: &str) -> Vec<&'w str> {
    words.iter().map(String::as_str).filter(|word| *word != one).collect()
}

/// What is done fails for another reason, or there is nothing to do it with.
fn done(status: u16) -> bool {
    !matches!(status, 401 | 403 | 500..)
}

#[test]
fn a_robot_does_in_a_project_what_its_permissions_say() {
    let server = Server::start();
    person(&server, "extra");
    let admin = Harbor::admin(&server);
    let places = [set_up(&server, "closed", false), set_up(&server, "open", true)];
    let all = catalogue("project");
    let mut made: BTreeMap<String, Harbor> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (holders, method, path, body) in cases() {
        let needed = asks_for(&method, path);
        for (place, public) in places.iter().zip([false, true]) {
            let (address, body) = (place.path(path), place.body(body.as_ref()));
            for level in ["project", "system", "everywhere"] {
                for has in [true, false] {
                    let Some(words) = (match (needed, has) {
                        // A copy reads what it copies, and pushes it.
                        (Some(word @ "artifact:create"), true) => Some(vec![
                            word,
                            "artifact:read",
                            "repository:read",
                            "repository:pull",
                            "repository:push",
                        ]),
                        (Some(word), true) => Some(vec![word]),
                        (Some(word), false) => Some(without(&all, word)),
                        (None, true) => None,
                        (None, false) => Some(without(&all, "")),
                    }) else {
                        continue;
                    };
                    let namespace = if level == "everywhere" { "*" } else { place.name };
                    let word = needed.unwrap_or("nothing").replace(':', "-");
                    let name = format!("{level}-{has}-{word}-{}", place.name);
                    let who = made.entry(name.clone()).or_insert_with(|| {
                        let one = [permission("project", namespace, &words)];
                        let level = if level == "project" { "project" } else { "system" };
                        robot(&admin, level, &name, &one).harbor(&server)
                    });
                    let status = who.ask(method.clone(), &address, body.as_ref()).status.as_u16();
                    // What is not here yet is walked as soon as it comes.
                    if status == 501 {
                        continue;
                    }
                    let open = public && holders.contains('P');
                    let label = address.starts_with("/labels/");
                    if address == "/labels/99999999" {
                        continue;
                    }
                    let good = match has || open {
                        true => done(status),
                        false => status == 403 || (label && status == 404),
                    };
                    if !good {
                        wrong.push(format!("{name} {method} {address}: {status}, has {has}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_robot_does_in_the_system_what_its_permissions_say() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    person(&server, "extra");
    let place = set_up(&server, "closed", false);
    let person = person(&server, "person").get("/users/current").is(200)["user_id"].to_string();
    let label = json!({"name": "one", "scope": "g"});
    let label = admin.post("/labels", &label).made().to_string();
    let (system, project) = (catalogue("system"), catalogue("project"));
    let some = [permission("system", "/", &["user:list"])];
    let some = robot(&admin, "system", "some", &some).id.to_string();
    let all: Vec<&str> = project.iter().map(String::as_str).collect();
    let mut made: BTreeMap<String, Harbor> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (method, path, needed, body) in of_system() {
        let address = place.path(path).replace("{person}", &person).replace("{global}", &label);
        let address = address.replace("{system}", &some);
        for has in [true, false] {
            if needed.is_none() && has {
                continue;
            }
            let one = needed.unwrap_or("nothing");
            let words = if has { vec![one] } else { without(&system, one) };
            let name = format!("{has}-{}", one.replace(':', "-"));
            let who = made.entry(name.clone()).or_insert_with(|| {
                let mut given = vec![permission("system", "/", &words)];
                if !has {
                    // All of every project is nothing of the system.
                    given.push(permission("project", "*", &all));
                }
                robot(&admin, "system", &name, &given).harbor(&server)
            });
            let status = who.ask(method.clone(), &address, body.as_ref()).status.as_u16();
            if status == 501 {
                continue;
            }
            let good = match has {
                true => done(status),
                false => status == 403,
            };
            if !good {
                wrong.push(format!("{name} {method} {address}: {status}, has {has}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whoever adds an operation adds a case for it: to the matrix of roles, to the table above, or to
/// what is open to everybody.
#[test]
fn no_operation_is_left_out() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    let place = Place { id: 1, name: "library", mid: 1, label: 1, robot: 1 };
    let mut covered: BTreeSet<&str> = OPEN.into();
    let mut cover = |method: &Method, path: &str| {
        let operation = Contract::get().find(method, path);
        let operation = operation.unwrap_or_else(|| panic!("the contract has no {method} {path}"));
        covered.insert(&operation.id);
    };
    for (_, method, path, _) in cases() {
        cover(&method, &place.path(path));
    }
    for (method, path, ..) in of_system() {
        cover(&method, &path.replace(['{', '}'], ""));
    }
    let left: Vec<&str> = Contract::get()
        .operations()
        .iter()
        .filter(|operation| !covered.contains(operation.id.as_str()))
        .filter(|operation| crate::foreign::is_here(&admin, operation))
        .map(|operation| operation.id.as_str())
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}

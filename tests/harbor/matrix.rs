//! Role by operation over the implemented surface, compared with Harbor's matrix: written here once
//! more, from Harbor's own table, so that a slip in the code's table is seen. Robots, which have no
//! roles, are walked over the same cases in `robots_matrix`.

use crate::{member, permission, person, project, project_robot, push};
use reqwest::Method;
use sealock_tests::{
    harbor::{Contract, Harbor},
    server::Server,
};
use serde_json::{Value, json};

/// A repository of the project.
macro_rules! app {
    () => {
        "/projects/{name}/repositories/app"
    };
}

/// A robot that nobody can make: it would have what no catalogue knows.
fn no_robot() -> Value {
    json!({"name": "none", "level": "project",
        "permissions": [permission("project", "{name}", &["nothing:read"])]})
}

/// Who may do it: letters of roles, `P` for anybody where the project is public; a method, a path
/// below the project, a body.
pub(crate) fn cases() -> Vec<(&'static str, Method, &'static str, Option<Value>)> {
    use Method as M;
    let rule = || crate::immutable::rule(("repoMatches", "**"), ("matches", "v*"));
    let member = || Some(json!({"role_id": 3, "member_user": {"username": "extra"}}));
    vec![
        ("AMDGLP", M::GET, "/projects/{id}", None),
        ("AMDGLP", M::GET, "/projects/{id}/summary", None),
        ("A", M::GET, "/projects/{id}/_deletable", None),
        ("A", M::PUT, "/projects/{id}", Some(json!({"metadata": {}}))),
        ("A", M::DELETE, "/projects/{id}", None),
        ("", M::GET, "/projects/{id}/metadatas/", None),
        ("AM", M::GET, "/projects/{id}/metadatas/public", None),
        ("A", M::POST, "/projects/{id}/metadatas/", Some(json!({"severity": "bad"}))),
        ("A", M::PUT, "/projects/{id}/metadatas/public", Some(json!({"public": "bad"}))),
        ("A", M::DELETE, "/projects/{id}/metadatas/severity", None),
        ("AMDG", M::GET, "/projects/{id}/members", None),
        ("AMDG", M::GET, "/projects/{id}/members/{mid}", None),
        ("A", M::POST, "/projects/{id}/members", member()),
        ("A", M::PUT, "/projects/{id}/members/{mid}", Some(json!({"role_id": 9}))),
        ("A", M::DELETE, "/projects/{id}/members/99999999", None),
        ("A", M::GET, "/projects/{name}/logs", None),
        ("A", M::GET, "/projects/{name}/auditlog-exts", None),
        ("AMDGLP", M::GET, "/projects/{name}/repositories", None),
        ("AMDGL", M::GET, "/projects/{name}/repositories/app", None),
        ("AMD", M::PUT, "/projects/{name}/repositories/app", Some(json!({"description": "x"}))),
        ("AM", M::DELETE, "/projects/{name}/repositories/nothing", None),
        ("AM", M::GET, "/projects/{id}/immutabletagrules", None),
        ("AM", M::POST, "/projects/{id}/immutabletagrules", Some(json!({"action": "retain"}))),
        ("AM", M::PUT, "/projects/{id}/immutabletagrules/99999999", Some(rule())),
        ("AM", M::DELETE, "/projects/{id}/immutabletagrules/99999999", None),
        ("", M::GET, "/quotas", None),
        ("", M::GET, "/quotas/{id}", None),
        ("", M::PUT, "/quotas/{id}", Some(json!({"hard": {"storage": -1}}))),
        ("", M::PUT, "/system/CVEAllowlist", Some(json!({"items": []}))),
        ("AMDG", M::GET, "/robots?q=Level=project,ProjectID={id}", None),
        ("AMDG", M::GET, "/robots/{robot}", None),
        ("A", M::POST, "/robots", Some(no_robot())),
        ("A", M::PUT, "/robots/{robot}", Some(json!({}))),
        ("A", M::PATCH, "/robots/{robot}", Some(json!({"secret": "short"}))),
        ("AMDGLP", M::GET, "/projects/{id}/artifacts", None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts"), None),
        ("AMD", M::POST, concat!(app!(), "/artifacts?from={name}/app:nothing"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1"), None),
        ("AM", M::DELETE, concat!(app!(), "/artifacts/nothing"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1/tags"), None),
        ("AMD", M::POST, concat!(app!(), "/artifacts/1/tags"), Some(json!({"name": "1"}))),
        ("AM", M::DELETE, concat!(app!(), "/artifacts/1/tags/nothing"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1/accessories"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1/additions/vulnerabilities"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1/additions/build_history"), None),
        ("AMD", M::POST, concat!(app!(), "/artifacts/1/labels"), Some(json!({"id": 99_999_999}))),
        ("AMD", M::DELETE, concat!(app!(), "/artifacts/1/labels/99999999"), None),
        ("AMDGP", M::GET, "/labels?scope=p&project_id={id}", None),
        ("AMDGP", M::GET, "/labels/{label}", None),
        ("AM", M::POST, "/labels", Some(json!({"scope": "p", "project_id": "{id}"}))),
        ("AM", M::PUT, "/labels/{label}", Some(json!({"name": ""}))),
        ("AM", M::DELETE, "/labels/99999999", None),
    ]
}

/// A project with what the cases name.
pub(crate) struct Place {
    pub(crate) id: i64,
    pub(crate) name: &'static str,
    pub(crate) mid: i64,
    pub(crate) label: i64,
    pub(crate) robot: i64,
}

pub(crate) fn set_up(server: &Server, name: &'static str, public: bool) -> Place {
    let admin = Harbor::admin(server);
    let id = project(&admin, name, public);
    push(server, &format!("{name}/app:1"));
    let label = json!({"name": "one", "scope": "p", "project_id": id});
    let label = admin.post("/labels", &label).made();
    let mid = member(&admin, id, "extra", 5);
    let robot = project_robot(&admin, name, "ci", &["repository:pull"]).id;
    Place { id, name, mid, label, robot }
}

/// The end of the path to the artifacts of a project.
fn of_project(place: &Place) -> String {
    format!("/projects/{}/artifacts", place.id)
}

impl Place {
    pub(crate) fn path(&self, path: &str) -> String {
        path.replace("{id}", &self.id.to_string())
            .replace("{name}", self.name)
            .replace("{mid}", &self.mid.to_string())
            .replace("{label}", &self.label.to_string())
            .replace("{robot}", &self.robot.to_string())
    }

    pub(crate) fn body(&self, body: Option<&Value>) -> Option<Value> {
        let mut body = body?.clone();
        if body.get("project_id").is_some() {
            body["project_id"] = self.id.into();
        }
        serde_json::from_str(&body.to_string().replace("{name}", self.name)).ok()
    }
}

/// Everything that is done here fails for another reason where it is allowed, or changes nothing,
/// so that each may be tried by everybody.
#[test]
fn each_role_may_do_what_harbors_matrix_says() {
    let server = Server::start();
    person(&server, "extra");
    let admin = Harbor::admin(&server);
    let roles = [("A", 1), ("M", 4), ("D", 2), ("G", 3), ("L", 5)];
    let mut people: Vec<(&str, Harbor)> = Vec::new();
    let places = [set_up(&server, "closed", false), set_up(&server, "open", true)];
    for (letter, role) in roles {
        let name = format!("role-{}", letter.to_lowercase());
        people.push((letter, person(&server, &name)));
        for place in &places {
            member(&admin, place.id, &name, role);
        }
    }
    people.push(("-", person(&server, "stranger")));
    people.push(("0", Harbor::anonymous(&server)));
    let mut wrong = Vec::new();
    for (holders, method, path, body) in cases() {
        let operation = Contract::get().find(&method, &places[0].path(path)).unwrap();
        // What is not here yet is walked as soon as it comes.
        if !crate::foreign::is_here(&admin, operation) {
            continue;
        }
        for (place, public) in places.iter().zip([false, true]) {
            let (path, body) = (place.path(path), place.body(body.as_ref()));
            for (letter, who) in &people {
                let allowed = holders.contains(letter) || (public && holders.contains('P'));
                // Labels by number, and artifacts of a project, are for those who are logged in.
                let known = path.starts_with("/labels/") || path.ends_with(&of_project(place));
                let allowed = allowed && !(*letter == "0" && known);
                let status = who.ask(method.clone(), &path, body.as_ref()).status.as_u16();
                let refused = match *letter {
                    "0" => status == 401,
                    // What a label's number belongs to is told to nobody who may not look there.
                    _ if path.starts_with("/labels/") => status == 403 || status == 404,
                    _ => status == 403,
                };
                let done = match (path.as_str(), method.as_str()) {
                    ("/labels/99999999", "DELETE") => continue,
                    _ => !matches!(status, 401 | 403 | 500..),
                };
                if (allowed && !done) || (!allowed && !refused) {
                    wrong.push(format!("{letter} {method} {path}: {status}, allowed {allowed}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

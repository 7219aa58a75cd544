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
        ("AMD", M::POST, "/projects/{name}/repositories/copy/artifacts?from={name}/app:1", None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1"), None),
        ("AM", M::DELETE, concat!(app!(), "/artifacts/nothing"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1/tags"), None),
        ("AMD", M::POST, concat!(app!(), "/artifacts/1/tags"), Some(json!({"name": "1"}))),
        ("AM", M::DELETE, concat!(app!(), "/artifacts/1/tags/nothing"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1/accessories"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1/additions/vulnerabilities"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1/additions/build_history"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1/additions/sbom"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1/additions/values.yaml"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1/additions/readme.md"), None),
        ("AMDGLP", M::GET, concat!(app!(), "/artifacts/1/additions/dependencies"), None),
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

/// Who copies reads on one side and pushes on the other: every role at the source with every role
/// at the target, from a closed project and an open one.
#[test]
fn a_copy_takes_a_role_on_both_sides() {
    let server = Server::start();
    let (admin, carl) = (Harbor::admin(&server), person(&server, "carl"));
    let target = project(&admin, "target", false);
    let roles =
        [None, Some(("A", 1)), Some(("M", 4)), Some(("D", 2)), Some(("G", 3)), Some(("L", 5))];
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for (source, public) in [("closed", false), ("open", true)] {
        let id = project(&admin, source, public);
        push(&server, &format!("{source}/app:1"));
        let artifacts = format!("/projects/target/repositories/from-{source}/artifacts");
        for at_source in roles {
            let reads = at_source.map(|(_, role)| member(&admin, id, "carl", role));
            for at_target in roles {
                let writes = at_target.map(|(_, role)| member(&admin, target, "carl", role));
                let path = format!("{artifacts}?from={source}/app:1");
                let status = carl.ask(Method::POST, &path, None).status.as_u16();
                let pushes = at_target.is_some_and(|(letter, _)| "AMD".contains(letter));
                let good = match pushes && (public || at_source.is_some()) {
                    true => matches!(status, 201 | 409),
                    false => status == 403,
                };
                asked += 1;
                if !good {
                    wrong.push(format!("{at_source:?} of {source}, {at_target:?}: {status}"));
                }
                if let Some(mid) = writes {
                    admin.delete(&format!("/projects/{target}/members/{mid}")).is(200);
                }
            }
            if let Some(mid) = reads {
                admin.delete(&format!("/projects/{id}/members/{mid}")).is(200);
            }
        }
        let copied = format!("{artifacts}/1");
        admin.get(&copied).is(200);
        let path = format!("{artifacts}?from={source}/app:1");
        assert_eq!(Harbor::anonymous(&server).ask(Method::POST, &path, None).status, 401);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(asked, 72);
}

//! Role by operation over the implemented surface, compared with Harbor's matrix: written here once
//! more, from Harbor's own table, so that a slip in the code's table is seen. And: another
//! project's number answers as one that does not exist.

use crate::{member, person, project, push};
use reqwest::Method;
use sealock_tests::{harbor::Harbor, server::Server};
use serde_json::{Value, json};

/// Who may do it: letters of roles, `P` for anybody where the project is public; a method, a path
/// below the project, a body.
fn cases() -> Vec<(&'static str, Method, &'static str, Option<Value>)> {
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
        ("AMDGP", M::GET, "/labels?scope=p&project_id={id}", None),
        ("AMDGP", M::GET, "/labels/{label}", None),
        ("AM", M::POST, "/labels", Some(json!({"scope": "p", "project_id": "{id}"}))),
        ("AM", M::PUT, "/labels/{label}", Some(json!({"name": ""}))),
        ("AM", M::DELETE, "/labels/99999999", None),
    ]
}

struct Place {
    id: i64,
    name: &'static str,
    mid: i64,
    label: i64,
}

fn set_up(server: &Server, name: &'static str, public: bool) -> Place {
    let admin = Harbor::admin(server);
    let id = project(&admin, name, public);
    push(server, &format!("{name}/app:1"));
    let label = json!({"name": "one", "scope": "p", "project_id": id});
    let label = admin.post("/labels", &label).made();
    let mid = member(&admin, id, "extra", 5);
    Place { id, name, mid, label }
}

impl Place {
    fn path(&self, path: &str) -> String {
        path.replace("{id}", &self.id.to_string())
            .replace("{name}", self.name)
            .replace("{mid}", &self.mid.to_string())
            .replace("{label}", &self.label.to_string())
    }

    fn body(&self, body: Option<&Value>) -> Option<Value> {
        let mut body = body?.clone();
        if body.get("project_id").is_some() {
            body["project_id"] = self.id.into();
        }
        Some(body)
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
        for (place, public) in places.iter().zip([false, true]) {
            let (path, body) = (place.path(path), place.body(body.as_ref()));
            for (letter, who) in &people {
                let allowed = holders.contains(letter) || (public && holders.contains('P'));
                // Labels by number are for those who are logged in.
                let allowed = allowed && !(*letter == "0" && path.starts_with("/labels/"));
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

/// Part of every advisory on foreign numbers (CVE-2022-31666 to 31671): with the rights of one
/// project, the number of something in another one answers exactly as one that does not exist.
#[test]
fn another_projects_number_is_as_one_that_does_not_exist() {
    let server = Server::start();
    person(&server, "extra");
    let (ann, eve) = (person(&server, "ann"), person(&server, "eve"));
    let own = project(&ann, "own", false);
    let foreign = project(&eve, "foreign", false);
    let label = json!({"name": "one", "scope": "p", "project_id": foreign});
    let label = eve.post("/labels", &label).made();
    let mid = member(&eve, foreign, "extra", 3);
    let rules = format!("/projects/{foreign}/immutabletagrules");
    let covers = || crate::immutable::rule(("repoMatches", "**"), ("matches", "v*"));
    let rule = eve.post(&rules, &covers()).made();
    let nothing = 99_999_999;
    let words = || Some(json!({"name": "changed"}));
    let role = || Some(json!({"role_id": 1}));
    let cases = [
        (Method::GET, format!("/projects/{own}/members/#"), mid, None),
        (Method::PUT, format!("/projects/{own}/members/#"), mid, role()),
        (Method::DELETE, format!("/projects/{own}/members/#"), mid, None),
        // CVE-2022-31669: the rules of another project, in the path and as a part of one's own.
        (Method::PUT, format!("/projects/{own}/immutabletagrules/#"), rule, Some(covers())),
        (Method::DELETE, format!("/projects/{own}/immutabletagrules/#"), rule, None),
        (Method::GET, "/projects/#/immutabletagrules".to_owned(), foreign, None),
        (Method::POST, "/projects/#/immutabletagrules".to_owned(), foreign, Some(covers())),
        (Method::DELETE, format!("/projects/#/immutabletagrules/{rule}"), foreign, None),
        (Method::GET, "/quotas/#".to_owned(), foreign, None),
        (
            Method::PUT,
            "/quotas/#".to_owned(),
            foreign,
            Some(json!({
                "hard": {"storage": 1},
            })),
        ),
        (Method::GET, "/labels/#".to_owned(), label, None),
        (Method::PUT, "/labels/#".to_owned(), label, words()),
        (Method::DELETE, "/labels/#".to_owned(), label, None),
        (Method::GET, "/labels?scope=p&project_id=#".to_owned(), foreign, None),
        (Method::GET, "/projects/#".to_owned(), foreign, None),
        (Method::PUT, "/projects/#".to_owned(), foreign, Some(json!({"metadata": {}}))),
        (Method::DELETE, "/projects/#".to_owned(), foreign, None),
        (Method::GET, "/projects/#/_deletable".to_owned(), foreign, None),
        (Method::GET, "/projects/#/summary".to_owned(), foreign, None),
        (Method::GET, "/projects/#/members".to_owned(), foreign, None),
        (
            Method::POST,
            "/projects/#/members".to_owned(),
            foreign,
            Some(json!({
                "role_id": 1, "member_user": {"username": "ann"},
            })),
        ),
        (Method::GET, "/projects/#/metadatas/".to_owned(), foreign, None),
        (Method::GET, "/projects/#/metadatas/public".to_owned(), foreign, None),
        (
            Method::PUT,
            "/projects/#/metadatas/public".to_owned(),
            foreign,
            Some(json!({
                "public": "true",
            })),
        ),
        (Method::GET, "/users/#".to_owned(), 1, None),
        (Method::PUT, "/users/#".to_owned(), 1, Some(json!({"realname": "x"}))),
        (
            Method::PUT,
            "/users/#/password".to_owned(),
            1,
            Some(json!({
                "new_password": "Taken-over-1",
            })),
        ),
        (Method::DELETE, "/users/#".to_owned(), 1, None),
    ];
    for (method, path, id, body) in cases {
        let answer = |who: &Harbor, id: i64| {
            let answer =
                who.ask(method.clone(), &path.replace('#', &id.to_string()), body.as_ref());
            let text = answer.body.to_string().replace(&id.to_string(), "#");
            (answer.status, text)
        };
        for who in [&ann, &Harbor::anonymous(&server)] {
            let (there, not_there) = (answer(who, id), answer(who, nothing));
            assert!(there.0.is_client_error(), "{method} {path}: {there:?}");
            assert_eq!(there, not_there, "{method} {path}");
        }
    }
    eve.get(&format!("/labels/{label}")).is(200);
    assert_eq!(eve.get(&rules).column("id"), [rule]);
    eve.get(&format!("/projects/{foreign}/members/{mid}")).is(200);
}

//! Made from the contract: for every operation that is here and takes a number or a name, what
//! belongs to another project answers exactly as what does not exist. CVE-2022-31666 to 31671, and
//! the fixes like them, were each a forgotten case of this.

use crate::{PASSWORD, member, permission, person, project, project_robot, push};
use reqwest::Method;
use sealock_tests::{
    clients::Desk,
    harbor::{Contract, Harbor, Operation},
    images::Image,
    server::Server,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Names that are nothing, as long as the others, so that no length tells them apart.
const NOTHING: i64 = 99_999_999;
const NO_DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// What stands for a parameter of a path: the caller's own, somebody else's, and nothing.
struct Fixture {
    own: String,
    foreign: String,
    missing: String,
}

fn fixture(own: impl ToString, foreign: impl ToString, missing: impl ToString) -> Fixture {
    Fixture { own: own.to_string(), foreign: foreign.to_string(), missing: missing.to_string() }
}

/// A project with one of everything; all of it is told by the parameters of paths.
fn fill(server: &Server, owner: &Harbor, name: &str) -> BTreeMap<&'static str, String> {
    let id = project(owner, name, false);
    let repository = format!("app-of-{name}");
    push(server, &format!("{name}/{repository}:{name}"));
    let label = json!({"name": "one", "scope": "p", "project_id": id});
    let label = owner.post("/labels", &label).made();
    let rule = crate::immutable::rule(("repoMatches", "**"), ("matches", "v*"));
    let rule = owner.post(&format!("/projects/{id}/immutabletagrules"), &rule).made();
    let mid = member(owner, id, "extra", 3);
    let robot = project_robot(owner, name, "ci", &["repository:pull"]).id;
    let user = owner.get("/users/current").is(200)["user_id"].as_i64().unwrap();
    let manifest = format!("/v2/{name}/{repository}/manifests/{name}");
    let manifest = owner.http().get(&manifest).unwrap();
    let digest = manifest.headers()["docker-content-digest"].to_str().unwrap().to_owned();
    BTreeMap::from([
        ("project", id.to_string()),
        ("project_name", name.to_owned()),
        ("project_name_or_id", name.to_owned()),
        ("repository_name", repository),
        ("reference", name.to_owned()),
        ("tag_name", name.to_owned()),
        ("mid", mid.to_string()),
        ("label_id", label.to_string()),
        ("immutable_rule_id", rule.to_string()),
        ("robot_id", robot.to_string()),
        ("user_id", user.to_string()),
        ("digest", digest),
    ])
}

/// What stands for a parameter of an operation. Whoever adds an operation with a parameter of a new
/// name gives it a fixture here; `None` where it names nothing that belongs to anybody.
fn stands_for(
    operation: &Operation,
    name: &str,
    own: &BTreeMap<&'static str, String>,
    foreign: &BTreeMap<&'static str, String>,
    group: i64,
) -> Option<Fixture> {
    let missing: Value = match name {
        "project_name" | "project_name_or_id" => json!("nothing"),
        "repository_name" => json!("app-of-nothing"),
        "reference" | "tag_name" => json!("nothing"),
        "mid" | "label_id" | "immutable_rule_id" | "robot_id" | "user_id" => json!(NOTHING),
        "group_id" => return Some(fixture(group, group, NOTHING)),
        "id" if operation.path.starts_with("/quotas") => {
            return Some(fixture(&own["project"], &foreign["project"], NOTHING));
        }
        "meta_name" | "addition" => return None,
        // A number of an icon's bytes, which are the same everywhere.
        "digest" if operation.path.starts_with("/icons") => return None,
        _ => panic!("{}: give the parameter {name} a fixture", operation.id),
    };
    let missing = missing.as_str().map_or_else(|| missing.to_string(), str::to_owned);
    Some(fixture(&own[name], &foreign[name], missing))
}

/// A word for what names nothing that belongs to anybody.
fn word(name: &str) -> &'static str {
    match name {
        "meta_name" => "public",
        "addition" => "build_history",
        _ => NO_DIGEST,
    }
}

/// A body that does something where it is allowed. Whoever adds an operation that takes one writes
/// it down here: what is refused for its body proves nothing.
fn body(operation: &Operation) -> Option<Value> {
    let rule = || crate::immutable::rule(("repoMatches", "**"), ("matches", "w*"));
    let robot = json!({"description": "changed", "duration": 5,
        "permissions": [permission("project", "mine", &["repository:pull"])]});
    Some(match operation.id.as_str() {
        _ if [Method::GET, Method::DELETE, Method::HEAD].contains(&operation.method) => {
            return None;
        }
        "updateProject" => json!({"metadata": {"public": "true"}}),
        "createProjectMember" => json!({"role_id": 3, "member_user": {"username": "other"}}),
        "updateProjectMember" => json!({"role_id": 1}),
        "addProjectMetadatas" => json!({"severity": "low"}),
        "updateProjectMetadata" => json!({"public": "true"}),
        "updateRepository" => json!({"description": "changed"}),
        "CreateImmuRule" | "UpdateImmuRule" => rule(),
        "updateUserGroup" => json!({"group_name": "changed"}),
        "updateQuota" => json!({"hard": {"storage": 1}}),
        "UpdateRobot" => robot,
        "RefreshSec" => json!({"secret": "Taken-over-1"}),
        "updateUserProfile" => json!({"realname": "changed", "email": "new@example.org"}),
        "setUserSysAdmin" => json!({"sysadmin_flag": true}),
        "updateUserPassword" => json!({"new_password": "Taken-over-1"}),
        "setCliSecret" => json!({"secret": "Taken-over-1"}),
        "UpdateLabel" => json!({"name": "changed"}),
        "createTag" => json!({"name": "changed"}),
        "addLabel" => json!({"id": 1}),
        "CopyArtifact" => return None,
        other => panic!("give the operation {other} a body"),
    })
}

/// The parameters of a path, in order.
fn parameters(operation: &Operation) -> Vec<&str> {
    let parts = operation.path.split('/');
    parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

/// Whether an operation is here: an administrator who asks for nothing in particular is not told
/// that it is not available.
pub(crate) fn is_here(admin: &Harbor, operation: &Operation) -> bool {
    let path = operation.path.split('/').map(|part| match part.strip_prefix('{') {
        None => part.to_owned(),
        Some(_) if part.ends_with("id}") || part == "{mid}" => NOTHING.to_string(),
        Some(_) => "nothing".to_owned(),
    });
    let path = path.collect::<Vec<_>>().join("/");
    let takes = [Method::POST, Method::PUT, Method::PATCH].contains(&operation.method);
    let body = takes.then(|| json!({}));
    admin.ask(operation.method.clone(), &path, body.as_ref()).status != 501
}

/// An answer without the words that were asked for.
fn answer(
    who: &Harbor,
    method: &Method,
    path: &str,
    body: Option<&Value>,
    told: &[&str],
) -> (u16, String) {
    let answer = who.ask(method.clone(), path, body);
    let mut text = answer.body.to_string();
    let mut told = told.to_vec();
    told.sort_by_key(|word| std::cmp::Reverse(word.len()));
    for word in told {
        text = text.replace(word, "#");
    }
    (answer.status.as_u16(), text)
}

/// A question with the names in it.
type Question = (String, Vec<String>);

/// Copies into one's own project from another's, and from one's own by what only another has: each
/// part of a source that is there, and one that is not. `only` is a digest that is in none but the
/// other project.
fn sources(only: &str) -> Vec<(Question, Question)> {
    let from = |project: &str, repository: &str, reference: &str| {
        let to = "/projects/mine/repositories/app-of-mine/artifacts";
        let told = [project, repository, reference.trim_start_matches([':', '@'])];
        let told = told.into_iter().filter(|word| *word != "mine").map(str::to_owned).collect();
        (format!("{to}?from={project}/{repository}{reference}"), told)
    };
    let (only, none) = (&format!("@{only}"), &format!("@{NO_DIGEST}"));
    vec![
        (from("theirs", "app-of-theirs", ":theirs"), from("nothing", "app-of-nothing", ":nothing")),
        (from("theirs", "app-of-theirs", only), from("nothing", "app-of-nothing", none)),
        (from("theirs", "app-of-theirs", only), from("theirs", "app-of-theirs", none)),
        (from("mine", "app-of-theirs", ":mine"), from("mine", "app-of-nothing", ":mine")),
        (from("mine", "app-of-mine", ":theirs"), from("mine", "app-of-mine", ":nothing")),
        (from("mine", "app-of-mine", only), from("mine", "app-of-mine", none)),
    ]
}

#[test]
fn what_is_foreign_answers_as_what_does_not_exist() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    for name in ["extra", "other"] {
        person(&server, name);
    }
    let (ann, eve) = (person(&server, "ann"), person(&server, "eve"));
    let (own, foreign) = (fill(&server, &ann, "mine"), fill(&server, &eve, "theirs"));
    let only = Image::named("base");
    Desk::admin(&server).skopeo_push(&only.reference(), "theirs/app-of-theirs:only", &[]).ok();
    let only = only.digest();
    let group = json!({"group_name": "people", "group_type": 3});
    let group = admin.post("/usergroups", &group).made();
    let listed = ann.get("/permissions");
    let all = listed.is(200)["project"].as_array().unwrap().iter().map(|pair| {
        format!("{}:{}", pair["resource"].as_str().unwrap(), pair["action"].as_str().unwrap())
    });
    let all: Vec<String> = all.collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let robot = project_robot(&ann, "mine", "all", &all).harbor(&server);
    let callers = [("ann", &ann), ("her robot", &robot), ("nobody", &Harbor::anonymous(&server))];
    let (mut asked, mut wrong) = (0, Vec::new());
    for operation in Contract::get().operations() {
        let names = parameters(operation);
        if names.is_empty() || !is_here(&admin, operation) {
            continue;
        }
        let stands: Vec<Option<Fixture>> =
            names.iter().map(|name| stands_for(operation, name, &own, &foreign, group)).collect();
        let body = body(operation);
        let path = |choose: &dyn Fn(usize, &Fixture) -> String| {
            let mut path = operation.path.clone();
            let mut told = Vec::new();
            for (index, (name, stands)) in names.iter().zip(&stands).enumerate() {
                let value = match stands {
                    Some(stands) => choose(index, stands),
                    None => word(name).to_owned(),
                };
                path = path.replace(&format!("{{{name}}}"), &value);
                told.push(value);
            }
            let copies = operation.id == "CopyArtifact";
            (if copies { path + "?from=mine/app-of-mine:mine" } else { path }, told)
        };
        // All of it another's; and each part that stands below one's own.
        let mut pairs =
            vec![(path(&|_, all| all.foreign.clone()), path(&|_, all| all.missing.clone()))];
        let below = stands.iter().enumerate().skip(1).filter(|(_, stands)| stands.is_some());
        for (part, _) in below {
            let with = |chosen: fn(&Fixture) -> String| {
                path(&|index, all| if index == part { chosen(all) } else { all.own.clone() })
            };
            pairs.push((with(|all| all.foreign.clone()), with(|all| all.missing.clone())));
        }
        if operation.id == "CopyArtifact" {
            pairs.extend(sources(&only));
        }
        for ((there, told), (not_there, nothing)) in pairs {
            for (name, who) in callers {
                let say = |path: &str, told: &[String]| {
                    let told: Vec<&str> = told.iter().map(String::as_str).collect();
                    answer(who, &operation.method, path, body.as_ref(), &told)
                };
                let (one, other) = (say(&there, &told), say(&not_there, &nothing));
                asked += 1;
                let good = match one.0 {
                    // A list of what a repository holds is empty where there is none, as in Harbor.
                    200 => one.1 == "[]",
                    // Into one's own project a copy goes under any name, and makes a repository.
                    201 | 409 => operation.id == "CopyArtifact" && there.contains("/mine/"),
                    401 | 403 | 404 => true,
                    _ => false,
                };
                if one != other || !good {
                    wrong.push(format!(
                        "{name}: {} {there} says {one:?}, and of nothing {other:?}",
                        operation.method
                    ));
                }
            }
        }
        if operation.id == "CopyArtifact" {
            // What the copies have made would be neither foreign nor missing.
            for made in ["app-of-theirs", "app-of-nothing"] {
                ann.delete(&format!("/projects/mine/repositories/{made}")).is(200);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(asked > 150, "{asked}");
    println!("{asked} pairs of questions");
    // And all of it is as it was.
    let name = &foreign["repository_name"];
    eve.get(&format!("/projects/theirs/repositories/{name}")).is(200);
    assert_eq!(eve.get(&format!("/projects/theirs/repositories/{name}/artifacts")).total(), 2);
    let taken = format!("/projects/mine/repositories/app-of-mine/artifacts/{only}");
    assert_eq!(ann.get(&taken).status, 404);
    eve.get(&format!("/labels/{}", foreign["label_id"])).is(200);
    eve.get(&format!("/robots/{}", foreign["robot_id"])).is(200);
    assert_eq!(eve.get("/projects/theirs").is(200)["metadata"]["public"], "false");
    assert_eq!(eve.get("/projects/theirs/members").total(), 2);
    assert_eq!(eve.get("/projects/theirs/immutabletagrules").total(), 1);
    Harbor::of(&server, "eve", PASSWORD).get("/users/current").is(200);
}

/// What is sent, for a name or number.
type Body = Option<Box<dyn Fn(&str) -> Value>>;

/// Numbers and names that stand elsewhere than in the path.
#[test]
fn what_is_foreign_in_a_question_or_a_body_is_as_nothing() {
    let server = Server::start();
    for name in ["extra", "other"] {
        person(&server, name);
    }
    let (ann, eve) = (person(&server, "ann"), person(&server, "eve"));
    let (own, foreign) = (fill(&server, &ann, "mine"), fill(&server, &eve, "theirs"));
    let (id, nothing) = (foreign["project"].as_str(), NOTHING.to_string());
    let artifacts = format!("/projects/mine/repositories/{}/artifacts", own["repository_name"]);
    let robot = |name: &str| {
        json!({"name": "more", "level": "project",
            "permissions": [permission("project", name, &["repository:pull"])]})
    };
    let get = || (Method::GET, None::<fn(&str) -> Value>);
    let number = |text: &str| text.parse::<i64>().unwrap();
    let cases: Vec<(Method, String, Body, &str, &str)> = vec![
        (get().0, "/labels?scope=p&project_id=#".into(), None, id, &nothing),
        (get().0, "/robots?q=Level=project,ProjectID=#".into(), None, id, &nothing),
        (get().0, "/quotas?reference=project&reference_id=#".into(), None, id, &nothing),
        (
            Method::POST,
            "/labels".into(),
            Some(Box::new(move |id| json!({"name": "x", "scope": "p", "project_id": number(id)}))),
            id,
            &nothing,
        ),
        (Method::POST, "/robots".into(), Some(Box::new(robot)), "theirs", "nothing"),
        (
            Method::POST,
            format!("{artifacts}/mine/labels"),
            Some(Box::new(move |id| json!({"id": number(id)}))),
            &foreign["label_id"],
            &nothing,
        ),
        (
            Method::POST,
            format!("{artifacts}?from=#/{}:theirs", foreign["repository_name"]),
            None,
            "theirs",
            "nothing",
        ),
    ];
    for (method, path, body, there, not_there) in cases {
        let say = |value: &str| {
            let body = body.as_ref().map(|body| body(value));
            answer(&ann, &method, &path.replace('#', value), body.as_ref(), &[value])
        };
        let one = say(there);
        if one.0 == 501 {
            continue;
        }
        assert!(matches!(one.0, 403 | 404), "{method} {path}: {one:?}");
        assert_eq!(one, say(not_there), "{method} {path}");
    }
    let permissions =
        |id: &str| ann.get(&format!("/users/current/permissions?scope=/project/{id}"));
    assert_eq!(permissions(id).is(200), permissions(&nothing).is(200));
}

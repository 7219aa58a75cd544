//! Harbor's clients for Python, and a program that tries whatever the contract allows.

use crate::{
    PASSWORD, additions::push_chart, member, on_both, person, project, push, surface::missing,
};
use sealock_tests::{
    clients::{Desk, run},
    harbor::{Contract, Harbor},
    server::{ADMIN_PASSWORD, Options, Server, TlsFiles},
    skips::{cache_dir, skip},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::PathBuf,
    thread,
};

/// Requests by operation and phase that are made up; `SEALOCK_HARBOR_EXAMPLES` asks for more.
const EXAMPLES: &str = "2";
/// What is made up is the same each time; `SEALOCK_HARBOR_SEED` asks for others.
const SEED: &str = "1";

/// A program of the environment that `scripts/tools.sh python-clients` sets up; `None` after a
/// permitted skip.
fn python_client(name: &str) -> Option<String> {
    let path = cache_dir().join("python-clients/bin").join(name);
    if !path.is_file() {
        skip("python-clients", "Run scripts/tools.sh python-clients.");
        return None;
    }
    Some(path.display().to_string())
}

fn beside(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("harbor/clients").join(name)
}

#[test]
fn what_one_of_harbors_clients_for_python_writes_the_other_reads() {
    let Some(python) = python_client("python") else { return };
    on_both(|server| {
        push(server, "library/team/app:1");
        project(&Harbor::admin(server), "charts", false);
        push_chart(&Desk::admin(server), "charts");
        let missing = missing(server);
        let operations = || Contract::get().operations().iter();
        let here = operations().filter(|operation| !missing.contains(&operation.id));
        let here: BTreeSet<&str> = here.map(|operation| operation.tag.as_str()).collect();
        let script = beside("round_trips.py").display().to_string();
        let url = format!("{}/api/v2.0", server.url());
        let arguments = [script.as_str(), &url, ADMIN_PASSWORD, "library/team/app:1"];
        let said = run(&python, &arguments).ok();
        let told: BTreeSet<&str> =
            said.lines().filter_map(|line| line.strip_prefix("tag ")).collect();
        assert_eq!(here, told, "a round trip for each tag that is here");
    });
}

#[test]
fn harbors_clients_for_python_fetch_the_authority() {
    let Some(python) = python_client("python") else { return };
    let directory = tempfile::tempdir().unwrap();
    let tls = TlsFiles::new(directory.path());
    let authority = tls.authority.display().to_string();
    let environment = vec![("SEALOCK_TLS_CA".to_owned(), authority.clone())];
    let options = Options { tls: Some(tls), environment, ..Options::default() };
    let server = Server::start_with(options);
    let script = beside("round_trips.py").display().to_string();
    let url = format!("{}/api/v2.0", server.url());
    let arguments = [script.as_str(), &url, ADMIN_PASSWORD, "--authority", &authority];
    assert_eq!(run(&python, &arguments).ok().trim(), "authority");
}

/// Where the contract is wider or narrower than what is answered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviations {
    status: Vec<Status>,
    left_out: Vec<LeftOut>,
}

/// A status that the contract does not name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    status: u16,
    /// Names of operations; `*` for all.
    operations: Vec<String>,
    why: String,
}

/// An operation that ends the run itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeftOut {
    operation: String,
    why: String,
}

impl Deviations {
    fn read() -> Self {
        let text = std::fs::read_to_string(beside("deviations.toml")).expect("a file of the tree");
        let read: Self = toml::from_str(&text).expect("deviations");
        let reasons = read.status.iter().map(|one| &one.why);
        for why in reasons.chain(read.left_out.iter().map(|one| &one.why)) {
            assert!(why.len() > 30, "{why:?} is no reason");
        }
        read
    }
}

/// The contract with the statuses that Harbor answers beyond it, and with parameters that name what
/// there is: of names and numbers that are made up nearly all would be missing.
fn widened(deviations: &Deviations, user: &Value) -> Value {
    let mut document = Contract::document();
    let numbers = json!([1, 2, 99]);
    let named = BTreeMap::from([
        ("project_name_or_id", json!(["shop", "library", "nowhere"])),
        ("project_name", json!(["shop", "library", "nowhere"])),
        ("repository_name", json!(["app", "team%252Fapp", "nowhere"])),
        ("reference", json!(["1", "2", "nowhere"])),
        ("user_id", json!([1, user, 99])),
        ("mid", numbers.clone()),
        ("label_id", numbers.clone()),
        ("group_id", numbers.clone()),
        ("id", numbers.clone()),
        ("immutable_rule_id", numbers.clone()),
        ("robot_id", numbers),
        ("meta_name", json!(["public", "severity", "auto_scan", "nothing"])),
    ]);
    let name = |parameter: &mut Value| {
        let known = parameter["name"].as_str().and_then(|name| named.get(name));
        if let (Some(values), "path") = (known, parameter["in"].as_str().unwrap_or_default()) {
            parameter["enum"] = values.clone();
        }
    };
    document["parameters"].as_object_mut().expect("parameters").values_mut().for_each(name);
    let types = document["produces"].take();
    document.as_object_mut().expect("a document").remove("produces");
    let responses = document["responses"].clone();
    for item in document["paths"].as_object_mut().expect("paths").values_mut() {
        for operation in item.as_object_mut().expect("operations").values_mut() {
            if operation["operationId"].is_string() {
                operation["parameters"].as_array_mut().into_iter().flatten().for_each(name);
                widen(operation, deviations, &types, &responses);
            }
        }
    }
    document
}

/// Gives an operation the statuses and types of bodies that its entry leaves out.
fn widen(operation: &mut Value, deviations: &Deviations, types: &Value, responses: &Value) {
    let id = operation["operationId"].as_str().expect("a name").to_owned();
    let answers = operation["responses"].as_object_mut().expect("answers");
    for known in &deviations.status {
        if known.operations.iter().any(|one| one == "*" || *one == id) {
            let error = json!({"description": "", "schema": {"$ref": "#/definitions/Errors"}});
            answers.entry(known.status.to_string()).or_insert(error);
        }
    }
    let has_body = |answer: &Value| match answer["$ref"].as_str() {
        Some(name) => !responses[name.trim_start_matches("#/responses/")]["schema"].is_null(),
        None => !answer["schema"].is_null(),
    };
    let mut good = answers.iter().filter(|(status, _)| status.starts_with('2'));
    if good.any(|(_, answer)| has_body(answer)) {
        let mut produces = operation["produces"].as_array().or(types.as_array()).cloned();
        // Whatever an operation brings, its errors are JSON.
        produces.get_or_insert_default().push(json!("application/json"));
        operation["produces"] = json!(produces);
    } else {
        // What has no body has no type, as in Harbor.
        operation.as_object_mut().expect("an operation").remove("produces");
    }
}

/// Things that the numbers and names in [`widened`] stand for, by an administrator and `ann`, who
/// is a developer of `shop`; the number of one more user, who may go.
fn furnish(server: &Server) -> Value {
    let admin = Harbor::admin(server);
    let [_ann, bob] = ["ann", "bob"].map(|name| person(server, name));
    let shop = project(&admin, "shop", false);
    member(&admin, shop, "ann", 2);
    for image in ["shop/app:1", "shop/app:2", "shop/team/app:1", "library/app:1"] {
        push(server, image);
    }
    for name in ["one", "two"] {
        let label = json!({"name": name, "scope": "p", "project_id": shop});
        admin.post("/labels", &label).is(201);
        let access = json!([{"resource": "repository", "action": "pull"}]);
        let robot = json!({"name": name, "level": "project", "duration": -1,
            "permissions": [{"kind": "project", "namespace": "shop", "access": access}]});
        admin.post("/robots", &robot).is(201);
        admin.post("/usergroups", &json!({"group_name": name, "group_type": 2})).is(201);
        let matches = |decoration: &str, pattern: &str| json!([{"kind": "doublestar", "decoration": decoration, "pattern": pattern}]);
        let rule = json!({"action": "immutable", "template": "immutable_template",
            "tag_selectors": matches("matches", name),
            "scope_selectors": {"repository": matches("repoMatches", "**")}});
        admin.post("/projects/shop/immutabletagrules", &rule).is(201);
    }
    bob.get("/users/current").is(200)["user_id"].clone()
}

#[test]
fn whatever_the_contract_allows_is_answered_by_the_contract() {
    explore(&Server::start());
}

#[test]
fn whatever_the_contract_allows_is_answered_by_the_contract_on_postgresql() {
    if let Some(server) = Server::start_on_postgres() {
        explore(&server);
    }
}

fn explore(server: &Server) {
    let Some(program) = python_client("schemathesis") else { return };
    let user = furnish(server);
    let deviations = Deviations::read();
    let contract = server.scratch().join("harbor.json");
    std::fs::write(&contract, widened(&deviations, &user).to_string()).expect("a file");
    let setting = |name: &str, usual: &str| env::var(name).unwrap_or_else(|_| usual.to_owned());
    let examples = setting("SEALOCK_HARBOR_EXAMPLES", EXAMPLES);
    let seed = setting("SEALOCK_HARBOR_SEED", SEED);
    let mut left_out = missing(server);
    left_out.extend(deviations.left_out.iter().map(|one| one.operation.clone()));
    let left_out = format!("^({})$", left_out.into_iter().collect::<Vec<_>>().join("|"));
    let (url, contract) = (format!("{}/api/v2.0", server.url()), contract.display().to_string());
    let scratch = server.scratch().display().to_string();
    let people = [format!("ann:{PASSWORD}"), format!("admin:{ADMIN_PASSWORD}")];
    // What removes comes last, so that the rest finds something.
    for methods in ["--exclude-method", "--include-method"] {
        let everything = |who: &str| {
            let checks = "not_a_server_error,status_code_conformance,content_type_conformance,\
                response_headers_conformance,response_schema_conformance";
            // It keeps notes of its own where it is started.
            let mut arguments = vec!["-C", &scratch, &program, "run", &contract];
            arguments.extend(["--url", &url, "--auth", who]);
            arguments.extend([methods, "DELETE", "--exclude-operation-id-regex", &left_out]);
            arguments.extend(["--max-examples", &examples, "--seed", &seed, "--checks", checks]);
            arguments.extend(["--phases", "examples,coverage,fuzzing", "--continue-on-failure"]);
            arguments.extend(["--generation-database", "none", "--no-shrink", "--no-color"]);
            arguments.extend(["--warnings", "off"]);
            let said = run("env", &arguments).ok();
            let tested = said.lines().find_map(|line| line.trim().strip_prefix("Tested: "));
            let tested: usize = tested.and_then(|text| text.parse().ok()).expect("a number");
            assert!(tested > 10, "nearly nothing was tried:\n{said}");
            println!("{methods} DELETE, {who}: {said}");
        };
        thread::scope(|scope| {
            for who in &people {
                scope.spawn(|| everything(who));
            }
        });
    }
    Harbor::of(server, "ann", PASSWORD).get("/users/current").is(200);
    Harbor::admin(server).get("/users/current").is(200);
}

/// Requests that were made up once and answered as the contract does not say.
#[test]
fn what_was_found_stays_mended() {
    let server = Server::start();
    furnish(&server);
    let (admin, ann) = (Harbor::admin(&server), Harbor::of(&server, "ann", PASSWORD));
    // As Harbor answers, though its contract leaves it out.
    assert_eq!(ann.get("/labels?scope=p&project_id=9223372036854775807").status, 403);
    assert_eq!(admin.get("/labels?scope=p&project_id=41").status, 404);
    let nowhere = json!({"name": "x", "scope": "p", "project_id": 34_231_155_857_707_i64});
    assert_eq!(ann.post("/labels", &nowhere).status, 403);
    assert_eq!(admin.post("/labels", &nowhere).status, 404);
    for list in ["/projects", "/users"] {
        assert_eq!(admin.get(&format!("{list}?q=%06%C3%BD&sort=%0E&page=33855")).status, 400);
    }
    let taken = json!({"group_type": 30_808_446, "group_name": "one", "z\u{ac}\u{a2}": []});
    assert_eq!(admin.put("/usergroups/2", &taken).status, 409);
    // There is nothing that one may do in a scope that is none.
    for scope in ["%C3%8Ao", "/project/x", "/project/", "project/1", "/projects/1", "//"] {
        let path = format!("/users/current/permissions?relative=false&scope={scope}");
        let answer = ann.get(&path);
        assert_eq!(answer.is(200), &json!([]), "{scope}");
    }
}

//! What a robot may do it does at the doors, with its name and secret or a token, and no more; and
//! it is dead at once when it ends.

use crate::{Made, on_both, permission, person, project, project_robot, push, robot};
use reqwest::Method;
use sealock_tests::{harbor::Harbor, images::Image, server::Server};
use serde_json::{Value, json};

/// A token for what of a scope a robot may do, with the actions that it names.
fn token(server: &Server, made: &Made, scope: &str) -> Option<(String, Vec<String>)> {
    let http = server.http().with_user(&made.name, &made.secret);
    let answer = http.get(&format!("/service/token?service=sealock&scope={scope}")).unwrap();
    if !answer.status().is_success() {
        return None;
    }
    let body: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
    let token = body["token"].as_str().unwrap().to_owned();
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let actions = claims["access"][0]["actions"].as_array().unwrap().iter();
    Some((token, actions.map(|action| action.as_str().unwrap().to_owned()).collect()))
}

fn pulls(server: &Server, token: &str, repository: &str) -> u16 {
    let request = server.http().request(Method::GET, &format!("/v2/{repository}/manifests/1"));
    request.bearer_auth(token).send().unwrap().status().as_u16()
}

#[test]
fn a_robot_pulls_and_pushes_what_it_may() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    for name in ["one", "two", "three"] {
        project(&admin, name, false);
        push(&server, &format!("{name}/app:1"));
    }
    let image = Image::named("small").reference();
    let pusher = project_robot(&admin, "one", "pusher", &["repository:push"]);
    let puller = project_robot(&admin, "one", "puller", &["repository:pull"]);
    let across = [
        permission("project", "one", &["repository:pull"]),
        permission("project", "two", &["repository:push", "repository:pull"]),
    ];
    let across = robot(&admin, "system", "across", &across);
    let looker = project_robot(&admin, "one", "looker", &["artifact:list", "tag:list"]);
    let cleaner = project_robot(&admin, "one", "cleaner", &["repository:pull", "artifact:delete"]);
    let untagger = project_robot(&admin, "one", "untagger", &["repository:pull", "tag:delete"]);
    let ask = "pull,push,delete";
    for (made, place, expected) in [
        (&pusher, "one/app", &["pull", "push"][..]),
        (&puller, "one/app", &["pull"]),
        (&puller, "two/app", &[]),
        (&across, "one/app", &["pull"]),
        (&across, "two/app", &["pull", "push"]),
        (&across, "three/app", &[]),
        (&across, "nothing/app", &[]),
        (&looker, "one/app", &[]),
        (&cleaner, "one/app", &["pull", "delete"]),
        (&untagger, "one/app", &["pull", "delete"]),
    ] {
        let given = token(&server, made, &format!("repository:{place}:{ask}")).unwrap().1;
        assert_eq!(given, expected, "{} {place}", made.name);
    }
    let desk = pusher.desk(&server);
    desk.skopeo_push(&image, "one/new:1", &[]).ok();
    desk.crane(&["validate", "--remote", &desk.name("one/new:1")]).ok();
    desk.skopeo_push(&image, "two/new:1", &[]).refused("");
    let desk = puller.desk(&server);
    desk.crane(&["validate", "--remote", &desk.name("one/app:1")]).ok();
    desk.skopeo_push(&image, "one/more:1", &[]).refused("");
    desk.crane(&["manifest", &desk.name("two/app:1")]).refused("");
    let desk = across.desk(&server);
    desk.skopeo_push(&image, "two/new:1", &[]).ok();
    desk.crane(&["validate", "--remote", &desk.name("one/app:1")]).ok();
    desk.skopeo_push(&image, "one/more:1", &[]).refused("");
    desk.crane(&["manifest", &desk.name("three/app:1")]).refused("");
    // To remove a tag is one thing, to remove what it names another.
    let delete = |made: &Made, path: &str| {
        let http = server.http().with_user(&made.name, &made.secret);
        http.request(Method::DELETE, path).send().unwrap().status().as_u16()
    };
    let digest = admin.http().get("/v2/one/app/manifests/1").unwrap();
    let digest = digest.headers()["docker-content-digest"].to_str().unwrap().to_owned();
    let by_digest = format!("/v2/one/app/manifests/{digest}");
    assert_eq!(delete(&cleaner, "/v2/one/app/manifests/1"), 403);
    assert_eq!(delete(&untagger, &by_digest), 403);
    assert_eq!(delete(&puller, "/v2/one/app/manifests/1"), 403);
    assert_eq!(delete(&untagger, "/v2/one/app/manifests/1"), 202);
    assert_eq!(delete(&cleaner, &by_digest), 202);
    let catalog = |made: &Made| {
        server.http().with_user(&made.name, &made.secret).json("/v2/_catalog")["repositories"]
            .clone()
    };
    assert_eq!(catalog(&puller), json!(["one/app", "one/new"]));
    assert_eq!(catalog(&across), json!(["one/app", "one/new", "two/app", "two/new"]));
    assert_eq!(catalog(&looker), json!([]));
    let reader = [permission("system", "/", &["catalog:read"])];
    let reader = robot(&admin, "system", "reader", &reader);
    assert_eq!(catalog(&reader).as_array().unwrap().len(), 5);
}

/// Disabled, expired, removed, with a new secret, and with its project gone.
#[test]
fn a_robot_is_dead_at_once_with_the_tokens_that_it_holds() {
    on_both(|server| {
        let admin = Harbor::admin(server);
        project(&admin, "shop", true);
        project(&admin, "closed", false);
        push(server, "closed/app:1");
        let words = &["repository:pull", "project:read"];
        let alive = |made: &Made, token: &str| {
            (made.harbor(server).get("/projects/closed").status == 200)
                && pulls(server, token, "closed/app") == 200
        };
        let dead = |made: &Made, token: &str| {
            assert_eq!(made.harbor(server).get("/projects/closed").status, 401);
            assert_eq!(pulls(server, token, "closed/app"), 401);
            assert!(self::token(server, made, "repository:closed/app:pull").is_none());
        };
        let start = |name: &str| {
            let made = project_robot(&admin, "closed", name, words);
            let token = token(server, &made, "repository:closed/app:pull").unwrap().0;
            assert!(alive(&made, &token));
            (made, token)
        };
        let (made, held) = start("disabled");
        let mut body = admin.get(&made.path()).body;
        body["disable"] = json!(true);
        admin.put(&made.path(), &body).is(200);
        dead(&made, &held);
        body["disable"] = json!(false);
        admin.put(&made.path(), &body).is(200);
        assert!(alive(&made, &held));
        let (made, held) = start("removed");
        admin.delete(&made.path()).is(200);
        dead(&made, &held);
        let again = project_robot(&admin, "closed", "removed", words);
        dead(&made, &held);
        assert!(again.id != made.id);
        let (made, held) = start("renewed");
        admin.patch(&made.path(), &json!({})).is(200);
        dead(&made, &held);
        // What it may do is what it may do now.
        let (made, held) = start("changed");
        let mut body = admin.get(&made.path()).body;
        body["permissions"] = json!([permission("project", "closed", &["project:read"])]);
        admin.put(&made.path(), &body).is(200);
        assert_eq!(made.harbor(server).get("/projects/closed").status, 200);
        assert_eq!(pulls(server, &held, "closed/app"), 404, "it sees nothing there");
    });
}

#[test]
fn a_robot_ends_with_its_project_and_the_namesake_is_another() {
    on_both(|server| {
        let admin = Harbor::admin(server);
        project(&admin, "shop", false);
        let words = &["repository:pull", "repository:push", "project:read"];
        let own = project_robot(&admin, "shop", "ci", words);
        let of_system = [permission("project", "shop", words)];
        let of_system = robot(&admin, "system", "ci", &of_system);
        let held = |made: &Made| token(server, made, "repository:shop/app:pull,push").unwrap().0;
        let tokens = [held(&own), held(&of_system)];
        admin.delete("/projects/shop").is(200);
        assert_eq!(admin.get(&own.path()).status, 404);
        assert_eq!(admin.get(&of_system.path()).is(200)["permissions"], json!([]));
        project(&admin, "shop", false);
        push(server, "shop/app:1");
        assert_eq!(own.harbor(server).get("/projects/shop").status, 401);
        assert_eq!(of_system.harbor(server).get("/projects/shop").status, 403);
        for token in tokens {
            assert!(matches!(pulls(server, &token, "shop/app"), 401 | 404));
        }
        let again = project_robot(&admin, "shop", "ci", words);
        assert_eq!(again.harbor(server).get("/projects/shop").status, 200);
        assert_eq!(own.harbor(server).get("/projects/shop").status, 401);
    });
}

/// Robots of Sealock's own API have their rights as ever, and Harbor's API shows and keeps them.
#[test]
fn robots_of_both_apis_are_the_same() {
    let server = Server::start();
    let ann = person(&server, "ann");
    let shop = project(&ann, "shop", false);
    push(&server, "shop/app:1");
    let body = json!({"name": "ci", "rights": ["pull", "attest"], "repositories": "shop/app"});
    let path = "/api/sealock/v1/projects/shop/robots";
    let made = ann.http().write(Method::POST, path, &body);
    assert_eq!(made["repositories"], "shop/app");
    let listed = ann.get(&format!("/robots?q=Level=project,ProjectID={shop}"));
    assert_eq!(listed.column("name"), ["robot$shop+ci"]);
    let mut seen = listed.body[0].clone();
    assert_eq!(seen["permissions"][0]["namespace"], "shop/app");
    let has = |seen: &Value, resource: &str, action: &str| {
        let access = seen["permissions"][0]["access"].as_array().unwrap();
        access.contains(&json!({"resource": resource, "action": action}))
    };
    assert!(has(&seen, "accessory", "create") && has(&seen, "repository", "pull"));
    // What only Sealock's own API gives stays where it is sent back, and does not come back.
    let place = format!("/robots/{}", seen["id"]);
    seen["description"] = json!("signs");
    ann.put(&place, &seen).is(200);
    let again = ann.get(&place);
    assert!(has(again.is(200), "accessory", "create"));
    let mut less = again.body.clone();
    less["permissions"] = json!([permission("project", "shop", &["repository:pull"])]);
    ann.put(&place, &less).is(200);
    assert_eq!(ann.put(&place, &seen).status, 400);
    let robots = ann.http().json(path);
    assert_eq!(robots["items"][0]["rights"], json!(["pull"]));
    assert_eq!(robots["items"][0]["description"], "signs");
    let secret = made["secret"].as_str().unwrap();
    let me = server.http().with_user("robot$shop+ci", secret).json("/api/sealock/v1/me");
    assert_eq!(me["kind"], "robot");
    let other = project_robot(&ann, "shop", "harbors", &["repository:push", "artifact:delete"]);
    let robots = ann.http().json(path);
    let shown = robots["items"].as_array().unwrap().iter();
    let shown = shown.clone().find(|robot| robot["name"] == other.name.as_str()).unwrap();
    assert_eq!(shown["rights"], json!(["pull", "push", "delete"]));
}

/// What Harbor's users set because a shell takes `$` for a variable.
#[test]
fn names_of_robots_begin_as_it_was_set() {
    on_both(|server| {
        let admin = Harbor::admin(server);
        project(&admin, "one", false);
        push(server, "one/app:1");
        let before = project_robot(&admin, "one", "before", &["repository:pull"]);
        admin.put("/configurations", &json!({"robot_name_prefix": "bot-"})).is(200);
        let set = admin.get("/configurations");
        assert_eq!(set.is(200)["robot_name_prefix"], json!({"value": "bot-", "editable": true}));
        let made = project_robot(&admin, "one", "ci", &["repository:pull"]);
        assert_eq!(made.name, "bot-one+ci");
        assert_eq!(admin.get(&made.path()).is(200)["name"], "bot-one+ci");
        let system =
            robot(&admin, "system", "ci", &[permission("project", "*", &["repository:pull"])]);
        assert_eq!(system.name, "bot-ci");
        let listed = admin.get("/robots?q=Level=project,ProjectID=2&sort=id");
        assert_eq!(listed.column("name"), ["bot-one+before", "bot-one+ci"]);
        // Also under the name that it had, and has in records.
        let other = |made: &Made, name: &str| Made {
            id: made.id,
            name: name.to_owned(),
            secret: made.secret.clone(),
        };
        for made in [&made, &before, &system, &other(&before, "bot-one+before")] {
            let desk = made.desk(server);
            desk.crane(&["manifest", &desk.name("one/app:1")]).ok();
            assert!(token(server, made, "repository:one/app:pull").is_some(), "{}", made.name);
        }
        let wrong = other(&made, "bot-one+before");
        assert!(token(server, &wrong, "repository:one/app:pull").is_none());
        let change = json!({
            "name": "bot-one+ci", "level": "project", "duration": -1, "disable": false,
            "permissions": [permission("project", "one", &["repository:pull"])],
        });
        admin.put(&made.path(), &change).is(200);

        // A person of that very name is who is meant by it.
        person(server, "bot-one+ci");
        assert!(token(server, &made, "repository:one/app:pull").is_none());
        let own = other(&made, "robot$one+ci");
        assert!(token(server, &own, "repository:one/app:pull").is_some());
    });
}

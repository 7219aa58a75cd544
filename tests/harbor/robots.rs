//! Robots of both levels: made, read, changed, renewed and removed, and who may do that.

use crate::{Made, PASSWORD, member, on_both, permission, person, project, project_robot, robot};
use sealock_tests::{harbor::Harbor, server::Server};
use serde_json::{Value, json};

const CI: &[&str] = &["repository:pull", "repository:push"];

#[test]
fn a_robot_of_a_project_comes_changes_and_goes() {
    on_both(|server| {
        let ann = person(server, "ann");
        let shop = project(&ann, "shop", false);
        let made = project_robot(&ann, "shop", "ci", CI);
        assert_eq!(made.name, "robot$shop+ci");
        let (secret, length) = (made.secret.as_str(), made.secret.len());
        let has = |kind: fn(char) -> bool| secret.chars().any(kind);
        assert!(length == 32 && has(char::is_uppercase) && has(char::is_lowercase));
        assert!(has(|c| c.is_ascii_digit()));
        let seen = ann.get(&made.path());
        let seen = seen.is(200);
        for (field, value) in [
            ("name", json!("robot$shop+ci")),
            ("level", json!("project")),
            ("duration", json!(-1)),
            ("expires_at", json!(-1)),
            ("editable", json!(true)),
            ("disable", json!(false)),
            ("creator_type", json!("local")),
            ("permissions", json!([permission("project", "shop", CI)])),
        ] {
            assert_eq!(seen[field], value, "{field}");
        }
        let me = ann.get("/users/current");
        assert_eq!(seen["creator_ref"], me.is(200)["user_id"]);
        let of_shop = format!("/robots?q=Level=project,ProjectID={shop}");
        assert_eq!(ann.get(&of_shop).column("name"), ["robot$shop+ci"]);
        assert_eq!(ann.get(&format!("{of_shop},name=~CI")).total(), 1);
        assert_eq!(ann.get(&format!("{of_shop},name=shop%2Bci")).total(), 1);
        assert_eq!(ann.get(&format!("{of_shop},name=~other")).total(), 0);
        assert_eq!(
            Harbor::admin(server).get("/robots").total(),
            0,
            "one of a project is not there"
        );
        let twice = json!({"name": "ci", "level": "project", "duration": 1,
            "permissions": [permission("project", "shop", CI)]});
        assert_eq!(ann.post("/robots", &twice).status, 409);

        let mut body = seen.clone();
        body["description"] = json!("for builds");
        body["duration"] = json!(30);
        body["permissions"] = json!([permission("project", "shop", &["repository:pull"])]);
        ann.put(&made.path(), &body).is(200);
        let seen = ann.get(&made.path());
        let seen = seen.is(200);
        let created: jiff::Timestamp = seen["creation_time"].as_str().unwrap().parse().unwrap();
        assert_eq!(seen["expires_at"], created.as_second() + 30 * 86_400);
        assert_eq!((&seen["description"], &seen["duration"]), (&json!("for builds"), &json!(30)));
        assert_eq!(seen["permissions"], body["permissions"]);
        for (field, value) in [
            ("name", json!("robot$shop+other")),
            ("level", json!("system")),
            ("duration", json!(-2)),
            ("permissions", json!([])),
            ("permissions", json!([permission("project", "shop", &[])])),
            ("permissions", json!([permission("project", "shop", &["repository:operate"])])),
            ("permissions", json!([permission("project", "*", CI)])),
            ("permissions", json!([permission("system", "/", &["user:list"])])),
        ] {
            let mut wrong = body.clone();
            wrong[field] = value.clone();
            assert_eq!(ann.put(&made.path(), &wrong).status, 400, "{field} {value}");
        }
        ann.delete(&made.path()).is(200);
        assert_eq!(ann.get(&of_shop).total(), 0);
        assert_eq!(ann.delete(&made.path()).status, 403);
        assert_eq!(Harbor::admin(server).delete(&made.path()).status, 404);
        let log = ann.get("/projects/shop/logs?q=resource_type=robot&sort=op_time");
        assert_eq!(log.column("operation"), ["create", "update", "delete"]);
    });
}

#[test]
fn what_cannot_be_is_refused() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    project(&admin, "shop", false);
    let good = json!({"name": "ci", "level": "system", "duration": 1,
        "permissions": [permission("project", "shop", CI)]});
    let mut count = 0;
    for (field, value, status) in [
        ("name", json!(""), 400),
        ("name", json!("CI"), 400),
        ("name", json!("a+b"), 400),
        ("name", json!("-a"), 400),
        ("name", json!("a--b"), 400),
        ("name", json!("x".repeat(256)), 400),
        ("name", json!(7), 422),
        ("description", json!("x".repeat(1_025)), 400),
        ("level", json!("global"), 400),
        ("level", json!(""), 400),
        ("duration", json!(-2), 400),
        ("duration", json!(40_000), 400),
        ("duration", json!(i64::MAX), 400),
        ("permissions", json!([]), 400),
        ("permissions", json!(null), 400),
        ("permissions", json!([permission("project", "shop", &[])]), 400),
        ("permissions", json!([permission("project", "nothing", CI)]), 404),
        ("permissions", json!([permission("project", "/", CI)]), 404),
        ("permissions", json!([permission("system", "shop", &["user:list"])]), 400),
        ("permissions", json!([permission("system", "*", &["user:list"])]), 400),
        ("permissions", json!([permission("system", "/", CI)]), 400),
        ("permissions", json!([permission("cluster", "shop", CI)]), 400),
        ("permissions", json!([permission("project", "shop", &["repository:*"])]), 400),
        ("permissions", json!([permission("project", "shop", &["*:*"])]), 400),
        ("permissions", json!([permission("project", "shop", &["repository:scanner-pull"])]), 400),
        ("permissions", json!([permission("project", "shop", &["accessory:create"])]), 400),
        ("permissions", json!([permission("project", "shop", &["user:list"])]), 400),
        ("permissions", json!([permission("project", "shop/[", CI)]), 400),
        ("permissions", json!([permission("project", "*/app-*", CI)]), 404),
        ("permissions", json!([permission("project", "shop/app-*", &["member:create"])]), 400),
        ("permissions", json!([permission("project", "shop/app-*", &["log:list"])]), 400),
        (
            "permissions",
            json!([{"kind": "project", "namespace": "shop", "access": [
            {"resource": "repository", "action": "pull", "effect": "deny"}]}]),
            400,
        ),
    ] {
        let mut bad = good.clone();
        bad[field] = value.clone();
        assert_eq!(admin.post("/robots", &bad).status, status, "{field} {value}");
        count += 1;
    }
    assert!(count > 30);
    assert_eq!(admin.get("/robots").total(), 0, "nothing was made");
    let two = json!([permission("project", "shop", CI), permission("project", "library", CI)]);
    for permissions in [two, json!([permission("project", "*", CI)])] {
        let body = json!({"name": "ci", "level": "project", "permissions": permissions});
        assert_eq!(admin.post("/robots", &body).status, 400);
    }
    for (query, status) in [
        ("Level=project", 400),
        ("Level=project,ProjectID=x", 400),
        ("Level=project,ProjectID=99999", 404),
        ("Level=other", 400),
        ("Level=~project", 400),
        ("Level=system", 200),
    ] {
        assert_eq!(admin.get(&format!("/robots?q={query}")).status, status, "{query}");
    }
    let usual = json!({"name": "usual", "level": "system",
        "permissions": [permission("project", "shop", CI)]});
    let id = admin.post("/robots", &usual).made();
    assert_eq!(admin.get(&format!("/robots/{id}")).is(200)["duration"], 30);
}

/// Each permission of the catalogue can be given, and `GET /permissions` lists these and no others.
#[test]
fn the_whole_catalogue_may_be_given() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    let listed = admin.get("/permissions");
    let words = |part: &str| -> Vec<String> {
        let pairs = listed.is(200)[part].as_array().unwrap().iter();
        let word = |pair: &Value| {
            format!("{}:{}", pair["resource"].as_str().unwrap(), pair["action"].as_str().unwrap())
        };
        pairs.map(word).collect()
    };
    let (system, project) = (words("system"), words("project"));
    assert_eq!((system.len(), project.len()), (70, 70));
    let given = |kind: &str, namespace: &str, words: &[String]| {
        permission(kind, namespace, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let everything = [given("system", "/", &system), given("project", "*", &project)];
    let made = robot(&admin, "system", "all", &everything);
    let seen = admin.get(&made.path());
    let shown = seen.is(200)["permissions"].as_array().unwrap();
    for (one, given) in shown.iter().zip(&everything) {
        assert_eq!((&one["kind"], &one["namespace"]), (&given["kind"], &given["namespace"]));
        let count = |value: &Value| value["access"].as_array().unwrap().len();
        assert_eq!(count(one), count(given));
    }
}

#[test]
fn a_secret_is_renewed_by_the_server_or_by_choice() {
    on_both(|server| {
        let admin = Harbor::admin(server);
        project(&admin, "shop", false);
        let made = project_robot(&admin, "shop", "ci", &["project:read"]);
        let asks =
            |secret: &str| Harbor::of(server, &made.name, secret).get("/projects/shop").status;
        assert_eq!(asks(&made.secret), 200);
        let renewed = admin.patch(&made.path(), &json!({}));
        let renewed = renewed.is(200)["secret"].as_str().unwrap();
        assert_eq!((renewed.len(), asks(renewed).as_u16()), (32, 200));
        assert_eq!(asks(&made.secret), 401);
        for bad in ["Short1", "alllower1", "ALLUPPER1", "NoNumbers", &"Aa1".repeat(43)] {
            assert_eq!(admin.patch(&made.path(), &json!({"secret": bad})).status, 400, "{bad}");
        }
        assert_eq!(asks(renewed), 200);
        let chosen = "Chosen-by-us-1";
        let answer = admin.patch(&made.path(), &json!({"secret": chosen}));
        assert_eq!(answer.is(200)["secret"], "", "who gave it knows it");
        assert_eq!((asks(chosen).as_u16(), asks(renewed).as_u16()), (200, 401));
        assert_eq!(asks("Chosen-by-us-2"), 401);
        assert!(!admin.get(&made.path()).is(200).to_string().contains(chosen));
    });
}

/// Grants are a subset of one's own, and on projects that one holds.
#[test]
fn a_robot_makes_robots_that_may_do_no_more() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    let shop = project(&admin, "shop", false);
    project(&admin, "other", false);
    let own = &["robot:create", "robot:list", "robot:read", "robot:delete", "repository:pull"];
    let maker = project_robot(&admin, "shop", "maker", own).harbor(&server);
    let child = project_robot(&maker, "shop", "child", &["repository:pull"]);
    let seen = maker.get(&child.path());
    assert_eq!(seen.is(200)["creator_type"], "robot");
    let list = format!("/robots?q=Level=project,ProjectID={shop}");
    assert_eq!(maker.get(&list).total(), 2);
    let ask = |by: &Harbor, level: &str, permissions: Value| {
        let body = json!({"name": "more", "level": level, "permissions": permissions});
        by.post("/robots", &body).status.as_u16()
    };
    for (level, permission) in [
        ("project", permission("project", "shop", &["repository:push"])),
        ("project", permission("project", "shop", &["repository:pull", "tag:list"])),
        ("project", permission("project", "other", &["repository:pull"])),
        ("project", permission("project", "nothing", &["repository:pull"])),
        ("system", permission("project", "shop", &["repository:pull"])),
        ("system", permission("system", "/", &["user:create"])),
    ] {
        assert_eq!(ask(&maker, level, json!([permission])), 403, "{level} {permission}");
    }
    // There is no permission to change robots: not others, not itself.
    let body = maker.get(&child.path()).body;
    assert_eq!(maker.put(&child.path(), &body).status, 403);
    assert_eq!(maker.patch(&child.path(), &json!({})).status, 403);
    maker.delete(&child.path()).is(200);

    let all = [
        permission("system", "/", &["robot:create", "robot:list", "robot:read", "robot:delete"]),
        permission("project", "*", &["repository:pull", "robot:create"]),
    ];
    let maker = robot(&admin, "system", "maker", &all).harbor(&server);
    let wide = permission("project", "*", &["repository:pull"]);
    let child = robot(&maker, "system", "child", &[wide]);
    let narrow = permission("project", "other/app-*", &["repository:pull"]);
    robot(&maker, "project", "child", &[narrow]);
    for permissions in [
        json!([permission("project", "*", &["repository:push"])]),
        json!([permission("project", "shop", &["repository:push"])]),
        json!([permission("system", "/", &["robot:create", "user:create"])]),
        json!([permission("project", "nothing", &["repository:pull"])]),
    ] {
        assert_eq!(ask(&maker, "system", permissions.clone()), 403, "{permissions}");
    }
    assert_eq!(maker.get("/robots").total(), 2);
    maker.delete(&child.path()).is(200);
}

/// A stolen secret of a robot that ends soon makes none that stays.
#[test]
fn a_robot_makes_none_that_outlives_it() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    project(&admin, "shop", false);
    let may = permission("project", "shop", &["robot:create", "robot:read", "repository:pull"]);
    let make = |by: &Harbor, name: &str, days: i64| {
        let body =
            json!({"name": name, "level": "project", "duration": days, "permissions": [may]});
        let made = by.post("/robots", &body);
        let row = admin.get(&format!("/robots/{}", made.made())).is(200).clone();
        (
            Harbor::of(
                &server,
                row["name"].as_str().unwrap(),
                made.body["secret"].as_str().unwrap(),
            ),
            row,
        )
    };
    let (maker, made) = make(&admin, "maker", 2);
    let end = made["expires_at"].as_i64().unwrap();
    let (child, lasting) = make(&maker, "lasting", -1);
    assert_eq!(lasting["expires_at"].as_i64(), Some(end), "{lasting}");
    assert_eq!(make(&maker, "long", 30).1["expires_at"].as_i64(), Some(end));
    assert!(make(&maker, "short", 1).1["expires_at"].as_i64().unwrap() < end);
    assert_eq!(make(&child, "grandchild", -1).1["expires_at"].as_i64(), Some(end));
    // What people make lives as long as they say.
    assert_eq!(make(&admin, "for-ever", -1).1["expires_at"], -1);
}

/// CVE-2019-16919 and CVE-2022-31667: with the rights of one project nobody makes, reads or changes
/// a robot of another, by whatever name or number.
#[test]
fn cve_2019_16919_and_cve_2022_31667_robots_of_other_projects_are_out_of_reach() {
    on_both(|server| {
        let (ann, eve) = (person(server, "ann"), person(server, "eve"));
        let (hers, theirs) = (project(&ann, "hers", false), project(&eve, "theirs", false));
        let (own, foreign) =
            (project_robot(&ann, "hers", "ci", CI), project_robot(&eve, "theirs", "ci", CI));
        let of_system = [permission("project", "hers", CI)];
        let of_system = robot(&Harbor::admin(server), "system", "ci", &of_system);
        for namespace in ["theirs", "theirs/app-*", "nothing"] {
            for level in ["project", "system"] {
                let body = json!({"name": "mine", "level": level,
                    "permissions": [permission("project", namespace, CI)]});
                assert_eq!(ann.post("/robots", &body).status, 403, "{level} {namespace}");
            }
        }
        let answer = |id: i64, method: &str| {
            let path = format!("/robots/{id}");
            let body = json!({"name": "robot$hers+ci", "level": "project", "duration": 5,
                "permissions": [permission("project", "hers", CI)]});
            let answer = match method {
                "GET" => ann.get(&path),
                "PUT" => ann.put(&path, &body),
                "PATCH" => ann.patch(&path, &json!({"secret": "Taken-over-1"})),
                _ => ann.delete(&path),
            };
            (answer.status.as_u16(), answer.body.to_string().replace(&id.to_string(), "#"))
        };
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            let nothing = answer(99_999_999, method);
            assert_eq!(nothing.0, 403);
            for id in [foreign.id, of_system.id] {
                assert_eq!(answer(id, method), nothing, "{method}");
            }
        }
        // A robot of one's own is not moved into another project, nor given anything there.
        let mut body = ann.get(&own.path()).body;
        body["permissions"] = json!([permission("project", "theirs", CI)]);
        assert_eq!(ann.put(&own.path(), &body).status, 403);
        member(&eve, theirs, "ann", 1);
        assert_eq!(ann.put(&own.path(), &body).status, 400, "not even by who administers both");
        let seen = eve.get(&foreign.path());
        assert_eq!(seen.is(200)["duration"], -1);
        assert_eq!(foreign.harbor(server).get("/projects/hers").status, 403);
        let list = format!("/robots?q=Level=project,ProjectID={hers}");
        assert_eq!(eve.get(&list).status, 403);
        assert_eq!(ann.get("/robots").status, 403);
        assert_eq!(Harbor::anonymous(server).get(&list).status, 401);
    });
}

/// A robot that may do something with accounts or projects is no administrator by a detour.
#[test]
fn a_robot_does_not_raise_itself() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    let users = &["user:create", "user:read", "user:update", "user:delete", "user:list"];
    let keeper = [permission("system", "/", users)];
    let keeper = robot(&admin, "system", "keeper", &keeper).harbor(&server);
    let bob = json!({"username": "bob", "password": PASSWORD, "sysadmin_flag": true});
    let bob = keeper.post("/users", &bob).made();
    assert_eq!(keeper.get(&format!("/users/{bob}")).is(200)["sysadmin_flag"], false);
    keeper.put(&format!("/users/{bob}"), &json!({"realname": "Bob"})).is(200);
    let flag = json!({"sysadmin_flag": true});
    assert_eq!(keeper.put(&format!("/users/{bob}/sysadmin"), &flag).status, 403);
    let password = json!({"new_password": "Another-one-1"});
    keeper.put(&format!("/users/{bob}/password"), &password).is(200);
    assert_eq!(keeper.put("/users/1/password", &password).status, 403);
    assert_eq!(keeper.put("/users/1", &json!({"realname": "x"})).status, 403);
    assert_eq!(keeper.delete("/users/1").status, 403);
    keeper.delete(&format!("/users/{bob}")).is(200);
    assert_eq!(keeper.get("/robots").status, 403);
    assert_eq!(keeper.get("/users/current").status, 412);
    let made: Made = project_robot(&admin, "library", "nothing", &["quota:read"]);
    let nothing = made.harbor(&server);
    for path in ["/users/search?username=a", "/usergroups/search?groupname=a", "/users"] {
        assert_eq!(nothing.get(path).status, 403, "{path}");
    }
}

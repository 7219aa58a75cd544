//! Users: made by administrators, changed by themselves, found by name.

use crate::{PASSWORD, on_both, person, project};
use sealock_tests::{harbor::Harbor, server::Server};
use serde_json::json;

#[test]
fn a_user_is_made_found_changed_and_removed() {
    on_both(|server| {
        let admin = Harbor::admin(server);
        let body = json!({
            "username": "ann", "password": PASSWORD, "realname": "Ann", "email": "ann@example.org",
            "comment": "of the shop",
        });
        let id = admin.post("/users", &body).made();
        assert_eq!(admin.post("/users", &body).status, 409);
        let ann = Harbor::of(server, "ann", PASSWORD);
        let current = ann.get("/users/current");
        assert_eq!(current.is(200)["user_id"], id);
        assert_eq!(current.body["comment"], "of the shop");
        assert_eq!(current.body["sysadmin_flag"], false);
        let profile = json!({"realname": "Ann B.", "email": "b@example.org", "comment": ""});
        ann.put(&format!("/users/{id}"), &profile).is(200);
        assert_eq!(admin.get(&format!("/users/{id}")).is(200)["realname"], "Ann B.");
        let wrong = json!({"email": "nowhere"});
        assert_eq!(ann.put(&format!("/users/{id}"), &wrong).status, 400);

        let listed = admin.get("/users?q=username=ann,email=~EXAMPLE");
        assert_eq!((listed.total(), listed.column("user_id")), (1, vec![json!(id)]));
        // The contract does not name these two, but Harbor hears them.
        for (asked, found) in
            [("username=NN", 1), ("email=B@example", 1), ("username=nn&email=zz", 0)]
        {
            assert_eq!(admin.get(&format!("/users?{asked}")).total(), found, "{asked}");
        }
        assert_eq!(ann.get("/users").status, 403);
        assert_eq!(Harbor::anonymous(server).get("/users").status, 401);

        let shop = project(&ann, "shop", false);
        admin.delete(&format!("/users/{id}")).is(200);
        assert_eq!(ann.get("/users/current").status, 401);
        assert_eq!(admin.get(&format!("/users/{id}")).status, 404);
        assert_eq!(admin.delete(&format!("/users/{id}")).status, 404);
        let left = admin.get(&format!("/projects/{shop}"));
        assert_eq!(left.is(200)["owner_name"], "", "who is gone is not named");
        assert_eq!(admin.delete("/users/1").status, 403, "the first one stays");
    });
}

#[test]
fn a_password_keeps_the_rules() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    let long = format!("Aa1{}", "x".repeat(126));
    for bad in ["Short1x", "alllower1", "ALLUPPER1", "NoDigitsHere", long.as_str(), "Annabel12"] {
        let body = json!({"username": "annabel12", "password": bad});
        let answer = admin.post("/users", &body);
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "BAD_REQUEST"), "{bad}");
    }
    let ann = person(&server, "ann");
    person(&server, "eve");
    let id = ann.get("/users/current").is(200)["user_id"].clone();
    let path = format!("/users/{id}/password");
    let change = |who: &Harbor, old: &str, new: &str| {
        who.put(&path, &json!({"old_password": old, "new_password": new})).status.as_u16()
    };
    let eve = Harbor::of(&server, "eve", PASSWORD);
    assert_eq!(change(&eve, PASSWORD, "Another-9-password"), 403, "of somebody else");
    assert_eq!(change(&ann, "Wrong-1-password", "Another-9-password"), 403, "the old one");
    assert_eq!(change(&ann, PASSWORD, PASSWORD), 400, "the same again");
    assert_eq!(change(&ann, PASSWORD, "weak"), 400);
    assert_eq!(change(&ann, PASSWORD, "Another-9-password"), 200);
    assert_eq!(ann.get("/users/current").status, 401, "the old one is dead at once");
    let ann = Harbor::of(&server, "ann", "Another-9-password");
    ann.get("/users/current").is(200);
    assert_eq!(change(&admin, "", "Given-by-admin-1"), 200, "administrators need not know it");
    Harbor::of(&server, "ann", "Given-by-admin-1").get("/users/current").is(200);
    // Their own they must know as everybody must: who took a log-in has not got the account.
    for old in ["", "Wrong-1-password"] {
        let body = json!({"old_password": old, "new_password": "Taken-over-9"});
        assert_eq!(admin.put("/users/1/password", &body).status, 403, "{old:?}");
    }
    assert_eq!(
        admin.put("/users/1/password", &json!({"new_password": "Taken-over-9"})).status,
        403
    );
    admin.get("/users/current").is(200);
    // Who guesses is seen.
    let refused = admin.get("/auditlog-exts?q=operation=update,resource_type=user,username=ann");
    assert_eq!(refused.body[0]["operation_result"], json!(true), "the right one came later");
    assert_eq!(refused.column("operation_result"), [true, false].map(|done| json!(done)));
    let refused = admin.get("/auditlog-exts?q=resource_type=user,operation=update,username=admin");
    let done = refused.column("operation_result");
    assert_eq!(done.iter().filter(|done| **done == json!(false)).count(), 3, "{done:?}");
}

#[test]
fn only_administrators_make_administrators() {
    let server = Server::start();
    let (admin, ann) = (Harbor::admin(&server), person(&server, "ann"));
    let id = ann.get("/users/current").is(200)["user_id"].clone();
    let path = format!("/users/{id}/sysadmin");
    assert_eq!(ann.put(&path, &json!({"sysadmin_flag": true})).status, 403);
    assert_eq!(ann.get("/users").status, 403);
    admin.put(&path, &json!({"sysadmin_flag": true})).is(200);
    ann.get("/users").is(200);
    assert_eq!(ann.put(&path, &json!({"sysadmin_flag": false})).status, 403, "one's own");
    admin.put(&path, &json!({"sysadmin_flag": false})).is(200);
    assert_eq!(ann.get("/users").status, 403);
    assert_eq!(admin.put("/users/99999/sysadmin", &json!({"sysadmin_flag": true})).status, 404);
    assert_eq!(ann.put(&format!("/users/{id}/cli_secret"), &json!({"secret": "x"})).status, 412);
}

#[test]
fn people_are_found_by_name_and_shown_by_name_and_number_only() {
    on_both(|server| {
        let ann = person(server, "ann");
        person(server, "anna");
        let found = ann.get("/users/search?username=NN");
        let names = found.column("username");
        assert_eq!(names, ["ann", "anna"]);
        assert!(found.body[0].as_object().unwrap().keys().eq(["user_id", "username"]));
        assert_eq!(ann.get("/users/search").status, 422);
        assert_eq!(ann.get("/users/search?username=zz").total(), 0);
        // Conditions on what is not shown are not heard.
        let asked = ann.get("/users/search?username=nn&q=realname=ann");
        assert_eq!(asked.total(), 2);
    });
}

#[test]
fn what_i_may_do_is_told() {
    let server = Server::start();
    let (ann, eve) = (person(&server, "ann"), person(&server, "eve"));
    let shop = project(&ann, "shop", false);
    let told = |who: &Harbor, relative: bool| {
        let path = format!("/users/current/permissions?scope=/project/{shop}&relative={relative}");
        who.get(&path).is(200).as_array().unwrap().clone()
    };
    assert!(told(&ann, true).contains(&json!({"resource": "member", "action": "create"})));
    let whole = format!("/project/{shop}");
    assert!(told(&ann, false).contains(&json!({"resource": whole, "action": "delete"})));
    assert!(told(&eve, true).is_empty());
    let catalogue = ann.get("/permissions");
    assert_eq!(catalogue.is(200)["system"], json!([]));
    let pull = json!({"resource": "repository", "action": "pull"});
    assert!(catalogue.body["project"].as_array().unwrap().contains(&pull));
    assert_eq!(eve.get("/permissions").status, 403);
    let all = Harbor::admin(&server).get("/permissions");
    let user = json!({"resource": "user", "action": "list"});
    assert!(all.is(200)["system"].as_array().unwrap().contains(&user));
}

#[test]
fn the_system_says_more_to_those_it_knows() {
    let server = Server::start();
    let (nobody, ann) = (Harbor::anonymous(&server), person(&server, "ann"));
    let stranger = nobody.get("/systeminfo");
    assert_eq!(stranger.is(200)["auth_mode"], "db_auth");
    assert!(stranger.body.get("harbor_version").is_none());
    let version = ann.get("/systeminfo").is(200)["harbor_version"].clone();
    assert!(version.as_str().unwrap().starts_with("v2.15."), "{version}");
    assert_eq!(nobody.get("/health").is(200)["status"], "healthy");
    assert_eq!(ann.get("/systeminfo/volumes").status, 403);
    let storage = Harbor::admin(&server).get("/systeminfo/volumes");
    let storage = &storage.is(200)["storage"][0];
    assert!(storage["free"].as_u64() <= storage["total"].as_u64());
    assert!(storage["total"].as_u64() > Some(0));
}

#[test]
fn a_robot_is_nobody_with_an_account() {
    let server = Server::start();
    let admin = server.admin();
    let body = json!({"name": "ci", "rights": ["pull", "push"]});
    let path = "/api/sealock/v1/projects/library/robots";
    let robot = admin.write(reqwest::Method::POST, path, &body);
    let name = robot["name"].as_str().unwrap();
    let robot = Harbor::of(&server, name, robot["secret"].as_str().unwrap());
    assert_eq!(robot.get("/users/current").status, 412);
    let made = robot.post("/projects", &json!({"project_name": "mine"}));
    assert_eq!((made.status.as_u16(), made.code()), (403, "FORBIDDEN"));
    assert_eq!(robot.get("/users").status, 403);
    assert_eq!(robot.get("/projects/library/members").status, 403);
    robot.get("/projects/library/repositories").is(200);
    let wrong = Harbor::of(&server, name, "wrong").get("/users/current");
    assert_eq!((wrong.status.as_u16(), wrong.code()), (401, "UNAUTHORIZED"));
    assert!(wrong.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
}

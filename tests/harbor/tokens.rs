//! Personal access tokens at the APIs: less than their users, and dead when they should be.

use crate::{PASSWORD, member, on_both, person, project, push};
use reqwest::Method;
use sealock_tests::{
    harbor::{BASE, Harbor},
    http::Http,
    server::Server,
};
use serde_json::{Value, json};

const OWN: &str = "/api/sealock/v1";

/// Makes a token; number and secret.
fn token(who: &Http, name: &str, scopes: &[&str], projects: Option<&[&str]>) -> (i64, String) {
    let mut body = json!({"name": name, "scopes": scopes});
    if let Some(projects) = projects {
        body["projects"] = json!(projects);
    }
    let made = who.write(Method::POST, &format!("{OWN}/tokens"), &body);
    (made["id"].as_i64().unwrap(), made["secret"].as_str().unwrap().to_owned())
}

fn status(who: &Http, method: Method, path: &str, body: Option<Value>) -> u16 {
    let mut request = who.request(method, path);
    if let Some(body) = body {
        request = request.header("Content-Type", "application/json").body(body.to_string());
    }
    request.send().unwrap().status().as_u16()
}

#[test]
fn a_token_may_what_its_scopes_say_and_its_user_may() {
    on_both(|server| {
        let ann = person(server, "ann");
        let own = server.http().with_user("ann", PASSWORD);
        let (shop, other) = (project(&ann, "shop", false), project(&ann, "other", false));
        push(server, "shop/app:1");
        let with = |secret: &str| Harbor::of(server, "ann", secret);
        let (_, read) = token(&own, "read", &["read"], None);
        let reader = with(&read);
        reader.get(&format!("/projects/{shop}")).is(200);
        assert_eq!(reader.get("/projects").column("name"), ["library", "other", "shop"]);
        assert_eq!(reader.get("/users/current").is(200)["username"], "ann");
        reader.get(&format!("/projects/{shop}/members")).is(200);
        let repository = "/projects/shop/repositories/app";
        let words = json!({"description": "x"});
        assert_eq!(reader.put(repository, &words).status, 403);
        with(&token(&own, "push", &["push"], None).1).put(repository, &words).is(200);
        let deletes = with(&token(&own, "delete", &["delete"], None).1);
        assert_eq!(deletes.put(repository, &words).status, 403);
        deletes.delete(repository).is(200);

        // For one project only.
        let (_, bound) = token(&own, "bound", &["push"], Some(&["shop"]));
        let bound = with(&bound);
        assert_eq!(bound.get("/projects").column("name"), ["library", "shop"]);
        assert_eq!(bound.get(&format!("/projects/{other}")).status, 403);
        // Not for a later project of the name.
        ann.delete(&format!("/projects/{shop}")).is(200);
        project(&ann, "shop", false);
        assert_eq!(bound.get("/projects/shop").status, 403);
        assert_eq!(bound.get("/projects").column("name"), ["library"]);

        // Its user's rights of now: a guest's token for pushing pushes nothing.
        let eve = person(server, "eve");
        let mid = member(&ann, other, "eve", 2);
        let eves = server.http().with_user("eve", PASSWORD);
        let (_, secret) = token(&eves, "push", &["push"], None);
        let begin = || {
            let path = "/v2/other/app/blobs/uploads/";
            status(&server.http().with_user("eve", &secret), Method::POST, path, None)
        };
        assert_eq!(begin(), 202);
        ann.put(&format!("/projects/{other}/members/{mid}"), &json!({"role_id": 3})).is(200);
        assert_eq!(begin(), 403);
        eve.get("/users/current").is(200);
    });
}

/// Nobody's token, an administrator's least of all, makes another one, changes an account or the
/// system, or turns into a log-in.
#[test]
fn a_token_never_grows() {
    let server = Server::start();
    let admin = server.admin();
    let all = ["read", "push", "delete", "promote"];
    let (number, secret) = token(&admin, "all", &all, None);
    let weak = server.http().with_user("admin", &secret);
    let post = Method::POST;
    let user = json!({"name": "mallory", "password": PASSWORD});
    for (method, path, body) in [
        (post.clone(), format!("{OWN}/tokens"), json!({"name": "more", "scopes": ["read"]})),
        (Method::GET, format!("{OWN}/tokens"), json!({})),
        (Method::DELETE, format!("{OWN}/tokens/{number}"), json!({})),
        (Method::DELETE, format!("{OWN}/tokens"), json!({})),
        (Method::GET, format!("{OWN}/sessions"), json!({})),
        (Method::PATCH, format!("{OWN}/users/admin"), json!({"password": "Mallory-1-mallory"})),
        (post.clone(), format!("{OWN}/users"), user.clone()),
        (post.clone(), format!("{OWN}/projects"), json!({"name": "mine"})),
        (
            post.clone(),
            format!("{OWN}/projects/library/robots"),
            json!({"name": "ci", "rights": ["pull"]}),
        ),
        (
            post.clone(),
            format!("{OWN}/projects/library/members"),
            json!({"user": "admin", "role": "guest"}),
        ),
        (Method::GET, format!("{OWN}/users"), json!({})),
        (post.clone(), format!("{OWN}/collections"), json!({})),
        (post.clone(), format!("{BASE}/users"), json!({"username": "m", "password": PASSWORD})),
        (
            Method::PUT,
            format!("{BASE}/users/1/password"),
            json!({"old_password": secret, "new_password": "Mallory-1-mallory"}),
        ),
        (Method::PUT, format!("{BASE}/users/1"), json!({"realname": "Mallory"})),
        (Method::PUT, format!("{BASE}/users/1/sysadmin"), json!({"sysadmin_flag": true})),
        (Method::PUT, format!("{BASE}/configurations"), json!({"read_only": true})),
        (Method::GET, format!("{BASE}/configurations"), json!({})),
        (post.clone(), format!("{BASE}/projects"), json!({"project_name": "mine"})),
        (Method::PUT, format!("{BASE}/projects/1"), json!({"metadata": {"public": "false"}})),
    ] {
        let found = status(&weak, method.clone(), &path, Some(body));
        assert_eq!(found, 403, "{method} {path}");
    }
    let login = server.http().request(post, "/c/login");
    let login = login.body(format!("principal=admin&password={secret}")).send().unwrap();
    assert_eq!(login.status(), 401);
    assert!(!login.headers().contains_key("set-cookie"));
    assert_eq!(weak.json(&format!("{OWN}/me"))["admin"], false);
    assert_eq!(admin.json(&format!("{OWN}/tokens"))["items"].as_array().unwrap().len(), 1);
    // It is on record whose token did it, and which.
    push(&server, "library/app:1");
    let path = "/api/v2.0/projects/library/repositories/app";
    assert_eq!(status(&weak, Method::DELETE, path, None), 200);
    let events = admin.json(&format!("{OWN}/audit?action=delete-repository"));
    assert_eq!(events["items"][0]["actor"], "admin");
    assert_eq!(events["items"][0]["detail"]["token"], "all");
}

#[test]
fn a_token_is_one_users_and_dies_with_them() {
    on_both(|server| {
        let (ann, eve) = (person(server, "ann"), person(server, "eve"));
        let (anns, eves) =
            (server.http().with_user("ann", PASSWORD), server.http().with_user("eve", PASSWORD));
        let (number, secret) = token(&anns, "one", &["read"], None);
        assert!(secret.starts_with("sealock_pat_"));
        let again = json!({"name": "one", "scopes": ["read"]});
        let tokens = format!("{OWN}/tokens");
        assert_eq!(status(&anns, Method::POST, &tokens, Some(again)), 409);
        for bad in [
            json!({"name": "", "scopes": ["read"]}),
            json!({"name": "x", "scopes": []}),
            json!({"name": "x", "scopes": ["admin"]}),
            json!({"name": "x", "scopes": ["read"], "expires_in_days": 0}),
            json!({"name": "x", "scopes": ["read"], "expires_in_days": 367}),
            json!({"name": "x", "scopes": ["read"], "projects": []}),
            json!({"name": "x", "scopes": ["read"], "owner": "admin"}),
        ] {
            assert_eq!(status(&anns, Method::POST, &tokens, Some(bad.clone())), 400, "{bad}");
        }
        let foreign = json!({"name": "x", "scopes": ["read"], "projects": ["nothing"]});
        assert_eq!(status(&anns, Method::POST, &tokens, Some(foreign)), 404);

        // Swapped names and numbers.
        assert_eq!(Harbor::of(server, "eve", &secret).get("/users/current").status, 401);
        assert_eq!(Harbor::of(server, "admin", &secret).get("/users/current").status, 401);
        let theirs = format!("{OWN}/tokens/{number}");
        assert_eq!(status(&eves, Method::DELETE, &theirs, None), 404);
        assert_eq!(status(&eves, Method::DELETE, &format!("{OWN}/tokens/99999999"), None), 404);
        assert_eq!(status(&eves, Method::GET, &format!("{tokens}?user=ann"), None), 403);
        let shown = anns.json(&tokens);
        assert!(!shown.to_string().contains("sealock_pat_"), "{shown}");
        assert_eq!(server.admin().json(&format!("{tokens}?user=ann")), shown);

        // A bearer token that it got goes with it.
        let with = server.http().with_user("ann", &secret);
        let bearer = with.json("/service/token?service=sealock&scope=repository:library/app:pull");
        let bearer = format!("Bearer {}", bearer["token"].as_str().unwrap());
        let open = || {
            let request = server.http().request(Method::GET, "/v2/");
            request.header("Authorization", &bearer).send().unwrap().status().as_u16()
        };
        assert_eq!(open(), 200);
        let own = server.admin();
        let disable = |on: bool| {
            own.write(Method::PATCH, &format!("{OWN}/users/ann"), &json!({"disabled": on}))
        };
        disable(true);
        assert_eq!((open(), status(&with, Method::GET, &format!("{OWN}/me"), None)), (401, 401));
        disable(false);
        assert_eq!(status(&anns, Method::DELETE, &theirs, None), 204);
        assert_eq!((open(), status(&with, Method::GET, &format!("{OWN}/me"), None)), (401, 401));

        let (_, secret) = token(&anns, "two", &["read"], None);
        let id = ann.get("/users/current").is(200)["user_id"].clone();
        Harbor::admin(server).delete(&format!("/users/{id}")).is(200);
        person(server, "ann");
        assert_eq!(Harbor::of(server, "ann", &secret).get("/users/current").status, 401);
        assert_eq!(anns.json(&tokens)["items"], json!([]), "a namesake has none of them");
        eve.get("/users/current").is(200);
    });
}

#[test]
fn a_user_has_so_many_tokens() {
    let server = Server::start();
    person(&server, "ann");
    let ann = server.http().with_user("ann", PASSWORD);
    for number in 0..100 {
        token(&ann, &number.to_string(), &["read"], None);
    }
    let more = json!({"name": "more", "scopes": ["read"]});
    let path = format!("{OWN}/tokens");
    assert_eq!(status(&ann, Method::POST, &path, Some(more.clone())), 400);
    assert_eq!(status(&ann, Method::DELETE, &path, None), 200);
    assert_eq!(status(&ann, Method::POST, &path, Some(more)), 201);
}

//! Every verb that looks at something works, as a table and as JSON, by hand and for a program.

use sealock_tests::{clients::Desk, images::Image, server::Server};
use serde_json::{Value, json};

#[test]
fn every_verb_that_looks_prints_a_table_and_json() {
    let server = Server::start();
    let desk = Desk::admin(&server);
    let image = Image::named("app");
    desk.skopeo_push(&image.reference(), "library/app:1", &[]).ok();
    let people = json!({"name": "dana", "password": "Correct-horse-1"});
    server.admin().write(reqwest::Method::POST, "/api/sealock/v1/users", &people);
    desk.sealock(&["project", "create", "up", "--tier", "release"]).ok();
    // Refused: from here on there is a decision.
    desk.sealock(&["promote", "library/app:1", "up"]).refused("signature");
    let decisions = desk.sealock_json(&["decision", "list"]);
    let decision = decisions[0]["id"].to_string();
    let digest = image.digest();
    let verbs: &[(&[&str], [i32; 2])] = &[
        (&["user", "me"], [0, 0]),
        (&["user", "list"], [0, 0]),
        (&["project", "list"], [0, 0]),
        (&["project", "show", "library"], [0, 0]),
        (&["project", "repositories", "library"], [0, 0]),
        (&["project", "member", "list", "up"], [0, 0]),
        (&["project", "robot", "list", "library"], [0, 0]),
        (&["project", "key", "list", "library"], [0, 0]),
        (&["show", "library/app:1"], [0, 0]),
        (&["scan", "library/app:1"], [0, 0]),
        (&["scan", "library/app:1", "--fail-on", "low"], [3, 3]),
        (&["verify", "library/app:1"], [0, 3]),
        (&["verify", "library/app:1", "--door", "pull"], [0, 0]),
        (&["evidence", "library/app:1"], [0, 0]),
        (&["affected", "CVE-2021-44906"], [0, 0]),
        (&["affected", "pkg:npm/minimist", "--range", "<1"], [0, 0]),
        (&["waiver", "list", "library"], [0, 0]),
        (&["quarantine", "list"], [0, 0]),
        (&["decision", "list", "--door", "promote", "--digest", &digest], [0, 0]),
        (&["decision", "show", &decision], [0, 0]),
        (&["decision", "export", &decision], [0, 0]),
        (&["decision", "replay", &decision], [0, 0]),
        (&["promotions"], [0, 0]),
        (&["policy", "get", "--tier", "release"], [0, 0]),
        (&["policy", "history", "--floor"], [0, 0]),
        (&["advisories", "status"], [0, 0]),
        (&["cluster", "list"], [0, 0]),
        (&["audit", "--since", "1h", "--action", "push,tag"], [0, 0]),
        (&["show", "library/absent:1"], [4, 4]),
        (&["show", "not an image"], [2, 2]),
        (&["project", "show", "absent"], [4, 4]),
    ];
    for (verb, codes) in verbs {
        let table = desk.sealock(verb);
        let code = table.code().unwrap();
        assert!(codes.contains(&code), "{verb:?} ends with {code}: {}", table.said());
        assert!(!table.said().contains('\u{1b}'), "{verb:?} colours a pipe");
        let ran = desk.sealock(&[*verb, &["--output", "json"]].concat());
        assert_eq!(ran.code(), Some(code), "{verb:?}: {}", ran.said());
        if code == 0 {
            let text = ran.ok();
            let parsed: Result<Value, _> = serde_json::from_str(&text);
            assert!(parsed.is_ok(), "{verb:?} prints no JSON:\n{text}");
        }
    }
    let nobody = Desk::anonymous(&server);
    assert_eq!(nobody.sealock(&["user", "list"]).code(), Some(5));
    let wrong = Desk::of(&server, "admin", "wrong");
    assert_eq!(wrong.sealock(&["user", "list"]).code(), Some(5));
}

//! What all lists have in common: pages, `q` and `sort`.

use crate::{on_both, person, project};
use sealock_tests::{harbor::Harbor, server::Server};

/// Lists that are here, for an administrator.
const LISTS: [&str; 10] = [
    "/projects",
    "/users",
    "/repositories",
    "/projects/library/members",
    "/projects/library/repositories",
    "/labels?scope=g",
    "/usergroups",
    "/quotas",
    "/projects/library/immutabletagrules",
    "/robots",
];

#[test]
fn a_list_is_walked_by_its_links() {
    on_both(|server| {
        let admin = Harbor::admin(server);
        for n in 1..=4 {
            project(&admin, &format!("p{n}"), false);
        }
        let first = admin.get("/projects?page_size=2&sort=-name");
        assert_eq!((first.total(), first.column("name").len()), (5, 2));
        assert_eq!(first.column("name"), ["p4", "p3"]);
        let link = first.headers["link"].to_str().unwrap();
        assert_eq!(link, "</api/v2.0/projects?sort=-name&page=2&page_size=2>; rel=\"next\"");
        let second = admin.get("/projects?sort=-name&page=2&page_size=2");
        let link = second.headers["link"].to_str().unwrap();
        assert!(link.contains("page=1&page_size=2>; rel=\"prev\" , <"), "{link}");
        let last = admin.get("/projects?sort=-name&page=3&page_size=2");
        assert_eq!(last.column("name"), ["library"]);
        assert!(!last.headers["link"].to_str().unwrap().contains("next"));
        let beyond = admin.get("/projects?page=9");
        assert!(beyond.column("name").is_empty() && !beyond.headers.contains_key("link"));
        assert!(!admin.get("/projects").headers.contains_key("link"));
        for unlimited in ["0", "-1"] {
            assert_eq!(
                admin.get(&format!("/projects?page_size={unlimited}")).column("name").len(),
                5
            );
        }
    });
}

#[test]
fn pages_have_limits() {
    let server = Server::start();
    let admin = Harbor::admin(&server);
    for list in LISTS {
        let join = if list.contains('?') { '&' } else { '?' };
        admin.get(&format!("{list}{join}page_size=100")).is(200);
        for bad in ["page_size=101", "page_size=-2", "page_size=x", "page=-2", "page=x"] {
            assert_eq!(admin.get(&format!("{list}{join}{bad}")).status, 422, "{list} {bad}");
        }
        admin.get(&format!("{list}{join}page=9223372036854775807&page_size=100")).is(200);
    }
}

#[test]
fn conditions_are_understood() {
    on_both(|server| {
        let admin = Harbor::admin(server);
        let ids: Vec<i64> =
            (1..=4).map(|n| project(&admin, &format!("p{n}"), n % 2 == 0)).collect();
        let names = |q: &str| {
            let encoded = q.replace(' ', "%20").replace('{', "%7B").replace('}', "%7D");
            let encoded = encoded.replace('[', "%5B").replace(']', "%5D").replace('"', "%22");
            admin.get(&format!("/projects?sort=name&q={encoded}")).column("name")
        };
        assert_eq!(names("name=p1"), ["p1"]);
        assert_eq!(names("name=~P"), ["p1", "p2", "p3", "p4"]);
        assert_eq!(names("name={p1 p3 other}"), ["p1", "p3"]);
        assert_eq!(names(&format!("project_id=[{}~{}]", ids[1], ids[2])), ["p2", "p3"]);
        assert_eq!(names(&format!("project_id=[{}~]", ids[3])), ["p4"]);
        assert_eq!(names(&format!("project_id={{{} {}}}", ids[0], ids[1])), ["p1", "p2"]);
        assert_eq!(names("name=~p,public=true"), ["p2", "p4"]);
        assert_eq!(names("creation_time=[2020-01-01T00:00:00~]").len(), 5);
        assert!(names("creation_time=[~2020-01-01T00:00:00]").is_empty());
        assert_eq!(names("name=\"p1\""), ["p1"]);
        assert!(names("name=%").is_empty() && names("name=~_").is_empty());
        assert_eq!(names("unheard=of").len(), 5, "what no list knows is passed over");
        assert_eq!(admin.get("/projects?sort=unheard,-name&page_size=1").column("name"), ["p4"]);
        // As Harbor's own pages write it, encoded twice; and as its code calls it.
        assert_eq!(names("name%253D~P3"), ["p3"]);
        assert_eq!(names(&format!("ProjectID={},Public=false", ids[0])), ["p1"]);
        let last = admin.get("/projects?sort=-ProjectID&page_size=1");
        assert_eq!(last.column("name"), ["p4"]);
        for bad in
            ["name", "name=", "=p1", "name=p1,", "name=~", "name=%5Ba", "name=%7Ba", "name=(a"]
        {
            assert_eq!(admin.get(&format!("/projects?q={bad}")).status, 400, "{bad}");
        }
    });
}

#[test]
fn a_list_shows_what_its_reader_may_see() {
    let server = Server::start();
    let (ann, eve) = (person(&server, "ann"), person(&server, "eve"));
    project(&ann, "shop", false);
    project(&ann, "open", true);
    assert_eq!(ann.get("/projects").column("name"), ["library", "open", "shop"]);
    assert_eq!(eve.get("/projects").column("name"), ["library", "open"]);
    assert_eq!(Harbor::anonymous(&server).get("/projects").column("name"), ["library", "open"]);
    assert_eq!(eve.get("/projects?q=name=shop").total(), 0);
    assert_eq!(ann.get("/projects?owner=ann").total(), 2);
    assert_eq!(ann.get("/projects?public=false").column("name"), ["shop"]);
    assert_eq!(ann.get("/projects?public=perhaps").status, 422);
}

/// CVE-2019-19026, CVE-2019-19029, CVE-2024-22261, CVE-2025-30086 and fix #23418: whatever stands
/// in `q` and `sort`, a list is neither broken nor made to tell what it does not show.
#[test]
fn nothing_is_injected_and_nothing_hidden_can_be_asked_for() {
    on_both(|server| {
        let admin = Harbor::admin(server);
        person(server, "ann");
        for list in LISTS {
            let join = if list.contains('?') { '&' } else { '?' };
            let whole = admin.get(list);
            let hidden = [
                "password=~a",
                "password_hash=~a",
                "salt=~a",
                "secret=~a",
                "access_secret=~a",
                "policy_rev=1",
                "deleted_at=1",
                "owner__password=~a",
                "u.password_hash=~a",
                "security_officer=true",
                "(select%201)=1",
                "1=1",
                "1%20OR%201=1",
            ];
            for q in hidden {
                let asked = admin.get(&format!("{list}{join}q={q}"));
                assert_eq!(
                    (asked.total(), &asked.body),
                    (whole.total(), &whole.body),
                    "{list} {q}"
                );
            }
            for sort in ["password_hash", "-salt", "1", "id;DROP%20TABLE%20users", "(select%201)"] {
                let asked = admin.get(&format!("{list}{join}sort={sort}"));
                assert_eq!(asked.body, whole.body, "{list} {sort}");
            }
            for value in ["'", "''%20OR%20'1'='1", "x';DROP%20TABLE%20users;--", "%00", "\u{202e}"]
            {
                for field in ["name", "username", "owner", "entityname", "group_name"] {
                    admin.get(&format!("{list}{join}{field}={value}")).is(200);
                    admin.get(&format!("{list}{join}q={field}={value}")).is(200);
                }
            }
        }
        assert!(admin.get("/users").total() >= 2, "the table is still there");
    });
}

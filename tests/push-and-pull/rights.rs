//! Who may push and pull what, as clients see it.

use reqwest::Method;
use sealock_tests::{clients::Desk, images::Image, server::ADMIN_PASSWORD};
use serde_json::json;

use crate::shop;

#[test]
fn a_private_project_is_closed_and_a_public_one_open_for_reading() {
    let (server, admin) = shop();
    let image = Image::named("small").reference();
    admin.skopeo_push(&image, "shop/small:1", &[]).ok();
    admin.skopeo_push(&image, "library/small:1", &[]).ok();

    let nobody = Desk::anonymous(&server);
    nobody.crane(&["manifest", &nobody.name("shop/small:1")]).refused("UNAUTHORIZED");
    nobody.crane(&["validate", "--remote", &nobody.name("library/small:1")]).ok();
    nobody.skopeo_push(&image, "library/small:2", &[]).refused("");
    nobody.crane(&["manifest", &nobody.name("library/small:2")]).refused("");
}

#[test]
fn what_is_not_there_and_what_is_not_yours_look_the_same() {
    let (server, admin) = shop();
    admin.skopeo_push(&Image::named("small").reference(), "shop/small:1", &[]).ok();
    server.admin().write(
        Method::POST,
        "/api/sealock/v1/users",
        &json!({"name": "mallory", "password": "Mallory-was-here-1"}),
    );
    let mallory = server.http().with_user("mallory", "Mallory-was-here-1");
    let answer = |path: &str| {
        let response = mallory.get(path).unwrap();
        let status = response.status();
        (status, response.text().unwrap().replace("no-such", "shop"))
    };
    assert_eq!(
        answer("/v2/shop/small/manifests/1"),
        answer("/v2/no-such/small/manifests/1"),
        "a stranger can tell whether a project exists"
    );
    assert_eq!(answer("/v2/shop/small/tags/list"), answer("/v2/no-such/small/tags/list"));
}

#[test]
fn a_robot_does_what_its_rights_say_and_no_more() {
    let (server, admin) = shop();
    let image = Image::named("small").reference();
    admin.skopeo_push(&image, "shop/small:1", &[]).ok();
    let robot = |name: &str, rights: &[&str]| {
        let body = json!({"name": name, "rights": rights});
        let made =
            server.admin().write(Method::POST, "/api/sealock/v1/projects/shop/robots", &body);
        let name = made["name"].as_str().unwrap().to_owned();
        let name = if name.starts_with("robot$") { name } else { format!("robot$shop+{name}") };
        Desk::of(&server, &name, made["secret"].as_str().unwrap())
    };
    let reader = robot("reader", &["pull"]);
    reader.crane(&["validate", "--remote", &reader.name("shop/small:1")]).ok();
    reader.skopeo_push(&image, "shop/small:2", &[]).refused("");
    reader.crane(&["manifest", &reader.name("shop/small:2")]).refused("MANIFEST_UNKNOWN");
    let writer = robot("writer", &["pull", "push"]);
    writer.skopeo_push(&image, "shop/small:2", &[]).ok();
    // Its rights end where its project ends.
    writer.skopeo_push(&image, "library/small:1", &[]).refused("");
}

#[test]
fn a_wrong_password_is_refused_and_a_right_one_is_not_shown() {
    let (server, _) = shop();
    let wrong = server.http().with_user("admin", "wrong");
    assert_eq!(wrong.get("/v2/").unwrap().status(), 401);
    assert_eq!(server.admin().get("/v2/").unwrap().status(), 200);
    assert!(!server.log().contains(ADMIN_PASSWORD), "the log shows a password");
}

//! Harbor's API as its clients use it. Every answer in here is held against Harbor's published
//! contract by the client itself (`sealock_tests::harbor`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod advisories;
mod artifacts;
mod browsers;
mod configure;
mod groups;
mod immutable;
mod labels;
mod lists;
mod log;
mod matrix;
mod members;
mod people;
mod projects;
mod protections;
mod quotas;
mod repositories;
mod surface;

use sealock_tests::{harbor::Harbor, images::Image, server::Server};
use serde_json::json;

/// The password of everybody who is made here.
const PASSWORD: &str = "Harbor-test-1-password";

/// Runs a story on SQLite and on PostgreSQL.
fn on_both(story: impl Fn(&Server)) {
    story(&Server::start());
    if let Some(server) = Server::start_on_postgres() {
        story(&server);
    }
}

/// Makes a user, who logs in.
fn person(server: &Server, name: &str) -> Harbor {
    let body = json!({"username": name, "password": PASSWORD, "realname": name});
    Harbor::admin(server).post("/users", &body).is(201);
    Harbor::of(server, name, PASSWORD)
}

/// Makes a project; its number.
fn project(owner: &Harbor, name: &str, public: bool) -> i64 {
    let metadata = json!({"public": public.to_string()});
    owner.post("/projects", &json!({"project_name": name, "metadata": metadata})).made()
}

/// Makes somebody a member; the number of the membership.
fn member(admin: &Harbor, project: i64, name: &str, role: i64) -> i64 {
    let body = json!({"role_id": role, "member_user": {"username": name}});
    admin.post(&format!("/projects/{project}/members"), &body).made()
}

/// Pushes a small image as the administrator.
fn push(server: &Server, reference: &str) {
    let desk = sealock_tests::clients::Desk::admin(server);
    desk.skopeo_push(&Image::named("small").reference(), reference, &[]).ok();
}

//! Harbor's API as its clients use it. Every answer in here is held against Harbor's published
//! contract by the client itself (`sealock_tests::harbor`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod additions;
mod advisories;
mod artifacts;
mod browsers;
mod clients;
mod configure;
mod foreign;
mod groups;
mod immutable;
mod labels;
mod limits;
mod lists;
mod log;
mod matrix;
mod members;
mod people;
mod projects;
mod protections;
mod provider;
mod quotas;
mod renaming;
mod repositories;
mod robots;
mod robots_doors;
mod robots_matrix;
mod surface;
mod tokens;

use sealock_tests::{clients::Desk, harbor::Harbor, images::Image, server::Server};
use serde_json::{Value, json};

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

/// What a robot may be given in a place: `repository:pull`.
fn permission(kind: &str, namespace: &str, words: &[&str]) -> Value {
    let access = words.iter().map(|word| word.split_once(':').unwrap());
    let access: Vec<Value> =
        access.map(|(resource, action)| json!({"resource": resource, "action": action})).collect();
    json!({"kind": kind, "namespace": namespace, "access": access})
}

/// A robot that was made: its number, login name and secret.
struct Made {
    id: i64,
    name: String,
    secret: String,
}

impl Made {
    fn harbor(&self, server: &Server) -> Harbor {
        Harbor::of(server, &self.name, &self.secret)
    }

    fn desk(&self, server: &Server) -> Desk {
        Desk::of(server, &self.name, &self.secret)
    }

    fn path(&self) -> String {
        format!("/robots/{}", self.id)
    }
}

/// Makes a robot.
fn robot(by: &Harbor, level: &str, name: &str, permissions: &[Value]) -> Made {
    let body = json!({
        "name": name, "level": level, "duration": -1, "permissions": permissions,
    });
    let made = by.post("/robots", &body);
    assert_eq!(made.made(), made.body["id"].as_i64().unwrap());
    let text = |field: &str| made.body[field].as_str().unwrap().to_owned();
    Made { id: made.made(), name: text("name"), secret: text("secret") }
}

/// Makes a robot of a project.
fn project_robot(by: &Harbor, project: &str, name: &str, words: &[&str]) -> Made {
    robot(by, "project", name, &[permission("project", project, words)])
}

/// Pushes a small image as the administrator.
fn push(server: &Server, reference: &str) {
    let desk = Desk::admin(server);
    desk.skopeo_push(&Image::named("small").reference(), reference, &[]).ok();
}

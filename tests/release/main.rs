//! From a signed image to a released one, and what becomes of it: real clients against one server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod audit;
mod eradicate;
mod evidence;
mod promote;
mod signatures;

use reqwest::Method;
use sealock_tests::{
    clients::Desk,
    images::Image,
    server::{Options, Server},
};
use serde_json::{Value, json};

/// Password of everybody but the administrator.
const PASSWORD: &str = "Correct-horse-1";

/// A sandbox `shop` and a release tier project `shop-release`, both of which list the key of the
/// pipeline; Dana maintains them, Sofia has the security role.
struct House {
    server: Server,
    admin: Desk,
    dana: Desk,
    sofia: Desk,
}

/// Signed, and nothing critical: small enough that a test sees each reason alone.
const POLICY: &str = "apiVersion: sealock/v1
kind: Policy
name: release
access: {sources: {tiers: [sandbox]}}
rules:
  - name: signed
    signed: {}
";

impl House {
    fn new() -> Self {
        Self::on(Server::start())
    }

    fn with_admission() -> Self {
        Self::on(Server::start_with(Options { admission: true, ..Options::default() }))
    }

    fn on(server: Server) -> Self {
        let http = server.admin();
        let post = |path: &str, body: Value| http.write(Method::POST, path, &body);
        for (name, officer) in [("dana", false), ("sofia", true)] {
            let body = json!({"name": name, "password": PASSWORD, "security_officer": officer});
            post("/api/sealock/v1/users", body);
        }
        for (name, tier) in [("shop", "sandbox"), ("shop-release", "release")] {
            post("/api/sealock/v1/projects", json!({"name": name, "tier": tier}));
            let members = format!("/api/sealock/v1/projects/{name}/members");
            post(&members, json!({"user": "dana", "role": "maintainer"}));
            post(&members, json!({"user": "sofia", "role": "guest"}));
        }
        let admin = Desk::admin(&server);
        let dana = Desk::of(&server, "dana", PASSWORD);
        let sofia = Desk::of(&server, "sofia", PASSWORD);
        let house = Self { server, admin, dana, sofia };
        house.policy(POLICY);
        let _ = house.dana.key_pair("pipeline");
        house.list_key("shop", "pipeline");
        house.list_key("shop-release", "pipeline");
        house
    }

    /// Replaces the policy of the tier `release`.
    fn policy(&self, text: &str) {
        let path = self.admin.home().join("policy.yaml");
        std::fs::write(&path, text).unwrap();
        self.admin.sealock(&["policy", "set", "--tier", "release", "policy.yaml"]).ok();
    }

    /// Lists one of Dana's public keys in a project, under its own name.
    fn list_key(&self, project: &str, name: &str) {
        let file = self.dana.home().join(format!("{name}.pub")).display().to_string();
        self.admin.sealock(&["project", "key", "add", project, name, &file]).ok();
    }

    /// Pushes a test image as Dana and returns its digest.
    fn push(&self, image: &str, name: &str) -> String {
        let image = Image::named(image);
        let options = ["--all", "--preserve-digests"];
        self.dana.skopeo_push(&image.reference(), name, &options).ok();
        image.digest()
    }

    /// Signs as Dana with cosign 3, in its default format.
    fn sign(&self, key: &str, repository: &str, digest: &str) {
        let image = self.dana.name(&format!("{repository}@{digest}"));
        let (config, key) = (self.dana.signing_config(), format!("{key}.key"));
        let options = ["--allow-http-registry", "--signing-config", &config, "--key", &key];
        self.dana.cosign(&[&["sign"], &options[..], &[image.as_str()]].concat()).ok();
    }

    /// Attests a predicate as Dana with cosign 3.
    fn attest(&self, key: &str, kind: &str, predicate: &Value, repository: &str, digest: &str) {
        let image = self.dana.name(&format!("{repository}@{digest}"));
        std::fs::write(self.dana.home().join("predicate.json"), predicate.to_string()).unwrap();
        let (config, key) = (self.dana.signing_config(), format!("{key}.key"));
        let options = ["--allow-http-registry", "--signing-config", &config, "--key", &key];
        let what = ["--type", kind, "--predicate", "predicate.json", &image];
        self.dana.cosign(&[&["attest"], &options[..], &what[..]].concat()).ok();
    }

    /// The facts that the server shows for an image.
    fn facts(&self, image: &str) -> Value {
        self.dana.sealock_json(&["show", image])["facts"].clone()
    }
}

/// How many of these facts are verified.
fn verified(facts: &Value) -> usize {
    let facts = facts.as_array().expect("a list of facts");
    facts.iter().filter(|fact| fact["status"]["state"] == "verified").count()
}

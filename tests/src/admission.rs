//! The admission webhooks, asked as a cluster's API server asks.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Method, blocking::Response};
use serde_json::{Value, json};

use crate::{clients::Desk, http::Http, server::Server};

/// The webhooks of a server, as its manifest for one cluster names them.
#[derive(Debug)]
pub struct Webhook {
    /// Address of the one that validates.
    url: String,
    http: Http,
}

impl Webhook {
    /// Registers the cluster `prod`, all of whose namespaces are sandboxes.
    ///
    /// # Panics
    /// If the server does not listen for admission, or `admin` may not register clusters.
    #[must_use]
    pub fn of(server: &Server, admin: &Desk) -> Self {
        let host = server.host();
        let register =
            ["cluster", "register", "prod", "--host-name", &host, "--namespace", "*=sandbox"];
        let registered = admin.sealock_json(&register);
        let token = registered["token"].as_str().expect("a token");
        let base = format!("https://{}", server.admission_address);
        let print = ["admission", "manifest", "prod", "--webhook-url", &base, "--token", token];
        let manifest = admin.sealock(&print).ok();
        let url = manifest
            .split(['"', ' ', '\n'])
            .find(|word| word.contains("/admission/validate"))
            .expect("an address")
            .to_owned();
        let http = server.http().trusting(&authority(server, &manifest));
        Self { url, http }
    }

    /// Whether a Pod with this image may run: the body of the answer.
    ///
    /// # Panics
    /// If there is no answer.
    #[must_use]
    pub fn admit(&self, image: &str) -> Value {
        self.http.write(Method::POST, &self.url, &review(image))["response"].clone()
    }

    /// The answers of the webhook that validates and of the one that mutates, whatever they are.
    ///
    /// # Panics
    /// If the connection breaks.
    #[must_use]
    pub fn ask_both(&self, image: &str) -> [Response; 2] {
        [self.url.clone(), self.url.replace("/admission/validate", "/admission/mutate")].map(
            |url| {
                self.http
                    .request(Method::POST, &url)
                    .json(&review(image))
                    .send()
                    .expect("an answer")
            },
        )
    }
}

/// The authority that the manifest tells the cluster to trust.
fn authority(server: &Server, manifest: &str) -> PathBuf {
    let bundle = manifest.split("caBundle").nth(1).expect("a CA bundle");
    let bundle = bundle.trim_start_matches([':', ' ', '"']);
    let end = bundle.find(['"', '\n']).unwrap_or(bundle.len());
    let pem = STANDARD.decode(bundle[..end].trim()).expect("base64");
    let path = server.scratch().join("webhook-ca.pem");
    std::fs::write(&path, pem).expect("a file");
    path
}

fn review(image: &str) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "operation": "CREATE", "namespace": "default",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "userInfo": {"username": "deployer"},
        "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "default"},
            "spec": {"containers": [{"name": "a", "image": image}]}}}})
}

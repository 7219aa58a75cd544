//! A client of Harbor's API whose every answer is held against Harbor's published contract.

mod contract;

pub use contract::{Contract, Operation};

use crate::{http::Http, server::Server};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;

/// Where Harbor's API lives.
pub const BASE: &str = "/api/v2.0";

/// Somebody who uses Harbor's API.
#[derive(Debug, Clone)]
pub struct Harbor {
    http: Http,
    headers: Vec<(String, String)>,
}

/// An answer that keeps the contract.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; null where there is none, text where it is not JSON.
    pub body: Value,
}

impl Harbor {
    /// Nobody in particular.
    #[must_use]
    pub fn anonymous(server: &Server) -> Self {
        Self { http: server.http(), headers: Vec::new() }
    }

    /// The first administrator.
    #[must_use]
    pub fn admin(server: &Server) -> Self {
        Self { http: server.admin(), headers: Vec::new() }
    }

    /// A user or robot.
    #[must_use]
    pub fn of(server: &Server, name: &str, secret: &str) -> Self {
        Self { http: server.http().with_user(name, secret), headers: Vec::new() }
    }

    /// The client below, for what is not Harbor's.
    #[must_use]
    pub const fn http(&self) -> &Http {
        &self.http
    }

    /// Sends this header, too.
    #[must_use]
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut same = self.clone();
        same.headers.push((name.to_owned(), value.to_owned()));
        same
    }

    /// Any request below [`BASE`]; `path` begins with a slash.
    ///
    /// # Panics
    /// If no answer comes, or one that breaks the contract.
    pub fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.http.request(method.clone(), &format!("{BASE}{path}"));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            let body = serde_json::to_vec(body).expect("JSON");
            request = request.header("Content-Type", "application/json").body(body);
        }
        let response = request.send().expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().expect("a body");
        let is_json = headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/json"));
        let body = match (text.is_empty(), is_json) {
            (true, _) => Value::Null,
            (false, true) => serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{method} {path}: {error} in {text}")),
            (false, false) => Value::String(text),
        };
        let answer = Answer { status, headers, body };
        if let Err(why) = Contract::get().check(&method, path, &answer) {
            panic!("{method} {path} answered {status} against the contract: {why}\n{answer:#?}");
        }
        answer
    }

    /// GET.
    pub fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None)
    }

    /// HEAD.
    pub fn head(&self, path: &str) -> Answer {
        self.ask(Method::HEAD, path, None)
    }

    /// POST.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(body))
    }

    /// PUT.
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, Some(body))
    }

    /// PATCH.
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PATCH, path, Some(body))
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None)
    }
}

impl Answer {
    /// The body of an answer with this status.
    ///
    /// # Panics
    /// If it has another one.
    pub fn is(&self, status: u16) -> &Value {
        assert_eq!(self.status.as_u16(), status, "{self:#?}");
        &self.body
    }

    /// Harbor's code in an error.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["errors"][0]["code"].as_str().expect("an error with a code")
    }

    /// The message of an error.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        self.body["errors"][0]["message"].as_str().expect("an error with a message")
    }

    /// The last part of `Location`, which is a number after something was made.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn made(&self) -> i64 {
        self.is(201);
        let location = self.headers["location"].to_str().expect("text");
        location.rsplit('/').next().expect("a part").parse().expect("a number")
    }

    /// How many there are in all.
    ///
    /// # Panics
    /// If the answer does not say.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.headers["x-total-count"].to_str().expect("text").parse().expect("a number")
    }

    /// The values of a field of the rows of a list.
    ///
    /// # Panics
    /// If it is no list that was found.
    #[must_use]
    pub fn column(&self, field: &str) -> Vec<Value> {
        let rows = self.is(200).as_array().expect("a list");
        rows.iter().map(|row| row[field].clone()).collect()
    }
}

//! Credentials as a registry asks for them: none, Basic, or a bearer token per repository.

use super::{
    bodies::Body,
    client::{Client, Endpoint, keep},
};
use anyhow::{Context, Result, bail};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use std::{collections::HashMap, sync::Arc};

/// What is sent along with a request.
#[derive(Default)]
pub(super) struct Pass {
    tokens: HashMap<String, HeaderValue>,
    /// For what names no repository that is loaded.
    other: Option<HeaderValue>,
    /// For the other faces.
    basic: Option<HeaderValue>,
}

impl Pass {
    /// Credentials for a repository.
    pub(super) fn for_repository(&self, name: &str) -> Option<&HeaderValue> {
        self.tokens.get(name).or(self.other.as_ref())
    }

    /// Credentials for a path outside of the distribution API.
    pub(super) fn for_api(&self) -> Option<&HeaderValue> {
        self.basic.as_ref()
    }

    /// Asks the server what it wants, and fetches a token for each repository where it wants these,
    /// once, as clients do.
    pub(super) async fn obtain(
        endpoint: &Arc<Endpoint>,
        user: Option<&str>,
        repositories: &[String],
    ) -> Result<Self> {
        let mut client = Client::new(endpoint.clone(), Arc::default());
        let request = client.request(Method::GET, "/v2/", "").body(Body::empty())?;
        let answer = client.send(request).await.context("the server does not answer")?;
        let challenge = answer.headers().get(header::WWW_AUTHENTICATE).cloned();
        let status = answer.status();
        keep(answer.into_body()).await?;
        if status == StatusCode::OK {
            return Ok(Self::default());
        }
        let challenge = challenge.with_context(|| format!("GET /v2/: {status}"))?;
        let challenge = challenge.to_str()?;
        let basic = user.map(basic).transpose()?;
        let Some(terms) = challenge.strip_prefix("Bearer ") else {
            return Ok(Self { other: basic.clone(), basic, ..Self::default() });
        };
        let mut tokens = HashMap::new();
        for name in repositories {
            let scope = format!("repository:{name}:pull,push");
            let token = token(&mut client, terms, basic.as_ref(), Some(&scope)).await?;
            tokens.insert(name.clone(), token);
        }
        let scope = Some("registry:catalog:*");
        let other = Some(token(&mut client, terms, basic.as_ref(), scope).await?);
        Ok(Self { tokens, other, basic })
    }
}

fn basic(user: &str) -> Result<HeaderValue> {
    use base64::Engine as _;
    let password = std::env::var("SEALOCK_PASSWORD").context("SEALOCK_PASSWORD is not set")?;
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    Ok(format!("Basic {text}").parse()?)
}

/// One term of a challenge: `realm="..."`.
fn term<'a>(terms: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = terms.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

async fn token(
    client: &mut Client,
    terms: &str,
    basic: Option<&HeaderValue>,
    scope: Option<&str>,
) -> Result<HeaderValue> {
    let realm: http::Uri = term(terms, "realm").context("a challenge without realm")?.parse()?;
    let mut path = format!("{}?service={}", realm.path(), term(terms, "service").unwrap_or(""));
    if let Some(scope) = scope {
        path.push_str("&scope=");
        path.push_str(scope);
    }
    let mut request = client.request(Method::GET, &path, "");
    if let Some(basic) = basic {
        request = request.header(header::AUTHORIZATION, basic);
    }
    let answer = client.send(request.body(Body::empty())?).await?;
    let status = answer.status();
    let bytes = keep(answer.into_body()).await?;
    if status != StatusCode::OK {
        bail!("{path}: {status}: {}", String::from_utf8_lossy(&bytes));
    }
    let answer: Value = serde_json::from_slice(&bytes)?;
    let token = answer.get("token").and_then(Value::as_str).context("an answer without token")?;
    Ok(format!("Bearer {token}").parse()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_challenge_is_read() {
        let terms = "realm=\"http://h:1/service/token\",service=\"s\",scope=\"a:b:c\"";
        assert_eq!(super::term(terms, "realm"), Some("http://h:1/service/token"));
        assert_eq!(super::term(terms, "service"), Some("s"));
        assert_eq!(super::term(terms, "error"), None);
    }
}

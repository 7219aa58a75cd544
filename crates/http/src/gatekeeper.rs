use crate::{Credentials, Front, HttpError, RequestId, Result, bearer_challenge};
use futures_util::future::BoxFuture;
use http::{HeaderValue, StatusCode, header, request::Parts};
use sealock_auth::{Access, Caller, Principal, SecretString};
use std::sync::Arc;

/// Longest `User-Agent` that is kept, in bytes.
const MAX_USER_AGENT_BYTES: usize = 256;

/// A token of the token service.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The token itself.
    pub token: SecretString,
    /// Life in seconds.
    pub expires_in: u64,
    /// When it was issued, RFC 3339.
    pub issued_at: String,
    /// What it opens.
    pub access: Vec<Access>,
}

/// Where names and secrets are verified and tokens made.
pub trait Accounts: Send + Sync + 'static {
    /// The user or robot of this name, when the secret is theirs.
    fn login<'a>(
        &'a self,
        name: &'a str,
        secret: &'a SecretString,
        request: &'a Caller,
    ) -> BoxFuture<'a, Result<Principal>>;

    /// Who a token stands for and what it opens.
    fn verify<'a>(
        &'a self,
        token: &'a SecretString,
    ) -> BoxFuture<'a, Result<(Principal, Vec<Access>)>>;

    /// A token that opens what the caller asks for and may do.
    fn issue<'a>(
        &'a self,
        caller: &'a Caller,
        wanted: &'a [Access],
    ) -> BoxFuture<'a, Result<IssuedToken>>;
}

/// Says who a request comes from, for every face.
#[derive(Clone)]
pub struct Gatekeeper {
    front: Arc<Front>,
    accounts: Arc<dyn Accounts>,
}

impl Gatekeeper {
    /// The name of this service in challenges and tokens.
    pub const SERVICE: &'static str = "sealock";

    /// Puts it together.
    pub fn new(front: Arc<Front>, accounts: Arc<dyn Accounts>) -> Self {
        Self { front, accounts }
    }

    /// Who sends a request: nobody, the user or robot whose secret it carries, or whom its token
    /// stands for. Credentials that do not hold are refused; they never count as nobody's.
    pub async fn caller(&self, parts: &Parts) -> Result<Caller> {
        let mut caller = self.stranger(parts);
        match Credentials::read(&parts.headers)? {
            Credentials::None => {}
            Credentials::Basic { name, secret } => {
                caller.principal = self.accounts.login(&name, &secret, &caller).await?;
            }
            Credentials::Bearer(token) => {
                let (principal, scope) = self.accounts.verify(&token).await?;
                (caller.principal, caller.scope) = (principal, Some(scope));
            }
        }
        Ok(caller)
    }

    /// Who sends a request, by a name and a secret that stand elsewhere than in its header.
    pub async fn login(&self, parts: &Parts, name: &str, secret: &SecretString) -> Result<Caller> {
        let mut caller = self.stranger(parts);
        caller.principal = self.accounts.login(name, secret, &caller).await?;
        Ok(caller)
    }

    /// A token that opens what the caller asks for and may do.
    pub async fn issue(&self, caller: &Caller, wanted: &[Access]) -> Result<IssuedToken> {
        self.accounts.issue(caller, wanted).await
    }

    /// Adds to a 401 what the client needs to authenticate with the token service.
    pub fn challenge(&self, error: HttpError, parts: &Parts, scope: Option<&str>) -> HttpError {
        if error.status() != StatusCode::UNAUTHORIZED {
            return error;
        }
        let base = self.front.base_url(parts);
        let presented = parts.headers.contains_key(header::AUTHORIZATION);
        let problem = presented.then_some("insufficient_scope");
        match bearer_challenge(&base, Self::SERVICE, scope, problem) {
            Some(value) => error.with_header(header::WWW_AUTHENTICATE, value),
            None => error,
        }
    }

    /// Adds to a 401 that a name and a password are wanted.
    pub fn basic_challenge(error: HttpError) -> HttpError {
        if error.status() != StatusCode::UNAUTHORIZED {
            return error;
        }
        error.with_header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"sealock\", charset=\"UTF-8\""),
        )
    }

    fn stranger(&self, parts: &Parts) -> Caller {
        let agent = parts.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let id = parts.extensions.get::<RequestId>();
        Caller {
            principal: Principal::Anonymous,
            address: self.front.client_address(parts),
            user_agent: agent.chars().take(MAX_USER_AGENT_BYTES).collect(),
            request_id: id.map(|id| id.0.to_string()).unwrap_or_default(),
            scope: None,
        }
    }
}

use crate::{
    Credentials, Front, HttpError, RequestId, RequestRates, Result, SessionCookie,
    bearer_challenge, rates::Account, sender,
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use jiff::SignedDuration;
use moka::sync::Cache;
use sealock_auth::{
    AuthError, Authenticator, Browser, Caller, IssuedToken, Login, Principal, Scope, SecretString,
};
use sealock_registry::Registry;
use std::{net::IpAddr, sync::Arc, time::Duration};

/// Longest `User-Agent` that is kept, in characters.
const MAX_USER_AGENT_CHARS: usize = 256;

/// How long one log-in stands for the next ones by the same account, from the same address, with
/// the same client: a client that sends its password with every request logs in once a minute.
const ONE_LOGIN: Duration = Duration::from_secs(60);
/// Log-ins remembered for this.
const REMEMBERED_LOGINS: u64 = 10_000;

/// Says who a request comes from, for every face. Clones share it.
#[derive(Clone)]
pub struct Gatekeeper {
    front: Arc<Front>,
    authenticator: Authenticator,
    registry: Registry,
    rates: Arc<RequestRates>,
    recent: Cache<(String, IpAddr, String), ()>,
}

impl Gatekeeper {
    /// Puts it together. The registry keeps the record of log-ins.
    pub fn new(front: Arc<Front>, authenticator: Authenticator, registry: Registry) -> Self {
        let recent = Cache::builder().max_capacity(REMEMBERED_LOGINS).time_to_live(ONE_LOGIN);
        let rates = Arc::default();
        Self { front, authenticator, registry, rates, recent: recent.build() }
    }

    /// Counts what accounts ask by these rates.
    #[must_use]
    pub fn with_rates(self, rates: Arc<RequestRates>) -> Self {
        Self { rates, ..self }
    }

    /// How clients see this server.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// The token service's name.
    pub fn service(&self) -> &str {
        self.authenticator.service()
    }

    /// Who sends a request: nobody, the user or robot whose secret it carries, or whom its token
    /// stands for. Credentials that do not hold are refused; they never count as nobody's.
    pub async fn caller(&self, parts: &Parts) -> Result<Caller> {
        if let Credentials::Bearer(token) = Credentials::read(&parts.headers)? {
            let mut caller = self.stranger(parts);
            let (principal, scope) = self.authenticator.bearer(token.expose()).await?;
            self.admit(&principal, parts)?;
            (caller.principal, caller.scope) = (principal, Some(scope));
            return Ok(caller);
        }
        self.by_header(parts).await
    }

    /// The same for a face that browsers use as well ([`crate::with_browsers`]).
    pub async fn caller_or_browser(&self, parts: &Parts) -> Result<Caller> {
        match self.browser(parts).await? {
            Some((caller, _)) => Ok(caller),
            None => self.caller(parts).await,
        }
    }

    /// Who is logged in with the browser that sends a request. Whoever says who they are in the
    /// header is that, whatever cookie comes with it. A cookie that is nobody's any more counts as
    /// none: a browser sends it until it is closed.
    pub async fn browser(&self, parts: &Parts) -> Result<Option<(Caller, Browser)>> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        let Some(SessionCookie(cookie)) = parts.extensions.get() else { return Ok(None) };
        let Some(browser) = self.registry.session(&self.authenticator, cookie).await? else {
            return Ok(None);
        };
        self.admit(&browser.principal, parts)?;
        let mut caller = self.stranger(parts);
        caller.principal = browser.principal.clone();
        Ok(Some((caller, browser)))
    }

    /// Keeps a log-in for a browser; its cookie.
    pub async fn begin_session(&self, caller: &Caller, login: &Login) -> Result<SecretString> {
        Ok(self.registry.begin_session(&self.authenticator, caller, login).await?)
    }

    /// Who sends a request, by a browser's cookie, by a name and a secret or as nobody, for faces
    /// that take no tokens. The log-in is recorded.
    pub async fn visitor(&self, parts: &Parts) -> Result<Caller> {
        if let Some((caller, _)) = self.browser(parts).await? {
            return Ok(caller);
        }
        self.by_header(parts).await
    }

    /// Who sends a request, by a name and a secret or as nobody, whatever cookie comes with it.
    async fn by_header(&self, parts: &Parts) -> Result<Caller> {
        let (caller, _) = self.identify(parts).await?;
        let key = (caller.principal.to_string(), caller.address, caller.user_agent.clone());
        if !caller.principal.is_anonymous() && !self.recent.contains_key(&key) {
            self.registry.log_login(&caller).await?;
            self.recent.insert(key, ());
        }
        Ok(caller)
    }

    /// Who sends a request, by a name and a secret or as nobody, with what is needed to give them a
    /// token, which is when the log-in is recorded. A token begets no token, or it would live for
    /// ever.
    pub async fn identify(&self, parts: &Parts) -> Result<(Caller, Login)> {
        match Credentials::read(&parts.headers)? {
            Credentials::None => Ok((self.stranger(parts), Login::ANONYMOUS)),
            Credentials::Basic { name, secret } => self.login(parts, &name, &secret).await,
            Credentials::Bearer(_) => {
                Err(HttpError::unauthorized("this wants a name and a password, not a token"))
            }
        }
    }

    /// Who sends a request, by a name and a secret that stand elsewhere than in its header.
    pub async fn login(
        &self,
        parts: &Parts,
        name: &str,
        secret: &SecretString,
    ) -> Result<(Caller, Login)> {
        let mut caller = self.stranger(parts);
        let name = self.registry.login_name(name).await?;
        let name = &*name;
        let login = match self.authenticator.login(caller.address, name, secret).await {
            Ok(login) => login,
            Err(error) => {
                if matches!(error, AuthError::BadCredentials) {
                    self.registry.log_refused_login(&caller, name).await?;
                }
                return Err(error.into());
            }
        };
        self.admit(&login.principal, parts)?;
        caller.principal = login.principal.clone();
        Ok((caller, login))
    }

    /// A token for what of the scopes the holder of this login may do.
    pub async fn issue(
        &self,
        caller: &Caller,
        login: &Login,
        scopes: &[Scope],
    ) -> Result<IssuedToken> {
        let settings = self.registry.configuration().await?;
        let lifetime = SignedDuration::from_mins(settings.token_minutes);
        let issued = self.authenticator.issue_for(login, scopes, lifetime).await?;
        self.registry.log_login(caller).await?;
        Ok(issued)
    }

    /// Adds to a 401 what the client needs to authenticate with the token service. `problem` is
    /// what is wrong with the token that it sent (RFC 6750, section 3.1).
    pub fn bearer_challenge(
        &self,
        error: HttpError,
        parts: &Parts,
        scope: Option<&str>,
        problem: Option<&str>,
    ) -> HttpError {
        if error.status() != StatusCode::UNAUTHORIZED {
            return error;
        }
        let base = self.front.base_url(parts);
        let token = matches!(Credentials::read(&parts.headers), Ok(Credentials::Bearer(_)));
        let problem = problem.filter(|_| token);
        match bearer_challenge(&base, self.service(), scope, problem) {
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

    /// Who sends a request is known by now: what is limited by account counts as theirs from here.
    fn admit(&self, principal: &Principal, parts: &Parts) -> Result<()> {
        if let Some((account, _)) = Account::of(principal) {
            sender::is_of(account);
        }
        self.rates.take_of(principal, parts)
    }

    fn stranger(&self, parts: &Parts) -> Caller {
        let agent = parts.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let id = parts.extensions.get::<RequestId>();
        Caller {
            principal: Principal::Anonymous,
            address: self.front.client_address(parts),
            user_agent: agent.chars().take(MAX_USER_AGENT_CHARS).collect(),
            request_id: id.map(|id| id.0.to_string()).unwrap_or_default(),
            scope: None,
        }
    }
}

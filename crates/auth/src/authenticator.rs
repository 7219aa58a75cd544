use crate::{
    Access, AuthError, IssuedToken, Principal, Randomness, Scope, SecretString, TOKEN_LIFETIME,
    TokenError, Tokens,
    attempts::{Attempts, Key},
    name::{check_user_name, split_robot},
    password::{Passwords, check_mixed_password, check_new_password},
    personal::{self, is_personal},
    robot::{RobotSecret, is_open, principal},
    scope::grant,
    token::{Holder, Mark},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use sealock_metadata::{Answers, Basis, Database, personal_tokens, robots, users};
use sha2::{Digest as _, Sha256};
use std::{net::IpAddr, num::NonZeroU32, sync::Arc};

/// Log-ins and accounts that are remembered while they stand.
const REMEMBERED: u64 = 10_000;
/// For how long a name and a secret are remembered at most.
const REMEMBER: SignedDuration = SignedDuration::from_mins(1);

/// Name of the first administrator.
pub const FIRST_ADMIN: &str = "admin";

/// Someone who proved who they are, or nobody.
#[derive(Debug, Clone)]
pub struct Login {
    /// Who.
    pub principal: Principal,
    pub(crate) holder: Holder,
}

impl Login {
    /// Nobody.
    pub const ANONYMOUS: Self = Self { principal: Principal::Anonymous, holder: Holder::Anonymous };
}

/// Finds out who is asking, and makes accounts. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    pub(crate) db: Database,
    passwords: Passwords,
    attempts: Arc<Attempts>,
    tokens: Arc<Tokens>,
    random: Arc<dyn Randomness>,
    /// By [`Passwords::question`]: who has shown this name and this secret.
    logins: Answers<[u8; 32], Login>,
    /// Whom a token stands for.
    holders: Answers<Holder, Login>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Hashes one password to be ready for unknown users, so it takes some tens of milliseconds.
    pub fn new(
        db: Database,
        tokens: Tokens,
        random: Arc<dyn Randomness>,
    ) -> Result<Self, AuthError> {
        let passwords = Passwords::new(random.clone())?;
        Ok(Self {
            passwords,
            attempts: Arc::default(),
            tokens: Arc::new(tokens),
            random,
            logins: Answers::new(db.clone(), REMEMBERED, |_, _| 1),
            holders: Answers::new(db.clone(), REMEMBERED, |_, _| 1),
            db,
        })
    }

    /// Refuses log-ins from an address after so many failed ones in a minute, and five times as
    /// many at once; without a number they are not counted by address.
    #[must_use]
    pub fn limiting_failures(mut self, per_minute: Option<NonZeroU32>) -> Self {
        self.attempts = Arc::new(Attempts::new(per_minute));
        self
    }

    /// The token service's name.
    pub fn service(&self) -> &str {
        self.tokens.service()
    }

    /// Checks a name and a secret: a user's password or a robot's secret. After a few wrong
    /// passwords for a name from one address, further ones wait.
    pub async fn login(
        &self,
        address: IpAddr,
        name: &str,
        secret: &SecretString,
    ) -> Result<Login, AuthError> {
        let robot = split_robot(name);
        let question = self.passwords.question(name, secret);
        if let Some(login) = self.logins.get(&question) {
            self.attempts.succeeded(&Attempts::key(address, name));
            return Ok(login);
        }
        let (login, basis, end) = match robot {
            _ if is_personal(secret) => self.login_personal(name, secret).await?,
            Some(robot) => self.login_robot(address, name, robot, secret).await?,
            None => self.login_user(address, name, secret).await?,
        };
        let until = self.db.clock().now().checked_add(REMEMBER).ok();
        let until = [until, end].into_iter().flatten().min();
        self.logins.keep(question, login.clone(), basis.filter(|_| until.is_some()), until);
        Ok(login)
    }

    async fn login_user(
        &self,
        address: IpAddr,
        name: &str,
        secret: &SecretString,
    ) -> Result<Found, AuthError> {
        let mut tx = self.db.read().await?;
        let found = users::credentials(&mut tx, name).await?;
        let basis = tx.basis();
        tx.rollback().await?;
        let stored = found.as_ref().and_then(|found| found.password_hash.as_deref());
        let attempt = Attempts::key(address, name);
        // Done for unknown and closed accounts too: the time tells nothing.
        let right = self.verify(&attempt, stored, secret).await?;
        match found {
            Some(found) if right && !found.user.disabled => {
                self.attempts.succeeded(&attempt);
                Ok((user_login(found)?, basis, None))
            }
            _ => {
                self.attempts.failed(attempt);
                Err(AuthError::BadCredentials)
            }
        }
    }

    /// Compares a secret that a person chose, which takes its turn.
    async fn verify(
        &self,
        attempt: &Key,
        stored: Option<&str>,
        secret: &SecretString,
    ) -> Result<bool, AuthError> {
        let mut turn = None;
        if !self.passwords.is_verified(stored, secret) {
            self.attempts.admit(attempt)?;
            self.attempts.enter(attempt).await?;
            turn = Some(self.attempts.turn(attempt).await?);
            // Of those who waited, others may have failed too often meanwhile.
            self.attempts.admit(attempt)?;
        }
        let right = self.passwords.verify(stored, secret).await?;
        drop(turn);
        Ok(right)
    }

    /// A secret that was made at random costs nothing. What it is not takes as long as a wrong
    /// password, so that nobody learns which robots there are, and which of their secrets somebody
    /// chose and could be guessed.
    async fn login_robot(
        &self,
        address: IpAddr,
        login: &str,
        (project, name): (Option<&str>, &str),
        secret: &SecretString,
    ) -> Result<Found, AuthError> {
        let mut tx = self.db.read().await?;
        let found = robots::credentials(&mut tx, project, name).await?;
        let (now, basis) = (tx.now(), tx.basis());
        tx.rollback().await?;
        let kept = found.as_ref().map(|found| RobotSecret::stored(&found.secret_hash));
        let attempt = Attempts::key(address, login);
        let right = match &kept {
            Some(kept) if kept.is_random(secret) => true,
            kept => {
                let chosen = kept.as_ref().and_then(RobotSecret::chosen);
                self.verify(&attempt, chosen, secret).await?
            }
        };
        match found {
            Some(found) if right && is_open(&found.robot, now) => {
                self.attempts.succeeded(&attempt);
                let end = found.robot.expires_at;
                Ok((robot_login_of(&found), basis, end))
            }
            _ => {
                self.attempts.failed(attempt);
                Err(AuthError::BadCredentials)
            }
        }
    }

    /// A token for what of `scopes` the holder of this login may do now, which counts for
    /// [`TOKEN_LIFETIME`].
    pub async fn issue(&self, login: &Login, scopes: &[Scope]) -> Result<IssuedToken, AuthError> {
        self.issue_for(login, scopes, TOKEN_LIFETIME).await
    }

    /// The same, which counts for this long.
    pub async fn issue_for(
        &self,
        login: &Login,
        scopes: &[Scope],
        lifetime: SignedDuration,
    ) -> Result<IssuedToken, AuthError> {
        let mut tx = self.db.read().await?;
        let access = grant(&mut tx, &login.principal, scopes).await?;
        tx.rollback().await?;
        self.tokens.issue(&login.principal, login.holder.clone(), access, lifetime)
    }

    /// Checks a bearer token. The account is looked up again: who was closed or has a new secret
    /// is out at once, and rights are those of now, limited to the list.
    pub async fn bearer(&self, token: &str) -> Result<(Principal, Arc<[Access]>), AuthError> {
        let signed = self.tokens.verify(token)?;
        let holder = &signed.holder;
        let login = match self.holders.get(holder) {
            Some(login) => login,
            None => self.holder(holder).await?.ok_or(TokenError::Revoked)?,
        };
        Ok((login.principal, signed.access.clone()))
    }

    async fn holder(&self, holder: &Holder) -> Result<Option<Login>, AuthError> {
        if *holder == Holder::Anonymous {
            return Ok(Some(Login::ANONYMOUS));
        }
        let mut tx = self.db.read().await?;
        let mut until = None;
        let login = match holder {
            Holder::Anonymous => Some(Login::ANONYMOUS),
            Holder::User { id, .. } => users::credentials_of(&mut tx, *id)
                .await?
                .filter(|found| !found.user.disabled)
                .map(user_login)
                .transpose()?,
            Holder::Personal { id, user_id, .. } => {
                let now = tx.now();
                let found = personal_tokens::with_user(&mut tx, *user_id, *id).await?;
                let found = found.filter(|(token, user, _)| personal::counts(token, user, now));
                until = found.as_ref().and_then(|(token, ..)| token.expires_at);
                found.map(|(token, user, hash)| personal::login(token, user, &hash))
            }
            Holder::Robot { id, project_id, .. } => {
                let now = tx.now();
                let found = robots::credentials_of(&mut tx, *project_id, *id).await?;
                let found = found.filter(|found| is_open(&found.robot, now));
                until = found.as_ref().and_then(|found| found.robot.expires_at);
                found.map(|found| robot_login_of(&found))
            }
        };
        let basis = tx.basis();
        tx.rollback().await?;
        // Also compares the mark of the secret.
        let login = login.filter(|login| login.holder == *holder);
        if let Some(login) = &login {
            self.holders.keep(holder.clone(), login.clone(), basis, until);
        }
        Ok(login)
    }

    /// Makes a user with a password. `None` when the name is taken.
    pub async fn create_user(
        &self,
        new: &users::NewUser<'_>,
        password: &SecretString,
    ) -> Result<Option<users::User>, AuthError> {
        check_user_name(new.name)?;
        let hash = self.hash_new(password).await?;
        let mut tx = self.db.write().await?;
        let with_hash = users::NewUser { password_hash: Some(&hash), ..new.clone() };
        let user = users::create(&mut tx, &with_hash).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// Checks a new password and hashes it, for `users::create` or `users::set_password` in a
    /// transaction of the caller's (which also writes the audit event).
    pub async fn hash_new(&self, password: &SecretString) -> Result<String, AuthError> {
        check_new_password(password)?;
        self.passwords.hash(password).await
    }

    /// Makes the first administrator, with both global flags, if there is no user at all. The
    /// password: the one given, else a new one, which is returned to be shown once.
    pub async fn bootstrap(
        &self,
        given: Option<SecretString>,
    ) -> Result<Option<SecretString>, AuthError> {
        let mut tx = self.db.read().await?;
        let any = users::any(&mut tx).await?;
        tx.rollback().await?;
        if any {
            return Ok(None);
        }
        let password = match given.clone() {
            Some(password) => password,
            None => self.random_secret::<18>()?,
        };
        let new = users::NewUser {
            name: FIRST_ADMIN,
            real_name: "First administrator",
            comment: "",
            sysadmin: true,
            security_officer: true,
            ..users::NewUser::default()
        };
        let made = self.create_user(&new, &password).await?;
        Ok(made.filter(|_| given.is_none()).map(|_| password))
    }

    /// Checks a secret that somebody chose for a robot, by Harbor's rules for passwords, and hashes
    /// it for `robots::set_secret`.
    pub async fn hash_robot_secret(&self, secret: &SecretString) -> Result<RobotSecret, AuthError> {
        check_mixed_password("", secret)?;
        self.passwords.hash(secret).await.map(RobotSecret::of_chosen)
    }

    /// A random secret of `N` bytes for a credential, in URL-safe base64: robots, clusters.
    pub fn random_secret<const N: usize>(&self) -> Result<SecretString, AuthError> {
        let mut bytes = zeroize::Zeroizing::new([0; N]);
        self.random.fill(&mut *bytes)?;
        Ok(SecretString::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
    }
}

/// A log-in, what was read for it, and when the account ends.
pub(crate) type Found = (Login, Option<Basis>, Option<Timestamp>);

/// How a random secret is stored: SHA-256, because it has 256 bits of its own.
pub fn secret_hash(secret: &SecretString) -> [u8; 32] {
    Sha256::digest(secret.expose().as_bytes()).into()
}

pub(crate) fn user_login(found: users::Credentials) -> Result<Login, AuthError> {
    let hash = found.password_hash.ok_or(AuthError::BadCredentials)?;
    let users::User { id, name, sysadmin, security_officer, .. } = found.user;
    Ok(Login {
        principal: Principal::User { id, name, sysadmin, security_officer },
        holder: Holder::User { id, mark: Mark::of(hash.as_bytes()) },
    })
}

fn robot_login_of(found: &robots::Credentials) -> Login {
    let robots::Robot { id, project_id, .. } = found.robot;
    let mark = Mark::of(&found.secret_hash);
    Login { principal: principal(&found.robot), holder: Holder::Robot { id, project_id, mark } }
}

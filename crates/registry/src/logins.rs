//! Who is asking: what a user may know of their own account, and the record of log-ins.

use crate::{Error, Kind, Project, Registry, Result, access::Need, audit::Event};
use sealock_auth::{Caller, Principal};
use sealock_metadata as metadata;
use sealock_oci::ErrorCode;

/// Longest login name that is written into a record of a refused log-in, in characters.
const MAX_RECORDED_NAME: usize = 255;

/// A user's own account.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Account {
    /// Number.
    pub id: i64,
    /// Login name.
    pub name: String,
    /// Name for people.
    pub real_name: String,
    /// Address.
    pub email: Option<String>,
    /// Administers everything.
    pub sysadmin: bool,
    /// Holds the security role.
    pub security_officer: bool,
    /// When it was made.
    pub created_at: jiff::Timestamp,
    /// When it was changed last.
    pub updated_at: jiff::Timestamp,
}

impl Registry {
    /// The caller's own account. Robots and nobody have none.
    pub async fn current_user(&self, caller: &Caller) -> Result<Account> {
        let id = match &caller.principal {
            Principal::User { id, .. } | Principal::Token { user_id: id, .. } => *id,
            Principal::Anonymous => return Err(Error::unauthenticated()),
            Principal::Robot { .. } => {
                return Err(Error::new(
                    Kind::Policy,
                    ErrorCode::Denied,
                    "a robot has no user account of its own",
                ));
            }
        };
        let mut tx = self.database().read().await?;
        let row = metadata::users::get(&mut tx, id).await?.ok_or_else(Error::unauthenticated)?;
        Ok(Account {
            id: row.id,
            name: row.name,
            real_name: row.real_name,
            email: row.email,
            sysadmin: row.sysadmin,
            security_officer: row.security_officer,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }

    /// A project by its number, which the caller may pull from.
    pub async fn project_numbered(&self, caller: &Caller, id: i64) -> Result<Project> {
        let mut tx = self.database().read().await?;
        let row = metadata::projects::get(&mut tx, id).await?;
        // The answer for a missing project is the one for a project that is not the caller's.
        let name = row.map_or_else(String::new, |row| row.name);
        let need = Need::PullSomewhere;
        Ok(self.project_scope(&mut tx, caller, &name, need).await?.0.into())
    }

    /// Records that a caller logged in. Gathered like allowed pulls: clients log in for each of
    /// them.
    pub async fn log_login(&self, caller: &Caller) -> Result<()> {
        if caller.principal.is_anonymous() {
            return Ok(());
        }
        self.log_pull(Event::new(caller, "login")).await
    }

    /// Records that somebody failed to log in under a name: the first of an address one by one,
    /// then fewer, with the count so far.
    pub async fn log_refused_login(&self, caller: &Caller, name: &str) -> Result<()> {
        let name: String = name.chars().take(MAX_RECORDED_NAME).collect();
        let event = Event::new(caller, "login").denied().detail("name", name);
        self.record_refused_login(caller, event).await
    }
}

//! What administrators set while the server runs, and the server acts on.

use crate::{Registry, Result};
use sealock_auth::ROBOT_PREFIX;
use sealock_metadata::{self as metadata, Tx, settings};
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::Instant;

/// Under which key the settings stand, as one JSON object.
pub(crate) const KEY: &str = "configuration";
/// After how long settings are read again: another replica may have changed them.
const FRESH: Duration = Duration::from_secs(1);

/// The settings. Names and defaults are Harbor's; [`crate::harbor`] has the table of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Only system administrators make projects.
    pub projects_by_admins: bool,
    /// Nothing may be changed.
    pub read_only: bool,
    /// How long a token of the token service counts, in minutes.
    pub token_minutes: i64,
    /// How long a browser may be idle until it is logged out, in minutes.
    pub session_minutes: i64,
    /// How long a robot lives for which nothing is said, in days; -1 for ever.
    pub robot_days: i64,
    /// What pages show to everybody; may be empty.
    pub banner: String,
    /// Allowed pulls are written into the audit log.
    pub records_pulls: bool,
    /// What robots' login names begin with, as Harbor's API shows and takes them.
    pub robot_prefix: String,
}

impl Configuration {
    /// From the settings that are kept; what is missing or no longer understood has its default.
    pub(crate) fn read(kept: &Map<String, Value>) -> Self {
        let flag = |name| kept.get(name).and_then(Value::as_bool);
        let number = |name| kept.get(name).and_then(Value::as_i64);
        let text = |name| kept.get(name).and_then(Value::as_str);
        Self {
            projects_by_admins: text("project_creation_restriction") == Some("adminonly"),
            read_only: flag("read_only").unwrap_or(false),
            token_minutes: number("token_expiration").unwrap_or(30),
            session_minutes: number("session_timeout").unwrap_or(60),
            robot_days: number("robot_token_duration").unwrap_or(30),
            banner: text("banner_message").unwrap_or_default().to_owned(),
            records_pulls: text("disabled_audit_log_event_types").unwrap_or_default().is_empty(),
            robot_prefix: text("robot_name_prefix").unwrap_or(ROBOT_PREFIX).to_owned(),
        }
    }
}

impl Configuration {
    /// A robot's login name as Harbor's API has it.
    pub(crate) fn robot_name(&self, login: &str) -> String {
        match login.strip_prefix(ROBOT_PREFIX) {
            Some(rest) => format!("{}{rest}", self.robot_prefix),
            None => login.to_owned(),
        }
    }
}

impl Registry {
    /// The login name that is meant: a robot's may begin with what was set in place of `robot$`,
    /// which records and policies go on to have. Where a user has the very name, it is theirs.
    pub async fn login_name<'a>(&self, name: &'a str) -> Result<Cow<'a, str>> {
        let settings = self.configuration().await?;
        if name.starts_with(ROBOT_PREFIX) {
            return Ok(name.into());
        }
        let Some(rest) = name.strip_prefix(&settings.robot_prefix) else { return Ok(name.into()) };
        let mut tx = self.database().read().await?;
        Ok(match metadata::users::find(&mut tx, name).await? {
            Some(_) => name.into(),
            None => format!("{ROBOT_PREFIX}{rest}").into(),
        })
    }
}

/// The settings as they were read last.
#[derive(Debug, Default)]
pub(crate) struct Settings(RwLock<Read>);

#[derive(Debug, Default)]
struct Read {
    /// Rises with each change, so that what was read before it is not kept after it.
    changes: u64,
    last: Option<(Instant, Arc<Configuration>)>,
}

impl Settings {
    fn fresh(&self) -> (u64, Option<Arc<Configuration>>) {
        let read = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = read.last.as_ref().filter(|(at, _)| at.elapsed() < FRESH);
        (read.changes, fresh.map(|(_, found)| found.clone()))
    }

    fn keep(&self, changes: u64, found: &Arc<Configuration>) {
        let mut read = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if read.changes == changes {
            read.last = Some((Instant::now(), found.clone()));
        }
    }

    /// To be called when a change has been committed.
    pub(crate) fn changed(&self) {
        let mut read = self.0.write().unwrap_or_else(PoisonError::into_inner);
        read.changes += 1;
        read.last = None;
    }
}

impl Registry {
    /// The settings: at once those that were set here, within a second those that were set at
    /// another replica.
    pub async fn configuration(&self) -> Result<Arc<Configuration>> {
        if let (_, Some(found)) = self.settings().fresh() {
            return Ok(found);
        }
        let mut tx = self.database().read().await?;
        self.configuration_in(&mut tx).await
    }

    /// The same within a transaction, which needs no second connection.
    pub(crate) async fn configuration_in(&self, tx: &mut Tx) -> Result<Arc<Configuration>> {
        let (changes, fresh) = self.settings().fresh();
        if let Some(found) = fresh {
            return Ok(found);
        }
        let kept = settings::get(tx, KEY).await?;
        let found = Arc::new(Configuration::read(&parsed(kept.as_deref())));
        self.settings().keep(changes, &found);
        Ok(found)
    }
}

/// The settings that are kept, by name.
pub(crate) fn parsed(text: Option<&str>) -> Map<String, Value> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_before_a_change_is_not_kept_after_it() {
        let settings = Settings::default();
        let found = Arc::new(Configuration::read(&Map::new()));
        let (changes, none) = settings.fresh();
        assert!(none.is_none());
        settings.changed();
        settings.keep(changes, &found);
        assert!(settings.fresh().1.is_none());
        settings.keep(changes + 1, &found);
        assert_eq!(settings.fresh().1, Some(found));
    }

    #[test]
    fn what_is_not_understood_has_its_default() {
        let kept = parsed(Some(r#"{"read_only": "yes", "session_timeout": 5}"#));
        let found = Configuration::read(&kept);
        assert!(!found.read_only);
        assert_eq!((found.session_minutes, found.token_minutes), (5, 30));
        assert_eq!(Configuration::read(&parsed(Some("{"))), Configuration::read(&Map::new()));
    }
}

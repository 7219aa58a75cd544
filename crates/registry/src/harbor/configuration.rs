//! Harbor's settings of the whole system: which there are, what each may say, and whether it can be
//! set here.

use super::bad;
use crate::{
    Error, Kind, Registry, Result, UNLIMITED,
    audit::Event,
    configuration::{KEY, parsed},
};
use sealock_auth::{Caller, Principal, ROBOT_PREFIX};
use sealock_metadata::{self as metadata, Tx};
use sealock_oci::ErrorCode;
use serde_json::{Map, Value, json};
use std::ops::RangeInclusive;

/// Longest life of a token of the token service, in minutes.
pub const MAX_TOKEN_MINUTES: i64 = 24 * 60;
/// Longest time that a browser may be idle, in minutes: no log-in lasts longer, however much it is
/// used.
pub const MAX_SESSION_MINUTES: i64 = 7 * 24 * 60;
/// Longest text, in bytes.
const MAX_TEXT_BYTES: usize = 16 * 1024;
/// Longest beginning of robots' names, in bytes.
pub const MAX_PREFIX_BYTES: usize = 64;
/// The events that may be left out of the audit log.
const PULLS: &str = "pull_artifact";

/// What a setting holds where nothing was set.
#[derive(Debug, Clone, Copy)]
enum Holds {
    Flag(bool),
    Number(i64),
    Text(&'static str),
}

/// Whether a setting can be set.
#[derive(Debug, Clone, Copy)]
enum Standing {
    /// The server acts on it.
    Kept(Rule),
    /// It stays as it is, for this reason.
    Fixed(&'static str),
    /// The same, and it is never shown.
    Secret(&'static str),
}

/// What a setting may say.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// Whatever is of its kind.
    Any,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A number from here to there.
    Within(i64, i64),
    /// A number from 1, or -1 for no end.
    Bound(i64),
    /// What robots' names may begin with.
    Prefix,
}

use Holds::{Flag, Number, Text};
use Standing::{Fixed, Kept, Secret};

const DATABASE_ONLY: &str =
    "people log in with a password of this server; LDAP, OIDC, HTTP and UAA are not offered yet";
const NO_STRANGERS: &str =
    "nobody makes an account for themselves here; administrators do, POST /users";
const QUOTAS_COUNT: &str =
    "quotas are always counted; storage_per_project is -1 for projects without a limit";
const LOG_STAYS: &str = "the audit log is in the database, and nowhere else yet";

/// Every setting of Harbor's scope `user`, as its contract lists them.
const SETTINGS: &[(&str, Holds, Standing)] = &[
    ("auth_mode", Text("db_auth"), Fixed(DATABASE_ONLY)),
    ("primary_auth_mode", Flag(false), Fixed(DATABASE_ONLY)),
    (
        "project_creation_restriction",
        Text("everyone"),
        Kept(Rule::OneOf(&["everyone", "adminonly"])),
    ),
    ("read_only", Flag(false), Kept(Rule::Any)),
    ("self_registration", Flag(false), Fixed(NO_STRANGERS)),
    ("token_expiration", Number(30), Kept(Rule::Within(1, MAX_TOKEN_MINUTES))),
    ("session_timeout", Number(60), Kept(Rule::Within(1, MAX_SESSION_MINUTES))),
    ("robot_token_duration", Number(30), Kept(Rule::Bound(crate::MAX_ROBOT_DAYS as i64))),
    ("robot_name_prefix", Text(ROBOT_PREFIX), Kept(Rule::Prefix)),
    ("quota_per_project_enable", Flag(true), Fixed(QUOTAS_COUNT)),
    ("storage_per_project", Number(UNLIMITED), Kept(Rule::Bound(i64::MAX))),
    ("banner_message", Text(""), Kept(Rule::Any)),
    ("disabled_audit_log_event_types", Text(""), Kept(Rule::OneOf(&["", PULLS]))),
    // No scan is a pull here, whatever it says.
    ("scanner_skip_update_pulltime", Flag(false), Kept(Rule::Any)),
    // There are no webhooks yet that it could stop.
    ("notification_enable", Flag(true), Kept(Rule::Any)),
    ("audit_log_forward_endpoint", Text(""), Fixed(LOG_STAYS)),
    ("skip_audit_log_database", Flag(false), Fixed(LOG_STAYS)),
    ("ldap_base_dn", Text(""), Fixed(DATABASE_ONLY)),
    ("ldap_filter", Text(""), Fixed(DATABASE_ONLY)),
    ("ldap_group_base_dn", Text(""), Fixed(DATABASE_ONLY)),
    ("ldap_group_admin_dn", Text(""), Fixed(DATABASE_ONLY)),
    ("ldap_group_attribute_name", Text(""), Fixed(DATABASE_ONLY)),
    ("ldap_group_search_filter", Text(""), Fixed(DATABASE_ONLY)),
    ("ldap_group_search_scope", Number(2), Fixed(DATABASE_ONLY)),
    ("ldap_group_attach_parallel", Flag(false), Fixed(DATABASE_ONLY)),
    ("ldap_group_membership_attribute", Text("memberof"), Fixed(DATABASE_ONLY)),
    ("ldap_scope", Number(2), Fixed(DATABASE_ONLY)),
    ("ldap_search_dn", Text(""), Fixed(DATABASE_ONLY)),
    ("ldap_search_password", Text(""), Secret(DATABASE_ONLY)),
    ("ldap_timeout", Number(5), Fixed(DATABASE_ONLY)),
    ("ldap_uid", Text("cn"), Fixed(DATABASE_ONLY)),
    ("ldap_url", Text(""), Fixed(DATABASE_ONLY)),
    ("ldap_verify_cert", Flag(true), Fixed(DATABASE_ONLY)),
    ("oidc_name", Text(""), Fixed(DATABASE_ONLY)),
    ("oidc_endpoint", Text(""), Fixed(DATABASE_ONLY)),
    ("oidc_client_id", Text(""), Fixed(DATABASE_ONLY)),
    ("oidc_client_secret", Text(""), Secret(DATABASE_ONLY)),
    ("oidc_groups_claim", Text(""), Fixed(DATABASE_ONLY)),
    ("oidc_admin_group", Text(""), Fixed(DATABASE_ONLY)),
    ("oidc_group_filter", Text(""), Fixed(DATABASE_ONLY)),
    ("oidc_scope", Text(""), Fixed(DATABASE_ONLY)),
    ("oidc_user_claim", Text(""), Fixed(DATABASE_ONLY)),
    ("oidc_verify_cert", Flag(true), Fixed(DATABASE_ONLY)),
    ("oidc_auto_onboard", Flag(false), Fixed(DATABASE_ONLY)),
    ("oidc_extra_redirect_parms", Text("{}"), Fixed(DATABASE_ONLY)),
    ("oidc_logout", Flag(false), Fixed(DATABASE_ONLY)),
    ("http_authproxy_endpoint", Text(""), Fixed(DATABASE_ONLY)),
    ("http_authproxy_tokenreview_endpoint", Text(""), Fixed(DATABASE_ONLY)),
    ("http_authproxy_admin_groups", Text(""), Fixed(DATABASE_ONLY)),
    ("http_authproxy_admin_usernames", Text(""), Fixed(DATABASE_ONLY)),
    ("http_authproxy_verify_cert", Flag(true), Fixed(DATABASE_ONLY)),
    ("http_authproxy_skip_search", Flag(false), Fixed(DATABASE_ONLY)),
    ("http_authproxy_server_certificate", Text(""), Fixed(DATABASE_ONLY)),
    ("uaa_client_id", Text(""), Fixed(DATABASE_ONLY)),
    ("uaa_client_secret", Text(""), Secret(DATABASE_ONLY)),
    ("uaa_endpoint", Text(""), Fixed(DATABASE_ONLY)),
    ("uaa_verify_cert", Flag(false), Fixed(DATABASE_ONLY)),
];

/// A setting as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationItem {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub value: Value,
    /// Whether it can be set.
    pub editable: bool,
}

impl Holds {
    fn value(self) -> Value {
        match self {
            Flag(flag) => json!(flag),
            Number(number) => json!(number),
            Text(text) => json!(text),
        }
    }

    /// Fails unless a value is of this kind.
    fn check(self, name: &str, value: &Value) -> Result<()> {
        let (good, kind) = match self {
            Flag(_) => (value.is_boolean(), "true or false"),
            Number(_) => (value.is_i64(), "a whole number"),
            Text(_) => (value.is_string(), "a text"),
        };
        if good {
            return Ok(());
        }
        let message = format!("{name} is {kind}, not {value}");
        Err(Error::new(Kind::Unprocessable, ErrorCode::Unsupported, message))
    }
}

impl Rule {
    /// Fails unless a value of the right kind is one that may be set.
    fn check(self, name: &str, value: &Value) -> Result<()> {
        let within = |range: RangeInclusive<i64>, help: &str| match value.as_i64() {
            Some(number) if range.contains(&number) => Ok(()),
            _ => Err(bad(format!("{name} is {help}{} to {}", range.start(), range.end()))),
        };
        match self {
            Self::OneOf(texts) if !value.as_str().is_some_and(|text| texts.contains(&text)) => {
                Err(bad(format!("{name} is one of {texts:?}, not {value}")))
            }
            Self::Within(from, to) => within(from..=to, "a number from "),
            Self::Bound(_) if value.as_i64() == Some(-1) => Ok(()),
            Self::Bound(most) => within(1..=most, "-1 for no end, or a number from "),
            Self::Prefix if !value.as_str().is_some_and(is_prefix) => Err(bad(format!(
                "{name} has 1 to {MAX_PREFIX_BYTES} visible ASCII characters, and no colon, which \
                 ends the name in a Basic header"
            ))),
            _ if value.as_str().is_some_and(|text| text.len() > MAX_TEXT_BYTES) => {
                Err(bad(format!("{name} has at most {MAX_TEXT_BYTES} bytes")))
            }
            Self::Any | Self::OneOf(_) | Self::Prefix => Ok(()),
        }
    }
}

fn is_prefix(text: &str) -> bool {
    (1..=MAX_PREFIX_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}

/// What of a request is to be kept. What the contract does not list and what is null says nothing,
/// as in Harbor; nor does what stands there already, since clients send back what they read.
fn checked(said: &Map<String, Value>) -> Result<Map<String, Value>> {
    let mut kept = Map::new();
    for (name, holds, standing) in SETTINGS {
        let Some(value) = said.get(*name).filter(|value| !value.is_null()) else { continue };
        holds.check(name, value)?;
        match standing {
            Kept(rule) => {
                rule.check(name, value)?;
                kept.insert((*name).to_owned(), value.clone());
            }
            // The value is not repeated: it may be a secret.
            Fixed(why) | Secret(why) if *value != holds.value() => {
                return Err(bad(format!("{name} cannot be set: {why}")));
            }
            Fixed(_) | Secret(_) => {}
        }
    }
    Ok(kept)
}

/// The limit of new projects stands where quotas are counted.
const QUOTA: &str = metadata::quotas::DEFAULT_SETTING;

async fn read(tx: &mut Tx) -> Result<Map<String, Value>> {
    let mut kept = parsed(metadata::settings::get(tx, KEY).await?.as_deref());
    let quota = metadata::settings::get(tx, QUOTA).await?;
    if let Some(quota) = quota.and_then(|text| text.parse::<i64>().ok()) {
        kept.insert(QUOTA.to_owned(), json!(quota));
    }
    Ok(kept)
}

impl Registry {
    /// The settings, without what is secret. For system administrators.
    pub async fn harbor_configuration(&self, caller: &Caller) -> Result<Vec<ConfigurationItem>> {
        self.require_admin(caller)?;
        let mut tx = self.database().read().await?;
        let mut kept = read(&mut tx).await?;
        let item = |(name, holds, standing): &(&'static str, Holds, Standing)| {
            let (value, editable) = match standing {
                Kept(_) => (kept.remove(*name).unwrap_or_else(|| holds.value()), true),
                Fixed(_) => (holds.value(), false),
                Secret(_) => return None,
            };
            Some(ConfigurationItem { name, value, editable })
        };
        Ok(SETTINGS.iter().filter_map(item).collect())
    }

    /// Changes settings; all of them or none. For system administrators.
    pub async fn update_harbor_configuration(
        &self,
        caller: &Caller,
        said: &Map<String, Value>,
    ) -> Result<()> {
        self.require_admin(caller)?;
        let mut change = checked(said)?;
        let mut tx = self.database().write().await?;
        // Made first, so that two changes at once lock one row and neither loses the other's.
        metadata::settings::init(&mut tx, KEY, "{}").await?;
        let mut kept = parsed(metadata::settings::lock(&mut tx, KEY).await?.as_deref());
        let mut event = Event::new(caller, "update-configuration");
        for (name, value) in &change {
            event = event.detail(name, value.clone());
        }
        if let Some(quota) = change.remove(QUOTA) {
            metadata::settings::put(&mut tx, QUOTA, &quota.to_string()).await?;
        }
        kept.append(&mut change);
        let text = serde_json::to_string(&kept).map_err(Error::internal)?;
        metadata::settings::put(&mut tx, KEY, &text).await?;
        event.record(&mut tx).await?;
        tx.commit().await?;
        self.settings().changed();
        Ok(())
    }

    /// Harbor's settings for its own parts, which talk to each other: here there are none, so it is
    /// nobody's, as it is no user's in Harbor.
    pub fn refuse_internal_configuration(&self, caller: &Caller) -> Error {
        match caller.principal {
            Principal::Anonymous => Error::unauthenticated(),
            _ => Error::forbidden(
                "these settings are for the server's own parts; read GET /configurations",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, value: Value) -> Result<Map<String, Value>> {
        checked(&Map::from_iter([(name.to_owned(), value)]))
    }

    #[test]
    fn what_may_be_set() {
        for (name, value) in [
            ("read_only", json!(true)),
            ("project_creation_restriction", json!("adminonly")),
            ("session_timeout", json!(MAX_SESSION_MINUTES)),
            ("robot_token_duration", json!(-1)),
            ("storage_per_project", json!(1_000)),
            ("banner_message", json!("{\"message\": \"x\"}")),
            ("robot_name_prefix", json!("robot-")),
            ("disabled_audit_log_event_types", json!(PULLS)),
        ] {
            assert_eq!(said(name, value.clone()).expect(name).get(name), Some(&value));
        }
        for (name, value) in [
            ("unheard_of", json!(1)),
            ("read_only", Value::Null),
            ("auth_mode", json!("db_auth")),
            ("ldap_timeout", json!(5)),
        ] {
            assert!(said(name, value).expect(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn what_may_not() {
        for (name, value, kind) in [
            ("read_only", json!("true"), Kind::Unprocessable),
            ("session_timeout", json!("5"), Kind::Unprocessable),
            ("session_timeout", json!(1.5), Kind::Unprocessable),
            ("banner_message", json!(1), Kind::Unprocessable),
            ("session_timeout", json!(0), Kind::Invalid),
            ("token_expiration", json!(MAX_TOKEN_MINUTES + 1), Kind::Invalid),
            ("robot_token_duration", json!(0), Kind::Invalid),
            ("storage_per_project", json!(0), Kind::Invalid),
            ("storage_per_project", json!(-2), Kind::Invalid),
            ("project_creation_restriction", json!("nobody"), Kind::Invalid),
            ("auth_mode", json!("ldap_auth"), Kind::Invalid),
            ("robot_name_prefix", json!(""), Kind::Invalid),
            ("robot_name_prefix", json!("a:"), Kind::Invalid),
            ("robot_name_prefix", json!("a b"), Kind::Invalid),
            ("robot_name_prefix", json!("r".repeat(MAX_PREFIX_BYTES + 1)), Kind::Invalid),
            ("self_registration", json!(true), Kind::Invalid),
            ("disabled_audit_log_event_types", json!("create_user"), Kind::Invalid),
            ("banner_message", json!("x".repeat(MAX_TEXT_BYTES + 1)), Kind::Invalid),
            ("ldap_search_password", json!("s3cret"), Kind::Invalid),
        ] {
            let error = said(name, value).expect_err(name);
            assert_eq!(error.kind(), kind, "{name}");
            assert!(!error.message().contains("s3cret"));
        }
    }

    #[test]
    fn each_setting_has_a_default_that_it_may_say() {
        for (name, holds, standing) in SETTINGS {
            holds.check(name, &holds.value()).expect(name);
            if let Kept(rule) = standing {
                rule.check(name, &holds.value()).expect(name);
            }
        }
    }
}

//! Tokens that people make for themselves: made, listed and revoked by those who log in with their
//! password, never with another token.

use crate::{
    Error, Page, PageRequest, Registry, Result,
    access::Need,
    accounts::{Kept, own_id},
    audit::Event,
    users::refused,
};
use jiff::{SignedDuration, Timestamp};
use sealock_auth::{Authenticator, Caller, Right, SecretString, TokenScope, secret_hash};
use sealock_metadata::{self as metadata, Tx, personal_tokens::PersonalToken as Row};
use sealock_oci::ErrorCode;
use std::collections::BTreeMap;

/// Longest life of a token, in days.
pub const MAX_TOKEN_DAYS: u32 = 366;
/// Days that a token lives when nothing is said.
pub const DEFAULT_TOKEN_DAYS: u32 = 90;
/// Most tokens of a user.
pub const MAX_TOKENS: u64 = 100;
/// Most projects that a token is limited to.
pub const MAX_TOKEN_PROJECTS: usize = 100;
/// Longest name of a token, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// A token of a user's. Its secret is told once.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PersonalToken {
    /// Number.
    pub id: i64,
    /// What its user calls it.
    pub name: String,
    /// What it may do of what its user may: read, push, delete, promote.
    pub scopes: Vec<String>,
    /// In which projects, by their names of now; in all of its user's where there is no list.
    pub projects: Option<Vec<String>>,
    /// When it stops.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was used last, to ten minutes; none if it never was.
    pub used_at: Option<Timestamp>,
}

/// A token to be made.
#[derive(Debug, Clone, Default)]
pub struct NewPersonalToken {
    /// What its user calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<TokenScope>,
    /// In which projects, by name; in all of its user's where there is no list.
    pub projects: Option<Vec<String>>,
    /// Days until it stops; [`DEFAULT_TOKEN_DAYS`] where none are said.
    pub expires_in_days: Option<u32>,
}

impl Registry {
    /// Makes a token for oneself. Its secret is told now and never again.
    pub async fn create_token(
        &self,
        caller: &Caller,
        accounts: &Authenticator,
        new: &NewPersonalToken,
    ) -> Result<(PersonalToken, SecretString)> {
        let user = own_id(caller)?;
        check(new)?;
        let days = i64::from(new.expires_in_days.unwrap_or(DEFAULT_TOKEN_DAYS));
        let expires_at = self.now().checked_add(SignedDuration::from_hours(24 * days));
        let secret = accounts.personal_secret().map_err(refused)?;
        let mut scopes: Vec<String> = new.scopes.iter().map(ToString::to_string).collect();
        scopes.sort();
        scopes.dedup();
        let mut tx = self.database().write().await?;
        let projects = self.numbered(&mut tx, caller, new.projects.as_deref()).await?;
        if metadata::personal_tokens::count(&mut tx, user).await? >= MAX_TOKENS {
            return Err(bad(format!("a user has at most {MAX_TOKENS} tokens; revoke one")));
        }
        let row = metadata::personal_tokens::NewToken {
            user_id: user,
            name: &new.name,
            secret_hash: &secret_hash(&secret),
            scopes: &scopes,
            projects: projects.as_deref(),
            expires_at: Some(expires_at.map_err(Error::internal)?),
        };
        let id = metadata::personal_tokens::create(&mut tx, &row).await?;
        let id =
            id.ok_or_else(|| Error::conflict(format!("you have a token {:?} already", new.name)))?;
        let made = metadata::personal_tokens::get(&mut tx, user, id).await?;
        let made = made.ok_or_else(|| Error::internal("a token was made and is not there"))?;
        Event::new(caller, "create-token")
            .detail("token", new.name.clone())
            .detail("number", id)
            .detail("scopes", scopes)
            .detail("projects", new.projects.clone())
            .record(&mut tx)
            .await?;
        let shown = shown(&mut tx, vec![made]).await?.pop();
        tx.commit().await?;
        let shown = shown.ok_or_else(|| Error::internal("a token was made and is not shown"))?;
        Ok((shown, secret))
    }

    /// A user's tokens, oldest first: one's own, and those of a user by name for system
    /// administrators.
    pub async fn tokens(
        &self,
        caller: &Caller,
        user: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<PersonalToken>> {
        let mut tx = self.database().read().await?;
        let user = self.account(&mut tx, caller, user).await?;
        let (after, limit) = (page.after_id().unwrap_or(0), page.limit());
        let rows = metadata::personal_tokens::list(&mut tx, user.id, after, limit + 1).await?;
        let rows = shown(&mut tx, rows).await?;
        Ok(Page::cut(rows, limit, |token: &PersonalToken| token.id.to_string()))
    }

    /// Ends a token at once, with the bearer tokens that it got: one's own, anybody's for system
    /// administrators. To others each number is the same.
    pub async fn revoke_token(&self, caller: &Caller, id: i64) -> Result<()> {
        self.end_kept(caller, Kept::Token, id).await
    }

    /// Ends every token of a user. How many there were.
    pub async fn revoke_tokens(&self, caller: &Caller, user: Option<&str>) -> Result<u64> {
        self.end_all_kept(caller, Kept::Token, user).await
    }

    /// The numbers of projects that the caller may pull from.
    async fn numbered(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        names: Option<&[String]>,
    ) -> Result<Option<Vec<i64>>> {
        let Some(names) = names else { return Ok(None) };
        let mut ids = Vec::with_capacity(names.len());
        for name in names {
            let need = Need::Has(Right::Pull);
            ids.push(self.project_scope(tx, caller, name, need).await?.0.id);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Some(ids))
    }
}

/// Tokens with the names of their projects: one query for all of them.
async fn shown(tx: &mut Tx, rows: Vec<Row>) -> Result<Vec<PersonalToken>> {
    let mut ids: Vec<i64> =
        rows.iter().flat_map(|row| row.projects.iter().flatten()).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let names: BTreeMap<i64, String> = match ids.is_empty() {
        true => BTreeMap::new(),
        false => metadata::projects::names(tx, &ids).await?.into_iter().collect(),
    };
    let named = |ids: Vec<i64>| ids.iter().filter_map(|id| names.get(id).cloned()).collect();
    let shown = rows.into_iter().map(|row| PersonalToken {
        id: row.id,
        name: row.name,
        scopes: row.scopes,
        projects: row.projects.map(named),
        expires_at: row.expires_at,
        created_at: row.created_at,
        used_at: row.used_at,
    });
    Ok(shown.collect())
}

fn check(new: &NewPersonalToken) -> Result<()> {
    let name = new.name.trim();
    if name.is_empty()
        || name.len() != new.name.len()
        || name.len() > MAX_NAME_BYTES
        || name.chars().any(char::is_control)
    {
        return Err(bad(format!(
            "a token's name has 1 to {MAX_NAME_BYTES} bytes, without spaces around it"
        )));
    }
    if new.scopes.is_empty() {
        let words = TokenScope::ALL.map(TokenScope::as_str).join(", ");
        return Err(bad(format!("a token has at least one of the scopes {words}")));
    }
    if new
        .projects
        .as_ref()
        .is_some_and(|names| names.is_empty() || names.len() > MAX_TOKEN_PROJECTS)
    {
        return Err(bad(format!(
            "a token is for 1 to {MAX_TOKEN_PROJECTS} projects; leave the list out for all of yours"
        )));
    }
    let days = new.expires_in_days.unwrap_or(DEFAULT_TOKEN_DAYS);
    if days == 0 || days > MAX_TOKEN_DAYS {
        return Err(bad(format!("a token lives 1 to {MAX_TOKEN_DAYS} days")));
    }
    Ok(())
}

fn bad(message: String) -> Error {
    Error::invalid(ErrorCode::Unsupported, message)
}

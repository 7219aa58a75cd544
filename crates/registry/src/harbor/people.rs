//! People as Harbor's API has them: by number, with Harbor's rules for passwords.

use super::{bad, missing, require_login};
use crate::{Error, Registry, Result, audit::Event, users::refused};
use sealock_auth::{
    Act, Authenticator, Caller, Principal, Resource, SecretString, check_mixed_password,
};
use sealock_metadata::{
    self as metadata, Tx,
    listing::{Field, Listed, Term, Wanted},
    users::User as Row,
};

/// The first administrator's number, who cannot be removed.
const FIRST: i64 = 1;
/// Longest mail address, name or comment, in bytes.
const MAX_TEXT_BYTES: usize = 255;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Number.
    pub id: i64,
    /// Login name.
    pub name: String,
    /// Address; may be empty.
    pub email: String,
    /// Name for people; may be empty.
    pub real_name: String,
    /// What administrators note; may be empty.
    pub comment: String,
    /// Administers everything.
    pub sysadmin: bool,
    /// When it was made.
    pub created_at: jiff::Timestamp,
    /// When it was changed last.
    pub updated_at: jiff::Timestamp,
}

/// What a user says of themselves.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// Address.
    pub email: String,
    /// Name for people.
    pub real_name: String,
    /// What administrators note.
    pub comment: String,
}

/// A user to be made. Nothing here makes an administrator.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// Login name.
    pub name: String,
    /// Password.
    pub password: SecretString,
    /// The rest.
    pub profile: Profile,
}

impl From<Row> for Person {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            name: row.name,
            email: row.email.unwrap_or_default(),
            real_name: row.real_name,
            comment: row.comment,
            sysadmin: row.sysadmin,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl Registry {
    /// Users. For system administrators.
    pub async fn harbor_users(&self, caller: &Caller, wanted: &Wanted) -> Result<Listed<Person>> {
        self.require_system(caller, Resource::User, Act::List)?;
        self.people(metadata::users::FIELDS, wanted).await
    }

    /// Users by a part of their name. For everybody who is logged in, and robots that may list, who
    /// learn name and number only; conditions on anything else are passed over.
    pub async fn search_harbor_users(
        &self,
        caller: &Caller,
        wanted: &Wanted,
    ) -> Result<Listed<Person>> {
        require_login(caller)?;
        if caller.principal.is_robot() {
            self.require_system(caller, Resource::User, Act::List)?;
        }
        self.people(metadata::users::SEARCH_FIELDS, wanted).await
    }

    async fn people(&self, fields: &[Field], wanted: &Wanted) -> Result<Listed<Person>> {
        let mut tx = self.database().read().await?;
        Ok(metadata::users::page(&mut tx, fields, wanted).await?.map(Person::from))
    }

    /// Whether somebody has this `username` or `email`. For system administrators.
    pub async fn harbor_user_exists(
        &self,
        caller: &Caller,
        field: &str,
        value: &str,
    ) -> Result<bool> {
        let is = vec![(field.to_owned(), Term::Is(value.to_owned()))];
        let wanted = Wanted { terms: is, limit: 1, ..Wanted::default() };
        Ok(self.harbor_users(caller, &wanted).await?.total > 0)
    }

    /// A user. For themselves and system administrators; to others each number is the same.
    pub async fn harbor_user(&self, caller: &Caller, id: i64) -> Result<Person> {
        self.require_account(caller, id, Act::Read)?;
        let mut tx = self.database().read().await?;
        Ok(person(&mut tx, id).await?.into())
    }

    /// The caller's own account. Robots and nobody have none.
    pub async fn harbor_self(&self, caller: &Caller) -> Result<Person> {
        let account = self.current_user(caller).await?;
        let mut tx = self.database().read().await?;
        Ok(person(&mut tx, account.id).await?.into())
    }

    /// Makes a user, who administers nothing. For system administrators. Its number.
    pub async fn create_harbor_user(
        &self,
        caller: &Caller,
        accounts: &Authenticator,
        new: &NewPerson,
    ) -> Result<i64> {
        self.require_system(caller, Resource::User, Act::Create)?;
        sealock_auth::check_user_name(&new.name).map_err(refused)?;
        check_profile(&new.profile)?;
        check_mixed_password(&new.name, &new.password).map_err(refused)?;
        let hash = accounts.hash_new(&new.password).await.map_err(refused)?;
        let mut tx = self.database().write().await?;
        self.require_free_user_name(&mut tx, &new.name, None).await?;
        let row = metadata::users::create(
            &mut tx,
            &metadata::users::NewUser {
                name: &new.name,
                email: Some(new.profile.email.as_str()).filter(|email| !email.is_empty()),
                real_name: &new.profile.real_name,
                comment: &new.profile.comment,
                password_hash: Some(&hash),
                sysadmin: false,
                security_officer: false,
            },
        )
        .await?
        .ok_or_else(|| Error::conflict(format!("there is a user {:?} already", new.name)))?;
        Event::new(caller, "create-user")
            .detail("user", row.name)
            .detail("admin", false)
            .detail("security_officer", false)
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(row.id)
    }

    /// Changes what a user says of themselves. For themselves and system administrators.
    pub async fn update_harbor_user(
        &self,
        caller: &Caller,
        id: i64,
        profile: &Profile,
    ) -> Result<()> {
        self.require_account(caller, id, Act::Update)?;
        check_profile(profile)?;
        let mut tx = self.database().write().await?;
        let row = person(&mut tx, id).await?;
        spare_administrators(caller, &row)?;
        let email = Some(profile.email.as_str()).filter(|email| !email.is_empty());
        let (name, comment) = (&profile.real_name, &profile.comment);
        metadata::users::set_profile(&mut tx, id, email, name, comment).await?;
        let event = Event::new(caller, "update-user").detail("user", row.name);
        event.detail("profile", true).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Makes a user an administrator of the system, or one no more. For others of them: nobody
    /// gives up their own.
    pub async fn set_harbor_admin(&self, caller: &Caller, id: i64, admin: bool) -> Result<()> {
        self.require_admin(caller)?;
        let mut tx = self.database().write().await?;
        let row = person(&mut tx, id).await?;
        if caller.principal.user_id() == Some(id) && !admin {
            return Err(Error::forbidden(
                "administrators do not give up their own rights; another one does it",
            ));
        }
        let (officer, disabled) = (row.security_officer, row.disabled);
        metadata::users::set_flags(&mut tx, id, admin, officer, disabled).await?;
        Event::new(caller, "update-user")
            .detail("user", row.name)
            .detail("admin", admin)
            .record(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Sets a password. For themselves, who must know the old one, whatever else they may: a log-in
    /// that somebody took is not the account. And for system administrators everybody else's.
    pub async fn set_harbor_password(
        &self,
        caller: &Caller,
        accounts: &Authenticator,
        id: i64,
        old: Option<&SecretString>,
        new: &SecretString,
    ) -> Result<()> {
        self.require_account(caller, id, Act::Update)?;
        let mut tx = self.database().read().await?;
        let row = person(&mut tx, id).await?;
        tx.rollback().await?;
        spare_administrators(caller, &row)?;
        if caller.principal.user_id() == Some(id) {
            self.require_password(caller, accounts, &row.name, old).await?;
        }
        if old.is_some_and(|old| old.equals(new)) {
            return Err(bad("the new password is the old one"));
        }
        check_mixed_password(&row.name, new).map_err(refused)?;
        let hash = accounts.hash_new(new).await.map_err(refused)?;
        let mut tx = self.database().write().await?;
        if !metadata::users::set_password(&mut tx, id, &hash).await? {
            return Err(missing("user", id));
        }
        let event = Event::new(caller, "update-user").detail("user", row.name);
        event.detail("password", true).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Removes a user; records go on naming them. For system administrators, neither of themselves
    /// nor of the first one.
    pub async fn delete_harbor_user(&self, caller: &Caller, id: i64) -> Result<()> {
        self.require_system(caller, Resource::User, Act::Delete)?;
        let mut tx = self.database().write().await?;
        let row = person(&mut tx, id).await?;
        spare_administrators(caller, &row)?;
        if id == FIRST || caller.principal.user_id() == Some(id) {
            return Err(Error::forbidden(format!(
                "user {} can not be deleted: nobody removes themselves or the first administrator",
                row.name
            )));
        }
        metadata::users::delete(&mut tx, id).await?;
        Event::new(caller, "delete-user").detail("user", row.name).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Fails unless the caller is this user, or may do this with every account.
    fn require_account(&self, caller: &Caller, id: i64, act: Act) -> Result<()> {
        match caller.principal.may_in_system(Resource::User, act) {
            true => Ok(()),
            false => self.require_self_or_admin(caller, id),
        }
    }

    /// Fails unless the caller is this user or administers the system.
    pub fn require_self_or_admin(&self, caller: &Caller, id: i64) -> Result<()> {
        match &caller.principal {
            Principal::User { sysadmin: true, .. } => Ok(()),
            Principal::User { id: own, .. } if *own == id => Ok(()),
            Principal::Anonymous => Err(Error::unauthenticated()),
            _ => Err(Error::forbidden(
                "only the user and system administrators may do this with an account",
            )),
        }
    }
}

/// Whatever a robot may do with accounts, those of who may do more than it are left alone: else it
/// would give itself what they may.
fn spare_administrators(caller: &Caller, row: &Row) -> Result<()> {
    match caller.principal.is_robot() && (row.sysadmin || row.security_officer) {
        true => Err(Error::forbidden("robots leave the accounts of administrators alone")),
        false => Ok(()),
    }
}

async fn person(tx: &mut Tx, id: i64) -> Result<Row> {
    metadata::users::get(tx, id).await?.ok_or_else(|| missing("user", id))
}

fn check_profile(profile: &Profile) -> Result<()> {
    for text in [&profile.email, &profile.real_name, &profile.comment] {
        if text.len() > MAX_TEXT_BYTES {
            return Err(bad(format!(
                "an address, name or comment has at most {MAX_TEXT_BYTES} bytes"
            )));
        }
    }
    let mail = &profile.email;
    let parts = mail.split_once('@').is_some_and(|(one, two)| !one.is_empty() && two.contains('.'));
    if !mail.is_empty() && (!parts || mail.chars().any(|c| c.is_whitespace() || c.is_control())) {
        return Err(bad(
            "the email is with illegal format; write name@example.org or leave it out",
        ));
    }
    Ok(())
}

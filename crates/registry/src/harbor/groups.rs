//! Groups of people, which log-ins by a directory or an identity provider bring people into. A
//! group may be a member of projects before anybody of it has logged in.

use super::{bad, missing, require_login};
use crate::{Error, Registry, Result, audit::Event};
use sealock_auth::{Act, Caller, Resource};
use sealock_metadata::{
    self as metadata,
    listing::{Listed, Wanted},
};

pub use sealock_metadata::user_groups::Group;

/// LDAP's kind, whose groups have a distinguished name.
const LDAP: i64 = 1;
/// The kinds: LDAP, HTTP, OIDC.
const KINDS: std::ops::RangeInclusive<i64> = 1..=3;
/// Longest name or distinguished name, in bytes.
const MAX_NAME_BYTES: usize = 512;

impl Registry {
    /// Groups. For system administrators.
    pub async fn harbor_groups(&self, caller: &Caller, wanted: &Wanted) -> Result<Listed<Group>> {
        self.require_system(caller, Resource::UserGroup, Act::List)?;
        self.groups(wanted).await
    }

    /// Groups by a part of their name. For everybody who is logged in, and robots that may list.
    pub async fn search_harbor_groups(
        &self,
        caller: &Caller,
        wanted: &Wanted,
    ) -> Result<Listed<Group>> {
        require_login(caller)?;
        if caller.principal.is_robot() {
            self.require_system(caller, Resource::UserGroup, Act::List)?;
        }
        self.groups(wanted).await
    }

    async fn groups(&self, wanted: &Wanted) -> Result<Listed<Group>> {
        let mut tx = self.database().read().await?;
        Ok(metadata::user_groups::page(&mut tx, wanted).await?)
    }

    /// A group. For system administrators.
    pub async fn harbor_group(&self, caller: &Caller, id: i64) -> Result<Group> {
        self.require_system(caller, Resource::UserGroup, Act::Read)?;
        let mut tx = self.database().read().await?;
        metadata::user_groups::get(&mut tx, id).await?.ok_or_else(|| missing("user group", id))
    }

    /// Makes a group; its number. For system administrators.
    pub async fn create_harbor_group(
        &self,
        caller: &Caller,
        name: &str,
        kind: i64,
        ldap_dn: &str,
    ) -> Result<i64> {
        self.require_system(caller, Resource::UserGroup, Act::Create)?;
        check_name(name)?;
        if !KINDS.contains(&kind) {
            return Err(bad("group_type is 1 (LDAP), 2 (HTTP) or 3 (OIDC)"));
        }
        let named = ldap_dn.contains('=') && ldap_dn.len() <= MAX_NAME_BYTES;
        if (kind == LDAP) != named || (kind != LDAP && !ldap_dn.is_empty()) {
            return Err(bad(
                "a group of LDAP has its ldap_group_dn, such as cn=team,dc=example,dc=org, \
                            and others have none",
            ));
        }
        let mut tx = self.database().write().await?;
        let id = metadata::user_groups::create(&mut tx, name, kind, ldap_dn).await?;
        let id = id.ok_or_else(|| taken(name))?;
        Event::new(caller, "create-group").detail("group", name).record(&mut tx).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Renames a group. For system administrators.
    pub async fn rename_harbor_group(&self, caller: &Caller, id: i64, name: &str) -> Result<()> {
        self.require_system(caller, Resource::UserGroup, Act::Update)?;
        check_name(name)?;
        let mut tx = self.database().write().await?;
        let group = metadata::user_groups::get(&mut tx, id).await?;
        let group = group.ok_or_else(|| missing("user group", id))?;
        if !metadata::user_groups::rename(&mut tx, id, name).await? {
            return Err(taken(name));
        }
        let event = Event::new(caller, "update-group").detail("group", name);
        event.detail("was", group.name).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Removes a group, and its memberships with it. For system administrators.
    pub async fn delete_harbor_group(&self, caller: &Caller, id: i64) -> Result<()> {
        self.require_system(caller, Resource::UserGroup, Act::Delete)?;
        let mut tx = self.database().write().await?;
        let group = metadata::user_groups::get(&mut tx, id).await?;
        let group = group.ok_or_else(|| missing("user group", id))?;
        metadata::user_groups::delete(&mut tx, id).await?;
        Event::new(caller, "delete-group").detail("group", group.name).record(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

fn taken(name: &str) -> Error {
    Error::conflict(format!("there is a group {name:?} of this kind already"))
}

fn check_name(name: &str) -> Result<()> {
    match name.trim().is_empty() || name.len() > MAX_NAME_BYTES {
        true => Err(bad(format!("a group's name has 1 to {MAX_NAME_BYTES} bytes"))),
        false => Ok(()),
    }
}

//! Public keys that a project lists: policies decide which of them count for what.

use crate::{
    Error, Kind, Page, PageRequest, Registry, Result,
    access::{Need, is_security},
    audit::Event,
    jobs,
};
use jiff::Timestamp;
use sealock_auth::{Caller, Right};
use sealock_metadata::{
    self as metadata, Tx, project_keys::ProjectKey as KeyRow, projects::Project,
};
use sealock_oci::ErrorCode;
use sealock_signing::PublicKey;

/// Longest name of a key, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Most keys of one project.
pub const MAX_PROJECT_KEYS: usize = 200;

/// A key that a project lists.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ProjectKey {
    /// Its name in the project.
    pub name: String,
    /// Its id: SHA-256 of its SubjectPublicKeyInfo, in hex.
    pub id: String,
    /// Its kind, such as `ecdsa-p256`.
    pub algorithm: String,
    /// The key, PEM.
    pub pem: String,
    /// Who listed it.
    pub added_by: String,
    /// When.
    pub added_at: Timestamp,
    /// From when on its signatures do not count.
    pub compromised_at: Option<Timestamp>,
    /// Number, for paging.
    #[serde(skip)]
    number: i64,
}

impl From<KeyRow> for ProjectKey {
    fn from(row: KeyRow) -> Self {
        let algorithm = PublicKey::from_pem(&row.pem)
            .map_or_else(|_| "unknown".to_owned(), |key| key.algorithm().to_string());
        Self {
            name: row.name,
            id: row.key_id,
            algorithm,
            pem: row.pem,
            added_by: row.added_by,
            added_at: row.created_at,
            compromised_at: row.compromised_at,
            number: row.id,
        }
    }
}

impl Registry {
    /// Keys that a project lists. For everybody who may pull from it.
    pub async fn project_keys(
        &self,
        caller: &Caller,
        project: &str,
        page: &PageRequest,
    ) -> Result<Page<ProjectKey>> {
        let mut tx = self.database().read().await?;
        let need = Need::Has(Right::Pull);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let limit = page.limit();
        let after = page.after_id().unwrap_or(0);
        let rows = metadata::project_keys::list(&mut tx, project.id, after, limit + 1).await?;
        let rows = rows.into_iter().map(ProjectKey::from).collect();
        Ok(Page::cut(rows, limit, |key: &ProjectKey| key.number.to_string()))
    }

    /// Lists a key. Evidence that did not count is verified again. For the project's
    /// administrators.
    pub async fn add_project_key(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
        pem: &str,
    ) -> Result<ProjectKey> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(plain) {
            return Err(Error::invalid(
                ErrorCode::NameInvalid,
                format!("a key's name has 1 to {MAX_NAME_BYTES} letters, digits, '.', '_' or '-'"),
            ));
        }
        let key = PublicKey::from_pem(pem).map_err(|error| {
            let message = format!("the key cannot be used: {error}");
            Error::new(Kind::Unprocessable, ErrorCode::Unsupported, message)
        })?;
        let mut tx = self.database().write().await?;
        let need = Need::Has(Right::ManageProject);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let most = MAX_PROJECT_KEYS as u32;
        if metadata::project_keys::list(&mut tx, project.id, 0, most).await?.len() as u32 >= most {
            return Err(Error::conflict(format!("a project lists at most {most} keys")));
        }
        let who = caller.principal.to_string();
        let pem = key.to_pem();
        let row =
            metadata::project_keys::add(&mut tx, project.id, name, key.id(), &pem, &who).await?;
        let row = row.ok_or_else(|| {
            Error::conflict(format!("the project lists this key, or another named {name:?}"))
        })?;
        jobs::queue_verify_again(&mut tx, project.id).await?;
        Event::new(caller, "add-key")
            .project(&project)
            .detail("key", name)
            .detail("key_id", key.id().clone())
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(row.into())
    }

    /// Says that a key has been in wrong hands since `at` (now, if none is given): what was signed
    /// with it and first seen from then on does not count, and what was seen before only where a
    /// policy says so. For the project's administrators and the security role.
    pub async fn compromise_project_key(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
        at: Option<Timestamp>,
    ) -> Result<ProjectKey> {
        let at = at.unwrap_or_else(|| self.now());
        if at > self.now() {
            return Err(Error::invalid(
                ErrorCode::Unsupported,
                "a key is compromised since a moment in the past",
            ));
        }
        let mut tx = self.database().write().await?;
        let project = self.key_project(&mut tx, caller, project).await?;
        let row = metadata::project_keys::find(&mut tx, project.id, name).await?;
        let known = row.ok_or_else(|| unknown(name))?.compromised_at;
        if known.is_some_and(|known| at > known) && !is_security(caller) {
            return Err(Error::forbidden(
                "the key is known to be compromised since an earlier moment; only a security \
                 officer may set a later one",
            ));
        }
        if !metadata::project_keys::set_compromised(&mut tx, project.id, name, Some(at)).await? {
            return Err(unknown(name));
        }
        let row = metadata::project_keys::find(&mut tx, project.id, name).await?;
        let row = row.ok_or_else(|| unknown(name))?;
        Event::new(caller, "compromise-key")
            .project(&project)
            .detail("key", name)
            .detail("key_id", row.key_id.clone())
            .detail("since", at.to_string())
            .record(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(row.into())
    }

    /// Takes a key off the list: nothing that it signed counts any more. For the project's
    /// administrators; a compromised one goes by a security officer's hand only, or it could be
    /// listed again as if nothing had happened.
    pub async fn remove_project_key(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let project = self.key_project(&mut tx, caller, project).await?;
        let row = metadata::project_keys::find(&mut tx, project.id, name).await?;
        if row.is_some_and(|row| row.compromised_at.is_some()) {
            self.require_security(caller).map_err(|_| {
                Error::forbidden(
                    "a compromised key stays listed, so that nobody lists it again as sound; a \
                     security officer may remove it",
                )
            })?;
        }
        if !metadata::project_keys::remove(&mut tx, project.id, name).await? {
            return Err(unknown(name));
        }
        Event::new(caller, "remove-key")
            .project(&project)
            .detail("key", name)
            .record(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

impl Registry {
    /// The project whose keys are to be judged: by its administrators and the security role.
    async fn key_project(&self, tx: &mut Tx, caller: &Caller, name: &str) -> Result<Project> {
        if self.require_security(caller).is_err() {
            let need = Need::Has(Right::ManageProject);
            return Ok(self.project_scope(tx, caller, name, need).await?.0);
        }
        metadata::projects::find(tx, name).await?.ok_or_else(|| {
            Error::not_found(ErrorCode::NameUnknown, format!("there is no project {name:?}"))
        })
    }
}

fn unknown(name: &str) -> Error {
    Error::not_found(ErrorCode::NameUnknown, format!("the project lists no key {name:?}"))
}

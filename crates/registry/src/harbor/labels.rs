//! Labels: words that people put on artifacts, of a project or of the whole system.

use super::{ProjectName, bad, missing};
use crate::{Error, Kind, Registry, Result, audit::Event};
use sealock_auth::{Act, Caller, Resource};
use sealock_metadata::{
    self as metadata, Tx,
    labels::Words,
    listing::{Listed, Wanted},
};

pub use sealock_metadata::labels::Label;

/// Longest name or description, in bytes.
const MAX_NAME_BYTES: usize = 128;
const MAX_DESCRIPTION_BYTES: usize = 1024;

/// Where a label stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelScope {
    /// In the whole system.
    Global,
    /// In a project.
    Project(i64),
}

impl LabelScope {
    const fn project(self) -> Option<i64> {
        match self {
            Self::Global => None,
            Self::Project(id) => Some(id),
        }
    }
}

/// What a label says.
#[derive(Debug, Clone, Default)]
pub struct LabelWords {
    /// Name.
    pub name: String,
    /// For people.
    pub description: String,
    /// `#rrggbb`, or nothing.
    pub color: String,
}

impl LabelWords {
    fn checked(&self) -> Result<Words<'_>> {
        if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES {
            return Err(bad(format!("a label's name has 1 to {MAX_NAME_BYTES} bytes")));
        }
        if self.description.len() > MAX_DESCRIPTION_BYTES {
            return Err(bad(format!("a description has at most {MAX_DESCRIPTION_BYTES} bytes")));
        }
        let hex = |rest: &str| rest.len() == 6 && rest.bytes().all(|b| b.is_ascii_hexdigit());
        if !self.color.is_empty() && !self.color.strip_prefix('#').is_some_and(hex) {
            return Err(bad("a color is written like #0065AB"));
        }
        Ok(Words { name: &self.name, description: &self.description, color: &self.color })
    }
}

impl Registry {
    /// Labels of the whole system, for everybody, or of a project.
    pub async fn harbor_labels(
        &self,
        caller: &Caller,
        scope: LabelScope,
        wanted: &Wanted,
    ) -> Result<Listed<Label>> {
        let mut tx = self.database().read().await?;
        if let LabelScope::Project(id) = scope {
            let name = ProjectName::Number(id);
            self.harbor_project(&mut tx, caller, &name, Resource::Label, Act::List).await?;
        }
        Ok(metadata::labels::page(&mut tx, scope.project(), wanted).await?)
    }

    /// Makes a label. Its number.
    pub async fn create_harbor_label(
        &self,
        caller: &Caller,
        scope: LabelScope,
        words: &LabelWords,
    ) -> Result<i64> {
        let mut tx = self.database().write().await?;
        let project = self.label_scope(&mut tx, caller, scope, Act::Create).await?;
        let row = metadata::labels::create(&mut tx, scope.project(), words.checked()?).await?;
        let row = row.ok_or_else(|| taken(&words.name))?;
        record(&mut tx, caller, "create-label", project.as_ref(), &row.name).await?;
        tx.commit().await?;
        Ok(row.id)
    }

    /// A label.
    pub async fn harbor_label(&self, caller: &Caller, id: i64) -> Result<Label> {
        let mut tx = self.database().read().await?;
        Ok(self.label(&mut tx, caller, id, Act::Read).await?.0)
    }

    /// Changes what a label says.
    pub async fn update_harbor_label(
        &self,
        caller: &Caller,
        id: i64,
        words: &LabelWords,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let (label, project) = self.label(&mut tx, caller, id, Act::Update).await?;
        let said = words.checked()?;
        if !metadata::labels::update(&mut tx, label.project_id, id, said).await? {
            return Err(taken(&words.name));
        }
        record(&mut tx, caller, "update-label", project.as_ref(), &words.name).await?;
        Ok(tx.commit().await?)
    }

    /// Removes a label.
    pub async fn delete_harbor_label(&self, caller: &Caller, id: i64) -> Result<()> {
        let mut tx = self.database().write().await?;
        let (label, project) = self.label(&mut tx, caller, id, Act::Delete).await?;
        if !metadata::labels::delete(&mut tx, label.project_id, id).await? {
            return Err(missing("label", id));
        }
        record(&mut tx, caller, "delete-label", project.as_ref(), &label.name).await?;
        Ok(tx.commit().await?)
    }

    /// A label with which the caller may do this. One of a project that they may not look into is
    /// as one that does not exist.
    async fn label(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        id: i64,
        act: Act,
    ) -> Result<(Label, Option<metadata::projects::Project>)> {
        super::require_login(caller)?;
        let unknown = || missing("label", id);
        let label = metadata::labels::get(tx, id).await?.ok_or_else(unknown)?;
        let Some(project) = label.project_id else {
            self.require_system(caller, Resource::Label, act)?;
            return Ok((label, None));
        };
        let scope = LabelScope::Project(project);
        match self.label_scope(tx, caller, scope, act).await {
            Ok(project) => Ok((label, project)),
            Err(error) if error.kind() == Kind::Forbidden => {
                match self.label_scope(tx, caller, scope, Act::Read).await {
                    Ok(_) => Err(error),
                    Err(_) => Err(unknown()),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn label_scope(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        scope: LabelScope,
        act: Act,
    ) -> Result<Option<metadata::projects::Project>> {
        let LabelScope::Project(id) = scope else {
            return self.require_system(caller, Resource::Label, act).map(|()| None);
        };
        let name = ProjectName::Number(id);
        let (project, _) = self.harbor_project(tx, caller, &name, Resource::Label, act).await?;
        Ok(Some(project))
    }
}

fn taken(name: &str) -> Error {
    Error::conflict(format!("there is a label {name:?} already"))
}

async fn record(
    tx: &mut Tx,
    caller: &Caller,
    action: &'static str,
    project: Option<&metadata::projects::Project>,
    label: &str,
) -> Result<()> {
    let event = Event::new(caller, action).detail("label", label);
    match project {
        Some(project) => event.project(project).record(tx).await,
        None => event.record(tx).await,
    }
}

//! Who may read what the pull door refuses: scanners, mostly (decision D10). Nobody may until a
//! security officer names them; what is quarantined stays closed to them too.

use crate::{Error, Page, PageRequest, Registry, Result, access::Need, audit::Event};
use sealock_auth::{Caller, Right, robot_login, split_robot};
use sealock_metadata::{
    self as metadata, Tx,
    examiners::{Examiner as Who, Grant},
    projects::Project,
};
use sealock_oci::ErrorCode;

/// Somebody who may read what the pull door of a project refuses.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Examiner {
    /// Login name of the user or robot.
    pub name: String,
    /// Who granted it.
    pub granted_by: String,
    /// When.
    pub granted_at: jiff::Timestamp,
    /// Number, for paging.
    #[serde(skip)]
    id: i64,
}

impl Examiner {
    fn of(project: &Project, grant: Grant) -> Self {
        let robot = grant.robot.map(|name| robot_login(Some(&project.name), &name));
        Self {
            name: grant.user.or(robot).unwrap_or_default(),
            granted_by: grant.granted_by,
            granted_at: grant.created_at,
            id: grant.id,
        }
    }
}

impl Registry {
    /// Who may examine in a project. For security officers and the project's administrators.
    pub async fn examiners(
        &self,
        caller: &Caller,
        project: &str,
        page: &PageRequest,
    ) -> Result<Page<Examiner>> {
        let mut tx = self.database().read().await?;
        let project = match self.require_security(caller) {
            Ok(()) => find(&mut tx, project).await?,
            Err(_) => {
                let need = Need::Has(Right::ManageProject);
                self.project_scope(&mut tx, caller, project, need).await?.0
            }
        };
        let limit = page.limit();
        let after = page.after_id().unwrap_or(0);
        let rows = metadata::examiners::list(&mut tx, project.id, after, limit + 1).await?;
        let rows = rows.into_iter().map(|grant| Examiner::of(&project, grant)).collect();
        Ok(Page::cut(rows, limit, |examiner: &Examiner| examiner.id.to_string()))
    }

    /// Lets a user, or a robot of the project by its full name, read what the pull door refuses.
    /// For security officers. Granting it again changes nothing.
    pub async fn grant_examine(&self, caller: &Caller, project: &str, name: &str) -> Result<()> {
        self.change_examiner(caller, project, name, true).await
    }

    /// Takes it back. For security officers.
    pub async fn withdraw_examine(&self, caller: &Caller, project: &str, name: &str) -> Result<()> {
        self.change_examiner(caller, project, name, false).await
    }

    async fn change_examiner(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
        grant: bool,
    ) -> Result<()> {
        self.require_security(caller)?;
        let mut tx = self.database().write().await?;
        let project = find(&mut tx, project).await?;
        let who = principal(&mut tx, &project, name).await?;
        let (changed, action) = if grant {
            let by = caller.principal.to_string();
            let granted = metadata::examiners::grant(&mut tx, project.id, who, &by).await?;
            (granted, "grant-examine")
        } else {
            if !metadata::examiners::withdraw(&mut tx, project.id, who).await? {
                return Err(unknown(&format!("{name} may not examine in {}", project.name)));
            }
            (true, "withdraw-examine")
        };
        if changed {
            Event::new(caller, action)
                .project(&project)
                .detail("principal", name)
                .record(&mut tx)
                .await?;
        }
        Ok(tx.commit().await?)
    }
}

async fn find(tx: &mut Tx, project: &str) -> Result<Project> {
    let found = metadata::projects::find(tx, project).await?;
    found.ok_or_else(|| unknown(&format!("there is no project {project:?}")))
}

async fn principal(tx: &mut Tx, project: &Project, name: &str) -> Result<Who> {
    if let Some((Some(of), short)) = split_robot(name).filter(|(of, _)| *of == Some(&project.name))
    {
        let robot = metadata::robots::credentials(tx, Some(of), short).await?;
        let robot = robot.map(|found| Who::Robot(found.robot.id));
        return robot.ok_or_else(|| unknown(&format!("there is no robot {name:?}")));
    }
    let user = metadata::users::find(tx, name).await?;
    user.map(|user| Who::User(user.id)).ok_or_else(|| {
        unknown(&format!(
            "there is no user {name:?}, and no robot of {} of this name",
            project.name
        ))
    })
}

fn unknown(message: &str) -> Error {
    Error::not_found(ErrorCode::NameUnknown, message)
}

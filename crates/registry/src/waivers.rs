//! Recorded exceptions: asked for by one person, granted by another (decision D20).

use crate::{Error, Page, PageRequest, Registry, Result, access::Need, audit::Event};
use jiff::{SignedDuration, Timestamp};
use sealock_auth::{Caller, Principal, Right};
use sealock_facts::{Waiver, WaiverScope, WaiverState};
use sealock_metadata::{
    self as metadata, Tx,
    projects::{Project, Visible},
    waivers::{Decided, WaiverRow},
};
use sealock_oci::ErrorCode;
use sealock_policy::Pattern;

/// Longest time that a waiver may hold.
pub const MAX_WAIVER_DAYS: i64 = 366;
/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 4_096;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct WaiverRequest {
    /// What it is to excuse.
    pub scope: WaiverScope,
    /// Why.
    pub reason: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What is done with a waiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaiverStep {
    /// A second person with the security role lets it count.
    Grant,
    /// It is turned down.
    Refuse,
    /// One that counted is taken back.
    Revoke,
}

impl Registry {
    /// Asks for a waiver. It excuses nothing before another person has granted it.
    pub async fn request_waiver(
        &self,
        caller: &Caller,
        project: &str,
        request: &WaiverRequest,
    ) -> Result<Waiver> {
        let requester = person(caller)?;
        self.check_request(request)?;
        let mut tx = self.database().write().await?;
        let need = Need::Has(Right::RequestWaiver);
        let (project, _) = self.project_scope(&mut tx, caller, project, need).await?;
        let who = (requester, &*caller.principal.to_string());
        let reason = request.reason.trim();
        let (scope, end) = (&request.scope, request.expires_at);
        let row = metadata::waivers::request(&mut tx, project.id, scope, reason, who, end).await?;
        record(&mut tx, caller, "request-waiver", &project, &row.waiver).await?;
        tx.commit().await?;
        Ok(row.waiver)
    }

    /// Grants, refuses or revokes. Granting needs the security role and another person than the one
    /// who asked; administering the system is no way around either.
    pub async fn decide_waiver(
        &self,
        caller: &Caller,
        project: &str,
        id: i64,
        step: WaiverStep,
        reason: Option<&str>,
    ) -> Result<Waiver> {
        let decider = person(caller)?;
        let mut tx = self.database().write().await?;
        let project = match self.require_security(caller) {
            Ok(()) => metadata::projects::find(&mut tx, project).await?,
            Err(error) => {
                // Who asked may take the request back.
                let need = Need::Has(Right::RequestWaiver);
                let (found, _) = self.project_scope(&mut tx, caller, project, need).await?;
                let row = metadata::waivers::get(&mut tx, found.id, id).await?;
                let own = row.is_some_and(|row| row.requester_id == decider);
                if !own || step == WaiverStep::Grant {
                    return Err(error);
                }
                Some(found)
            }
        };
        let project = project.ok_or_else(|| unknown(id))?;
        let who = (decider, &*caller.principal.to_string());
        let (to, action) = step.state();
        let reason = reason.unwrap_or_default();
        let decided = metadata::waivers::decide(&mut tx, project.id, id, to, who, reason).await?;
        let decided = match decided {
            Decided::Done(row) => row,
            Decided::NotFound => return Err(unknown(id)),
            Decided::SamePerson => {
                return Err(Error::forbidden(
                    "a waiver is granted by another person than the one who asked for it",
                ));
            }
            Decided::State(state) => {
                return Err(Error::conflict(format!("the waiver is {state:?} already")));
            }
            Decided::Expired => {
                return Err(Error::conflict("the waiver's end has passed; ask for a new one"));
            }
        };
        record(&mut tx, caller, action, &project, &decided.waiver).await?;
        tx.commit().await?;
        Ok(decided.waiver)
    }

    /// Waivers of a project, newest first.
    pub async fn waivers(
        &self,
        caller: &Caller,
        project: &str,
        page: &PageRequest,
    ) -> Result<Page<Waiver>> {
        let mut tx = self.database().read().await?;
        let project = match self.require_security(caller) {
            Ok(()) => metadata::projects::find(&mut tx, project).await?.ok_or_else(|| {
                Error::not_found(ErrorCode::NameUnknown, "there is no such project")
            })?,
            Err(_) => {
                let need = Need::Has(Right::Pull);
                self.project_scope(&mut tx, caller, project, need).await?.0
            }
        };
        let limit = page.limit();
        let only = Visible::Only(vec![project.id]);
        let before = page.after_id();
        let rows = metadata::waivers::list(&mut tx, &only, None, before, limit + 1).await?;
        let rows = rows.into_iter().map(|row: WaiverRow| row.waiver).collect();
        Ok(Page::cut(rows, limit, |waiver: &Waiver| waiver.id.to_string()))
    }

    fn check_request(&self, request: &WaiverRequest) -> Result<()> {
        let bad = |text: String| Err(Error::invalid(ErrorCode::Unsupported, text));
        if request.scope.vulnerability.trim().is_empty() {
            return bad("a waiver names one vulnerability".into());
        }
        if request.reason.trim().is_empty() || request.reason.len() > MAX_REASON_BYTES {
            return bad(format!("a waiver has a reason of 1 to {MAX_REASON_BYTES} bytes"));
        }
        // What could never match would look like an exception and be none.
        if let Some(pattern) = &request.scope.repository
            && let Err(message) = Pattern::new(pattern)
        {
            return bad(message);
        }
        if request.scope.component.as_deref().is_some_and(|purl| !purl.starts_with("pkg:")) {
            return bad("a component is named by its purl, such as pkg:deb/debian/openssl".into());
        }
        let now = self.now();
        let latest = now + SignedDuration::from_hours(24 * MAX_WAIVER_DAYS);
        if request.expires_at <= now || request.expires_at > latest {
            return bad(format!("a waiver ends in the future, within {MAX_WAIVER_DAYS} days"));
        }
        Ok(())
    }
}

impl WaiverStep {
    const fn state(self) -> (WaiverState, &'static str) {
        match self {
            Self::Grant => (WaiverState::Granted, "grant-waiver"),
            Self::Refuse => (WaiverState::Refused, "refuse-waiver"),
            Self::Revoke => (WaiverState::Revoked, "revoke-waiver"),
        }
    }
}

/// The number of a person; robots neither ask nor grant.
fn person(caller: &Caller) -> Result<i64> {
    match &caller.principal {
        Principal::User { id, .. } => Ok(*id),
        Principal::Anonymous => Err(Error::unauthenticated()),
        Principal::Token { .. } | Principal::Robot { .. } => {
            Err(Error::forbidden("waivers are a matter of people, who log in"))
        }
    }
}

fn unknown(id: i64) -> Error {
    Error::not_found(ErrorCode::NameUnknown, format!("there is no waiver {id} in this project"))
}

async fn record(
    tx: &mut Tx,
    caller: &Caller,
    action: &'static str,
    project: &Project,
    waiver: &Waiver,
) -> Result<()> {
    Event::new(caller, action)
        .project(project)
        .detail("waiver", waiver.id)
        .detail("vulnerability", waiver.scope.vulnerability.clone())
        .detail("expires_at", waiver.expires_at.to_string())
        .record(tx)
        .await
}

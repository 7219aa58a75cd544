//! Projects, what is in them, who belongs to them, and the keys that they list.

use crate::{
    face::{
        Asking, Face, Known, List, MaybeSent, Paging, Path, Query, Sent, bad, created, list,
        unstored,
    },
    schema,
};
use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use jiff::Timestamp;
use sealock_auth::{Right, Role};
use sealock_facts::Tier;
use sealock_http::Result;
use sealock_oci::RepositoryName;
use sealock_registry::{
    Member, NewProject, NewRobot, Project, ProjectKey, RepositorySummary, Robot,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A project to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProjectToMake {
    /// Its name: one part of a repository name.
    name: String,
    /// Anybody may pull.
    #[serde(default)]
    public: bool,
    /// Its tier; `sandbox` when absent.
    #[schema(value_type = Option<schema::Tier>)]
    tier: Option<Tier>,
}

/// What changes about a project; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProjectToChange {
    /// Anybody may pull.
    public: Option<bool>,
    /// Its tier. For system administrators.
    #[schema(value_type = Option<schema::Tier>)]
    tier: Option<Tier>,
}

/// Projects that the caller may pull from, by name.
#[utoipa::path(get, path = "/projects", tag = "projects", params(Paging),
    responses((status = 200, body = List<schema::Project>)))]
pub(crate) async fn projects(
    State(face): State<Face>,
    Asking(caller): Asking,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Project>>> {
    Ok(list(face.registry.projects(&caller, &paging.request()?).await?))
}

/// Makes a project, which the caller then administers. Tiers from `release` on are for system
/// administrators.
#[utoipa::path(post, path = "/projects", tag = "projects", request_body = ProjectToMake,
    responses((status = 201, body = schema::Project), (status = 409, body = schema::Errors)))]
pub(crate) async fn create_project(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(sent): Sent<ProjectToMake>,
) -> Result<Response> {
    let ProjectToMake { name, public, tier } = sent;
    let new = NewProject { name, public, tier: tier.unwrap_or(Tier::Sandbox) };
    Ok(created(face.registry.create_project(&caller, &new).await?))
}

/// A project.
#[utoipa::path(get, path = "/projects/{project}", tag = "projects",
    params(("project" = String, Path)), responses((status = 200, body = schema::Project)))]
pub(crate) async fn project(
    State(face): State<Face>,
    Asking(caller): Asking,
    Path(project): Path<String>,
) -> Result<Json<Project>> {
    Ok(Json(face.registry.project(&caller, &project).await?))
}

/// Changes a project. For its administrators.
#[utoipa::path(patch, path = "/projects/{project}", tag = "projects",
    params(("project" = String, Path)), request_body = ProjectToChange,
    responses((status = 200, body = schema::Project)))]
pub(crate) async fn update_project(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    Sent(sent): Sent<ProjectToChange>,
) -> Result<Json<Project>> {
    let ProjectToChange { public, tier } = sent;
    Ok(Json(face.registry.update_project(&caller, &project, public, tier).await?))
}

/// Another name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtherName {
    /// The new name: one part of a repository name.
    name: String,
}

/// Gives a project another name, and its repositories with it; its number stays. For system
/// administrators.
#[utoipa::path(put, path = "/projects/{project}/name", tag = "projects",
    params(("project" = String, Path)), request_body = OtherName,
    responses((status = 200, body = schema::Project), (status = 409, body = schema::Errors)))]
pub(crate) async fn rename_project(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    Sent(sent): Sent<OtherName>,
) -> Result<Json<Project>> {
    Ok(Json(face.registry.rename_project(&caller, &project, &sent.name).await?))
}

/// Which repository is to be called what. Full names, in one project.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renaming {
    /// The name now.
    from: String,
    /// The name from now on.
    to: String,
}

/// Gives a repository another name within its project; its number stays. For who may delete and
/// push.
#[utoipa::path(post, path = "/repositories/rename", tag = "projects", request_body = Renaming,
    responses((status = 204), (status = 409, body = schema::Errors)))]
pub(crate) async fn rename_repository(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(sent): Sent<Renaming>,
) -> Result<StatusCode> {
    let read = |name: &str| {
        name.parse::<RepositoryName>().map_err(|error| bad(format!("{name:?}: {error}")))
    };
    let (from, to) = (read(&sent.from)?, read(&sent.to)?);
    face.registry.rename_repository(&caller, &from, &to).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Repositories of a project, by name.
#[utoipa::path(get, path = "/projects/{project}/repositories", tag = "projects",
    params(("project" = String, Path), Paging),
    responses((status = 200, body = List<schema::Repository>)))]
pub(crate) async fn repositories(
    State(face): State<Face>,
    Asking(caller): Asking,
    Path(project): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<RepositorySummary>>> {
    Ok(list(face.registry.repositories(&caller, &project, &paging.request()?).await?))
}

/// A key to be listed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyToAdd {
    /// Its name in the project.
    name: String,
    /// The public key, PEM.
    pem: String,
}

/// Since when a key is in wrong hands.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compromise {
    /// The moment; now when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
}

/// Public keys that a project lists.
#[utoipa::path(get, path = "/projects/{project}/keys", tag = "projects",
    params(("project" = String, Path), Paging),
    responses((status = 200, body = List<schema::ProjectKey>)))]
pub(crate) async fn keys(
    State(face): State<Face>,
    Asking(caller): Asking,
    Path(project): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<ProjectKey>>> {
    Ok(list(face.registry.project_keys(&caller, &project, &paging.request()?).await?))
}

/// Lists a public key. For the project's administrators.
#[utoipa::path(post, path = "/projects/{project}/keys", tag = "projects",
    params(("project" = String, Path)), request_body = KeyToAdd,
    responses((status = 201, body = schema::ProjectKey), (status = 422, body = schema::Errors)))]
pub(crate) async fn add_key(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    Sent(sent): Sent<KeyToAdd>,
) -> Result<Response> {
    Ok(created(face.registry.add_project_key(&caller, &project, &sent.name, &sent.pem).await?))
}

/// Says that a key is in wrong hands. For the project's administrators and security officers.
#[utoipa::path(post, path = "/projects/{project}/keys/{name}/compromise", tag = "projects",
    params(("project" = String, Path), ("name" = String, Path)), request_body = Compromise,
    responses((status = 200, body = schema::ProjectKey)))]
pub(crate) async fn compromise_key(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, name)): Path<(String, String)>,
    MaybeSent(sent): MaybeSent<Compromise>,
) -> Result<Json<ProjectKey>> {
    Ok(Json(face.registry.compromise_project_key(&caller, &project, &name, sent.at).await?))
}

/// Takes a key off the list. For the project's administrators.
#[utoipa::path(delete, path = "/projects/{project}/keys/{name}", tag = "projects",
    params(("project" = String, Path), ("name" = String, Path)), responses((status = 204)))]
pub(crate) async fn remove_key(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, name)): Path<(String, String)>,
) -> Result<StatusCode> {
    face.registry.remove_project_key(&caller, &project, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A member to be added, or a role to be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberToPut {
    /// Login name.
    user: String,
    /// Harbor's role: projectAdmin, maintainer, developer, guest, limitedGuest.
    role: String,
    /// The repositories to which the member is limited, as a pattern: `team/app-*`; `**` for all.
    /// When absent a limit that is there stays.
    repositories: Option<String>,
}

/// Members of a project. For its administrators.
#[utoipa::path(get, path = "/projects/{project}/members", tag = "projects",
    params(("project" = String, Path), Paging),
    responses((status = 200, body = List<schema::Member>)))]
pub(crate) async fn members(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Member>>> {
    Ok(list(face.registry.members(&caller, &project, &paging.request()?).await?))
}

/// Adds a member or changes the role. For the project's administrators.
#[utoipa::path(post, path = "/projects/{project}/members", tag = "projects",
    params(("project" = String, Path)), request_body = MemberToPut,
    responses((status = 201, body = schema::Member)))]
pub(crate) async fn put_member(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    Sent(sent): Sent<MemberToPut>,
) -> Result<Response> {
    let wanted: String = sent.role.chars().filter(|c| !matches!(c, '-' | '_')).collect();
    let role = Role::ALL.into_iter().find(|role| role.name().eq_ignore_ascii_case(&wanted));
    let role = role.ok_or_else(|| {
        let names: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
        bad(format!("{:?} is not a role; write one of {}", sent.role, names.join(", ")))
    })?;
    let (user, limit) = (&sent.user, sent.repositories.as_deref());
    Ok(created(face.registry.put_member(&caller, &project, user, role, limit).await?))
}

/// Takes a member out. For the project's administrators.
#[utoipa::path(delete, path = "/projects/{project}/members/{user}", tag = "projects",
    params(("project" = String, Path), ("user" = String, Path)), responses((status = 204)))]
pub(crate) async fn remove_member(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, user)): Path<(String, String)>,
) -> Result<StatusCode> {
    face.registry.remove_member(&caller, &project, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A robot to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RobotToMake {
    /// Its name within the project.
    name: String,
    /// What it may do: pull, push, attest, promote.
    rights: Vec<String>,
    /// For people.
    description: Option<String>,
    /// The repositories to which it is limited, as a pattern: `team/app-*`; all when absent.
    repositories: Option<String>,
    /// Days until it stops; never when absent.
    expires_in_days: Option<u32>,
}

/// A robot with its secret, which is shown now and never again.
#[derive(Debug, Serialize)]
pub(crate) struct RobotWithSecret {
    #[serde(flatten)]
    robot: Robot,
    secret: String,
}

/// Robots of a project. For its administrators.
#[utoipa::path(get, path = "/projects/{project}/robots", tag = "projects",
    params(("project" = String, Path), Paging),
    responses((status = 200, body = List<schema::Robot>)))]
pub(crate) async fn robots(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Robot>>> {
    Ok(list(face.registry.robots(&caller, &project, &paging.request()?).await?))
}

/// Makes a robot. Its secret is in this answer and nowhere else. For the project's administrators.
#[utoipa::path(post, path = "/projects/{project}/robots", tag = "projects",
    params(("project" = String, Path)), request_body = RobotToMake,
    responses((status = 201, body = schema::RobotWithSecret)))]
pub(crate) async fn create_robot(
    State(face): State<Face>,
    Known(caller): Known,
    Path(project): Path<String>,
    Sent(sent): Sent<RobotToMake>,
) -> Result<Response> {
    let rights = sent.rights.iter().map(|right| right.parse::<Right>().map_err(bad));
    let new = NewRobot {
        name: sent.name,
        description: sent.description.unwrap_or_default(),
        rights: rights.collect::<Result<Vec<_>>>()?,
        repositories: sent.repositories,
        expires_in_days: sent.expires_in_days,
    };
    let (robot, secret) = face.registry.create_robot(&caller, &project, &new).await?;
    Ok(unstored(created(RobotWithSecret { robot, secret: secret.expose().to_owned() })))
}

/// Gives a robot a new secret, which is in this answer and nowhere else; the former one and the
/// tokens it got stop at once. For the project's administrators.
#[utoipa::path(post, path = "/projects/{project}/robots/{name}/secret", tag = "projects",
    params(("project" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = schema::RobotWithSecret)))]
pub(crate) async fn renew_robot(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, name)): Path<(String, String)>,
) -> Result<Response> {
    let (robot, secret) = face.registry.renew_robot(&caller, &project, &name).await?;
    let answer = RobotWithSecret { robot, secret: secret.expose().to_owned() };
    Ok(unstored(Json(answer)))
}

/// Removes a robot; its secret stops at once. For the project's administrators.
#[utoipa::path(delete, path = "/projects/{project}/robots/{name}", tag = "projects",
    params(("project" = String, Path), ("name" = String, Path)), responses((status = 204)))]
pub(crate) async fn delete_robot(
    State(face): State<Face>,
    Known(caller): Known,
    Path((project, name)): Path<(String, String)>,
) -> Result<StatusCode> {
    face.registry.delete_robot(&caller, &project, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! The tag robot.

use crate::{
    face::{Face, Known, Path, Sent, UNSTORED, bad, created_secret},
    paging::{Listing, place},
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use sealock_auth::SecretString;
use sealock_http::Result;
use sealock_registry::{
    Term,
    harbor::{RobotChange, RobotDetail, RobotLevel, RobotPermission, RobotToMake},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Harbor's `RobotCreate`. A secret in it is passed over, as in Harbor: the server makes one.
#[derive(Deserialize)]
pub(crate) struct RobotRequest {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    disable: bool,
    duration: Option<i64>,
    permissions: Option<Vec<PermissionRequest>>,
}

/// What of Harbor's `Robot` a client may send.
#[derive(Deserialize)]
pub(crate) struct ChangeRequest {
    name: Option<String>,
    #[serde(default)]
    description: String,
    level: Option<String>,
    #[serde(default)]
    disable: bool,
    duration: Option<i64>,
    permissions: Option<Vec<PermissionRequest>>,
}

/// Harbor's `RobotPermission`.
#[derive(Deserialize)]
struct PermissionRequest {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    namespace: String,
    access: Option<Vec<AccessRequest>>,
}

/// Harbor's `Access`.
#[derive(Deserialize)]
struct AccessRequest {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    effect: String,
}

/// Harbor's `RobotSec`.
#[derive(Deserialize)]
pub(crate) struct SecretRequest {
    secret: Option<SecretString>,
}

fn permissions(asked: Option<Vec<PermissionRequest>>) -> Result<Vec<RobotPermission>> {
    let read = |one: PermissionRequest| {
        let access =
            one.access.unwrap_or_default().into_iter().map(|access| match access.effect.as_str() {
                "" | "allow" => Ok((access.resource, access.action)),
                other => Err(bad(format!("an access has the effect allow, not {other:?}"))),
            });
        let (kind, namespace) = (one.kind, one.namespace);
        Ok(RobotPermission { kind, namespace, access: access.collect::<Result<_>>()? })
    };
    asked.unwrap_or_default().into_iter().map(read).collect()
}

fn shown(robot: RobotDetail) -> Value {
    let permission = |one: &RobotPermission| {
        let access = one.access.iter();
        let access =
            access.map(|(resource, action)| json!({"resource": resource, "action": action}));
        let access: Vec<Value> = access.collect();
        json!({"kind": one.kind, "namespace": one.namespace, "access": access})
    };
    json!({
        "id": robot.id,
        "name": robot.name,
        "description": robot.description,
        "level": robot.level.as_str(),
        "duration": robot.duration,
        "editable": true,
        "disable": robot.disabled,
        "expires_at": expires_at(&robot),
        "permissions": robot.permissions.iter().map(permission).collect::<Vec<_>>(),
        "creator_type": robot.creator_kind,
        "creator_ref": robot.creator_id,
        "creation_time": robot.created_at.to_string(),
        "update_time": robot.updated_at.to_string(),
    })
}

/// Seconds since 1970, -1 for never.
fn expires_at(robot: &RobotDetail) -> i64 {
    robot.expires_at.map_or(-1, |end| end.as_second())
}

/// `GET /robots`: those of the system, or with `q=Level=project,ProjectID=1` of a project.
pub(crate) async fn list(
    State(face): State<Face>,
    Known(caller): Known,
    mut listing: Listing,
) -> Result<Response> {
    let terms = &mut listing.wanted.terms;
    let mut take = |name: &str| {
        let at = terms.iter().position(|(field, _)| field == name)?;
        Some(terms.remove(at).1)
    };
    let word = |term: Option<Term>, what: &str| match term {
        None => Ok(None),
        Some(Term::Is(word)) => Ok(Some(word)),
        Some(_) => Err(bad(format!("q: {what} is one value, {what}=value"))),
    };
    let level = word(take("level"), "Level")?;
    let project = word(take("project_id"), "ProjectID")?;
    let level = level.map_or(Ok(RobotLevel::System), |level| RobotLevel::parse(&level))?;
    let project = match (level, project) {
        (RobotLevel::System, _) => None,
        (RobotLevel::Project, None) => {
            return Err(bad("must with project ID when to query project robots: \
                            q=Level=project,ProjectID=1"));
        }
        (RobotLevel::Project, Some(id)) => {
            Some(id.parse().map_err(|_| bad("Project ID must be int type."))?)
        }
    };
    let listed = face.registry.harbor_robots(&caller, project, &listing.wanted).await?;
    Ok(listing.answer(listed, shown))
}

/// `POST /robots`
pub(crate) async fn create(
    State(face): State<Face>,
    Known(caller): Known,
    Sent(request): Sent<RobotRequest>,
) -> Result<Response> {
    let new = RobotToMake {
        name: request.name,
        description: request.description,
        level: RobotLevel::parse(&request.level)?,
        duration: request.duration,
        disabled: request.disable,
        permissions: permissions(request.permissions)?,
    };
    let (robot, secret) = face.registry.create_harbor_robot(&caller, &new).await?;
    let body = json!({
        "id": robot.id,
        "name": robot.name,
        "secret": secret.expose(),
        "creation_time": robot.created_at.to_string(),
        "expires_at": expires_at(&robot),
    });
    created_secret(&place("/robots", robot.id), body)
}

/// `GET /robots/{robot_id}`
pub(crate) async fn get(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<Json<Value>> {
    Ok(Json(shown(face.registry.harbor_robot(&caller, id).await?)))
}

/// `PUT /robots/{robot_id}`
pub(crate) async fn update(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
    Sent(request): Sent<ChangeRequest>,
) -> Result<StatusCode> {
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let change = RobotChange {
        name: said(request.name),
        level: said(request.level).map(|level| RobotLevel::parse(&level)).transpose()?,
        description: request.description,
        duration: request.duration,
        disabled: request.disable,
        permissions: permissions(request.permissions)?,
    };
    face.registry.update_harbor_robot(&caller, id, &change).await?;
    Ok(StatusCode::OK)
}

/// `PATCH /robots/{robot_id}`: a new secret, which is told unless it was given.
pub(crate) async fn renew(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
    Sent(request): Sent<SecretRequest>,
) -> Result<Response> {
    let given = request.secret.filter(|secret| !secret.expose().is_empty());
    let accounts = &face.accounts;
    let told = face.registry.renew_harbor_robot(&caller, accounts, id, given.as_ref()).await?;
    let secret = told.as_ref().map_or("", |secret| secret.expose());
    Ok(([UNSTORED], Json(json!({"secret": secret}))).into_response())
}

/// `DELETE /robots/{robot_id}`
pub(crate) async fn delete(
    State(face): State<Face>,
    Known(caller): Known,
    Path(id): Path<i64>,
) -> Result<StatusCode> {
    face.registry.delete_harbor_robot(&caller, id).await?;
    Ok(StatusCode::OK)
}

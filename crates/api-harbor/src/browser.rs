//! `/c/`: how a browser logs in and out. It stands outside of Harbor's contract.

use crate::face::{Face, bad, unprocessable};
use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use percent_encoding::percent_decode_str;
use sealock_auth::Principal;
use sealock_http::{HttpError, Result, give_session, read_limited, take_session};

/// Largest form that is read, in bytes.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// `POST /c/login`, a form of `principal` and `password`. The cookie is new each time, whatever the
/// browser had before: nobody can plant one.
pub(crate) async fn log_in(State(face): State<Face>, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let gatekeeper = &face.gatekeeper;
    let form = Form::read(body).await?;
    let (name, password) = (form.field("principal")?, form.field("password")?);
    let (caller, login) = gatekeeper.login(&parts, name, &password.into()).await?;
    if !matches!(caller.principal, Principal::User { .. }) {
        return Err(HttpError::unauthorized(
            "log in with a user's own name and password; a robot's secret works with each request",
        ));
    }
    let cookie = gatekeeper.begin_session(&caller, &login).await?;
    if let Some((caller, before)) = gatekeeper.browser(&parts).await? {
        face.registry.log_out(&caller, &before).await?;
    }
    let mut response = StatusCode::OK.into_response();
    give_session(response.headers_mut(), &parts, gatekeeper.front(), &cookie);
    Ok(response)
}

/// `GET /c/log_out`
pub(crate) async fn log_out(State(face): State<Face>, request: Request) -> Result<Response> {
    let (parts, _) = request.into_parts();
    if let Some((caller, browser)) = face.gatekeeper.browser(&parts).await? {
        face.registry.log_out(&caller, &browser).await?;
    }
    let mut response = StatusCode::OK.into_response();
    take_session(response.headers_mut(), &parts, face.gatekeeper.front());
    Ok(response)
}

/// `POST /c/userExists`, a form of `target` (`username` or `email`) and `value`: whether somebody
/// has it already.
pub(crate) async fn user_exists(State(face): State<Face>, request: Request) -> Result<Json<bool>> {
    let (parts, body) = request.into_parts();
    let caller = face.gatekeeper.visitor(&parts).await?;
    if !caller.principal.is_sysadmin() {
        return Err(HttpError::with_code(
            StatusCode::PRECONDITION_FAILED,
            "PRECONDITION",
            "self-registration is off, so that only administrators may ask who is there",
        ));
    }
    let form = Form::read(body).await?;
    let value = form.field("value")?;
    let field = match form.field("target")? {
        "username" => "username",
        "email" => "email",
        other => return Err(bad(format!("target is username or email, not {other:?}"))),
    };
    Ok(Json(face.registry.harbor_user_exists(&caller, field, value).await?))
}

/// A form as browsers send it.
struct Form(Vec<(String, String)>);

impl Form {
    async fn read(body: Body) -> Result<Self> {
        let bytes = read_limited(body, MAX_FORM_BYTES, "the form").await?;
        let text = str::from_utf8(&bytes).map_err(|_| unprocessable("the form is not UTF-8"))?;
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            let decoded = percent_decode_str(&spaced).decode_utf8();
            decoded.map(String::from).map_err(|_| unprocessable("the form is not UTF-8"))
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        pairs.collect::<Result<_>>().map(Self)
    }

    /// The value of a field. Given twice it is refused: two readers could choose differently.
    fn field(&self, name: &str) -> Result<&str> {
        let mut found = self.0.iter().filter(|(one, _)| one == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            _ => Err(bad(format!(
                "the form (application/x-www-form-urlencoded) has {name} exactly once"
            ))),
        }
    }
}

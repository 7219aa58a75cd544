//! Docker's token service (distribution's token authentication specification), by GET with Basic
//! credentials and by POST with OAuth 2's password grant. Without credentials it gives a token for what
//! is public.

use crate::{query::Query, routes::Face};
use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use sealock_auth::{Access, Caller};
use sealock_http::{Gatekeeper, HttpError, IssuedToken, Result, read_limited};
use sealock_oci::{ErrorCode, RepositoryName};
use serde_json::{Value, json};

/// Most entries in the scopes of one request.
const MAX_SCOPES: usize = 64;
/// Largest form that is read, in bytes.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// `GET /service/token?service=&scope=&account=`
pub(crate) async fn get(State(face): State<Face>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    by_header(&face, &parts)
        .await
        .unwrap_or_else(|error| Gatekeeper::basic_challenge(error).into_response())
}

/// `POST /service/token` with a form.
pub(crate) async fn post(State(face): State<Face>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    by_form(&face, &parts, body)
        .await
        .unwrap_or_else(|error| Gatekeeper::basic_challenge(error).into_response())
}

async fn by_header(face: &Face, parts: &Parts) -> Result<Response> {
    let query = Query::parse(parts.uri.query())?;
    let caller = face.gatekeeper.caller(parts).await?;
    // A token begets no token: it would live for ever.
    if caller.scope.is_some() {
        return Err(HttpError::unauthorized("ask for a token with a name and a password"));
    }
    let issued = issue(face, &caller, &query).await?;
    answer(json!({
        "token": issued.token.expose(),
        "access_token": issued.token.expose(),
        "expires_in": issued.expires_in,
        "issued_at": issued.issued_at,
    }))
}

async fn by_form(face: &Face, parts: &Parts, body: Body) -> Result<Response> {
    let bytes = read_limited(body, MAX_FORM_BYTES, "a token request").await?;
    let form = std::str::from_utf8(&bytes)
        .map_err(|_| invalid("the form is not UTF-8"))
        .and_then(|text| Query::parse(Some(text)))?;
    if form.one("grant_type")? != Some("password") {
        return Err(invalid("grant_type is password; this service gives no refresh tokens"));
    }
    let (Some(name), Some(password)) = (form.one("username")?, form.one("password")?) else {
        return Err(invalid("username and password are wanted"));
    };
    let caller = face.gatekeeper.login(parts, name, &password.into()).await?;
    let issued = issue(face, &caller, &form).await?;
    let scope: Vec<String> = issued
        .access
        .iter()
        .map(|access| format!("{}:{}:{}", access.kind, access.name, access.actions.join(",")))
        .collect();
    answer(json!({
        "access_token": issued.token.expose(),
        "token_type": "Bearer",
        "scope": scope.join(" "),
        "expires_in": issued.expires_in,
        "issued_at": issued.issued_at,
    }))
}

async fn issue(face: &Face, caller: &Caller, query: &Query) -> Result<IssuedToken> {
    if let Some(service) = query.one("service")?
        && service != Gatekeeper::SERVICE
    {
        return Err(invalid(&format!("this is the service {:?}", Gatekeeper::SERVICE)));
    }
    let wanted = scopes(query)?;
    face.gatekeeper.issue(caller, &wanted).await
}

/// Reads `scope`, which may be given often and hold several entries each:
/// `repository:<name>:<action>,...` or `registry:catalog:*`. What is unknown is left out, as the
/// specification asks; entries for the same name are joined.
fn scopes(query: &Query) -> Result<Vec<Access>> {
    let mut wanted: Vec<Access> = Vec::new();
    for entry in query.all("scope").flat_map(str::split_ascii_whitespace) {
        let Some((kind, rest)) = entry.split_once(':') else { continue };
        let Some((name, actions)) = rest.rsplit_once(':') else { continue };
        // The kind may carry a class: repository(plugin).
        let kind = kind.split('(').next().unwrap_or(kind);
        let known = match kind {
            "repository" => name.parse::<RepositoryName>().is_ok(),
            "registry" => name == "catalog",
            _ => false,
        };
        if !known {
            continue;
        }
        let actions = actions.split(',').filter(|action| !action.is_empty());
        match wanted.iter_mut().find(|access| access.kind == kind && access.name == name) {
            Some(access) => {
                for action in actions {
                    if !access.actions.iter().any(|known| known == action) {
                        access.actions.push(action.to_owned());
                    }
                }
            }
            None => wanted.push(Access {
                kind: kind.to_owned(),
                name: name.to_owned(),
                actions: actions.map(str::to_owned).collect(),
                project_id: None,
            }),
        }
        if wanted.len() > MAX_SCOPES {
            return Err(invalid(&format!("a token has at most {MAX_SCOPES} scopes")));
        }
    }
    Ok(wanted)
}

fn answer(body: Value) -> Result<Response> {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((StatusCode::OK, headers, body.to_string()).into_response())
}

fn invalid(message: &str) -> HttpError {
    HttpError::bad_request(ErrorCode::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_joined_and_the_unknown_left_out() {
        let query = "scope=repository:a/b:pull&scope=repository:a/b:push,pull%20registry:catalog:*\
                     &scope=repository(plugin):c/d:pull&scope=x:y:z&scope=repository:A:pull&scope=q";
        let wanted = scopes(&Query::parse(Some(query)).unwrap()).unwrap();
        let text: Vec<_> = wanted
            .iter()
            .map(|access| format!("{}:{}:{}", access.kind, access.name, access.actions.join(",")))
            .collect();
        assert_eq!(text, ["repository:a/b:pull,push", "registry:catalog:*", "repository:c/d:pull"]);
        let many: String = (0..70).map(|i| format!("scope=repository:a/b{i}:pull&")).collect();
        assert_eq!(scopes(&Query::parse(Some(&many)).unwrap()).unwrap_err().status(), 400);
    }
}

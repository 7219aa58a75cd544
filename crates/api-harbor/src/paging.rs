//! Pages by number and size, as Harbor's lists have them.

use crate::{
    face::{BASE, Face, unprocessable},
    query,
};
use axum::{
    Json,
    extract::{FromRequestParts, OriginalUri},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, header, request::Parts};
use sealock_http::{HttpError, Result, encode};
use sealock_registry::{Listed, MAX_ROWS, Term, Wanted};
use serde::Serialize;

/// Rows of a page when the caller does not say.
const DEFAULT_PAGE_SIZE: u32 = 10;
/// Most rows that a caller may ask for by number.
const MAX_PAGE_SIZE: u32 = 100;
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

/// The parameters of a query, in their order.
pub(crate) struct Params(Vec<(String, String)>);

impl FromRequestParts<Face> for Params {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &Face) -> Result<Self> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(pairs)| Self(pairs))
            .map_err(|error| unprocessable(format!("the query: {}", error.body_text())))
    }
}

impl Params {
    /// A parameter, unless it is absent or empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that is a number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>> {
        let number = |text: &str| {
            text.parse().map_err(|_| unprocessable(format!("{name} is a number, not {text:?}")))
        };
        self.text(name).map(number).transpose()
    }

    /// A parameter that is true or false.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>> {
        let flag = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(unprocessable(format!("{name} is true or false, not {text:?}"))),
        };
        self.text(name).map(flag).transpose()
    }
}

/// What is asked of a list, and where it is asked.
pub(crate) struct Listing {
    /// The parameters.
    pub(crate) params: Params,
    /// Conditions, order and page.
    pub(crate) wanted: Wanted,
    path: String,
    page: u64,
    size: u64,
}

impl FromRequestParts<Face> for Listing {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self> {
        let params = Params::from_request_parts(parts, face).await?;
        let OriginalUri(uri) = match OriginalUri::from_request_parts(parts, face).await {
            Ok(uri) => uri,
            Err(never) => match never {},
        };
        // Harbor takes 0 and -1 for "no pages"; here a page then has the most rows that one may.
        let page = match params.number("page")?.unwrap_or(1) {
            page @ 1.. => u64::try_from(page).unwrap_or(1),
            0 | -1 => 1,
            _ => return Err(unprocessable("page begins with 1")),
        };
        let most = i64::from(MAX_PAGE_SIZE);
        let size = match params.number("page_size")?.unwrap_or(DEFAULT_PAGE_SIZE.into()) {
            0 | -1 => MAX_ROWS,
            size if (1..=most).contains(&size) => u32::try_from(size).unwrap_or(MAX_PAGE_SIZE),
            _ => return Err(unprocessable(format!("page_size is 1 to {MAX_PAGE_SIZE}"))),
        };
        let wanted = Wanted {
            terms: query::terms(params.text("q").unwrap_or_default())?,
            order: query::order(params.text("sort").unwrap_or_default())?,
            offset: (page - 1).saturating_mul(size.into()).min(i64::MAX.unsigned_abs()),
            limit: size,
            uncounted: false,
        };
        Ok(Self { params, wanted, path: uri.path().to_owned(), page, size: size.into() })
    }
}

impl Listing {
    /// Adds a condition from a parameter of the operation's own.
    pub(crate) fn require(&mut self, field: &str, term: Term) {
        self.wanted.terms.push((field.to_owned(), term));
    }

    /// Adds that a field holds the text of a parameter, if it is given.
    pub(crate) fn require_part(&mut self, field: &str, parameter: &str) {
        if let Some(text) = self.params.text(parameter) {
            self.require(field, Term::Like(text.to_owned()));
        }
    }

    /// The answer: a page with the length of the whole list, and links to the pages beside it.
    pub(crate) fn answer<T, J: Serialize>(
        &self,
        listed: Listed<T>,
        shown: impl FnMut(T) -> J,
    ) -> Response {
        let total = listed.total;
        let rows: Vec<J> = listed.items.into_iter().map(shown).collect();
        let mut response = Json(rows).into_response();
        response.headers_mut().insert(TOTAL, total.into());
        let mut links = Vec::new();
        if self.page > 1 && (self.page - 1).saturating_mul(self.size) < total {
            links.push(self.link(self.page - 1, "prev"));
        }
        if self.page.saturating_mul(self.size) < total {
            links.push(self.link(self.page + 1, "next"));
        }
        if let (false, Ok(value)) = (links.is_empty(), HeaderValue::from_str(&links.join(" , "))) {
            response.headers_mut().insert(header::LINK, value);
        }
        response
    }

    fn link(&self, page: u64, rel: &str) -> String {
        let mut text = format!("<{}?", self.path);
        let paging = |name: &str| matches!(name, "page" | "page_size");
        for (name, value) in self.params.0.iter().filter(|(name, _)| !paging(name)) {
            text.push_str(&format!("{}={}&", encode(name), encode(value)));
        }
        let size = self.size;
        text.push_str(&format!("page={page}&page_size={size}>; rel=\"{rel}\""));
        text
    }
}

/// An address below [`BASE`] of something with a number.
pub(crate) fn place(of: &str, id: i64) -> String {
    debug_assert!(!of.starts_with(BASE));
    format!("{of}/{id}")
}

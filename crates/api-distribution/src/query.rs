//! The query of a request, as the names and values that it holds.

use percent_encoding::percent_decode_str;
use sealock_http::{HttpError, Result};
use sealock_oci::{Algorithm, ErrorCode, Tag};

/// Longest query that is read, in bytes: a hundred tags of full length need no more.
const MAX_QUERY_BYTES: usize = 16 * 1024;

/// Decoded pairs in their order.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `name=value` pairs, percent-encoded, with `+` for a space.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self> {
        let text = text.unwrap_or_default();
        if text.len() > MAX_QUERY_BYTES {
            return Err(HttpError::new(
                http::StatusCode::URI_TOO_LONG,
                ErrorCode::Unsupported,
                format!("a query has at most {MAX_QUERY_BYTES} bytes"),
            ));
        }
        text.split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name)?, decode(value)?))
            })
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Every value of a name.
    pub(crate) fn all<'q>(&'q self, name: &str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    /// The value of a name. Given twice it is refused: two readers could choose differently.
    pub(crate) fn one<'q>(&'q self, name: &str) -> Result<Option<&'q str>> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(invalid(format!("{name} is given more than once")));
        }
        Ok(value)
    }

    /// The number of items asked for.
    pub(crate) fn n(&self) -> Result<Option<u32>> {
        let Some(text) = self.one("n")? else { return Ok(None) };
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid(format!("n is a number of items, not {text:?}")));
        }
        Ok(Some(text.parse().unwrap_or(u32::MAX)))
    }

    /// `digest-algorithm`, by which an upload is hashed.
    pub(crate) fn algorithm(&self) -> Result<Option<Algorithm>> {
        match self.one("digest-algorithm")? {
            None => Ok(None),
            Some("sha256") => Ok(Some(Algorithm::Sha256)),
            Some("sha512") => Ok(Some(Algorithm::Sha512)),
            Some(_) => Err(HttpError::bad_request(
                ErrorCode::DigestInvalid,
                "digest-algorithm is sha256 or sha512",
            )),
        }
    }

    /// `tag` as often as it is given.
    pub(crate) fn tags(&self) -> Result<Vec<Tag>> {
        self.all("tag")
            .map(|text| {
                text.parse().map_err(|error: sealock_oci::NameError| {
                    HttpError::bad_request(ErrorCode::ManifestInvalid, error.to_string())
                })
            })
            .collect()
    }
}

fn decode(text: &str) -> Result<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced)
        .decode_utf8()
        .map_err(|_| invalid("the query is not UTF-8".to_owned()))?;
    // No name, tag, digest or media type holds one, and PostgreSQL's text none that is zero.
    if decoded.chars().any(char::is_control) {
        return Err(invalid("the query holds control characters".to_owned()));
    }
    Ok(decoded.into_owned())
}

fn invalid(message: String) -> HttpError {
    HttpError::bad_request(ErrorCode::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        let query = Query::parse(Some("digest=sha256%3Aab&n=5&tag=a&tag=b&e&f=a+b")).unwrap();
        assert_eq!(query.one("digest").unwrap(), Some("sha256:ab"));
        assert_eq!(query.n().unwrap(), Some(5));
        assert_eq!(query.tags().unwrap().len(), 2);
        assert_eq!(query.one("e").unwrap(), Some(""));
        assert_eq!(query.one("f").unwrap(), Some("a b"));
        assert_eq!(query.one("missing").unwrap(), None);
        assert_eq!(Query::parse(None).unwrap().n().unwrap(), None);
    }

    #[test]
    fn what_is_refused() {
        let query = Query::parse(Some("digest=a&digest=b&n=-1&tag=%2F&digest-algorithm=md5"));
        let query = query.unwrap();
        assert!(query.one("digest").is_err());
        assert!(query.n().is_err());
        assert!(query.tags().is_err());
        assert!(query.algorithm().is_err());
        assert!(Query::parse(Some("a=%ff")).is_err());
        assert!(Query::parse(Some("last=a%00")).is_err());
        assert_eq!(Query::parse(Some("n=99999999999")).unwrap().n().unwrap(), Some(u32::MAX));
    }
}

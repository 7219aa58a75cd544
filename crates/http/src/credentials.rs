use crate::{HttpError, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use sealock_auth::SecretString;

/// Longest `Authorization` header that is read, in bytes.
const MAX_AUTHORIZATION_BYTES: usize = 16 * 1024;

/// What a request's `Authorization` header says, not yet verified.
#[derive(Debug)]
pub enum Credentials {
    /// There is none.
    None,
    /// A user's or robot's name and secret (RFC 7617).
    Basic {
        /// Login name.
        name: String,
        /// Password, or the robot's secret.
        secret: SecretString,
    },
    /// A token (RFC 6750).
    Bearer(SecretString),
}

impl Credentials {
    /// Reads the header. Two headers, another scheme or a malformed value are refused: a client
    /// that tries to say who it is must not be taken for nobody.
    pub fn read(headers: &HeaderMap) -> Result<Self> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(Self::None) };
        if values.next().is_some() || value.len() > MAX_AUTHORIZATION_BYTES {
            return Err(malformed());
        }
        let (scheme, rest) = value
            .to_str()
            .ok()
            .and_then(|text| text.trim().split_once(' '))
            .ok_or_else(malformed)?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Self::Bearer(rest.into()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(malformed());
        }
        let decoded = STANDARD.decode(rest).map_err(|_| malformed())?;
        let text = SecretString::new(String::from_utf8(decoded).map_err(|_| malformed())?);
        let (name, secret) = text.expose().split_once(':').ok_or_else(malformed)?;
        // Some clients send an empty pair when they have no credentials.
        if name.is_empty() && secret.is_empty() {
            return Ok(Self::None);
        }
        Ok(Self::Basic { name: name.to_owned(), secret: secret.into() })
    }
}

fn malformed() -> HttpError {
    HttpError::unauthorized("the Authorization header is not readable; use Basic or Bearer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(value: &str) -> Result<Credentials> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        Credentials::read(&headers)
    }

    #[test]
    fn basic_and_bearer() {
        let Ok(Credentials::Basic { name, secret }) = read("basic YWRtaW46YTpi") else {
            panic!("not read")
        };
        assert_eq!((name.as_str(), secret.expose()), ("admin", "a:b"));
        assert!(
            matches!(read("Bearer abc"), Ok(Credentials::Bearer(token)) if token.expose() == "abc")
        );
        assert!(matches!(read("Basic Og=="), Ok(Credentials::None)));
        assert!(matches!(Credentials::read(&HeaderMap::new()), Ok(Credentials::None)));
    }

    #[test]
    fn what_is_malformed_is_nobody_s_request() {
        for bad in ["Basic", "Basic ???", "Basic YWRtaW4=", "Digest abc", "", "Basic /w=="] {
            assert_eq!(read(bad).expect_err(bad).status(), 401, "{bad}");
        }
        let mut headers = HeaderMap::new();
        for value in ["Bearer a", "Basic YWRtaW46YTpi"] {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        assert!(Credentials::read(&headers).is_err());
    }
}

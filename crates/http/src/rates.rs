//! How often an address and an account may ask.
//!
//! Addresses are counted before anybody looks at who is asking, accounts once they are known.
//! Some questions are never counted: whether the server is well, and what refers to an image, since
//! clients that verify signatures may take a failed listing for "there are none".

use crate::{Front, HttpError, Result};
use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use http::{Method, request::Parts};
use sealock_auth::{Allowance, Principal, Rates, neighbourhood};
use sealock_oci::{Digest, Tag};
use sealock_registry::is_accessory_tag;
use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

/// Requests a second of one address, on average over [`BURST_SECONDS`], where nothing else is set:
/// what no crowd behind one address needs, and no single client notices.
pub const REQUESTS_PER_ADDRESS: u32 = 10_000;
/// The same of one user or robot, from wherever they ask.
pub const REQUESTS_PER_ACCOUNT: u32 = 10_000;
/// Seconds whose requests may come at once. Zero would not compile: it is a constant.
pub const BURST_SECONDS: NonZeroU32 = NonZeroU32::new(60).unwrap();

/// Somebody with an account, whatever they are called now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Account {
    User(i64),
    Robot(i64),
}

impl Account {
    /// With the name that they have; none for nobody in particular.
    pub(crate) fn of(principal: &Principal) -> Option<(Self, &str)> {
        match principal {
            Principal::Anonymous => None,
            Principal::User { id, name, .. } => Some((Self::User(*id), name)),
            Principal::Token { user_id, name, .. } => Some((Self::User(*user_id), name)),
            Principal::Robot { id, name, .. } => Some((Self::Robot(*id), name)),
        }
    }
}

/// One limit and what is used of it.
#[derive(Debug)]
struct Limit<K> {
    per_second: NonZeroU32,
    rates: Rates<K>,
}

impl<K: std::hash::Hash + Eq + Send + Sync + 'static> Limit<K> {
    fn new(per_second: u32) -> Option<Self> {
        let per_second = NonZeroU32::new(per_second)?;
        let allowance = Allowance::new(per_second, Duration::from_secs(1), BURST_SECONDS);
        Some(Self { per_second, rates: Rates::new(allowance) })
    }

    fn take(&self, key: K, whose: &str, option: &str) -> Result<()> {
        self.rates.take(key).map_err(|wait| {
            let message = format!(
                "{whose} asks more often than {} times a second; wait as Retry-After says and ask \
                 less often (the operator sets the limit with {option})",
                self.per_second
            );
            HttpError::too_many(message, wait)
        })
    }
}

/// How often one address and one account may ask, and how often they did.
#[derive(Debug)]
pub struct RequestRates {
    addresses: Option<Limit<IpAddr>>,
    accounts: Option<Limit<Account>>,
}

impl Default for RequestRates {
    fn default() -> Self {
        Self::new(REQUESTS_PER_ADDRESS, REQUESTS_PER_ACCOUNT)
    }
}

impl RequestRates {
    /// With so many requests a second, on average over [`BURST_SECONDS`]; 0 is no limit.
    pub fn new(per_address: u32, per_account: u32) -> Self {
        Self { addresses: Limit::new(per_address), accounts: Limit::new(per_account) }
    }

    /// Counts a request of whoever it turned out to be. Nobody in particular is counted by address.
    pub(crate) fn take_of(&self, principal: &Principal, parts: &Parts) -> Result<()> {
        let Some((account, name)) = Account::of(principal) else { return Ok(()) };
        match &self.accounts {
            Some(limit) if !is_never_limited(parts) => {
                limit.take(account, name, "--rate-limit-account")
            }
            _ => Ok(()),
        }
    }

    fn take_from(&self, front: &Front, parts: &Parts) -> Result<()> {
        let Some(limit) = &self.addresses else { return Ok(()) };
        if is_never_limited(parts) {
            return Ok(());
        }
        let address = front.client_address(parts);
        // A proxy that does not say whom it asks for would be everybody.
        if front.trusts(address) {
            return Ok(());
        }
        limit.take(neighbourhood(address), &address.to_string(), "--rate-limit-address")
    }
}

/// Counts every request by the address that it comes from.
pub(crate) fn limited(app: Router, front: Arc<Front>, rates: Arc<RequestRates>) -> Router {
    app.layer(from_fn_with_state((front, rates), count))
}

type Counting = (Arc<Front>, Arc<RequestRates>);

async fn count(State((front, rates)): State<Counting>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match rates.take_from(&front, &parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(error) if parts.uri.path().starts_with("/api/v2.0/") => {
            error.in_harbors_words().into_response()
        }
        Err(error) if parts.uri.path().starts_with("/api/sealock/") => {
            error.in_own_words().into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// Whether a request is answered however many there were: health, lists of referrers, and the tags
/// under which clients keep them where they do not ask for lists.
fn is_never_limited(parts: &Parts) -> bool {
    let path = parts.uri.path();
    if path == "/health" {
        return true;
    }
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return false;
    }
    let Some((front, last)) = path.strip_prefix("/v2/").and_then(|rest| rest.rsplit_once('/'))
    else {
        return false;
    };
    match front.rsplit_once('/').map(|(_, word)| word) {
        Some("referrers") => last.replace("%3A", ":").replace("%3a", ":").parse::<Digest>().is_ok(),
        Some("manifests") => last.parse::<Tag>().is_ok_and(|tag| is_accessory_tag(&tag)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Peer;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parts(method: Method, path: &str, peer: &str, forwarded: Option<&str>) -> Parts {
        let mut request = http::Request::builder().method(method).uri(path);
        if let Some(forwarded) = forwarded {
            request = request.header("x-forwarded-for", forwarded);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        parts.extensions.insert(Peer { address: peer.parse().unwrap(), tls: false });
        parts
    }

    fn get(path: &str) -> Parts {
        parts(Method::GET, path, "192.0.2.7:1", None)
    }

    #[test]
    fn referrers_and_health_are_never_limited_and_nothing_that_looks_like_them_is_free() {
        let colon = format!("/v2/a/b/referrers/sha256:{HEX}");
        let encoded = format!("/v2/a/b/referrers/sha256%3A{HEX}");
        let tag = |end: &str| format!("/v2/a/b/manifests/sha256-{HEX}{end}");
        for path in
            ["/health", &colon, &encoded, &tag(""), &tag(".sig"), &tag(".att"), &tag(".sbom")]
        {
            assert!(is_never_limited(&get(path)), "{path}");
        }
        for path in [
            "/v2/",
            "/v2/_catalog",
            "/v2/token",
            "/service/token",
            "/v2/a/b/referrers/x",
            "/v2/a/b/manifests/latest",
            "/health/",
            "//health",
            &format!("/v2/a/b/manifests/sha256:{HEX}"),
            &format!("/v2/a/b/blobs/sha256:{HEX}"),
            &format!("/v2/referrers/sha256:{HEX}"),
            &format!("/api/v2.0/referrers/sha256:{HEX}"),
            &tag(".sig2"),
            &format!("{colon}/"),
        ] {
            assert!(!is_never_limited(&get(path)), "{path}");
        }
        for method in [Method::PUT, Method::DELETE, Method::POST] {
            assert!(!is_never_limited(&parts(method, &tag(".sig"), "192.0.2.7:1", None)));
        }
    }

    #[test]
    fn an_address_is_what_the_connection_or_a_trusted_proxy_says() {
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let front = Front { trusted_proxies: vec![proxy], ..Front::default() };
        let rates = RequestRates::new(1, 0);
        let ask = |peer: &str, forwarded: Option<&str>| {
            rates.take_from(&front, &parts(Method::GET, "/v2/", peer, forwarded))
        };
        // A stranger mints no keys by saying that others ask.
        let refused = (0..200)
            .filter(|n| ask("192.0.2.7:1", Some(&format!("198.51.100.{n}"))).is_err())
            .count();
        assert!((135..=140).contains(&refused), "{refused}");
        assert!(ask("198.51.100.7:1", None).is_ok(), "who was named is not the one who asked");
        // Neither with the addresses of one IPv6 network.
        let refused =
            (0..200).filter(|n| ask(&format!("[2001:db8::{n:x}]:1"), None).is_err()).count();
        assert!((135..=140).contains(&refused), "{refused}");
        assert!(ask("[2001:db8:0:1::1]:1", None).is_ok());
        // A trusted proxy speaks for whom it names, and is not everybody when it names nobody.
        assert!(ask("10.0.0.1:1", Some("192.0.2.7")).is_err());
        assert!(ask("10.0.0.1:1", Some("203.0.113.9")).is_ok());
        assert!((0..200).all(|_| ask("10.0.0.1:1", None).is_ok()));
    }

    #[test]
    fn an_account_is_the_same_from_everywhere_and_zero_is_no_limit() {
        let user = |id| Principal::User {
            id,
            name: format!("user-{id}"),
            sysadmin: false,
            security_officer: false,
        };
        let rates = RequestRates::new(0, 1);
        let asked = get("/v2/a/tags/list");
        let refused: Vec<_> =
            (0..100).filter_map(|_| rates.take_of(&user(1), &asked).err()).collect();
        assert!((38..=40).contains(&refused.len()), "{}", refused.len());
        assert!(refused[0].message().contains("--rate-limit-account"), "{}", refused[0]);
        rates.take_of(&user(2), &asked).unwrap();
        rates.take_of(&user(1), &get(&format!("/v2/a/b/referrers/sha256:{HEX}"))).unwrap();
        let front = Front::default();
        assert!((0..1_000).all(|_| rates.take_from(&front, &asked).is_ok()));
        assert!((0..1_000).all(|_| rates.take_of(&Principal::Anonymous, &asked).is_ok()));
        let off = RequestRates::new(0, 0);
        assert!((0..1_000).all(|_| off.take_of(&user(1), &asked).is_ok()));
    }
}

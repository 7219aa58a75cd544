use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use sealock_oci::Digest;
use std::net::{IpAddr, SocketAddr};

/// Who is at the other end of the connection. The listener puts it into every request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
}

/// The client certificate that the other end of a TLS connection has shown, and proved to hold the
/// key of: SHA-256 of its DER. In the extensions of every request of such a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientCertificate(pub Digest);

/// How clients see this server.
#[derive(Debug, Clone, Default)]
pub struct Front {
    /// The address that clients use, such as `https://registry.example.org`, without a slash at the
    /// end. When it is not set, each request's own `Host` counts.
    pub external_url: Option<String>,
    /// Proxies whose `X-Forwarded-*` headers are believed. From anybody else they are ignored.
    pub trusted_proxies: Vec<IpAddr>,
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Longest host that is repeated in an answer, in bytes.
const MAX_HOST_BYTES: usize = 255;

impl Front {
    /// The client's address: the connection's, or what trusted proxies say about it.
    pub fn client_address(&self, parts: &Parts) -> IpAddr {
        let peer = peer_address(parts);
        if !self.trusts(peer) {
            return peer;
        }
        // The nearest proxy appends, so the list is read from its end up to the first stranger.
        let mut client = peer;
        for value in parts.headers.get_all(FORWARDED_FOR).iter().rev() {
            for part in value.to_str().unwrap_or_default().rsplit(',') {
                let Ok(address) = part.trim().parse::<IpAddr>() else { return client };
                client = address.to_canonical();
                if !self.trusts(client) {
                    return client;
                }
            }
        }
        client
    }

    /// Scheme and host as the client sees them, such as `https://registry.example.org:5000`.
    pub fn base_url(&self, parts: &Parts) -> String {
        if let Some(url) = &self.external_url {
            return url.trim_end_matches('/').to_owned();
        }
        let peer = parts.extensions.get::<Peer>();
        let trusted = peer.is_some_and(|peer| self.trusts(peer.address.ip().to_canonical()));
        let forwarded = |name| if trusted { first_value(&parts.headers, &name) } else { None };
        let https = match forwarded(FORWARDED_PROTO) {
            Some(scheme) => scheme.eq_ignore_ascii_case("https"),
            None => peer.is_some_and(|peer| peer.tls),
        };
        let host = forwarded(FORWARDED_HOST)
            .filter(|host| is_host(host))
            .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
            .or_else(|| first_value(&parts.headers, &header::HOST))
            .filter(|host| is_host(host))
            .unwrap_or("localhost");
        format!("{}://{host}", if https { "https" } else { "http" })
    }

    /// Whether this is a proxy that is believed.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|proxy| proxy.to_canonical() == address)
    }
}

/// The text of the `WWW-Authenticate` header that sends Docker's clients to the token service
/// (distribution's token authentication specification).
pub fn bearer_challenge(
    base_url: &str,
    service: &str,
    scope: Option<&str>,
    error: Option<&str>,
) -> Option<HeaderValue> {
    let mut text = format!("Bearer realm=\"{base_url}/service/token\",service=\"{service}\"");
    for (name, value) in [("scope", scope), ("error", error)] {
        if let Some(value) = value {
            text.push_str(&format!(",{name}=\"{value}\""));
        }
    }
    HeaderValue::from_str(&text).ok()
}

fn peer_address(parts: &Parts) -> IpAddr {
    let peer = parts.extensions.get::<Peer>();
    peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.address.ip().to_canonical())
}

fn first_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.split(',').next().unwrap_or_default().trim())
}

/// What may stand between quotes and in a URL as a host with its port.
fn is_host(text: &str) -> bool {
    (1..=MAX_HOST_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parts(peer: &str, tls: bool, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri("/v2/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        parts.extensions.insert(Peer { address: peer.parse().unwrap(), tls });
        parts
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let front =
            Front { external_url: None, trusted_proxies: vec!["10.0.0.1".parse().unwrap()] };
        let headers = [
            ("host", "registry:5000"),
            ("x-forwarded-for", "6.6.6.6, 192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "registry.example.org"),
        ];
        let proxied = parts("10.0.0.1:9", false, &headers);
        assert_eq!(front.client_address(&proxied), IpAddr::from([192, 0, 2, 7]));
        assert_eq!(front.base_url(&proxied), "https://registry.example.org");
        let direct = parts("10.0.0.2:9", false, &headers);
        assert_eq!(front.client_address(&direct), IpAddr::from([10, 0, 0, 2]));
        assert_eq!(front.base_url(&direct), "http://registry:5000");
        let mapped = parts("[::ffff:10.0.0.1]:9", true, &[("host", "a")]);
        assert_eq!(front.client_address(&mapped), IpAddr::from([10, 0, 0, 1]));
        assert_eq!(front.base_url(&mapped), "https://a");
    }

    #[test]
    fn a_host_cannot_break_out_of_the_challenge() {
        let front = Front::default();
        for bad in ["a\",realm=\"evil", "a/b", "a b", "user@host", ""] {
            let parts = parts("10.0.0.1:9", false, &[("host", bad)]);
            assert_eq!(front.base_url(&parts), "http://localhost", "{bad}");
        }
        let fixed = Front { external_url: Some("https://r.example/".into()), ..Front::default() };
        assert_eq!(
            fixed.base_url(&parts("10.0.0.1:9", false, &[("host", "other")])),
            "https://r.example"
        );
    }

    #[test]
    fn challenge() {
        let text = bearer_challenge("https://r", "sealock", Some("repository:a/b:pull"), None);
        assert_eq!(
            text.unwrap(),
            "Bearer realm=\"https://r/service/token\",service=\"sealock\",scope=\"repository:a/b:pull\""
        );
    }
}

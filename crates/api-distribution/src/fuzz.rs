//! What of a request is read before anybody is asked who sends it, as one entry for fuzzing.

use crate::{
    conditional::{precondition, reading},
    path::{Target, Thing},
    query::Query,
    range::{Wanted, chunk, wanted},
    warning,
};
use http::{HeaderMap, HeaderValue, Method, header};
use sealock_http::{Credentials, Front, Peer, bearer_challenge};
use sealock_oci::Digest;

/// Reads the lines of an input as path, query, `Range`, `Content-Range`, `If-None-Match`,
/// `Authorization`, `Host` and `X-Forwarded-For`, and checks what must hold whatever they say.
#[doc(hidden)]
pub fn fuzz_request(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let path = line();
    if let Ok(target) = Target::parse(path) {
        check_path(path, &target);
    }
    if let Ok(query) = Query::parse(Some(line())) {
        let _ = (query.n(), query.algorithm(), query.tags(), query.one("digest"));
    }
    let size = bytes.len() as u64;
    if let Wanted::Part(range) = wanted(Some(line()), size) {
        assert!(range.start < range.end && range.end <= size, "a part lies within the whole");
    }
    if let Ok(Some(range)) = chunk(Some(line())) {
        assert!(range.start <= range.end, "a chunk has a byte");
    }
    let mut headers = HeaderMap::new();
    for name in [header::IF_NONE_MATCH, header::AUTHORIZATION] {
        if let Ok(value) = HeaderValue::from_str(line()) {
            headers.insert(name, value);
        }
    }
    let digest = Digest::sha256(bytes);
    if matches!(reading(&headers, &digest), Ok(true) | Err(_)) {
        assert!(!precondition(&headers).holds(Some(&digest)), "both read conditions alike");
    }
    let _ = Credentials::read(&headers);
    check_front(line(), line());
    warning::add(&mut headers, [text.as_ref()]);
}

/// Whatever host a client claims, a challenge keeps its form; whatever a proxy forwards, a client
/// has an address.
fn check_front(host: &str, forwarded: &str) {
    let peer = std::net::SocketAddr::from(([10, 0, 0, 1], 1));
    let mut request = http::Request::new(());
    for (name, value) in
        [("host", host), ("x-forwarded-host", host), ("x-forwarded-for", forwarded)]
    {
        if let Ok(value) = HeaderValue::from_str(value) {
            request.headers_mut().insert(name, value);
        }
    }
    request.extensions_mut().insert(Peer { address: peer, tls: false });
    let (parts, ()) = request.into_parts();
    let front = Front { external_url: None, trusted_proxies: vec![peer.ip()] };
    let _ = front.client_address(&parts);
    let base = front.base_url(&parts);
    let challenge = bearer_challenge(&base, "sealock", Some("repository:a/b:pull"), None);
    let challenge = challenge.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(challenge.matches('"').count(), 6, "{challenge}");
}

/// A path that is understood is the only spelling of what it names, but for the colon of a digest
/// and the slash at the end of `uploads/`.
fn check_path(path: &str, target: &Target) {
    let spelled = match target {
        Target::Base => "/v2/".to_owned(),
        Target::Catalog => "/v2/_catalog".to_owned(),
        Target::In(name, thing) => {
            let rest = match thing {
                Thing::Tags => "tags/list".to_owned(),
                Thing::Manifest(reference) => format!("manifests/{reference}"),
                Thing::Blob(digest) => format!("blobs/{digest}"),
                Thing::Uploads => "blobs/uploads/".to_owned(),
                // Ids have several spellings; all name the same upload.
                Thing::Upload(_) => return,
                Thing::Referrers(digest) => format!("referrers/{digest}"),
            };
            format!("/v2/{name}/{rest}")
        }
    };
    let plain = path.replace("%3A", ":").replace("%3a", ":");
    assert!(
        plain == spelled || format!("{plain}/") == spelled,
        "{path:?} was taken for {spelled:?}"
    );
    assert!(target.scope(&Method::GET).is_some() || *target == Target::Base, "a scope for all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_holds() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/request");
        let mut replayed = 0;
        for file in std::fs::read_dir(corpus).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            fuzz_request(&bytes);
            // Every cut of it as well: what a client sends may end anywhere.
            for end in 0..bytes.len() {
                fuzz_request(&bytes[..end]);
            }
            replayed += 1;
        }
        assert!(replayed >= 10, "{replayed}");
    }
}

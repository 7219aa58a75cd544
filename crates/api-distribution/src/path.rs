//! Paths below `/v2/`. Repository names contain slashes, so a path is read from its end, and
//! strictly: one path has one meaning, whatever a proxy or a router in front of us would make of
//! it.

use sealock_http::{HttpError, Result};
use sealock_oci::{Digest, ErrorCode, Reference, RepositoryName};
use uuid::Uuid;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// Something in a repository.
    In(RepositoryName, Thing),
}

/// What a path names in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Thing {
    /// `tags/list`
    Tags,
    /// `manifests/<tag or digest>`
    Manifest(Reference),
    /// `blobs/<digest>`
    Blob(Digest),
    /// `blobs/uploads/`
    Uploads,
    /// `blobs/uploads/<id>`
    Upload(Uuid),
    /// `referrers/<digest>`
    Referrers(Digest),
}

/// Longest path that is read, in bytes: name, a digest and the words between them need less.
const MAX_PATH_BYTES: usize = 1024;

impl Target {
    /// Reads a path as it stands in the request, percent-encoding included.
    pub(crate) fn parse(path: &str) -> Result<Self> {
        let Some(rest) = path.strip_prefix("/v2") else { return Err(nothing(path)) };
        if path.len() > MAX_PATH_BYTES {
            return Err(HttpError::bad_request(
                ErrorCode::NameInvalid,
                format!("a path has at most {MAX_PATH_BYTES} bytes"),
            ));
        }
        let rest = match rest.strip_prefix('/') {
            Some(rest) => rest,
            None if rest.is_empty() => rest,
            None => return Err(nothing(path)),
        };
        match rest {
            "" => return Ok(Self::Base),
            "_catalog" => return Ok(Self::Catalog),
            _ => {}
        }
        let parts: Vec<&str> = rest.split('/').collect();
        let (name, thing) = match parts.as_slice() {
            [name @ .., "blobs", "uploads", ""] | [name @ .., "blobs", "uploads"] => {
                (name, Thing::Uploads)
            }
            [name @ .., "blobs", "uploads", id] => (name, Thing::Upload(upload_id(id)?)),
            [name @ .., "tags", "list"] => (name, Thing::Tags),
            [name @ .., "manifests", reference] => {
                (name, Thing::Manifest(manifest_reference(reference)?))
            }
            [name @ .., "blobs", digest] => (name, Thing::Blob(self::digest(digest)?)),
            [name @ .., "referrers", digest] => (name, Thing::Referrers(self::digest(digest)?)),
            _ => return Err(nothing(path)),
        };
        Ok(Self::In(repository(&name.join("/"))?, thing))
    }

    /// The token scope that a request on this needs (distribution's token scope documentation).
    pub(crate) fn scope(&self, method: &http::Method) -> Option<String> {
        match self {
            Self::Base => None,
            Self::Catalog => Some("registry:catalog:*".to_owned()),
            Self::In(name, _) => {
                let actions = match *method {
                    _ if self.is_upload() => "pull,push",
                    http::Method::GET | http::Method::HEAD => "pull",
                    http::Method::DELETE => "delete",
                    _ => "pull,push",
                };
                Some(format!("repository:{name}:{actions}"))
            }
        }
    }

    /// Whether it belongs to an upload, so that every method on it is part of pushing.
    pub(crate) fn is_upload(&self) -> bool {
        matches!(self, Self::In(_, Thing::Uploads | Thing::Upload(_)))
    }
}

/// A repository name from a path or a query.
pub(crate) fn repository(text: &str) -> Result<RepositoryName> {
    text.parse().map_err(|error: sealock_oci::NameError| {
        HttpError::bad_request(ErrorCode::NameInvalid, error.to_string())
    })
}

/// A digest from a path or a query.
pub(crate) fn digest(text: &str) -> Result<Digest> {
    colons(text).parse().map_err(|error: sealock_oci::DigestError| {
        HttpError::bad_request(ErrorCode::DigestInvalid, error.to_string())
    })
}

fn manifest_reference(text: &str) -> Result<Reference> {
    let text = colons(text);
    if text.contains(':') {
        return digest(&text).map(Reference::Digest);
    }
    // A name that no tag can have is a manifest that is not there.
    text.parse().map(Reference::Tag).map_err(|error: sealock_oci::NameError| {
        HttpError::not_found(ErrorCode::ManifestUnknown, error.to_string())
    })
}

/// An id as locations have it: the other forms of a UUID name nothing.
fn upload_id(text: &str) -> Result<Uuid> {
    let mut buffer = Uuid::encode_buffer();
    let as_given = |id: &Uuid| *id.hyphenated().encode_lower(&mut buffer) == *text;
    Uuid::parse_str(text).ok().filter(as_given).ok_or_else(|| {
        HttpError::not_found(
            ErrorCode::BlobUploadUnknown,
            "there is no such upload; begin a new one",
        )
    })
}

/// Some clients percent-encode the colon of a digest. Nothing else is ever decoded.
fn colons(text: &str) -> String {
    text.replace("%3A", ":").replace("%3a", ":")
}

fn nothing(path: &str) -> HttpError {
    HttpError::not_found(
        ErrorCode::NameUnknown,
        format!("{path} is not a path of the distribution API"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn thing(path: &str) -> (String, Thing) {
        match Target::parse(path) {
            Ok(Target::In(name, thing)) => (name.to_string(), thing),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn what_paths_name() {
        assert_eq!(Target::parse("/v2/").unwrap(), Target::Base);
        assert_eq!(Target::parse("/v2").unwrap(), Target::Base);
        assert_eq!(Target::parse("/v2/_catalog").unwrap(), Target::Catalog);
        assert_eq!(thing("/v2/a/b/tags/list"), ("a/b".into(), Thing::Tags));
        let tag = Reference::Tag("v1".parse().unwrap());
        assert_eq!(thing("/v2/a/b/manifests/v1"), ("a/b".into(), Thing::Manifest(tag)));
        let digest: Digest = format!("sha256:{HEX}").parse().unwrap();
        for colon in [":", "%3A", "%3a"] {
            let of = |word| format!("/v2/a/b/c/{word}/sha256{colon}{HEX}");
            let name = || "a/b/c".to_owned();
            assert_eq!(thing(&of("blobs")), (name(), Thing::Blob(digest)));
            assert_eq!(thing(&of("referrers")), (name(), Thing::Referrers(digest)));
            let reference = Reference::Digest(digest);
            assert_eq!(thing(&of("manifests")), (name(), Thing::Manifest(reference)));
        }
        for path in ["/v2/a/b/blobs/uploads/", "/v2/a/b/blobs/uploads"] {
            assert_eq!(thing(path), ("a/b".into(), Thing::Uploads));
        }
        let id = Uuid::from_u128(7);
        assert_eq!(
            thing(&format!("/v2/a/b/blobs/uploads/{id}")),
            ("a/b".into(), Thing::Upload(id))
        );
    }

    #[test]
    fn names_made_of_the_words_between_are_read_from_the_end() {
        assert_eq!(thing("/v2/blobs/uploads/tags/list"), ("blobs/uploads".into(), Thing::Tags));
        let latest = || Thing::Manifest(Reference::Tag("list".parse().unwrap()));
        assert_eq!(thing("/v2/a/tags/manifests/list"), ("a/tags".into(), latest()));
        assert_eq!(thing("/v2/manifests/manifests/list"), ("manifests".into(), latest()));
    }

    #[test]
    fn nothing_is_normalised() {
        for (path, status) in [
            ("/v2/a//b/tags/list", 400),
            ("/v2//a/tags/list", 400),
            ("/v2//tags/list", 400),
            ("/v2/tags/list", 400),
            ("/v2/a/../b/tags/list", 400),
            ("/v2/a%2fb/tags/list", 400),
            ("/v2/a%2Fb/manifests/v1", 400),
            ("/v2/%61/tags/list", 400),
            ("/v2/A/tags/list", 400),
            ("/v2/a/tags/list/", 404),
            ("/v2/a/manifests/v1/", 404),
            ("/v2/a/manifests/", 404),
            ("/v2/a/manifests/..", 404),
            ("/v2/a/manifests/v%31", 404),
            ("/v2/a/blobs/sha256:abc", 400),
            ("/v2/a/blobs/", 400),
            ("/v2/a/blobs/uploads/x", 404),
            ("/v2/_catalog/", 404),
            ("/v2x", 404),
            ("/v3/", 404),
            ("/v2/a", 404),
        ] {
            assert_eq!(Target::parse(path).expect_err(path).status(), status, "{path}");
        }
        let long = format!("/v2/{}/tags/list", "a/".repeat(600));
        assert_eq!(Target::parse(&long).expect_err("long").status(), 400);
    }

    #[test]
    fn scopes() {
        let target = Target::parse("/v2/a/b/manifests/v1").unwrap();
        let scope = |method| target.scope(&method).unwrap();
        assert_eq!(scope(http::Method::HEAD), "repository:a/b:pull");
        assert_eq!(scope(http::Method::PUT), "repository:a/b:pull,push");
        assert_eq!(scope(http::Method::DELETE), "repository:a/b:delete");
        let upload = Target::parse("/v2/a/b/blobs/uploads/").unwrap();
        for method in [http::Method::GET, http::Method::DELETE, http::Method::POST] {
            assert_eq!(upload.scope(&method).unwrap(), "repository:a/b:pull,push");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(path in "/v2/[a-z0-9/_.%:-]{0,60}") {
            if let Ok(Target::In(name, Thing::Tags)) = Target::parse(&path) {
                prop_assert_eq!(format!("/v2/{name}/tags/list"), path);
            }
        }
    }
}

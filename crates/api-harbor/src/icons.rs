//! The tag icon: small pictures of the types of artifacts, named by their digests.

use crate::face::{Path, bad};
use axum::Json;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use sealock_http::{HttpError, Result};
use serde_json::{Value, json};

struct Icon {
    digest: &'static str,
    png: &'static [u8],
}

/// In the order of [`of`].
const ICONS: [Icon; 8] = [
    Icon {
        digest: "sha256:51dded46dc83f251b48bc8e147f088453affa35565c218b11bea3ea3fd546c71",
        png: include_bytes!("icons/image.png"),
    },
    Icon {
        digest: "sha256:8ded3b1d8057788367ca189d8cb90f6bef193cd2a8393e2f10f8b3556249f028",
        png: include_bytes!("icons/chart.png"),
    },
    Icon {
        digest: "sha256:ce3f8b0ca2ebd272261eccb0f28043a8287e8ef9307d0644cb3b9777ebed66b3",
        png: include_bytes!("icons/cnab.png"),
    },
    Icon {
        digest: "sha256:fcac4b52c3dd3d34675c62c478283ba6164620494e032e98d22a58cf5f04ae26",
        png: include_bytes!("icons/wasm.png"),
    },
    Icon {
        digest: "sha256:7f81bdd8535dce72f83b4b4ca9524d4a95bfeba270f767c56dc107822540d935",
        png: include_bytes!("icons/sbom.png"),
    },
    Icon {
        digest: "sha256:7f9e8b807b03f85a891772d83a8a1f8f436565d68be4e0dac63aaee67a40135b",
        png: include_bytes!("icons/other.png"),
    },
    Icon {
        digest: "sha256:b71f23fbcdc0d8fa90bde32f9e38fabd59a3b725e793b668cec6027402b64a48",
        png: include_bytes!("icons/signature.png"),
    },
    Icon {
        digest: "sha256:e4d13c31e2cf297d105d5f29ad2df62d77314c72f98ecd2db397a6d4ef2de49d",
        png: include_bytes!("icons/accessory.png"),
    },
];

/// The digest of the icon of a type of artifacts or accessories.
pub(crate) fn of(kind: &str) -> &'static str {
    let place = match kind {
        "IMAGE" => 0,
        "CHART" => 1,
        "CNAB" => 2,
        "WASM" => 3,
        "SBOM" | "sbom.harbor" => 4,
        "signature.cosign" | "signature.notation" => 6,
        "subject.accessory" => 7,
        _ => 5,
    };
    ICONS[place].digest
}

/// `GET /icons/{digest}`: for everybody. These are the only ones: what an artifact brings as its
/// icon stays in its repository, for those who may read there.
pub(crate) async fn get(Path(digest): Path<String>) -> Result<Json<Value>> {
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(bad("an icon is named by its digest, sha256:..."));
    }
    let found = ICONS.iter().find(|icon| icon.digest == digest).ok_or_else(|| {
        let message = format!("there is no icon {digest}");
        HttpError::with_code(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    })?;
    Ok(Json(json!({"content-type": "image/png", "content": STANDARD.encode(found.png)})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealock_oci::Digest;

    #[test]
    fn each_icon_is_named_by_its_own_digest() {
        for icon in &ICONS {
            assert_eq!(Digest::sha256(icon.png).to_string(), icon.digest);
            assert!(icon.png.starts_with(b"\x89PNG") && icon.png.len() < 1024);
        }
    }
}

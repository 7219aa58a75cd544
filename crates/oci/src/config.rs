//! The one part of an image configuration that decides anything: what its layers expand to.

use crate::Digest;
use serde::Deserialize;

/// `rootfs.diff_ids` of an image configuration (image-spec, config.md); none when the bytes are no
/// image configuration, or one without any, as cosign's accessories carry.
pub fn read_diff_ids(config: &[u8]) -> Option<Vec<Digest>> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        diff_ids: Vec<Digest>,
    }
    let config: Config = serde_json::from_slice(config).ok()?;
    (!config.rootfs.diff_ids.is_empty()).then_some(config.rootfs.diff_ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_configuration_with_diff_ids_has_any() {
        let digest = Digest::sha256(b"layer");
        let config =
            format!(r#"{{"os":"linux","rootfs":{{"type":"layers","diff_ids":["{digest}"]}}}}"#);
        assert_eq!(read_diff_ids(config.as_bytes()), Some(vec![digest]));
        let twice = config.replace(r#""os":"linux""#, r#""rootfs":{"diff_ids":[]}"#);
        for other in [
            "",
            "{}",
            "[]",
            r#"{"rootfs":{"diff_ids":[]}}"#,
            r#"{"rootfs":{"diff_ids":["sha256:0"]}}"#,
            // Two readers would take different ones.
            &twice,
        ] {
            assert_eq!(read_diff_ids(other.as_bytes()), None, "{other}");
        }
    }
}

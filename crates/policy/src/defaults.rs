use crate::{PolicyDocument, parse};
use sealock_facts::Tier;

const FLOOR: &str = include_str!("../defaults/floor.yaml");

/// The text of the document that ships for a tier, or for the floor where no tier is named.
pub const fn default_text(tier: Option<Tier>) -> &'static str {
    match tier {
        None => FLOOR,
        Some(Tier::External) => include_str!("../defaults/external.yaml"),
        Some(Tier::Sandbox) => include_str!("../defaults/sandbox.yaml"),
        Some(Tier::Integration) => include_str!("../defaults/integration.yaml"),
        Some(Tier::Release) => include_str!("../defaults/release.yaml"),
        Some(Tier::Mirror) => include_str!("../defaults/mirror.yaml"),
    }
}

/// The document that ships for the floor of the system.
#[expect(clippy::expect_used, reason = "a test parses every text that is built in")]
pub fn default_floor() -> PolicyDocument {
    parse(default_text(None)).expect("the built-in floor is valid")
}

/// The document that ships for a tier.
#[expect(clippy::expect_used, reason = "a test parses every text that is built in")]
pub fn default_tier(tier: Tier) -> PolicyDocument {
    parse(default_text(Some(tier))).expect("the built-in tier documents are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid_by_parser_and_schema() {
        let validator = jsonschema::validator_for(&crate::json_schema()).expect("a schema");
        for tier in std::iter::once(None).chain(Tier::ALL.into_iter().map(Some)) {
            let text = default_text(tier);
            let document = parse(text).unwrap_or_else(|error| panic!("{tier:?}: {error}"));
            assert_eq!(document.name, tier.map_or("floor", Tier::as_str));
            let as_written: serde_json::Value =
                serde_saphyr::from_str_with_options(text, crate::parse::options()).expect("yaml");
            let as_read = serde_json::to_value(&document).expect("json");
            for value in [&as_written, &as_read] {
                let errors: Vec<_> = validator.iter_errors(value).map(|e| e.to_string()).collect();
                assert!(errors.is_empty(), "{tier:?}: {errors:?}");
            }
            let again = parse(&as_read.to_string()).expect("JSON is read too");
            assert_eq!(again, document);
        }
    }
}

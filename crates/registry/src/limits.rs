//! Limits of members and robots to some repositories of a project, as callers write them:
//! `team/app-*`, the project's name and a pattern of what follows it.

use crate::{Error, Result};
use sealock_auth::Limit;
use sealock_oci::ErrorCode;

/// What lets everything in.
const EVERYTHING: &str = "**";

/// Reads a limit in a project; none for one that lets everything in.
pub(crate) fn read(project: &str, text: &str) -> Result<Option<Limit>> {
    let within = match text {
        EVERYTHING => EVERYTHING,
        _ => {
            text.strip_prefix(project).and_then(|rest| rest.strip_prefix('/')).ok_or_else(|| {
                bad(format!("a pattern of repositories begins with the project: {project}/app-*"))
            })?
        }
    };
    if within == EVERYTHING {
        return Ok(None);
    }
    Limit::parse(within).map(Some).map_err(|error| bad(error.to_string()))
}

/// A limit as callers write it.
pub(crate) fn written(project: &str, stored: &str) -> Option<String> {
    (!stored.is_empty()).then(|| format!("{project}/{stored}"))
}

fn bad(message: String) -> Error {
    Error::invalid(ErrorCode::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_names_its_project() {
        let limit = read("team", "team/app-*").unwrap().unwrap();
        assert_eq!(limit.as_str(), "app-*");
        assert_eq!(written("team", limit.as_str()).as_deref(), Some("team/app-*"));
        assert!(read("team", "**").unwrap().is_none());
        assert!(read("team", "team/**").unwrap().is_none());
        for bad in ["", "app-*", "other/app-*", "team", "team/", "team/[", "team*/x", "*/x"] {
            assert!(read("team", bad).is_err(), "{bad}");
        }
    }
}

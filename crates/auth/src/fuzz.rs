//! What of this crate is read from strangers, as one entry for fuzzing.

use crate::{
    MAX_SCOPES, Scope, SystemRandomness, TokenKey, Tokens,
    attempts::Attempts,
    name::{check_robot_name, check_user_name, split_robot},
};
use sealock_metadata::SystemClock;
use std::sync::{Arc, OnceLock};

/// Reads the lines of an input as scopes, a name and a token.
#[doc(hidden)]
pub fn fuzz_credentials(bytes: &[u8]) {
    static TOKENS: OnceLock<Option<Tokens>> = OnceLock::new();
    let tokens = TOKENS.get_or_init(|| {
        let key = TokenKey::generate().ok()?;
        let random = Arc::new(SystemRandomness);
        Some(Tokens::new("sealock", &key, &[], Arc::new(SystemClock), random))
    });
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let scopes = Scope::parse_all([line()]);
    assert!(scopes.len() <= MAX_SCOPES);
    for scope in &scopes {
        assert!(scope.actions.iter().all(|action| !action.is_empty() && !action.contains(',')));
    }
    let name = line();
    if check_user_name(name).is_ok() {
        assert!(split_robot(name).is_none(), "{name:?} is a user and a robot");
    }
    if let Some((project, robot)) = split_robot(name) {
        assert!(project.is_none_or(|project| name.contains(project)) && name.ends_with(robot));
        let _ = check_robot_name(robot);
    }
    let key = Attempts::key([127, 0, 0, 1].into(), name);
    assert!(key.1.len() <= 64 && name.starts_with(&key.1));
    if let Some(tokens) = tokens {
        assert!(tokens.verify(line()).is_err(), "a token out of nowhere");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_holds() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/credentials");
        let mut replayed = 0;
        for file in std::fs::read_dir(corpus).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            fuzz_credentials(&bytes);
            for end in 0..bytes.len().min(500) {
                fuzz_credentials(&bytes[..end]);
            }
            replayed += 1;
        }
        assert!(replayed >= 6, "{replayed}");
    }
}

//! A robot's secret, and a robot as somebody who asks.

use crate::{
    AuthError, Grants, Place, Principal, Randomness, SecretString, name::robot_login, secret_hash,
};
use jiff::Timestamp;
use sealock_metadata::robots::Robot;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Signs of a secret that is made at random.
const SECRET_CHARS: usize = 32;
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// How a robot's secret is stored.
///
/// One that was made at random has 190 bits, so a plain SHA-256 keeps it safe: there is nothing to
/// guess, and argon2's cost would only slow every request of a pipeline. One that somebody chose is
/// stored like a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RobotSecret(Stored);

#[derive(Clone, PartialEq, Eq)]
enum Stored {
    Random([u8; 32]),
    Chosen(String),
}

impl std::fmt::Debug for RobotSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RobotSecret(hidden)")
    }
}

impl RobotSecret {
    /// A new secret, and how it is stored: 32 letters and digits, some of each kind.
    pub fn generate(random: &dyn Randomness) -> Result<(SecretString, Self), AuthError> {
        loop {
            let mut text = Zeroizing::new(String::with_capacity(SECRET_CHARS));
            while text.len() < SECRET_CHARS {
                let mut bytes = Zeroizing::new([0_u8; 64]);
                random.fill(&mut *bytes)?;
                // Of what a byte may be, the last part would make some signs more likely.
                let fair = bytes.iter().filter(|byte| usize::from(**byte) < 4 * ALPHABET.len());
                let signs = fair.filter_map(|byte| {
                    ALPHABET.get(usize::from(*byte) % ALPHABET.len()).map(|sign| char::from(*sign))
                });
                let room = SECRET_CHARS - text.len();
                text.extend(signs.take(room));
            }
            let has = |kind: fn(&u8) -> bool| text.bytes().any(|byte| kind(&byte));
            if has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
            {
                let secret = SecretString::new(text.as_str());
                let stored = Self(Stored::Random(secret_hash(&secret)));
                return Ok((secret, stored));
            }
        }
    }

    /// What was chosen, by its hash in PHC form.
    pub(crate) const fn of_chosen(hash: String) -> Self {
        Self(Stored::Chosen(hash))
    }

    pub(crate) fn stored(bytes: &[u8]) -> Self {
        Self(match <[u8; 32]>::try_from(bytes) {
            Ok(hash) => Stored::Random(hash),
            Err(_) => Stored::Chosen(String::from_utf8_lossy(bytes).into_owned()),
        })
    }

    /// The bytes to be stored.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Stored::Random(hash) => hash,
            Stored::Chosen(hash) => hash.as_bytes(),
        }
    }

    /// Whether this is the secret, and was made at random.
    pub(crate) fn is_random(&self, secret: &SecretString) -> bool {
        match &self.0 {
            Stored::Random(hash) => secret_hash(secret).ct_eq(hash).into(),
            Stored::Chosen(_) => false,
        }
    }

    /// The hash of a secret that somebody chose.
    pub(crate) fn chosen(&self) -> Option<&str> {
        match &self.0 {
            Stored::Random(_) => None,
            Stored::Chosen(hash) => Some(hash),
        }
    }
}

/// Whether it may log in.
pub(crate) fn is_open(robot: &Robot, now: Timestamp) -> bool {
    !robot.disabled && robot.expires_at.is_none_or(|end| end > now)
}

/// The robot as somebody who asks. Whatever is stored, one of a project has nothing elsewhere.
pub(crate) fn principal(robot: &Robot) -> Principal {
    let stored = Grants::stored(&robot.grants);
    let grants = match robot.project_id {
        Some(home) => stored.only_in(Place::Project(home)),
        None => stored,
    };
    Principal::Robot {
        id: robot.id,
        name: robot_login(robot.project.as_deref(), &robot.name),
        project_id: robot.project_id,
        grants: Arc::new(grants),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SystemRandomness, check_mixed_password};
    use std::collections::BTreeSet;

    #[test]
    fn secrets_are_long_new_and_of_harbors_form() {
        let make = || RobotSecret::generate(&SystemRandomness).unwrap();
        let (one, stored) = make();
        assert!(stored.is_random(&one) && !stored.is_random(&make().0));
        assert_eq!(RobotSecret::stored(stored.as_bytes()), stored);
        let mut signs = BTreeSet::new();
        for _ in 0..200 {
            let (secret, _) = make();
            assert_eq!(secret.expose().len(), SECRET_CHARS);
            check_mixed_password("", &secret).unwrap();
            signs.extend(secret.expose().bytes());
        }
        assert_eq!(signs.len(), ALPHABET.len(), "each sign may come");
    }

    #[test]
    fn a_stored_hash_is_no_secret() {
        let (secret, stored) = RobotSecret::generate(&SystemRandomness).unwrap();
        let hash = hex::encode(stored.as_bytes());
        assert!(!stored.is_random(&hash.into()) && stored.is_random(&secret));
        let chosen = RobotSecret::of_chosen("$argon2id$x".to_owned());
        assert_eq!(RobotSecret::stored(chosen.as_bytes()).chosen(), Some("$argon2id$x"));
        assert!(!chosen.is_random(&"$argon2id$x".into()));
    }
}

use crate::{
    AuthError, Randomness, SecretString, TOKEN_PREFIX,
    hashing::{Hashers, Memory},
};
use aws_lc_rs::hmac;
use moka::sync::Cache;
use std::{sync::Arc, time::Duration};

/// Shortest password that may be set, in characters.
pub const MIN_PASSWORD_CHARS: usize = 8;
/// Longest password, in bytes; a longer one is wrong without being hashed.
pub const MAX_PASSWORD_BYTES: usize = 256;
/// How long a verified password need not be hashed again: a client sends it with every request.
const REMEMBER: Duration = Duration::from_secs(60);
/// Verified passwords remembered.
const REMEMBERED: u64 = 10_000;

/// Hashes and verifies passwords with argon2id (19 MiB, 2 passes, 1 lane: OWASP's choice).
#[derive(Clone)]
pub(crate) struct Passwords {
    hashers: Hashers,
    /// Keyed hashes of (stored hash, password) that were verified. A changed password has another
    /// stored hash, so it is never found.
    verified: Cache<[u8; 32], ()>,
    key: Arc<hmac::Key>,
    /// What an unknown user's password is compared with, so that the answer takes as long.
    nobody: Arc<str>,
    random: Arc<dyn Randomness>,
}

impl Passwords {
    pub(crate) fn new(random: Arc<dyn Randomness>) -> Result<Self, AuthError> {
        let mut key = [0; 32];
        random.fill(&mut key)?;
        let mut nobody = [0; 16];
        random.fill(&mut nobody)?;
        Ok(Self {
            hashers: Hashers::new(),
            verified: Cache::builder().max_capacity(REMEMBERED).time_to_live(REMEMBER).build(),
            key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key)),
            nobody: Memory::default().hash(&hex::encode(nobody), &*random)?.into(),
            random,
        })
    }

    /// The hash of a password in PHC form.
    pub(crate) async fn hash(&self, password: &SecretString) -> Result<String, AuthError> {
        let (password, random) = (password.clone(), self.random.clone());
        self.hashers.run(move |memory| memory.hash(password.expose(), &*random)).await?
    }

    /// Whether `password` is the one that `stored` was made from. Without a stored hash the same
    /// work is done and the answer is no.
    pub(crate) async fn verify(
        &self,
        stored: Option<&str>,
        password: &SecretString,
    ) -> Result<bool, AuthError> {
        if password.expose().len() > MAX_PASSWORD_BYTES {
            return Ok(false);
        }
        let Some(stored) = stored else {
            self.compare(self.nobody.to_string(), password).await?;
            return Ok(false);
        };
        let mark = self.mark(stored, password);
        if self.verified.contains_key(&mark) {
            return Ok(true);
        }
        let right = self.compare(stored.to_owned(), password).await?;
        if right {
            self.verified.insert(mark, ());
        }
        Ok(right)
    }

    /// Whether this password was verified a moment ago.
    pub(crate) fn is_verified(&self, stored: Option<&str>, password: &SecretString) -> bool {
        stored.is_some_and(|stored| self.verified.contains_key(&self.mark(stored, password)))
    }

    /// A keyed hash of a name and a secret, under which the answer to them can be remembered.
    pub(crate) fn question(&self, name: &str, secret: &SecretString) -> [u8; 32] {
        // Never the mark of a stored hash, which begins with a dollar sign (PHC form).
        self.mark(&format!("name {name}"), secret)
    }

    async fn compare(&self, stored: String, password: &SecretString) -> Result<bool, AuthError> {
        let (password, own) = (password.clone(), self.clone());
        let work = move |memory: &mut Memory| {
            // Of many requests with one password the first does the work, the others find it here.
            if own.verified.contains_key(&own.mark(&stored, &password)) {
                return true;
            }
            memory.is_of(&stored, password.expose())
        };
        self.hashers.run(work).await
    }

    fn mark(&self, stored: &str, password: &SecretString) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&u64::try_from(stored.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(stored.as_bytes());
        context.update(password.expose().as_bytes());
        let mut mark = [0; 32];
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }
}

/// What everybody tries first, of the passwords that are long enough.
const TRIED_FIRST: [&str; 10] = [
    "password",
    "passw0rd",
    "password1",
    "12345678",
    "123456789",
    "1234567890",
    "qwertyui",
    "qwertyuiop",
    "iloveyou",
    "changeme",
];

/// Longest password that Harbor's API sets, in characters.
pub const MAX_MIXED_CHARS: usize = 128;

/// Whether this may be the password of the user `name` by Harbor's rules: 8 to 128 characters, with
/// an upper-case letter, a lower-case letter and a digit, and not the user's own name in whatever
/// case. [`check_new_password`] holds as well.
pub fn check_mixed_password(name: &str, password: &SecretString) -> Result<(), AuthError> {
    check_new_password(password)?;
    let text = password.expose();
    let mixed = text.chars().any(char::is_uppercase)
        && text.chars().any(char::is_lowercase)
        && text.chars().any(|c| c.is_ascii_digit());
    if !mixed || text.chars().count() > MAX_MIXED_CHARS {
        return Err(AuthError::Password(
            "the password must have 8 to 128 characters with at least 1 uppercase letter, 1 \
             lowercase letter and 1 number",
        ));
    }
    if text.eq_ignore_ascii_case(name) {
        return Err(AuthError::Password("the password must not be the user's own name"));
    }
    Ok(())
}

/// Whether this may be set as a password.
pub fn check_new_password(password: &SecretString) -> Result<(), AuthError> {
    let text = password.expose();
    let mut characters = text.chars();
    let first = characters.next();
    if first.is_some() && characters.all(|c| Some(c) == first)
        || TRIED_FIRST.contains(&text.to_ascii_lowercase().as_str())
    {
        return Err(AuthError::Password("a password is nothing that everybody tries first"));
    }
    if text.starts_with(TOKEN_PREFIX) {
        return Err(AuthError::Password("a password does not begin like a personal access token"));
    }
    if text.chars().count() < MIN_PASSWORD_CHARS {
        return Err(AuthError::Password("a password needs at least 8 characters"));
    }
    if text.len() > MAX_PASSWORD_BYTES {
        return Err(AuthError::Password("a password has at most 256 bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRandomness;

    fn passwords() -> Passwords {
        Passwords::new(Arc::new(SystemRandomness)).unwrap()
    }

    #[tokio::test]
    async fn only_the_same_password_verifies() {
        let passwords = passwords();
        let hash = passwords.hash(&"correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(!passwords.verify(Some(&hash), &"correct hors".into()).await.unwrap());
        assert!(passwords.verify(Some(&hash), &"correct horse".into()).await.unwrap());
        assert!(passwords.verify(Some(&hash), &"correct horse".into()).await.unwrap(), "cached");
        assert!(!passwords.verify(Some(&hash), &"correct horsf".into()).await.unwrap());
        let other = passwords.hash(&"another one".into()).await.unwrap();
        assert!(!passwords.verify(Some(&other), &"correct horse".into()).await.unwrap());
        assert!(!passwords.verify(Some("not a hash"), &"correct horse".into()).await.unwrap());
        assert!(!passwords.verify(None, &"correct horse".into()).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_user_costs_as_much_as_a_wrong_password() {
        let passwords = passwords();
        let hash = passwords.hash(&"correct horse".into()).await.unwrap();
        let mut known = Vec::new();
        let mut unknown = Vec::new();
        for _ in 0..5 {
            let start = std::time::Instant::now();
            assert!(!passwords.verify(Some(&hash), &"wrong horse".into()).await.unwrap());
            known.push(start.elapsed());
            let start = std::time::Instant::now();
            assert!(!passwords.verify(None, &"wrong horse".into()).await.unwrap());
            unknown.push(start.elapsed());
        }
        let (known, unknown) = (known.iter().min().unwrap(), unknown.iter().min().unwrap());
        assert!(*unknown * 3 > *known, "{unknown:?} is much less than {known:?}");
    }

    #[tokio::test]
    async fn an_overlong_password_is_wrong_without_work() {
        let passwords = passwords();
        let long = SecretString::new(format!("y{}", "x".repeat(MAX_PASSWORD_BYTES)));
        let hash = passwords.hash(&long).await.unwrap();
        assert!(!passwords.verify(Some(&hash), &long).await.unwrap());
        let longest = SecretString::new(format!("y{}", "x".repeat(MAX_PASSWORD_BYTES - 1)));
        let hash = passwords.hash(&longest).await.unwrap();
        assert!(passwords.verify(Some(&hash), &longest).await.unwrap());
        assert!(check_new_password(&long).is_err() && check_new_password(&longest).is_ok());
        for bad in ["", "7 chars", "aaaaaaaaaa", "Password", "12345678"] {
            assert!(check_new_password(&bad.into()).is_err(), "{bad}");
        }
        assert!(check_new_password(&"8 chars.".into()).is_ok());
    }
}

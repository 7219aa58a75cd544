use crate::TokenError;

/// Why someone is not let in, or an account is not made.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Wrong name or secret, or the account is closed or has ended. Which of these is not told.
    #[error("the user name or password is wrong, or the account is closed")]
    BadCredentials,
    /// Too many log-ins wait for their password to be checked.
    #[error("too many log-ins at once; try again in a few seconds")]
    Busy,
    /// Too many log-ins under this name failed from where the caller is.
    #[error("too many log-ins under this name failed; try again in {seconds} s")]
    TooManyAttempts {
        /// When the next one is looked at, from now.
        seconds: u64,
    },
    /// Too many log-ins failed from where the caller is, whatever the names.
    #[error(
        "too many log-ins from this address failed; try again in {seconds} s (the operator sets \
         the limit with --rate-limit-logins)"
    )]
    TooManyFailures {
        /// When the next one is looked at, from now.
        seconds: u64,
    },
    /// The bearer token does not count.
    #[error("the token is not valid: {0}")]
    Token(#[from] TokenError),
    /// Not a name for a user or robot.
    #[error("{0}")]
    Name(&'static str),
    /// Not a pattern of repositories.
    #[error("{0}")]
    Pattern(String),
    /// Not a password that may be set.
    #[error("{0}")]
    Password(&'static str),
    /// The machine gives no randomness, or a key is damaged.
    #[error("the cryptographic library failed: {0}")]
    Crypto(&'static str),
    /// The database.
    #[error(transparent)]
    Database(#[from] sealock_metadata::Error),
}

//! How a command ends.

use std::fmt;

/// Every exit code and what it means.
pub(crate) const EXIT_CODES: [(u8, &str); 9] = [
    (0, "done"),
    (1, "failed, such as a server that cannot be reached"),
    (2, "wrong usage, or a value that the server does not take"),
    (3, "refused by policy, or findings at or above --fail-on"),
    (4, "not found, or not to be seen by you"),
    (5, "not logged in, or not allowed"),
    (6, "a scan with --fail-on found nothing at or above the threshold, but could not know"),
    (7, "fsck found defects, or with --repair could not repair all"),
    (8, "fsck could not check everything"),
];

/// A failure with its own exit code, so that a pipeline can tell refusals from breakdowns.
#[derive(Debug)]
pub(crate) struct Failure {
    /// See `sealock --help`.
    pub(crate) exit_code: u8,
    message: String,
}

impl Failure {
    /// Refused by policy, or findings at or above the threshold.
    pub(crate) fn refused(message: impl Into<String>) -> anyhow::Error {
        Self { exit_code: 3, message: message.into() }.into()
    }

    /// Wrong usage that the words of the command line alone do not show.
    pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
        Self { exit_code: 2, message: message.into() }.into()
    }

    /// Not logged in, or not allowed.
    pub(crate) fn not_allowed(message: impl Into<String>) -> anyhow::Error {
        Self { exit_code: 5, message: message.into() }.into()
    }

    /// The answer would rest on less than everything.
    pub(crate) fn not_known(message: impl Into<String>) -> anyhow::Error {
        Self { exit_code: 6, message: message.into() }.into()
    }

    /// Defects in a server's data.
    pub(crate) fn defects(message: impl Into<String>) -> anyhow::Error {
        Self { exit_code: 7, message: message.into() }.into()
    }

    /// A server's data could not be checked, or not all of it.
    pub(crate) fn unchecked(message: impl Into<String>) -> anyhow::Error {
        Self { exit_code: 8, message: message.into() }.into()
    }

    /// What was named is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> anyhow::Error {
        Self { exit_code: 4, message: message.into() }.into()
    }

    /// From an HTTP status of the server.
    pub(crate) fn from_status(status: u16, message: String) -> anyhow::Error {
        let exit_code = match status {
            400 | 413 | 422 => 2,
            401 | 403 => 5,
            404 => 4,
            412 => 3,
            _ => 1,
        };
        Self { exit_code, message }.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

//! The options of `sealock serve` that say how much one client may have.

use sealock_auth::FAILURES_PER_MINUTE;
use sealock_http::{
    AccessLog, LOG_LINES_PER_ADDRESS, ListenerLimits, REQUESTS_PER_ACCOUNT, REQUESTS_PER_ADDRESS,
    RequestRates,
};
use std::{net::IpAddr, num::NonZeroU32, time::Duration};

/// Most requests a second that a limit may allow; more is none.
const MOST_PER_SECOND: i64 = 1_000_000;

/// How much one client may have.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Limits {
    /// Requests a second of one address (IPv6: one /64), on average over a minute; 0 for no limit.
    #[arg(
        long,
        env = "SEALOCK_RATE_LIMIT_ADDRESS",
        value_name = "N",
        default_value_t = REQUESTS_PER_ADDRESS,
        value_parser = clap::value_parser!(u32).range(..=MOST_PER_SECOND)
    )]
    rate_limit_address: u32,
    /// Requests a second of one user or robot, on average over a minute; 0 for no limit.
    #[arg(
        long,
        env = "SEALOCK_RATE_LIMIT_ACCOUNT",
        value_name = "N",
        default_value_t = REQUESTS_PER_ACCOUNT,
        value_parser = clap::value_parser!(u32).range(..=MOST_PER_SECOND)
    )]
    rate_limit_account: u32,
    /// Failed log-ins a minute of one address, five times as many at once; 0 for no limit.
    #[arg(
        long,
        env = "SEALOCK_RATE_LIMIT_LOGINS",
        value_name = "N",
        default_value_t = FAILURES_PER_MINUTE
    )]
    rate_limit_logins: u32,
    /// Lines a second in the log about answers to one address (IPv6: one /64), on average over a
    /// minute; the next line says how many had none. 0 for no limit.
    #[arg(
        long,
        env = "SEALOCK_RATE_LIMIT_LOG",
        value_name = "N",
        default_value_t = LOG_LINES_PER_ADDRESS,
        value_parser = clap::value_parser!(u32).range(..=MOST_PER_SECOND)
    )]
    rate_limit_log: u32,
    /// Connections at once; more wait to be accepted.
    #[arg(
        long,
        env = "SEALOCK_MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = ListenerLimits::default().connections as u32,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    max_connections: u32,
    /// Connections at once from one address (IPv6: one /64), trusted proxies apart; more are closed
    /// (default: half of --max-connections).
    #[arg(
        long,
        env = "SEALOCK_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    max_connections_per_address: Option<u32>,
    /// Seconds for which a client that sends a body may pause.
    #[arg(
        long,
        env = "SEALOCK_BODY_IDLE_SECONDS",
        value_name = "SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=86_400)
    )]
    body_idle_seconds: u32,
    /// Bytes a second that a client must send or take, on average over half a minute of waiting for
    /// it; 0 for no limit.
    #[arg(
        long,
        env = "SEALOCK_MIN_TRANSFER_RATE",
        value_name = "BYTES",
        default_value_t = ListenerLimits::default().least_rate
    )]
    min_transfer_rate: u32,
}

impl Limits {
    /// How often one may ask.
    pub(crate) fn rates(&self) -> RequestRates {
        RequestRates::new(self.rate_limit_address, self.rate_limit_account)
    }

    /// Which answers have a line in the log.
    pub(crate) fn access_log(&self) -> AccessLog {
        AccessLog::new(self.rate_limit_log)
    }

    /// Failed log-ins of an address in a minute.
    pub(crate) fn failed_logins(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.rate_limit_logins)
    }

    /// The limits of a listener on which so many connections may be open.
    pub(crate) fn listener(&self, most: usize, trusted_proxies: &[IpAddr]) -> ListenerLimits {
        let connections = (self.max_connections as usize).min(most).max(1);
        let of_one = self.max_connections_per_address.map(|number| number as usize);
        ListenerLimits {
            connections,
            connections_per_address: of_one.unwrap_or(connections.div_ceil(2)),
            trusted_proxies: trusted_proxies.into(),
            body_idle: Duration::from_secs(self.body_idle_seconds.into()),
            least_rate: self.min_transfer_rate,
            ..ListenerLimits::default()
        }
    }

    /// What was asked for, to say so when it cannot be had.
    pub(crate) fn max_connections(&self) -> usize {
        self.max_connections as usize
    }
}

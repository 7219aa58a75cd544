//! Who sends the request that the task at hand works on, for limits that are reached where only its
//! body is known.

use crate::rates::Account;
use sealock_auth::neighbourhood;
use std::{cell::Cell, net::IpAddr};

tokio::task_local! {
    static SENDER: Sender;
}

/// The sender of one request.
struct Sender {
    address: Option<IpAddr>,
    account: Cell<Option<Account>>,
}

/// Somebody who has a share of what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// An address (IPv6: one /64).
    Address(IpAddr),
    /// A user or robot, wherever they send from.
    Account(Account),
}

impl Holder {
    /// As a refusal names it.
    pub(crate) const fn named(self) -> &'static str {
        match self {
            Self::Address(_) => "from this address",
            Self::Account(_) => "of this account",
        }
    }
}

/// Does the work of a request that comes from this address; `None` where a trusted proxy does not
/// say whom it asks for, and would be everybody.
pub(crate) async fn sent_from<F: Future>(address: Option<IpAddr>, work: F) -> F::Output {
    let sender = Sender { address: address.map(neighbourhood), account: Cell::new(None) };
    SENDER.scope(sender, work).await
}

/// The sender turned out to have an account.
pub(crate) fn is_of(account: Account) {
    // Outside a request there is nobody to tell.
    let _nobody = SENDER.try_with(|sender| sender.account.set(Some(account)));
}

/// Whose shares a body counts to, as far as it is known by now.
pub(crate) fn holders() -> Vec<Holder> {
    let known = SENDER.try_with(|sender| {
        let account = sender.account.get().map(Holder::Account);
        sender.address.map(Holder::Address).into_iter().chain(account).collect()
    });
    known.unwrap_or_default()
}

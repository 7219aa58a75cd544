//! Connections of each address, so that one client does not take the places of all.

use sealock_auth::neighbourhood;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Who is connected, and how often. Holds one number for each address that is.
#[derive(Debug)]
pub(crate) struct Crowd {
    of_one: usize,
    /// These speak for many.
    trusted: Arc<[IpAddr]>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection of the crowd, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Crowd {
    pub(crate) fn new(of_one: usize, trusted: Arc<[IpAddr]>) -> Arc<Self> {
        Arc::new(Self { of_one, trusted, open: Mutex::default() })
    }

    /// A place for one more connection of an address; none when it has its share.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let trusted = self.trusted.iter().any(|proxy| proxy.to_canonical() == address);
        let address = neighbourhood(address);
        let mut open = self.lock();
        let count = open.entry(address).or_default();
        if *count >= self.of_one && !trusted {
            return None;
        }
        *count += 1;
        Some(Place { crowd: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gives_it_back() {
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let crowd = Crowd::new(2, vec![proxy].into());
        let enter = |text: &str| crowd.enter(text.parse().unwrap());
        let first = enter("192.0.2.7").unwrap();
        let _second = enter("::ffff:192.0.2.7").unwrap();
        assert!(enter("192.0.2.7").is_none());
        let _other = enter("192.0.2.8").unwrap();
        drop(first);
        assert!(enter("192.0.2.7").is_some());
        let network: Vec<_> = (0..9).filter_map(|n| enter(&format!("2001:db8::{n}"))).collect();
        assert_eq!(network.len(), 2);
        let proxied: Vec<_> = (0..9).filter_map(|_| enter("10.0.0.1")).collect();
        assert_eq!(proxied.len(), 9);
        drop((network, proxied));
        assert_eq!(crowd.lock().len(), 2, "nothing is kept of who is gone");
    }
}

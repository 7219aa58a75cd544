//! Whom clients of a listener are to trust.

use std::sync::{Arc, PoisonError, RwLock};

/// PEM of the authorities that vouch for a listener's certificate, as they are now: certificates
/// are renewed while the server runs. Clones share it.
#[derive(Debug, Clone)]
pub struct Authorities(Arc<RwLock<Arc<str>>>);

impl Authorities {
    /// These.
    pub fn new(pem: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(RwLock::new(pem.into())))
    }

    /// Those of now.
    pub fn pem(&self) -> Arc<str> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Others, from now on.
    pub fn set(&self, pem: impl Into<Arc<str>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pem.into();
    }
}

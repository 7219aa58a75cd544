//! Certificates that are renewed while the server runs.
//!
//! Whoever renews them writes two files, one after the other, or changes a link. So they are read
//! now and then, and at once upon SIGHUP; what does not fit together, or is no certificate, changes
//! nothing: the one before goes on. Connections that are open are left alone.

use super::tls::provider;
use anyhow::{Context, Result};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// How often the files are looked at.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(30);

/// A certificate chain and its key, PEM, as they stand in files.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) chain: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Pair {
    pub(super) fn read(chain: &Path, key: &Path) -> Result<Self> {
        Ok(Self { chain: crate::files::read(chain)?, key: crate::files::read(key)? })
    }

    /// What a listener shows. Fails unless both are what they should be and fit together.
    pub(super) fn certified(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>> {
        let chain = CertificateDer::pem_slice_iter(&self.chain)
            .collect::<Result<Vec<_>, _>>()
            .context("the certificate chain is not PEM")?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).context("the private key is not PEM")?;
        let certified = CertifiedKey::from_der(chain, key, provider);
        Ok(Arc::new(certified.context("the certificate and the key do not fit each other")?))
    }
}

/// The certificate that a listener shows now.
#[derive(Debug)]
pub(super) struct Held(RwLock<Arc<CertifiedKey>>);

impl Held {
    pub(super) fn new(certified: Arc<CertifiedKey>) -> Self {
        Self(RwLock::new(certified))
    }

    fn set(&self, certified: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
    }
}

impl ResolvesServerCert for Held {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// The files of a certificate, and where a renewed one goes.
pub(crate) struct Renewal {
    chain: PathBuf,
    key: PathBuf,
    /// What was read last, whether it could be used or not.
    seen: Pair,
    held: Arc<Held>,
    /// Why the files could not be read the last time; said once.
    unreadable: Option<String>,
}

impl Renewal {
    pub(super) fn of(chain: &Path, key: &Path, seen: Pair, held: Arc<Held>) -> Self {
        Self { chain: chain.to_owned(), key: key.to_owned(), seen, held, unreadable: None }
    }

    /// Takes up what stands in the files now; false when it is what was seen before. An error is
    /// told once for each thing that is wrong.
    fn look(&mut self) -> Result<bool> {
        let now = match Pair::read(&self.chain, &self.key) {
            Ok(now) => now,
            Err(error) => {
                let text = format!("{error:#}");
                let told = self.unreadable.replace(text.clone()) == Some(text);
                return if told { Ok(false) } else { Err(error) };
            }
        };
        self.unreadable = None;
        if now == self.seen {
            return Ok(false);
        }
        let certified = now.certified(&provider());
        self.seen = now;
        self.held.set(certified?);
        Ok(true)
    }

    fn look_and_tell(&mut self) {
        let (chain, key) = (self.chain.display().to_string(), self.key.display().to_string());
        match self.look() {
            Ok(true) => tracing::info!(%chain, "the renewed certificate is shown from now on"),
            Ok(false) => {}
            Err(error) => tracing::error!(
                %chain, %key, error = format!("{error:#}"),
                "the certificate was changed and cannot be used; the one before is shown on"
            ),
        }
    }
}

/// Looks after certificates for as long as the server runs.
pub(crate) async fn look_after(mut all: Vec<Renewal>) {
    if all.is_empty() {
        return std::future::pending().await;
    }
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        tracing::error!("SIGHUP cannot be heard; a renewed certificate waits for a restart");
        return std::future::pending().await;
    };
    let mut tick = tokio::time::interval(LOOKED_AT_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = hangup.recv() => {}
        }
        let looked = tokio::task::spawn_blocking(move || {
            all.iter_mut().for_each(Renewal::look_and_tell);
            all
        });
        match looked.await {
            Ok(again) => all = again,
            Err(error) => {
                tracing::error!(%error, "certificates are not looked after any more");
                return std::future::pending().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    /// A certificate that nobody signed, and its key.
    fn pair() -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["registry.example.com".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Pair { chain: certificate.pem().into(), key: key.serialize_pem().into() }
    }

    fn shown(renewal: &Renewal) -> Vec<u8> {
        let held = renewal.held.0.read().unwrap();
        held.end_entity_cert().unwrap().to_vec()
    }

    fn leaf(pair: &Pair) -> Vec<u8> {
        CertificateDer::from_pem_slice(&pair.chain).unwrap().to_vec()
    }

    #[test]
    fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        let write = |pair: &Pair| {
            std::fs::write(&chain, &pair.chain).unwrap();
            std::fs::write(&key, &pair.key).unwrap();
        };
        let (first, second) = (pair(), pair());
        write(&first);
        let held = Arc::new(Held::new(first.certified(&provider()).unwrap()));
        let mut renewal = Renewal::of(&chain, &key, first.clone(), held);
        assert!(!renewal.look().unwrap(), "nothing changed");
        // Each wrong state is told once, and changes nothing.
        let half = Pair { key: first.key.clone(), chain: second.chain.clone() };
        let cut = Pair { chain: second.chain[..100].to_vec(), key: second.key.clone() };
        let empty = Pair { chain: Vec::new(), key: second.key.clone() };
        let no_key = Pair { chain: second.chain.clone(), key: second.chain.clone() };
        for wrong in [half, cut, empty, no_key] {
            write(&wrong);
            assert!(renewal.look().is_err());
            assert!(!renewal.look().unwrap());
            assert_eq!(shown(&renewal), leaf(&first));
        }
        std::fs::remove_file(&chain).unwrap();
        assert!(renewal.look().is_err());
        assert!(!renewal.look().unwrap());
        assert_eq!(shown(&renewal), leaf(&first));
        write(&second);
        assert!(renewal.look().unwrap());
        assert_eq!(shown(&renewal), leaf(&second));
        assert!(!renewal.look().unwrap());
        // And back, as after a renewal that was a mistake.
        write(&first);
        assert!(renewal.look().unwrap());
        assert_eq!(shown(&renewal), leaf(&first));
    }
}

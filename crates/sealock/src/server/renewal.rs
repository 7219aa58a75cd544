//! Certificates that are renewed while the server runs.
//!
//! Whoever renews them writes two files, one after the other, or changes a link. So they are read
//! now and then, and at once upon SIGHUP; what does not fit together, or is no certificate, changes
//! nothing: the one before goes on. Connections that are open are left alone. Who vouches for the
//! certificate is read with it.

use super::tls::provider;
use anyhow::{Context, Result};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sealock_http::Authorities;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// How often the files are looked at.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(30);

/// A certificate chain, its key and who vouches for it, PEM, as they stand in files.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) chain: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) ca: Vec<u8>,
}

/// Where they stand.
pub(super) struct Files {
    chain: PathBuf,
    key: PathBuf,
    /// None where clients are to trust the chain itself.
    ca: Option<PathBuf>,
}

impl Files {
    pub(super) fn of(chain: &Path, key: &Path, ca: Option<&Path>) -> Self {
        Self { chain: chain.to_owned(), key: key.to_owned(), ca: ca.map(Path::to_owned) }
    }

    pub(super) fn read(&self) -> Result<Pair> {
        let (chain, key) = (crate::files::read(&self.chain)?, crate::files::read(&self.key)?);
        let ca = match &self.ca {
            Some(ca) => crate::files::read(ca)?,
            None => chain.clone(),
        };
        Ok(Pair { chain, key, ca })
    }
}

impl Pair {
    /// What clients are to trust.
    pub(super) fn authorities(&self) -> Result<String> {
        let wrong = "the authority's certificate is not PEM";
        let mut found = CertificateDer::pem_slice_iter(&self.ca);
        found.next().context(wrong)?.context(wrong)?;
        String::from_utf8(self.ca.clone()).context(wrong)
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
    files: Files,
    /// What was read last, whether it could be used or not.
    seen: Pair,
    held: Arc<Held>,
    authorities: Authorities,
    /// Why the files could not be read the last time; said once.
    unreadable: Option<String>,
}

impl Renewal {
    pub(super) fn of(files: Files, seen: Pair, held: Arc<Held>, authorities: Authorities) -> Self {
        Self { files, seen, held, authorities, unreadable: None }
    }

    /// Takes up what stands in the files now; false when it is what was seen before. An error is
    /// told once for each thing that is wrong.
    fn look(&mut self) -> Result<bool> {
        let now = match self.files.read() {
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
        let (certified, authorities) = (now.certified(&provider()), now.authorities());
        self.seen = now;
        let (certified, authorities) = (certified?, authorities?);
        self.held.set(certified);
        self.authorities.set(authorities);
        Ok(true)
    }

    fn look_and_tell(&mut self) {
        let Files { chain, key, .. } = &self.files;
        let (chain, key) = (chain.display().to_string(), key.display().to_string());
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
        let (chain, key): (Vec<u8>, _) = (certificate.pem().into(), key.serialize_pem().into());
        Pair { ca: chain.clone(), chain, key }
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
        let authorities = Authorities::new(first.authorities().unwrap());
        let files = Files::of(&chain, &key, None);
        let mut renewal = Renewal::of(files, first.clone(), held, authorities.clone());
        assert!(!renewal.look().unwrap(), "nothing changed");
        // Each wrong state is told once, and changes nothing.
        let half = Pair { key: first.key.clone(), ..second.clone() };
        let cut = Pair { chain: second.chain[..100].to_vec(), ..second.clone() };
        let empty = Pair { chain: Vec::new(), ..second.clone() };
        let no_key = Pair { key: second.chain.clone(), ..second.clone() };
        for wrong in [half, cut, empty, no_key] {
            write(&wrong);
            assert!(renewal.look().is_err());
            assert!(!renewal.look().unwrap());
            assert_eq!(shown(&renewal), leaf(&first));
            assert_eq!(authorities.pem().as_bytes(), first.chain);
        }
        std::fs::remove_file(&chain).unwrap();
        assert!(renewal.look().is_err());
        assert!(!renewal.look().unwrap());
        assert_eq!(shown(&renewal), leaf(&first));
        write(&second);
        assert!(renewal.look().unwrap());
        assert_eq!(shown(&renewal), leaf(&second));
        assert_eq!(authorities.pem().as_bytes(), second.chain);
        assert!(!renewal.look().unwrap());
        // And back, as after a renewal that was a mistake.
        write(&first);
        assert!(renewal.look().unwrap());
        assert_eq!(shown(&renewal), leaf(&first));
    }

    #[test]
    fn who_vouches_is_read_from_a_file_of_its_own_where_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (chain, key, ca) = (path("chain.pem"), path("key.pem"), path("ca.pem"));
        let (first, second) = (pair(), pair());
        std::fs::write(&chain, &first.chain).unwrap();
        std::fs::write(&key, &first.key).unwrap();
        std::fs::write(&ca, &second.chain).unwrap();
        let files = Files::of(&chain, &key, Some(&ca));
        let seen = files.read().unwrap();
        let held = Arc::new(Held::new(seen.certified(&provider()).unwrap()));
        let authorities = Authorities::new(seen.authorities().unwrap());
        assert_eq!(authorities.pem().as_bytes(), second.chain);
        let mut renewal = Renewal::of(files, seen, held, authorities.clone());
        for wrong in [&second.chain[..100], b"", &second.key] {
            std::fs::write(&ca, wrong).unwrap();
            assert!(renewal.look().is_err());
            assert_eq!(authorities.pem().as_bytes(), second.chain);
        }
        std::fs::write(&ca, &first.chain).unwrap();
        assert!(renewal.look().unwrap());
        assert_eq!(authorities.pem().as_bytes(), first.chain);
    }
}

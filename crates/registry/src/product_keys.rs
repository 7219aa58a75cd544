//! The product's own keys: made on the first start, sealed under the master key (decision D17).

use crate::{Error, Result};
use sealock_metadata::{self as metadata, Database, Tx, product_keys::ProductKey};
use sealock_signing::{MasterKey, PublicKey, SigningKey};

/// What a key is for. A key of one purpose never signs for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Evidence,
    Token,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Token => "token",
        }
    }
}

/// What the product's keys are for, as their rows say.
pub const KEY_PURPOSES: [&str; 2] = [Purpose::Evidence.word(), Purpose::Token.word()];

/// Whether a stored key opens with a master key and is one; why not, in words.
pub fn key_opens(master: &MasterKey, row: &ProductKey) -> Result<(), String> {
    let der = master.unseal(&format!("{}/{}", row.purpose, row.id), &row.sealed);
    let der = der.map_err(|error| error.to_string())?;
    SigningKey::from_pkcs8(&der).map(|_| ()).map_err(|error| error.to_string())
}

/// The product's own keys.
#[derive(Debug)]
pub struct ProductKeys {
    evidence: SigningKey,
    token: SigningKey,
}

impl ProductKeys {
    /// Loads the keys; makes those that do not exist. Replicas that start together agree on the
    /// first that is stored.
    pub(crate) async fn load(database: &Database, master: &MasterKey) -> Result<Self> {
        Ok(Self {
            evidence: load(database, master, Purpose::Evidence).await?,
            token: load(database, master, Purpose::Token).await?,
        })
    }

    /// Signs verification summaries.
    pub(crate) fn evidence(&self) -> &SigningKey {
        &self.evidence
    }

    /// The public key with which verification summaries verify.
    pub fn evidence_public(&self) -> &PublicKey {
        self.evidence.public_key()
    }

    /// Signs the tokens of the registry's token service.
    pub fn token(&self) -> &SigningKey {
        &self.token
    }
}

async fn load(database: &Database, master: &MasterKey, purpose: Purpose) -> Result<SigningKey> {
    let mut tx = database.read().await?;
    if let Some(key) = current(&mut tx, master, purpose).await? {
        return Ok(key);
    }
    drop(tx);
    let key = SigningKey::generate().map_err(Error::internal)?;
    let id = key.public_key().id().clone();
    let sealed = master.seal(&label(purpose, &id), &key.to_pkcs8()).map_err(Error::internal)?;
    let mut tx = database.write().await?;
    let pem = key.public_key().to_pem();
    // Another replica may have stored one meanwhile; then that one counts.
    let row =
        metadata::product_keys::ensure(&mut tx, &id, purpose.word(), &sealed, Some(&pem)).await?;
    tx.commit().await?;
    unseal(master, purpose, &row)
}

async fn current(tx: &mut Tx, master: &MasterKey, purpose: Purpose) -> Result<Option<SigningKey>> {
    match metadata::product_keys::current(tx, purpose.word()).await? {
        Some(row) => unseal(master, purpose, &row).map(Some),
        None => Ok(None),
    }
}

fn unseal(master: &MasterKey, purpose: Purpose, row: &ProductKey) -> Result<SigningKey> {
    let der = master.unseal(&label(purpose, &row.id), &row.sealed).map_err(|error| {
        Error::internal(format!(
            "the {} key {} cannot be opened: {error}. Start with the master key under which it \
             was sealed",
            purpose.word(),
            row.id
        ))
    })?;
    SigningKey::from_pkcs8(&der).map_err(Error::internal)
}

/// What a sealed key opens with: its purpose and id, so that rows cannot be swapped.
fn label(purpose: Purpose, id: &str) -> String {
    format!("{}/{id}", purpose.word())
}

use crate::{Access, AuthError, Principal, Randomness};
use aws_lc_rs::{
    encoding::AsDer as _,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moka::sync::Cache;
use sealock_metadata::Clock;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, sync::Arc};
use zeroize::Zeroizing;

/// How long a token counts where nothing else is said.
pub const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(30);
/// How far the clocks of two replicas may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(5);
/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 32 * 1024;
/// How much of verified tokens is remembered, in bytes of the tokens.
const REMEMBERED_BYTES: u64 = 8 * 1024 * 1024;

/// Why a token does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of ours: its form, algorithm, key, issuer, audience or signature.
    #[error("it was not issued by this registry")]
    Invalid,
    /// Its time has run out.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    NotYet,
    /// The account is closed, has ended or has another secret since.
    #[error("the account behind it was closed or has a new secret")]
    Revoked,
}

/// A key that signs tokens: ECDSA P-256.
pub struct TokenKey {
    id: String,
    pkcs8: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl TokenKey {
    /// A new key.
    pub fn generate() -> Result<Self, AuthError> {
        const FAILED: AuthError = AuthError::Crypto("a token key cannot be made");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| FAILED)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| FAILED)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// A stored key, PKCS #8 DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, AuthError> {
        const DAMAGED: AuthError = AuthError::Crypto("the token key is damaged");
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| DAMAGED)?;
        let spki = pair.public_key().as_der().map_err(|_| DAMAGED)?;
        Ok(Self {
            id: hex::encode(&Sha256::digest(spki.as_ref())[..16]),
            pkcs8: Zeroizing::new(der.to_vec()),
            public: pair.public_key().as_ref().to_vec(),
        })
    }

    /// The `kid` of its tokens: the first half of the SHA-256 of its SubjectPublicKeyInfo, hex.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// PKCS #8 DER, to be sealed and stored.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
}

/// Ties a token to the secret it was given for: a hash of the stored hash. A new secret ends it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Mark(String);

impl Mark {
    pub(crate) fn of(stored_hash: &[u8]) -> Self {
        Self(hex::encode(&Sha256::digest(stored_hash)[..8]))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whose token it is, by number: names change hands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Holder {
    Anonymous,
    User { id: i64, mark: Mark },
    Personal { id: i64, user_id: i64, mark: Mark },
    Robot { id: i64, project_id: Option<i64>, mark: Mark },
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    nbf: i64,
    iat: i64,
    jti: String,
    access: Vec<Access>,
    holder: Holder,
}

/// A token as the client gets it (Docker's token specification, "Token Response").
#[derive(Clone)]
pub struct IssuedToken {
    /// The token.
    pub token: crate::SecretString,
    /// Lifetime.
    pub expires_in: SignedDuration,
    /// When it was made.
    pub issued_at: Timestamp,
    /// What it grants.
    pub access: Vec<Access>,
}

/// What a token with a good signature says.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) holder: Holder,
    pub(crate) access: Arc<[Access]>,
    exp: i64,
    nbf: i64,
    bytes: u32,
}

/// Issues and verifies the bearer tokens of Docker's token flow.
pub struct Tokens {
    service: String,
    current: (String, EncodingKey),
    keys: BTreeMap<String, DecodingKey>,
    /// What tokens with a good signature say, by SHA-256 of the token. Signature and words of a
    /// token never change; its times are compared at each use.
    verified: Cache<[u8; 32], Arc<Signed>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
}

impl Tokens {
    /// Signs with `current`; tokens of `former` keys count until they expire. `service` is issuer
    /// and audience.
    pub fn new(
        service: impl Into<String>,
        current: &TokenKey,
        former: &[TokenKey],
        clock: Arc<dyn Clock>,
        random: Arc<dyn Randomness>,
    ) -> Self {
        let keys = former.iter().chain([current]);
        Self {
            service: service.into(),
            current: (current.id.clone(), EncodingKey::from_ec_der(&current.pkcs8)),
            keys: keys.map(|k| (k.id.clone(), DecodingKey::from_ec_der(&k.public))).collect(),
            verified: Cache::builder()
                .max_capacity(REMEMBERED_BYTES)
                .weigher(|_: &[u8; 32], signed: &Arc<Signed>| signed.bytes)
                .build(),
            clock,
            random,
        }
    }

    /// The service's name, as the challenge states it.
    pub fn service(&self) -> &str {
        &self.service
    }

    pub(crate) fn issue(
        &self,
        principal: &Principal,
        holder: Holder,
        access: Vec<Access>,
        lifetime: SignedDuration,
    ) -> Result<IssuedToken, AuthError> {
        let now = self.clock.now();
        let mut jti = [0; 16];
        self.random.fill(&mut jti)?;
        let claims = Claims {
            iss: self.service.clone(),
            sub: principal.to_string(),
            aud: self.service.clone(),
            exp: now.as_second().saturating_add(lifetime.as_secs()),
            nbf: now.as_second(),
            iat: now.as_second(),
            jti: hex::encode(jti),
            access,
            holder,
        };
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.current.0.clone());
        let token = jsonwebtoken::encode(&header, &claims, &self.current.1)
            .map_err(|_| AuthError::Crypto("the token cannot be signed"))?;
        Ok(IssuedToken {
            token: token.into(),
            expires_in: lifetime,
            issued_at: now,
            access: claims.access,
        })
    }

    pub(crate) fn verify(&self, token: &str) -> Result<Arc<Signed>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let signed = match self.verified.get(&key) {
            Some(signed) => signed,
            None => {
                let signed = Arc::new(self.verify_signature(token)?);
                self.verified.insert(key, signed.clone());
                signed
            }
        };
        let now = self.clock.now().as_second();
        if signed.exp <= now {
            return Err(TokenError::Expired);
        }
        if signed.nbf > now.saturating_add(SKEW.as_secs()) {
            return Err(TokenError::NotYet);
        }
        Ok(signed)
    }

    fn verify_signature(&self, token: &str) -> Result<Signed, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let key = header.kid.and_then(|kid| self.keys.get(&kid)).ok_or(TokenError::Invalid)?;
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_issuer(&[&self.service]);
        rules.set_audience(&[&self.service]);
        rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // The library asks the machine's clock; ours is a seam, so times are compared by `verify`.
        rules.validate_exp = false;
        rules.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &rules)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        Ok(Signed {
            holder: claims.holder,
            access: claims.access.into(),
            exp: claims.exp,
            nbf: claims.nbf,
            bytes: u32::try_from(token.len()).unwrap_or(u32::MAX),
        })
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("service", &self.service).finish_non_exhaustive()
    }
}

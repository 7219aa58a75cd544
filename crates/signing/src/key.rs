use crate::message::{Hash, Message};
use aws_lc_rs::{
    encoding::AsDer,
    rsa,
    signature::{self, ParsedPublicKey, VerificationAlgorithm},
};
use sealock_facts::KeyId;
use sealock_oci::Digest;
use std::{fmt, str::FromStr, sync::Arc};

/// Longest PEM text accepted, in bytes (an RSA key of 8192 bits needs 1.5 KB).
const MAX_PEM_BYTES: usize = 16 * 1024;
/// Smallest and largest RSA modulus, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The kind of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    /// ECDSA over NIST P-256.
    EcdsaP256,
    /// ECDSA over NIST P-384.
    EcdsaP384,
    /// ECDSA over NIST P-521.
    EcdsaP521,
    /// Ed25519 (RFC 8032, the pure form).
    Ed25519,
    /// RSA with PKCS #1 v1.5 padding.
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EcdsaP256 => f.write_str("ECDSA P-256"),
            Self::EcdsaP384 => f.write_str("ECDSA P-384"),
            Self::EcdsaP521 => f.write_str("ECDSA P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
        }
    }
}

/// Why a text is not a public key that this registry accepts. The texts are for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not one PEM block.
    #[error("the key must be one PEM block that begins with -----BEGIN PUBLIC KEY-----")]
    Pem,
    /// Longer than a key can be.
    #[error("the key has more than {MAX_PEM_BYTES} bytes")]
    TooLong,
    /// A private key was sent where a public key belongs.
    #[error(
        "this is a private key: never upload it, and replace it if it left your machine; \
         `cosign public-key --key KEY` prints the public part"
    )]
    Private,
    /// A PEM block of another kind.
    #[error(
        "a PEM block {0:?} is not accepted; a PUBLIC KEY (SubjectPublicKeyInfo) is needed, \
         `openssl pkey -pubin -pubout` or `openssl x509 -pubkey -noout` makes one"
    )]
    Label(String),
    /// The DER is damaged, not canonical, or of an algorithm that is not accepted.
    #[error(
        "the key is damaged or of a kind that is not accepted; \
         use ECDSA P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 8192 bits"
    )]
    Unsupported,
}

/// A public key that can verify. Never made from what an accessory carries.
#[derive(Clone)]
pub struct PublicKey {
    id: KeyId,
    algorithm: KeyAlgorithm,
    spki: Arc<[u8]>,
    schemes: Arc<[Scheme]>,
}

/// One way in which a key signs: the hash, and the key as the library wants it for that.
struct Scheme {
    /// None: the message itself is signed.
    hash: Option<Hash>,
    key: ParsedPublicKey,
    legacy: bool,
}

/// How a digest is made before a signature is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Convention {
    /// Cosign's legacy payloads: SHA-256 under every EC and RSA key.
    Legacy,
    /// DSSE and Sigstore bundles: the hash that fits the curve, then SHA-256, which cosign 2 wrote
    /// with every curve; Ed25519 pure, then prehashed, which cosign 3 writes.
    Bundle,
}

/// DER of SubjectPublicKeyInfo up to the key bits, which makes the encoding of each key unique.
const P256_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
const P384_PREFIX: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04,
];
const P521_PREFIX: &[u8] = &[
    0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05,
    0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00, 0x04,
];
const ED25519_PREFIX: &[u8] =
    &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PublicKey {
    /// Reads one PEM block `PUBLIC KEY` (RFC 7468 section 13).
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_PEM_BYTES {
            return Err(KeyError::TooLong);
        }
        let blocks = pem::parse_many(text).map_err(|_| KeyError::Pem)?;
        if blocks.iter().any(|block| block.tag().contains("PRIVATE")) {
            return Err(KeyError::Private);
        }
        match blocks.as_slice() {
            [block] if block.tag() == "PUBLIC KEY" => Self::from_spki(block.contents()),
            [block] => Err(KeyError::Label(block.tag().chars().take(64).collect())),
            _ => Err(KeyError::Pem),
        }
    }

    /// Reads DER SubjectPublicKeyInfo. Only the one canonical encoding of a key is accepted
    /// (uncompressed points, no trailing bytes), so that a key has one id.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let curves = [
            (KeyAlgorithm::EcdsaP256, P256_PREFIX, 64),
            (KeyAlgorithm::EcdsaP384, P384_PREFIX, 96),
            (KeyAlgorithm::EcdsaP521, P521_PREFIX, 132),
            (KeyAlgorithm::Ed25519, ED25519_PREFIX, 32),
        ];
        let fixed = curves.iter().find(|(_, prefix, length)| {
            spki.strip_prefix(*prefix).is_some_and(|rest| rest.len() == *length)
        });
        let algorithm = match fixed {
            Some((algorithm, ..)) => *algorithm,
            None => KeyAlgorithm::Rsa { bits: rsa_bits(spki).ok_or(KeyError::Unsupported)? },
        };
        // A point of small order accepts signatures over anything.
        if algorithm == KeyAlgorithm::Ed25519 && ed25519(spki).is_none_or(|point| point.is_weak()) {
            return Err(KeyError::Unsupported);
        }
        Ok(Self {
            id: Digest::sha256(spki).hex(),
            algorithm,
            spki: spki.into(),
            schemes: schemes(algorithm, spki)?,
        })
    }

    /// The key's id.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Its kind.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// PEM, with a newline at the end.
    pub fn to_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new("PUBLIC KEY", self.spki.to_vec()), config)
    }

    /// The hint by which cosign's bundles name a key: base64 of SHA-256 of the SPKI.
    pub fn hint(&self) -> String {
        crate::dsse::encode(Digest::sha256(&self.spki).as_bytes())
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verifies(
        &self,
        convention: Convention,
        message: &Message<'_>,
        signature: &[u8],
    ) -> bool {
        let bundle = convention == Convention::Bundle;
        let fits = |scheme: &&Scheme| bundle || scheme.legacy;
        let standard = self.schemes.iter().filter(fits).any(|scheme| match scheme.hash {
            Some(hash) => message
                .hashed(hash)
                .is_some_and(|digest| scheme.key.verify_digest_sig(digest, signature).is_ok()),
            None => {
                message.bytes().is_some_and(|bytes| scheme.key.verify_sig(bytes, signature).is_ok())
            }
        });
        standard || (bundle && self.verifies_ed25519ph(message, signature))
    }

    /// Ed25519ph (RFC 8032 section 5.1) with an empty context: how cosign 3 signs bundles under
    /// Ed25519 keys. AWS-LC has it, its Rust interface does not.
    fn verifies_ed25519ph(&self, message: &Message<'_>, signature: &[u8]) -> bool {
        let (Some(key), Ok(signature), Some(hash)) = (
            ed25519(&self.spki),
            ed25519_dalek::Signature::from_slice(signature),
            message.ed25519_prehash(),
        ) else {
            return false;
        };
        key.verify_prehashed_strict(hash, None, &signature).is_ok()
    }
}

/// The point of an Ed25519 key; none for other keys and for what is no point.
fn ed25519(spki: &[u8]) -> Option<ed25519_dalek::VerifyingKey> {
    let bytes = spki.strip_prefix(ED25519_PREFIX)?.try_into().ok()?;
    ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()
}

/// The ways in which a key signs, the usual one first. Parsing checks that a point lies on its
/// curve.
fn schemes(algorithm: KeyAlgorithm, spki: &[u8]) -> Result<Arc<[Scheme]>, KeyError> {
    let table: &[(Option<Hash>, &'static dyn VerificationAlgorithm, bool)] = match algorithm {
        KeyAlgorithm::EcdsaP256 => {
            &[(Some(Hash::Sha256), &signature::ECDSA_P256_SHA256_ASN1, true)]
        }
        KeyAlgorithm::EcdsaP384 => &[
            (Some(Hash::Sha384), &signature::ECDSA_P384_SHA384_ASN1, false),
            (Some(Hash::Sha256), &signature::ECDSA_P384_SHA256_ASN1, true),
        ],
        KeyAlgorithm::EcdsaP521 => &[
            (Some(Hash::Sha512), &signature::ECDSA_P521_SHA512_ASN1, false),
            (Some(Hash::Sha256), &signature::ECDSA_P521_SHA256_ASN1, true),
        ],
        KeyAlgorithm::Ed25519 => &[(None, &signature::ED25519, true)],
        KeyAlgorithm::Rsa { .. } => {
            &[(Some(Hash::Sha256), &signature::RSA_PKCS1_2048_8192_SHA256, true)]
        }
    };
    // The library wants the bare 32 bytes of an Ed25519 key.
    let bytes = spki.strip_prefix(ED25519_PREFIX).unwrap_or(spki);
    table
        .iter()
        .map(|&(hash, scheme, legacy)| {
            let key = ParsedPublicKey::new(scheme, bytes).map_err(|_| KeyError::Unsupported)?;
            Ok(Scheme { hash, key, legacy })
        })
        .collect()
}

/// The length of the modulus, when `spki` is the canonical encoding of an acceptable RSA key.
fn rsa_bits(spki: &[u8]) -> Option<usize> {
    let key = rsa::PublicKey::from_der(spki).ok()?;
    if key.as_der().ok()?.as_ref() != spki {
        return None;
    }
    let bits = rsa::PublicEncryptingKey::from_der(spki).ok()?.key_size_bits();
    RSA_BITS.contains(&bits).then_some(bits)
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_pem(text)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.algorithm, self.id)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

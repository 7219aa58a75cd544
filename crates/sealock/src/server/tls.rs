//! Certificates of the listeners: given by the operator, or made on first start for the admission
//! webhooks.

use super::{
    home::Home,
    renewal::{Files, Held, Pair, Renewal},
};
use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{ServerConfig, crypto::CryptoProvider};
use sealock_http::Authorities;
use sealock_metadata::{Clock as _, SystemClock};
use std::{path::Path, sync::Arc};

/// A server configuration and what clients need to trust it.
pub(crate) struct Tls {
    /// For the listener.
    pub(crate) config: Arc<ServerConfig>,
    /// Who vouches for its certificate; the `caBundle` of the webhooks.
    pub(crate) authorities: Authorities,
    /// What takes up a renewed certificate; none where it is not the operator's.
    pub(crate) renewal: Option<Renewal>,
}

const CA_CERTIFICATE: &str = "tls/ca.pem";
const CA_KEY: &str = "tls/ca.key";
/// Validity of the authority that is made on first start, in years.
const CA_YEARS: i16 = 10;

/// Reads the operator's certificate chain and key, and who vouches for it: without a file that says
/// so it is the chain itself.
pub(crate) fn from_files(chain: &Path, key: &Path, ca: Option<&Path>) -> Result<Tls> {
    let files = Files::of(chain, key, ca);
    let pair = files.read()?;
    let authorities = Authorities::new(pair.authorities()?);
    let (config, held) = server_config(&pair)
        .with_context(|| format!("{} and {}", chain.display(), key.display()))?;
    let renewal = Renewal::of(files, pair, held, authorities.clone());
    Ok(Tls { config, authorities, renewal: Some(renewal) })
}

/// Makes a certificate for `names` under the authority kept in the data directory.
///
/// The authority is made once, so that the webhook configuration stays valid; the certificate is
/// made at each start, so that names may change and it never runs out while the server is restarted
/// now and then.
pub(crate) fn self_made(home: &Home, names: &[String]) -> Result<Tls> {
    let (ca_pem, issuer) = authority(home)?;
    let mut params = CertificateParams::new(names.to_vec()).context("admission host names")?;
    params.distinguished_name = common_name("Sealock admission");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    set_years(&mut params, 2);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    let (chain, key) = (certificate.pem().into(), key.serialize_pem().into());
    let pair = Pair { chain, key, ca: ca_pem.into_bytes() };
    let (config, _) = server_config(&pair)?;
    Ok(Tls { config, authorities: Authorities::new(pair.authorities()?), renewal: None })
}

fn authority(home: &Home) -> Result<(String, Issuer<'static, KeyPair>)> {
    let params = authority_params();
    if let (Some(certificate), Some(key)) =
        (home.read_optional(CA_CERTIFICATE)?, home.read_optional(CA_KEY)?)
    {
        let key = KeyPair::from_pem(&String::from_utf8(key)?).context(CA_KEY)?;
        // Name and key are all that a signature takes from its issuer, and both are as they were.
        return Ok((String::from_utf8(certificate)?, Issuer::new(params, key)));
    }
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    // The key first: a certificate without its key would be found and fail for ever.
    home.write_secret(CA_KEY, key.serialize_pem().as_bytes())?;
    home.write_secret(CA_CERTIFICATE, pem.as_bytes())?;
    Ok((pem, Issuer::new(params, key)))
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("Sealock admission CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_years(&mut params, CA_YEARS);
    params
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn set_years(params: &mut CertificateParams, years: i16) {
    let today = SystemClock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let month = today.month().unsigned_abs();
    // The first of a month exists in every year, the 29th of February does not.
    params.not_before = rcgen::date_time_ymd(i32::from(today.year()) - 1, month, 1);
    params.not_after = rcgen::date_time_ymd(i32::from(today.year() + years), month, 1);
}

/// A configuration with a certificate that may be changed for another.
fn server_config(pair: &Pair) -> Result<(Arc<ServerConfig>, Arc<Held>)> {
    let provider = provider();
    let held = Arc::new(Held::new(pair.certified(&provider)?));
    // Only the admission face looks at them.
    let certificates = sealock_http::registered_client_certificates(&provider);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(certificates)
        .with_cert_resolver(held.clone());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((Arc::new(config), held))
}

/// The cryptography of all listeners.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

//! The configuration by which a cluster asks: `kubectl apply` takes it as it is.

use crate::{Error, Registry, Result};
use sealock_auth::Caller;
use sealock_oci::ErrorCode;

/// Seconds that an API server waits for an answer; what is known already takes milliseconds.
const TIMEOUT_SECONDS: u32 = 15;

/// What the configuration is made of.
#[derive(Debug, Clone)]
pub struct WebhookOptions<'a> {
    /// Name of the cluster.
    pub cluster: &'a str,
    /// Its token; none where it shows its client certificate.
    pub token: Option<&'a str>,
    /// Address of the admission listener as the API server reaches it, such as
    /// `https://registry.example.com:5443`.
    pub url: &'a str,
    /// PEM of the authorities that vouch for the listener's certificate; none where API servers
    /// trust it already.
    pub ca_pem: Option<&'a str>,
}

impl Registry {
    /// The webhook configurations of a registered cluster. The token must be its own: a typing
    /// error shows here and not as a cluster that can start nothing.
    pub async fn webhooks(&self, caller: &Caller, options: &WebhookOptions<'_>) -> Result<String> {
        let cluster = self.cluster(caller, options.cluster).await?;
        match options.token {
            Some(token) => drop(self.asking_cluster(Some(options.cluster), token).await?),
            None if cluster.client_certificate.is_some() => {}
            None => {
                return Err(Error::invalid(
                    ErrorCode::Unsupported,
                    "give the cluster's token, or register a client certificate for it",
                ));
            }
        }
        webhook_configurations(options)
    }
}

/// YAML of a MutatingWebhookConfiguration and a ValidatingWebhookConfiguration. It fails closed and
/// leaves out no namespace by itself.
pub fn webhook_configurations(options: &WebhookOptions<'_>) -> Result<String> {
    let invalid = |text: &str| Error::invalid(ErrorCode::Unsupported, text.to_owned());
    let url = options.url.trim_end_matches('/');
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"'\\#?<>{}".contains(&b);
    if !url.starts_with("https://") || url.len() <= "https://".len() || !url.bytes().all(plain) {
        return Err(invalid(
            "the webhook's address must begin with https:// and have neither query nor fragment: \
             API servers call nothing else",
        ));
    }
    if options.ca_pem.is_some_and(|pem| !pem.contains("-----BEGIN CERTIFICATE-----")) {
        return Err(invalid("the authority's certificate is not PEM"));
    }
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    if !word(options.cluster) || !options.token.is_none_or(word) {
        return Err(invalid("the cluster's name or token is not one that this registry gives"));
    }
    let ca = options.ca_pem.map(|pem| format!("    caBundle: {}\n", base64(pem.as_bytes())));
    let ca = ca.unwrap_or_default();
    let address = |task: &str| match options.token {
        Some(token) => format!("{url}/admission/{task}/{}/{token}", options.cluster),
        None => format!("{url}/admission/{task}"),
    };
    let (mutate, validate) = (address("mutate"), address("validate"));
    Ok(format!(
        "{}{HEAD}{}---\n{}",
        match options.token {
            Some(_) => "# Sealock admission. Secret: each url holds the cluster's token.\n",
            None => "# Sealock admission. API servers show the registered client certificate.\n",
        },
        configuration("Mutating", &mutate, &ca, "  reinvocationPolicy: IfNeeded\n"),
        configuration("Validating", &validate, &ca, ""),
    ))
}

const HEAD: &str = "\
# Everything is asked and the answer must come: while Sealock is away, nothing new starts. Leave out
# what must start all the same (Sealock's own namespace, kube-system) by a label on the namespace:
#   kubectl label namespace kube-system admission.sealock.dev/exempt=true
";

fn configuration(kind: &str, url: &str, ca: &str, more: &str) -> String {
    let name = kind.to_ascii_lowercase();
    format!(
        "\
apiVersion: admissionregistration.k8s.io/v1
kind: {kind}WebhookConfiguration
metadata:
  name: sealock
webhooks:
- name: {name}.admission.sealock.dev
  admissionReviewVersions: [\"v1\"]
  clientConfig:
    url: \"{url}\"
{ca}  failurePolicy: Fail
  matchPolicy: Equivalent
  sideEffects: NoneOnDryRun
  timeoutSeconds: {TIMEOUT_SECONDS}
{more}  namespaceSelector:
    matchExpressions:
    - {{key: admission.sealock.dev/exempt, operator: NotIn, values: [\"true\"]}}
  rules:
  - apiGroups: [\"\"]
    apiVersions: [\"v1\"]
    operations: [\"CREATE\", \"UPDATE\"]
    resources: [\"pods\", \"pods/ephemeralcontainers\"]
    scope: Namespaced
  - apiGroups: [\"apps\"]
    apiVersions: [\"v1\"]
    operations: [\"CREATE\", \"UPDATE\"]
    resources: [\"deployments\"]
    scope: Namespaced
"
    )
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: WebhookOptions<'_> = WebhookOptions {
        cluster: "prod",
        token: Some("slk0123"),
        url: "https://registry.example:5443/",
        ca_pem: Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    };

    #[test]
    fn both_webhooks_fail_closed_and_carry_the_authority() {
        let yaml = webhook_configurations(&OPTIONS).unwrap();
        for text in [
            "url: \"https://registry.example:5443/admission/validate/prod/slk0123\"",
            "url: \"https://registry.example:5443/admission/mutate/prod/slk0123\"",
            "pods/ephemeralcontainers",
            "reinvocationPolicy: IfNeeded",
        ] {
            assert_eq!(
                yaml.matches(text).count(),
                if text.contains("pods/") { 2 } else { 1 },
                "{text}"
            );
        }
        assert_eq!(yaml.matches("failurePolicy: Fail\n").count(), 2);
        let ca = base64(OPTIONS.ca_pem.unwrap().as_bytes());
        assert_eq!(yaml.matches(&format!("    caBundle: {ca}\n")).count(), 2);
        let trusted = webhook_configurations(&WebhookOptions { ca_pem: None, ..OPTIONS }).unwrap();
        assert!(!trusted.contains("caBundle"));
        assert_eq!(trusted, yaml.replace(&format!("    caBundle: {ca}\n"), ""));
    }

    #[test]
    fn with_a_certificate_the_address_holds_no_secret() {
        let yaml = webhook_configurations(&WebhookOptions { token: None, ..OPTIONS }).unwrap();
        assert!(yaml.contains("url: \"https://registry.example:5443/admission/validate\"\n"));
        assert!(!yaml.contains("Secret"), "{yaml}");
    }

    #[test]
    fn what_no_api_server_could_call_is_refused() {
        for url in ["", "http://registry.example", "https://", "https://a?b", "https://a\"\nx: y"] {
            assert!(webhook_configurations(&WebhookOptions { url, ..OPTIONS }).is_err(), "{url}");
        }
        assert!(webhook_configurations(&WebhookOptions { ca_pem: Some("x"), ..OPTIONS }).is_err());
        assert!(webhook_configurations(&WebhookOptions { token: Some("a/b"), ..OPTIONS }).is_err());
        assert!(webhook_configurations(&WebhookOptions { cluster: "", ..OPTIONS }).is_err());
    }
}

//! Which client certificate is which service of the suite: by a URI in its subject alternative names,
//! such as a SPIFFE id.
//!
//! Only whole URIs count. A pattern over namespaces would make a service of whoever may create a
//! service account with its name anywhere in the cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;

use crate::caller::{SUITE, service_named};

/// What stands in a URI for the name of each service.
const PLACE: &str = "{service}";

/// A rule that names services by URIs, as it is written in settings:
///
/// - `spiffe://cluster.local/ns/clientele/sa/{service}` names each of them by its own name there,
/// - `billing=spiffe://cluster.local/ns/finance/sa/invoices` names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName {
    service: Option<&'static str>,
    uri: String,
}

/// Why a rule can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceNameError {
    /// Neither form.
    #[error(
        "expected a URI with `{PLACE}` in it, or SERVICE=URI, such as billing=spiffe://example.org/billing"
    )]
    Form,
    /// No service of the suite.
    #[error("`{0}` is not a service of the suite: contacts, pipeline or billing")]
    Service(String),
    /// Not an absolute URI of printable characters, as it would stand in a certificate.
    #[error("`{0}` is not an absolute URI")]
    Uri(String),
}

impl FromStr for ServiceName {
    type Err = ServiceNameError;

    fn from_str(text: &str) -> Result<Self, ServiceNameError> {
        let named = text.split_once('=').filter(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        });
        let (service, uri) = match named {
            Some((name, uri)) => {
                let unknown = || ServiceNameError::Service(name.to_owned());
                (Some(service_named(name).ok_or_else(unknown)?), uri)
            }
            None => (None, text),
        };
        if service.is_some() == uri.contains(PLACE) {
            return Err(ServiceNameError::Form);
        }
        let absolute = uri.split_once("://").is_some_and(|(scheme, rest)| {
            !scheme.is_empty() && !rest.is_empty() && uri.chars().all(|c| c.is_ascii_graphic())
        });
        if !absolute {
            return Err(ServiceNameError::Uri(uri.to_owned()));
        }
        Ok(Self {
            service,
            uri: uri.to_owned(),
        })
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.service {
            Some(service) => write!(f, "{service}={}", self.uri),
            None => f.write_str(&self.uri),
        }
    }
}

/// One URI is said to name two services.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{uri}` is to name both {first} and {second}")]
pub struct ServiceNamesError {
    uri: String,
    first: &'static str,
    second: &'static str,
}

/// The services of the suite by the URIs of their certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceNames(BTreeMap<String, &'static str>);

impl ServiceNames {
    /// What these rules come to together.
    pub fn new(rules: &[ServiceName]) -> Result<Self, ServiceNamesError> {
        let mut names = BTreeMap::new();
        for rule in rules {
            for service in SUITE {
                if rule.service.is_some_and(|named| named != service) {
                    continue;
                }
                let uri = rule.uri.replace(PLACE, service);
                match names.insert(uri.clone(), service) {
                    Some(first) if first != service => {
                        let second = service;
                        return Err(ServiceNamesError { uri, first, second });
                    }
                    _ => {}
                }
            }
        }
        Ok(Self(names))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The service that the certificate is of: its URIs name exactly one.
    pub(super) fn service_of(&self, certificate: &CertificateDer<'_>) -> Option<&'static str> {
        let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
        let mut named = parsed.valid_uri_names().filter_map(|uri| self.0.get(uri));
        let first = named.next()?;
        named.all(|other| other == first).then_some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(rules: &[&str]) -> ServiceNames {
        let rules: Vec<ServiceName> = rules.iter().map(|rule| rule.parse().expect(rule)).collect();
        ServiceNames::new(&rules).expect("no contradiction")
    }

    #[test]
    fn a_place_stands_for_each_service_and_a_name_for_one() {
        let all = names(&["spiffe://example.org/ns/crm/sa/{service}"]);
        assert_eq!(all.0.len(), 3);
        assert_eq!(all.0["spiffe://example.org/ns/crm/sa/billing"], "billing");
        let one = names(&[
            "billing=spiffe://example.org/invoices?a=b",
            "billing=urn://b",
        ]);
        assert_eq!(one.0.len(), 2);
        assert_eq!(one.0["spiffe://example.org/invoices?a=b"], "billing");
    }

    #[test]
    fn what_is_not_a_rule_is_refused_and_told_why() {
        for (text, error) in [
            ("", ServiceNameError::Form),
            ("spiffe://example.org/billing", ServiceNameError::Form),
            (
                "billing=spiffe://example.org/{service}",
                ServiceNameError::Form,
            ),
            (
                "invoices=spiffe://e/i",
                ServiceNameError::Service("invoices".into()),
            ),
            ("billing=", ServiceNameError::Uri(String::new())),
            (
                "billing=/sa/billing",
                ServiceNameError::Uri("/sa/billing".into()),
            ),
            (
                "billing=spiffe://a b",
                ServiceNameError::Uri("spiffe://a b".into()),
            ),
        ] {
            assert_eq!(text.parse::<ServiceName>(), Err(error), "{text}");
        }
        let rules = ["billing=urn://same", "contacts=urn://same"];
        let rules: Vec<ServiceName> = rules.iter().map(|rule| rule.parse().expect(rule)).collect();
        let error = ServiceNames::new(&rules).expect_err("two services of one name");
        assert!(error.to_string().contains("urn://same"), "{error}");
    }
}

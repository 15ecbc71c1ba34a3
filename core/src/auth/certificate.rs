//! Names in the certificates of clients, which identities are recognized by.

use std::fmt;
use std::sync::Arc;

/// A name among the subject alternative names of a certificate, or the name that an identity is recognized by.
///
/// URIs are compared byte by byte, DNS names without regard to the case of ASCII letters. A wildcard in a
/// certificate matches no other name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateName(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    Uri(Arc<str>),
    /// In lower case.
    Dns(Arc<str>),
}

impl CertificateName {
    /// Returns the name for a URI of a certificate.
    pub fn uri(text: &str) -> Self {
        Self(Kind::Uri(text.into()))
    }

    /// Returns the name for a DNS name of a certificate.
    pub fn dns(text: &str) -> Self {
        Self(Kind::Dns(text.to_ascii_lowercase().into()))
    }

    /// Returns the name that a configuration gives: a URI if it has a colon, as every URI has, and otherwise a
    /// DNS name.
    pub fn configured(text: &str) -> Self {
        if text.contains(':') { Self::uri(text) } else { Self::dns(text) }
    }

    /// Returns the name's text and a byte that tells the kinds apart.
    pub(super) fn parts(&self) -> (&str, u8) {
        match &self.0 {
            Kind::Uri(text) => (text, 0),
            Kind::Dns(text) => (text, 1),
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parts().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_equal_only_if_they_are_of_one_kind() {
        let configured = CertificateName::configured;
        assert_eq!(configured("spiffe://a/b"), CertificateName::uri("spiffe://a/b"));
        assert_ne!(configured("spiffe://a/b"), CertificateName::uri("spiffe://A/b"));
        assert_ne!(configured("spiffe://a/b"), CertificateName::uri("spiffe://a/b/"));
        assert_eq!(configured("Worker.Example.org"), CertificateName::dns("worker.example.ORG"));
        assert_ne!(configured("worker.example.org"), CertificateName::dns("*.example.org"));
        assert_ne!(configured("worker.example.org"), CertificateName::uri("worker.example.org"));
    }
}

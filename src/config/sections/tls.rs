//! `[tls]`: the files of the certificate and its key, and whether clients need certificates. The
//! files are read when they are used, not with the configuration.

use std::path::PathBuf;

use super::super::declare::{Access, choice, file, given, quoted, settings};
use super::super::error::{ConfigError, Problem, Site};
use super::super::read::{Given, Reader};
use super::listen::Listen;

given! {
    /// The certificate and its key, which must be given together.
    struct TlsFiles of TlsSettings in "tls" {
        /// A PEM file with the certificate, and after it the certificates that lead to the CA. Needed where
        /// a listener speaks TLS. A file that changes is read again, for new connections.
        certificate: PathBuf = file().optional(r#""/etc/redoubt/tls.crt""#),
            Access::of(|tls: &TlsSettings| tls.certificate.clone())
                .shown(|tls| Some(format!("certificate = {}", path(&tls.certificate))));

        /// A PEM file with the private key of the certificate. A file that changes is read again, for new
        /// connections.
        key: PathBuf = file().optional(r#""/etc/redoubt/tls.key""#),
            Access::of(|tls: &TlsSettings| tls.key.clone())
                .shown(|tls| Some(format!("key = {}", path(&tls.key))));
    }
}

settings! {
    /// The certificate of `tls://` listeners, and the certificates that clients need.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct TlsSettings in "tls" {
        /// A PEM file with the CAs that certificates of clients must lead to. With it, clients must
        /// have such a certificate, unless `client_certificates` says otherwise. Clients need their
        /// password as well.
        client_ca: Option<PathBuf> = file().optional(r#""/etc/redoubt/client-ca.crt""#);

        /// Whether clients must have a certificate ("required") or may have one ("optional"). Only together
        /// with `client_ca`.
        client_certificates: ClientCertificates = choice([
            ("required", ClientCertificates::Required),
            ("optional", ClientCertificates::Optional),
        ])
        .default(ClientCertificates::None)
        .example(r#""required""#);

        /// The oldest version of TLS that is accepted: "1.2" or "1.3".
        min_version: TlsVersion =
            choice([("1.2", TlsVersion::V12), ("1.3", TlsVersion::V13)]).default(TlsVersion::V12);
    }
    from TlsKeys with TlsParts {
        /// A PEM file of the certificate, and after it the certificates that lead to the CA.
        certificate: PathBuf,
        /// A PEM file of the certificate's private key.
        key: PathBuf,
    }
}

/// Whether clients need certificates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ClientCertificates {
    /// No certificate is requested.
    #[default]
    None,
    /// Clients may send a certificate; an invalid one is rejected.
    Optional,
    /// A client without one is rejected.
    Required,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// 1.2
    #[default]
    V12,
    /// 1.3
    V13,
}

impl TlsSettings {
    /// Returns `None` if neither the certificate nor the key is given, which is an error if a
    /// listener speaks TLS.
    pub(crate) fn find(
        reader: &Reader<'_>,
        listen: &[Listen],
    ) -> Result<Option<Self>, ConfigError> {
        let mut keys = TlsKeys::read(reader)?;
        let asked = reader.site("tls.client_certificates");
        match (&keys.client_ca, asked) {
            (None, Some(site)) => return Err(site.error(Problem::NoClientCa)),
            (Some(_), None) => keys.client_certificates = ClientCertificates::Required,
            _ => {}
        }
        let TlsFiles { certificate, key } = TlsFiles::read(reader)?;
        let Some((certificate, key)) = pair(certificate, key)? else {
            let is_needed = listen.iter().any(|listen| matches!(listen, Listen::Tls(_)));
            return if is_needed {
                Err(Site::Whole.error(Problem::NoCertificate))
            } else {
                Ok(None)
            };
        };
        Ok(Some(keys.with(TlsParts { certificate, key })))
    }
}

/// Returns two files that must be given together; `None` if neither is.
pub(super) fn pair(
    first: Given<PathBuf>,
    second: Given<PathBuf>,
) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    let names = (first.key.clone(), second.key.clone());
    match (first.winner(), second.winner()) {
        (Some((_, first)), Some((_, second))) => Ok(Some((first, second))),
        (Some((site, _)), None) => Err(site.error(Problem::Needs(names.1.into_owned()))),
        (None, Some((site, _))) => Err(site.error(Problem::Needs(names.0.into_owned()))),
        (None, None) => Ok(None),
    }
}

/// Returns a path as a TOML string.
pub(super) fn path(path: &std::path::Path) -> String {
    quoted(&path.display().to_string())
}

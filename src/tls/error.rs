//! The reasons why TLS cannot be used as configured.

use std::io;
use std::path::PathBuf;

use tokio_rustls::rustls;

/// The error in the configured files or names; the operator must correct it. It holds nothing of a
/// key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file does not exist or cannot be read.
    #[error("{key}: cannot read {path:?}")]
    Read {
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file's content is wrong.
    #[error("{key}: {path:?} {problem}")]
    File {
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The error in the content.
        problem: FileProblem,
    },
    /// A file holds a certificate or key that the library cannot use.
    #[error("{key}: {path:?} cannot be used")]
    Unusable {
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The library's error.
        source: rustls::Error,
    },
    /// No CA was named, and the system has none.
    #[error("upstream.tls_ca is not set, and the system trusts no CA; name a file of CAs")]
    NoRoots,
    /// A certificate cannot be for this name.
    #[error("{0:?} is not a name that a certificate can be for; set upstream.tls_name")]
    Name(String),
    /// Reading the files panicked, which is a defect.
    #[error("certificates could not be read")]
    Panicked,
    /// The library rejects this configuration.
    #[error("TLS cannot be configured")]
    Library(#[from] rustls::Error),
}

impl TlsError {
    /// Returns the error with its causes, on one line.
    pub(super) fn chain(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}

/// The error in the content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// The file is larger than the bound.
    #[error("is larger than 4 MiB")]
    TooLarge,
    /// The file holds no certificate.
    #[error("holds no certificate; write one in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// The file holds no key in a supported format.
    #[error("holds no private key; write one in PEM, as PKCS#8, SEC1 or RSA, not encrypted")]
    NoKey,
    /// The file's PEM is damaged.
    #[error("is damaged: its PEM does not end, or is no base64")]
    Damaged,
    /// The key belongs to another certificate.
    #[error("is not the key of the certificate beside it")]
    OtherKey,
}

//! Why TLS cannot be spoken as it is configured.

use std::io;
use std::path::PathBuf;

use tokio_rustls::rustls;

/// What is wrong with the files or names that are configured; the operator's to mend. Nothing of a
/// key is in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or may not be read.
    #[error("{key}: cannot read {path:?}")]
    Read {
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{key}: {path:?} {problem}")]
    File {
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// What a file holds is of no kind that can be used.
    #[error("{key}: {path:?} cannot be used")]
    Unusable {
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The library's reason.
        source: rustls::Error,
    },
    /// No CA was named, and the system has none.
    #[error("upstream.tls_ca is not set, and the system trusts no CA; name a file of CAs")]
    NoRoots,
    /// No certificate can be for this name.
    #[error("{0:?} is no name that a certificate can be for; set upstream.tls_name")]
    Name(String),
    /// Reading the files panicked, which is a defect.
    #[error("certificates could not be read")]
    Panicked,
    /// The library takes no configuration of this kind.
    #[error("TLS cannot be configured")]
    Library(#[from] rustls::Error),
}

impl TlsError {
    /// The error with its cause, on one line.
    pub(super) fn chain(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}

/// What is wrong with a file that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// It is larger than any such file.
    #[error("is larger than 4 MiB")]
    TooLarge,
    /// It holds no certificate.
    #[error("holds no certificate; write one in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// It holds no key that can be read.
    #[error("holds no private key; write one in PEM, as PKCS#8, SEC1 or RSA, not encrypted")]
    NoKey,
    /// Its PEM is damaged.
    #[error("is damaged: its PEM does not end, or is no base64")]
    Damaged,
    /// The key is another certificate's.
    #[error("is not the key of the certificate beside it")]
    OtherKey,
}

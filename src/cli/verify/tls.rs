//! The TLS clients of `redoubt verify`.

use std::path::PathBuf;

use redoubt::config::{UpstreamTls, Verification};
use redoubt::tls::{self, TlsError};

/// The files that the arguments name.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) ca: Option<PathBuf>,
    /// A certificate and its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// The TLS clients for the checks.
pub(crate) struct Tls {
    pub(super) client: tls::Client,
    /// A client without a certificate; present if the other has one.
    pub(super) anonymous: Option<tls::Client>,
}

impl Tls {
    pub(super) fn new(files: Files) -> Result<Self, TlsError> {
        let Files { ca, identity } = files;
        let settings = |identity| UpstreamTls {
            ca: ca.clone(),
            identity,
            name: None,
            verification: Verification::Full,
        };
        let anonymous =
            identity.is_some().then(|| tls::Client::new(&settings(None))).transpose()?;
        Ok(Self { client: tls::Client::new(&settings(identity))?, anonymous })
    }
}

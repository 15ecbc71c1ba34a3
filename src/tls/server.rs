//! The server side of TLS: towards clients.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ServerConfig};

use super::current::{Current, Files, Fresh};
use super::files::{Named, identity};
use super::{Stream, TlsError, provider};
use crate::config::{ClientCertificates, TlsSettings, TlsVersion};

/// The certificate for clients, and the CAs of clients' certificates. The files may change while it
/// is in use; later handshakes use the new files.
#[derive(Debug)]
pub struct Server(Current<TlsSettings>);

/// Files of a [`Server`] that were read and are not in force yet.
pub type FreshServer = Fresh<ServerConfig>;

impl Server {
    /// Reads the files that `settings` names.
    ///
    /// # Errors
    /// Returns a [`TlsError`] if a file cannot be used.
    pub fn new(settings: &TlsSettings) -> Result<Self, TlsError> {
        Current::new(settings.clone()).map(Self)
    }

    /// Reads the files again, changed or not; [`Server::put`] puts them in force.
    ///
    /// # Errors
    /// Returns a [`TlsError`] if a file cannot be used.
    pub fn read(&self) -> Result<FreshServer, TlsError> {
        self.0.read()
    }

    /// Puts files in force for later handshakes.
    pub fn put(&self, fresh: FreshServer) {
        self.0.put(fresh);
    }

    /// Puts files in force that have changed since the last check. Called about every second, from
    /// a thread that may wait for files.
    pub fn look(&self) {
        self.0.look();
    }

    /// Performs the handshake with a client. Has no time limit; the caller sets one. Cancel safe:
    /// the connection is dropped.
    ///
    /// # Errors
    /// The reason why the handshake failed, with the connection if it may still be open. The TLS
    /// alert has been sent as far as that was possible without waiting.
    pub async fn accept(&self, stream: TcpStream) -> Result<Stream, (io::Error, TcpStream)> {
        let accepting = TlsAcceptor::from(self.0.get()).accept(stream);
        let stream = accepting.into_fallible().await?;
        Ok(Stream::from(tokio_rustls::TlsStream::from(stream)))
    }
}

impl Files for TlsSettings {
    type Made = ServerConfig;

    fn files(&self) -> Vec<Named<'_>> {
        [self.certificate(), self.key()].into_iter().chain(self.client_ca()).collect()
    }

    fn make(&self) -> Result<ServerConfig, TlsError> {
        let versions: &[_] = match self.min_version {
            TlsVersion::V12 => &[&TLS13, &TLS12],
            TlsVersion::V13 => &[&TLS13],
        };
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
        let identity = identity(self.certificate(), self.key())?;
        let Some(client_ca) = self.client_ca() else {
            return Ok(builder.with_no_client_auth().with_cert_resolver(identity));
        };
        let roots = Arc::new(client_ca.roots()?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
        let verifier = match self.client_certificates {
            ClientCertificates::Required => verifier,
            ClientCertificates::None | ClientCertificates::Optional => {
                verifier.allow_unauthenticated()
            }
        };
        let verifier =
            verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(identity);
        // A resumed TLS session would use its certificate without checking it again, so the
        // certificate could be used after its end.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

impl TlsSettings {
    fn certificate(&self) -> Named<'_> {
        Named { key: "tls.certificate", path: &self.certificate }
    }

    fn key(&self) -> Named<'_> {
        Named { key: "tls.key", path: &self.key }
    }

    /// Returns the file of the CAs; without it no client certificates are requested.
    fn client_ca(&self) -> Option<Named<'_>> {
        self.client_ca.as_deref().map(|path| Named { key: "tls.client_ca", path })
    }
}

//! The side that clients speak to.

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

/// What clients of `tls://` listeners are shown, and what is asked of them. Its files can be
/// changed while it is in use; handshakes that begin afterwards go by the new ones.
#[derive(Debug)]
pub struct Server(Current<TlsSettings>);

/// Files of a [`Server`] as they are now, not in force yet.
pub type FreshServer = Fresh<ServerConfig>;

impl Server {
    /// Reads the files that `settings` names.
    ///
    /// # Errors
    /// [`TlsError`] when one of them cannot be used.
    pub fn new(settings: &TlsSettings) -> Result<Self, TlsError> {
        Current::new(settings.clone()).map(Self)
    }

    /// Reads the files anew, changed or not, to be [put](Server::put) in force.
    ///
    /// # Errors
    /// [`TlsError`] when one of them cannot be used.
    pub fn read(&self) -> Result<FreshServer, TlsError> {
        self.0.read()
    }

    /// Goes by what was read from here on.
    pub fn put(&self, fresh: FreshServer) {
        self.0.put(fresh);
    }

    /// Takes up files that have changed since they were last looked at; to be called every second or
    /// so, and from a thread that may wait for files.
    pub fn look(&self) {
        self.0.look();
    }

    /// Shakes hands with a client. Not bounded in time. Cancel safe in that the connection is
    /// dropped.
    ///
    /// # Errors
    /// Why there is no TLS with this client, with the connection if it may still be open; the
    /// client has been told as far as that was possible without waiting.
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
        // A session that is taken up again would bring its certificate along without its being
        // looked at, so it would outlive its end.
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

    /// The file of the CAs; without it clients are not asked for certificates.
    fn client_ca(&self) -> Option<Named<'_>> {
        self.client_ca.as_deref().map(|path| Named { key: "tls.client_ca", path })
    }
}

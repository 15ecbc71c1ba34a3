//! The client side of TLS: towards the upstream, and in `redoubt verify`.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::anybody::Anybody;
use super::current::{Current, Files, Fresh};
use super::files::{Named, identity};
use super::{Stream, TlsError, provider};
use crate::config::{UpstreamTls, Verification};

/// The trusted CAs, and a certificate of Redoubt. The files may change while it is in use; later
/// handshakes use the new files.
#[derive(Debug)]
pub struct Client {
    current: Current<UpstreamTls>,
    /// The name that certificates must be for, in place of the host.
    name: Option<String>,
}

/// Files of a [`Client`] that were read and are not in force yet.
pub type FreshClient = Fresh<ClientConfig>;

impl Client {
    /// Reads the files that `settings` names, or the CAs that the system trusts.
    ///
    /// # Errors
    /// Returns a [`TlsError`] if a file cannot be used, or the system trusts no CA.
    pub fn new(settings: &UpstreamTls) -> Result<Self, TlsError> {
        let current = Current::new(settings.clone())?;
        Ok(Self { current, name: settings.name.clone() })
    }

    /// Reads the files again, changed or not; [`Client::put`] puts them in force.
    ///
    /// # Errors
    /// Returns a [`TlsError`] if a file cannot be used.
    pub fn read(&self) -> Result<FreshClient, TlsError> {
        self.current.read()
    }

    /// Puts files in force for later handshakes.
    pub fn put(&self, fresh: FreshClient) {
        self.current.put(fresh);
    }

    /// Puts files in force that have changed since the last check. Called about every second, from
    /// a thread that may wait for files.
    pub fn look(&self) {
        self.current.look();
    }

    /// Checks that `host`, a name or an address, is a name that certificates can be for.
    ///
    /// # Errors
    /// Returns [`TlsError::Name`] if it is not.
    pub fn check(&self, host: &str) -> Result<(), TlsError> {
        self.server_name(host).map(drop)
    }

    /// Performs the handshake with a server on `host`, a name or an address without brackets. Has
    /// no time limit; the caller sets one. Cancel safe: the connection is dropped.
    ///
    /// # Errors
    /// The server's certificate is invalid, it rejects the client's, or it does not speak TLS.
    pub async fn connect(&self, stream: TcpStream, host: &str) -> io::Result<Stream> {
        let name = self.server_name(host).map_err(invalid)?;
        let stream = TlsConnector::from(self.current.get()).connect(name, stream).await;
        let stream = stream.map_err(explained)?;
        Ok(Stream::from(tokio_rustls::TlsStream::from(stream)))
    }

    fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let name = self.name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))
    }
}

/// Returns the error, with advice for the most common mistakes with certificates.
fn explained(error: io::Error) -> io::Error {
    let text = error.to_string();
    let text = if text.contains("CaUsedAsEndEntity") {
        "invalid peer certificate: it is the certificate of a CA; a server needs a certificate with basicConstraints \
         CA:FALSE"
            .to_owned()
    } else if text.contains("UnknownIssuer") {
        format!("{text} (no CA that is trusted here has issued it)")
    } else {
        return error;
    };
    io::Error::new(error.kind(), text)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

impl Files for UpstreamTls {
    type Made = ClientConfig;

    fn files(&self) -> Vec<Named<'_>> {
        let identity = self.identity().into_iter().flatten();
        self.ca().into_iter().chain(identity).collect()
    }

    fn make(&self) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let builder = match self.verification {
            Verification::Full => builder.with_root_certificates(match self.ca() {
                Some(ca) => ca.roots()?,
                None => system_roots()?,
            }),
            Verification::Dangerous => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider())))
            }
        };
        Ok(match self.identity() {
            Some([certificate, key]) => {
                builder.with_client_cert_resolver(identity(certificate, key)?)
            }
            None => builder.with_no_client_auth(),
        })
    }
}

impl UpstreamTls {
    fn ca(&self) -> Option<Named<'_>> {
        self.ca.as_deref().map(|path| Named { key: "upstream.tls_ca", path })
    }

    /// Returns the certificate's file and its key's file.
    fn identity(&self) -> Option<[Named<'_>; 2]> {
        let (certificate, key) = self.identity.as_ref()?;
        Some([
            Named { key: "upstream.tls_certificate", path: certificate },
            Named { key: "upstream.tls_key", path: key },
        ])
    }
}

/// Returns the CAs that the system trusts; invalid certificates are left out.
fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) }
}

//! The side that speaks to a server: to the upstream, or to a Redoubt that is looked at.

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

/// Whom to trust, and what to show. Its files can be changed while it is in use; handshakes that
/// begin afterwards go by the new ones.
#[derive(Debug)]
pub struct Client {
    current: Current<UpstreamTls>,
    /// The name that certificates must be for, in the place of the host's.
    name: Option<String>,
}

/// Files of a [`Client`] as they are now, not in force yet.
pub type FreshClient = Fresh<ClientConfig>;

impl Client {
    /// Reads the files that `settings` names, or what the system trusts.
    ///
    /// # Errors
    /// [`TlsError`] when one of them cannot be used, or the system trusts no CA.
    pub fn new(settings: &UpstreamTls) -> Result<Self, TlsError> {
        let current = Current::new(settings.clone())?;
        Ok(Self { current, name: settings.name.clone() })
    }

    /// Reads the files anew, changed or not, to be [put](Client::put) in force.
    ///
    /// # Errors
    /// [`TlsError`] when one of them cannot be used.
    pub fn read(&self) -> Result<FreshClient, TlsError> {
        self.current.read()
    }

    /// Goes by what was read from here on.
    pub fn put(&self, fresh: FreshClient) {
        self.current.put(fresh);
    }

    /// Takes up files that have changed since they were last looked at; to be called every second or
    /// so, and from a thread that may wait for files.
    pub fn look(&self) {
        self.current.look();
    }

    /// Returns whether a server on `host`, a name or an address, can have the right certificate at all.
    ///
    /// # Errors
    /// [`TlsError::Name`] when it cannot.
    pub fn check(&self, host: &str) -> Result<(), TlsError> {
        self.server_name(host).map(drop)
    }

    /// Shakes hands with a server on `host`, a name or an address without brackets. Not bounded in
    /// time. Cancel safe: the connection is dropped.
    ///
    /// # Errors
    /// The server's certificate is not good, it does not take ours, or it does not speak TLS.
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

/// The commonest mistakes with certificates, in words that say what to do.
fn explained(error: io::Error) -> io::Error {
    let text = error.to_string();
    let text = if text.contains("CaUsedAsEndEntity") {
        "invalid peer certificate: it is a CA's own; a server needs one with basicConstraints \
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

    /// The certificate's file and its key's.
    fn identity(&self) -> Option<[Named<'_>; 2]> {
        let (certificate, key) = self.identity.as_ref()?;
        Some([
            Named { key: "upstream.tls_certificate", path: certificate },
            Named { key: "upstream.tls_key", path: key },
        ])
    }
}

/// The CAs that the system trusts; those that cannot be used are left out.
fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) }
}

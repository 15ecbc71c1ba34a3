//! Watches the TLS files while Redoubt runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::accept::listen::BindError;
use crate::config::{Listen, Settings};
use crate::tls::{self, TlsError};

/// Time between two checks of the files. A change takes effect when two checks in a row have found
/// it.
const LOOK: Duration = Duration::from_secs(1);

/// The certificates and settings of TLS. Clones share them, and with them what is read again.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    /// Present if a listener speaks TLS.
    pub(crate) server: Option<Arc<tls::Server>>,
    /// Present if the upstream is connected to in TLS.
    pub(crate) upstream: Option<Arc<tls::Client>>,
    /// Present if Sentinels are connected to in TLS.
    pub(crate) sentinel: Option<Arc<tls::Client>>,
}

/// Files that were read and are not in force yet.
pub(crate) struct Fresh {
    server: Option<tls::FreshServer>,
    upstream: Option<tls::FreshClient>,
}

impl Certificates {
    pub(crate) fn new(settings: &Settings) -> Result<Self, BindError> {
        let is_spoken = settings.listen.iter().any(|listen| matches!(listen, Listen::Tls(_)));
        let server = settings.tls.as_ref().filter(|_| is_spoken).map(tls::Server::new);
        let (redis, sentinel) = (&settings.upstream.tls, &settings.upstream.sentinel.tls);
        let client = redis.as_ref().or(sentinel.as_ref()).map(|tls| {
            let client = tls::Client::new(tls)?;
            for host in settings.upstream.servers.hosts() {
                client.check(host)?;
            }
            Ok::<_, TlsError>(client)
        });
        let client = client.transpose()?.map(Arc::new);
        Ok(Self {
            server: server.transpose()?.map(Arc::new),
            upstream: client.clone().filter(|_| redis.is_some()),
            sentinel: client.filter(|_| sentinel.is_some()),
        })
    }

    /// Returns the files of connections to Redis and to Sentinels, which are the same.
    fn client(&self) -> Option<&Arc<tls::Client>> {
        self.upstream.as_ref().or(self.sentinel.as_ref())
    }

    /// Reads all files again, changed or not; [`Certificates::put`] puts them in force.
    ///
    /// # Errors
    /// Returns a [`TlsError`] for the first file that cannot be used.
    pub(crate) async fn read(&self) -> Result<Fresh, TlsError> {
        let (server, upstream) = (self.server.clone(), self.client().cloned());
        let read = spawn_blocking(move || {
            Ok(Fresh {
                server: server.map(|server| server.read()).transpose()?,
                upstream: upstream.map(|upstream| upstream.read()).transpose()?,
            })
        });
        read.await.unwrap_or_else(|_| Err(TlsError::Panicked))
    }

    /// Puts the files in force that were read. Open connections are not affected.
    pub(crate) fn put(&self, fresh: Fresh) {
        let Fresh { server, upstream } = fresh;
        if let Some((current, fresh)) = self.server.as_ref().zip(server) {
            current.put(fresh);
        }
        if let Some((current, fresh)) = self.client().zip(upstream) {
            current.put(fresh);
        }
    }

    /// Puts files in force as they change, until `stop`.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        if self.server.is_none() && self.client().is_none() {
            return;
        }
        let mut checks = interval(LOOK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(checks.tick()).await.is_some() {
            let (server, upstream) = (self.server.clone(), self.client().cloned());
            let look = spawn_blocking(move || {
                server.iter().for_each(|server| server.look());
                upstream.iter().for_each(|upstream| upstream.look());
            });
            // The file system may be slow; a stop does not wait for it.
            let _ = stop.run_until_cancelled(look).await;
        }
    }
}

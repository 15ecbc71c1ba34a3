//! Which connections to the upstream are the process's own, so that no client is shown them.

use std::sync::LazyLock;
use std::time::Duration;

use redoubt_core::session::{OwnConnection, OwnConnections};
use tokio::runtime::Handle;
use tokio::time::sleep;

/// The connections of this process to its upstream, which `CLIENT LIST` does not show to clients.
pub(super) static OWN_CONNECTIONS: LazyLock<OwnConnections> =
    LazyLock::new(OwnConnections::default);

/// Returns the connections of this process to its upstream.
pub(crate) fn own_connections() -> OwnConnections {
    OWN_CONNECTIONS.clone()
}

/// Makes a connection known as the process's own, and for a while after it is closed: a list that the server has
/// sent before may come after that.
#[derive(Debug)]
pub(crate) struct OwnEnd(Option<OwnConnection>);

impl OwnEnd {
    const AFTERWARDS: Duration = Duration::from_secs(2);

    pub(super) fn of(own: OwnConnection) -> Self {
        Self(Some(own))
    }
}

impl Drop for OwnEnd {
    fn drop(&mut self) {
        let own = self.0.take();
        // Without a runtime, nobody asks for a list any more.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                sleep(Self::AFTERWARDS).await;
                drop(own);
            });
        }
    }
}

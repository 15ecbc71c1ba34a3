//! Shared links that stall: they owe a reply for long while Redis answers on the watch's own connection.
//!
//! Then something blocks that link alone. While a command takes Redis's only thread, or a script overruns,
//! the watch is not answered either, and no link is to blame.

use redoubt_core::router::SessionId;
use tracing::warn;

use super::Worker;
use crate::audit;
use crate::net::now;
use crate::telemetry::metrics;

impl Worker {
    /// Closes shared links that have owed a reply for too long while Redis answers elsewhere.
    pub(crate) fn close_stalled(&mut self) {
        let Some(timeout) = self.in_force.borrow().stall_timeout else { return };
        if self.health.pulse.lasts(now()) < timeout {
            return;
        }
        for stalled in self.router.close_stalled(timeout, now()) {
            let number = |id: SessionId| self.clients.get(id.key()).map(|io| io.number);
            let session = stalled.first.and_then(number);
            let sessions = stalled.sessions;
            warn!(
                session,
                sessions,
                timeout = ?timeout,
                "a shared link owed a reply while Redis answered on another: closed it with the \
                 sessions that had replies due on it; what that session sent last blocks a connection"
            );
            metrics::link_stalled();
            let sessions = u64::try_from(sessions).unwrap_or(u64::MAX);
            audit::record(audit::Event::LinkStalled { session, sessions });
        }
    }
}

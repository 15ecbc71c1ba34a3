//! What the router has to report, told to logs, metrics and counts.

use std::mem;

use crate::audit;
use crate::telemetry::metrics;
use crate::worker::Worker;
use crate::worker::client::ClientIo;
use redoubt_core::router::SessionEvent;
use redoubt_core::session::Event;

impl Worker {
    pub(crate) fn report(&mut self) {
        let mut is_new = false;
        while let Some(SessionEvent { session: id, user, event }) = self.router.next_event() {
            is_new = true;
            metrics::report(&event);
            self.totals.count(&event);
            self.log(id, &event);
            if let Some(io) = self.clients.get_mut(id.key()) {
                if let Event::Refused { rule, .. } = &event {
                    io.refused = io.refused.saturating_add(1);
                    io.last_rule = Some(rule.clone());
                }
                let session = audit::Session {
                    number: io.number,
                    peer: &io.peer,
                    certificate: io.certificate.as_deref(),
                    user: user.as_deref(),
                    refused: io.refused,
                };
                audit::report(&session, &event);
            }
        }
        if is_new {
            self.wait_for_audit();
        }
    }

    /// Has clients wait, or read again, as the audit log has room.
    pub(crate) fn wait_for_audit(&mut self) {
        let waited = mem::replace(&mut self.waits_for_audit, *self.audit_is_full.borrow());
        if waited && !self.waits_for_audit {
            self.clients.values().for_each(ClientIo::wake);
        }
    }
}

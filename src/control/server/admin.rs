//! Starts the admin port.

use std::sync::Arc;
use std::{io, mem};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Server;
use crate::accept::dispatcher::Dispatcher;
use crate::admin::{self, Admin};
use crate::control::in_force::Composer;
use crate::health::identities::IdentityUsages;
use crate::insight::Insight;
use crate::net::now;
use crate::worker::handle::Plan;

impl Server {
    /// Serves the admin port until `stop`.
    pub(super) fn start_admin(
        &mut self,
        plan: &Plan,
        dispatcher: &Arc<Dispatcher>,
        (composer, identities): (&Composer, IdentityUsages),
        stop: &CancellationToken,
    ) -> io::Result<()> {
        let listeners = mem::take(&mut self.admin);
        if listeners.is_empty() {
            return Ok(());
        }
        for listener in &listeners {
            let address = listener.local_addr()?;
            info!(%address, "admin listening");
            if !address.ip().to_canonical().is_loopback() {
                warn!(%address, "other machines can read health and metrics at the admin port");
            }
        }
        let insight = Insight {
            health: Arc::clone(&plan.health),
            dispatcher: Arc::clone(dispatcher),
            identities,
            target: composer.target(),
            learning: plan.learning.clone(),
            start: now(),
        };
        let admin = Admin {
            insight,
            metrics: self.settings.metrics,
            listing_sessions: Mutex::default(),
            reload: self.asks.clone(),
            grants: self.grants.clone(),
        };
        admin::start(listeners, admin, stop.clone())?;
        Ok(())
    }
}

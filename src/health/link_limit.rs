//! The bound on links of sessions: the configured bound, or one derived from Redis's own bound on
//! clients.

use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};

use crate::telemetry::metrics;
use redoubt_core::router::LinkBudget;

/// Connections to Redis that Redoubt may need for itself: for the watch, for functions, for trying
/// a password and for making a guard.
const OWN: usize = 4;
/// The default of `maxclients` in Redis.
const MAX_CLIENTS: usize = 10_000;
/// Fewest connections that are left to Redis's other clients.
const LEAST_RESERVE: usize = 16;

/// The bound on links, and the values that it is derived from.
#[derive(Debug)]
pub(crate) struct LinkLimit {
    budget: LinkBudget,
    basis: Mutex<Basis>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Basis {
    /// `upstream.max_links`.
    configured: Option<usize>,
    /// Redis's `maxclients`; `None` until it is known.
    max_clients: Option<usize>,
}

impl Default for LinkLimit {
    fn default() -> Self {
        let basis = Basis::default();
        Self { budget: LinkBudget::new(basis.most()), basis: Mutex::new(basis) }
    }
}

impl Basis {
    fn most(&self) -> usize {
        let all = self.configured.unwrap_or_else(|| {
            let clients = self.max_clients.unwrap_or(MAX_CLIENTS);
            let reserve = (clients / 8).max(LEAST_RESERVE).min(clients / 2);
            clients.saturating_sub(reserve)
        });
        all.saturating_sub(OWN).max(OWN)
    }
}

impl LinkLimit {
    /// Returns the budget from which workers take their links.
    pub(crate) fn budget(&self) -> LinkBudget {
        self.budget.clone()
    }

    /// Puts `upstream.max_links` in force.
    pub(crate) fn configure(&self, most: Option<usize>) {
        self.change(|basis| basis.configured = most);
    }

    /// Takes the `maxclients` that Redis reported.
    pub(crate) fn learn(&self, max_clients: usize) {
        self.change(|basis| basis.max_clients = Some(max_clients));
    }

    /// Shows the bound as a metric.
    pub(crate) fn measure(&self) {
        metrics::most_links(self.budget.most());
    }

    fn change(&self, change: impl FnOnce(&mut Basis)) {
        let mut basis = self.basis.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *basis;
        change(&mut basis);
        let most = basis.most();
        self.budget.set_most(most);
        let is_new =
            before.max_clients != basis.max_clients || before.configured != basis.configured;
        match (basis.configured, basis.max_clients) {
            (Some(configured), Some(max_clients)) if is_new && configured > max_clients => warn!(
                max_links = configured,
                max_clients,
                "upstream.max_links is above Redis's maxclients, so Redis refuses links before \
                 Redoubt does; lower upstream.max_links or raise maxclients"
            ),
            (None, Some(max_clients)) if is_new => {
                info!(links = most, max_clients, "bound on links set from Redis's maxclients");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_comes_from_maxclients_unless_configured() {
        let limit = LinkLimit::default();
        assert_eq!(limit.budget().most(), 10_000 - 1250 - OWN);
        for (max_clients, most) in
            [(65_000, 56_871), (100, 80), (40, 20 - OWN + 4), (10, 4), (1, 4)]
        {
            limit.learn(max_clients);
            assert_eq!(limit.budget().most(), most, "of {max_clients}");
        }
        limit.configure(Some(8));
        assert_eq!(limit.budget().most(), 4);
        limit.configure(None);
        assert_eq!(limit.budget().most(), 4);
    }
}

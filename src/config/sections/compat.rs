//! `[policy.compat]`: refused commands that are answered all the same.

use super::super::declare::{flag, settings};

settings! {
    /// Which refused commands are answered all the same.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CompatSettings in "policy.compat" {
        /// With true, Redoubt answers CONFIG GET of some harmless parameters, such as maxmemory-policy
        /// and databases, with the values that it has read from Redis within the last second. Other
        /// parameters are absent from the reply. For this, the user of `upstream.user` needs the right
        /// to run CONFIG GET. All other forms of CONFIG stay refused.
        config_get: bool = flag().default(false).live();

        /// With true, CONFIG SET notify-keyspace-events is answered with OK if Redis already has at
        /// least these events, else with an error that says what has to be set. Nothing is changed.
        /// The user of `upstream.user` needs the right to run CONFIG GET.
        notify_keyspace_events: bool = flag().default(false).live();
    }
}

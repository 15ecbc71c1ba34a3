//! The names of all metrics, with what they mean; `docs/metrics.md` lists the same.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

macro_rules! names {
    ($($name:ident = $text:literal, $describe:ident, $unit:ident, $help:literal;)*) => {
        $(#[doc = $help] pub const $name: &str = $text;)*

        /// Tells the recorder the units and meanings.
        pub(super) fn describe() {
            $($describe!($name, Unit::$unit, $help);)*
        }
    };
}

names! {
    BUILD_INFO = "redoubt_build_info", describe_gauge, Count, "Always 1; the label tells the version.";
    SESSIONS = "redoubt_sessions", describe_gauge, Count, "Sessions now.";
    SESSIONS_OPENED = "redoubt_sessions_opened_total", describe_counter, Count, "Sessions opened.";
    SESSIONS_CLOSED = "redoubt_sessions_closed_total", describe_counter, Count, "Sessions closed, by reason.";
    SESSION_PAUSES = "redoubt_session_pauses_total", describe_counter, Count, "Sessions paused at a limit.";
    AUTHENTICATIONS = "redoubt_authentications_total", describe_counter, Count, "Attempts to authenticate, by outcome.";
    LOCKOUTS = "redoubt_lockouts_total", describe_counter, Count, "Addresses locked out for wrong passwords.";
    COMMANDS = "redoubt_commands_total", describe_counter, Count, "Commands, by name and what became of them.";
    REFUSALS = "redoubt_refused_commands_total", describe_counter, Count, "Commands refused by the policy, by rule.";
    DURATION = "redoubt_request_duration_seconds", describe_histogram, Seconds, "Time of sampled requests, Redoubt's part and Redis's.";
    CLIENT_BYTES = "redoubt_client_bytes_total", describe_counter, Bytes, "Bytes read from and written to clients.";
    UPSTREAM_BYTES = "redoubt_upstream_bytes_total", describe_counter, Bytes, "Bytes read from and written to Redis.";
    CONNECTIONS_REFUSED = "redoubt_connections_refused_total", describe_counter, Count, "Connections refused, by reason.";
    LINKS = "redoubt_links", describe_gauge, Count, "Links to Redis now: shared, lent, kept and opening.";
    LEASES = "redoubt_leases", describe_gauge, Count, "Links lent to one session each now.";
    UPSTREAM_UP = "redoubt_upstream_up", describe_gauge, Count, "1 while Redis lets Redoubt in, else 0.";
    UPSTREAM_CONNECTS = "redoubt_upstream_connects_total", describe_counter, Count, "Links opened for sessions, by outcome.";
    GUARD_STATE = "redoubt_guard_state", describe_gauge, Count, "1 for the state that holds, 0 for the others.";
}

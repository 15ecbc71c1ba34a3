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
    SESSIONS_UNAUTHENTICATED = "redoubt_sessions_unauthenticated", describe_gauge, Count, "Connections that have not authenticated.";
    UNAUTHENTICATED_MEMORY = "redoubt_unauthenticated_memory_bytes", describe_gauge, Bytes, "What those hold in buffers.";
    SESSIONS_PAUSED = "redoubt_sessions_paused", describe_gauge, Count, "Sessions that are not read now, by limit.";
    SESSION_PAUSES = "redoubt_session_pauses_total", describe_counter, Count, "Sessions paused at a limit.";
    AUTHENTICATIONS = "redoubt_authentications_total", describe_counter, Count, "Attempts to authenticate, by outcome.";
    LOCKOUTS = "redoubt_lockouts_total", describe_counter, Count, "Addresses locked out for wrong passwords.";
    THROTTLED = "redoubt_throttled_addresses", describe_gauge, Count, "Addresses that wrong passwords are remembered of.";
    LOCKED_OUT = "redoubt_locked_out_addresses", describe_gauge, Count, "Addresses locked out now.";
    COMMANDS = "redoubt_commands_total", describe_counter, Count, "Commands, by name and what became of them.";
    REFUSALS = "redoubt_refused_commands_total", describe_counter, Count, "Commands refused by the policy, by rule.";
    DURATION = "redoubt_request_duration_seconds", describe_histogram, Seconds, "Time of sampled requests, Redoubt's part and Redis's.";
    CLIENT_BYTES = "redoubt_client_bytes_total", describe_counter, Bytes, "Bytes read from and written to clients.";
    UPSTREAM_BYTES = "redoubt_upstream_bytes_total", describe_counter, Bytes, "Bytes read from and written to Redis.";
    REPLIES_DUE = "redoubt_replies_due", describe_gauge, Count, "Replies that sessions are owed now.";
    BUFFER_BYTES = "redoubt_buffer_bytes", describe_gauge, Bytes, "Bytes held now, by buffer.";
    MEMORY = "redoubt_memory_bytes", describe_gauge, Bytes, "What authenticated sessions and links hold in memory now.";
    MEMORY_MAX = "redoubt_memory_max_bytes", describe_gauge, Bytes, "What they may hold at most.";
    ORDERS_WAITING = "redoubt_worker_orders_waiting", describe_gauge, Count, "Connections and other orders that wait for a worker.";
    CONNECTIONS_REFUSED = "redoubt_connections_refused_total", describe_counter, Count, "Connections refused, by reason.";
    LINKS = "redoubt_links", describe_gauge, Count, "Links to Redis now, by kind.";
    LINKS_MAX = "redoubt_links_max", describe_gauge, Count, "Links that sessions may have open.";
    LINKS_STALLED = "redoubt_links_stalled_total", describe_counter, Count, "Shared links closed because they owed a reply for too long while Redis answered elsewhere.";
    LEASES = "redoubt_leases", describe_gauge, Count, "Links lent to one session each now, those that are opening too.";
    UPSTREAM_UP = "redoubt_upstream_up", describe_gauge, Count, "1 while Redis lets Redoubt in, else 0.";
    UPSTREAM_CONNECTS = "redoubt_upstream_connects_total", describe_counter, Count, "Links opened for sessions, by outcome.";
    READY = "redoubt_ready", describe_gauge, Count, "1 while Redoubt is ready for clients, else 0.";
    UPSTREAM_LOSSES = "redoubt_upstream_losses_total", describe_counter, Count, "Times that Redis was there and then was not.";
    CERTIFICATE_EXPIRY = "redoubt_certificate_expiry_timestamp_seconds", describe_gauge, Seconds, "When a certificate of Redoubt's own ends, since 1970.";
    LOG_LINES_DROPPED = "redoubt_log_lines_dropped_total", describe_counter, Count, "Log lines that were lost, as the reader of the log was slower.";
    TLS_HANDSHAKES = "redoubt_tls_handshakes_total", describe_counter, Count, "TLS handshakes, by side and outcome.";
    RELOADS = "redoubt_reloads_total", describe_counter, Count, "Reloads of the configuration, by outcome.";
    AUDIT_EVENTS = "redoubt_audit_events_total", describe_counter, Count, "Events written to the audit log.";
    AUDIT_DROPPED = "redoubt_audit_dropped_total", describe_counter, Count, "Events that the audit log had no room for.";
    AUDIT_WRITE_ERRORS = "redoubt_audit_write_errors_total", describe_counter, Count, "Failed writes of the audit log.";
    GUARD_STATE = "redoubt_guard_state", describe_gauge, Count, "1 for the state that holds, 0 for the others.";
}

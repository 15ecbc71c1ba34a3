//! The names and descriptions of all metrics; `docs/metrics.md` lists the same metrics.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

macro_rules! names {
    ($($name:ident = $text:literal, $describe:ident, $unit:ident, $help:literal;)*) => {
        $(#[doc = $help] pub const $name: &str = $text;)*

        /// Registers the units and descriptions with the recorder.
        pub(super) fn describe() {
            $($describe!($name, Unit::$unit, $help);)*
        }
    };
}

names! {
    BUILD_INFO = "redoubt_build_info", describe_gauge, Count, "Always 1; the label holds the version.";
    SESSIONS = "redoubt_sessions", describe_gauge, Count, "Sessions that are open now.";
    SESSIONS_OPENED = "redoubt_sessions_opened_total", describe_counter, Count, "Sessions opened.";
    SESSIONS_CLOSED = "redoubt_sessions_closed_total", describe_counter, Count, "Sessions closed, by reason.";
    SESSIONS_UNAUTHENTICATED = "redoubt_sessions_unauthenticated", describe_gauge, Count, "Open sessions that have not authenticated.";
    UNAUTHENTICATED_MEMORY = "redoubt_unauthenticated_memory_bytes", describe_gauge, Bytes, "Bytes that unauthenticated sessions hold in buffers.";
    SESSIONS_PAUSED = "redoubt_sessions_paused", describe_gauge, Count, "Sessions that Redoubt does not read from now, by the limit that pauses them.";
    SESSION_PAUSES = "redoubt_session_pauses_total", describe_counter, Count, "Times that a session was paused, by limit.";
    AUTHENTICATIONS = "redoubt_authentications_total", describe_counter, Count, "Attempts to authenticate, by outcome.";
    LOCKOUTS = "redoubt_lockouts_total", describe_counter, Count, "Addresses locked out for wrong passwords.";
    THROTTLED = "redoubt_throttled_addresses", describe_gauge, Count, "Addresses with recent wrong passwords.";
    LOCKED_OUT = "redoubt_locked_out_addresses", describe_gauge, Count, "Addresses locked out now.";
    COMMANDS = "redoubt_commands_total", describe_counter, Count, "Commands of clients, by name and result.";
    REFUSALS = "redoubt_refused_commands_total", describe_counter, Count, "Commands refused by the policy, by rule.";
    WOULD_REFUSE = "redoubt_would_refuse_total", describe_counter, Count, "Commands served that the acl of an identity in the mode observe would refuse, by identity and command.";
    IDENTITY_SESSIONS = "redoubt_identity_sessions", describe_gauge, Count, "Authenticated sessions that are open now, by identity.";
    IDENTITY_LEASES = "redoubt_identity_leases", describe_gauge, Count, "Leases now, by identity.";
    IDENTITY_COMMANDS = "redoubt_identity_commands_total", describe_counter, Count, "Commands of authenticated clients, by identity.";
    IDENTITY_REFUSALS = "redoubt_identity_refused_commands_total", describe_counter, Count, "Commands refused by the policy, by identity and rule.";
    IDENTITY_LIMITED = "redoubt_identity_limited_total", describe_counter, Count, "Times that a limit of an identity refused a session or a lease, or made a session wait, by identity and limit.";
    DURATION = "redoubt_request_duration_seconds", describe_histogram, Seconds, "Duration of sampled requests, by part: Redoubt's and Redis's.";
    CLIENT_BYTES = "redoubt_client_bytes_total", describe_counter, Bytes, "Bytes read from and written to clients.";
    UPSTREAM_BYTES = "redoubt_upstream_bytes_total", describe_counter, Bytes, "Bytes read from and written to Redis.";
    REPLIES_DUE = "redoubt_replies_due", describe_gauge, Count, "Replies that are pending now.";
    BUFFER_BYTES = "redoubt_buffer_bytes", describe_gauge, Bytes, "Bytes that Redoubt holds now, by buffer.";
    MEMORY = "redoubt_memory_bytes", describe_gauge, Bytes, "Bytes that authenticated sessions and links hold in memory now.";
    MEMORY_MAX = "redoubt_memory_max_bytes", describe_gauge, Bytes, "Most bytes that authenticated sessions and links may hold in memory.";
    ORDERS_WAITING = "redoubt_worker_orders_waiting", describe_gauge, Count, "Connections and other orders that wait for a worker to take them.";
    CONNECTIONS_REFUSED = "redoubt_connections_refused_total", describe_counter, Count, "Connections refused, by reason.";
    LINKS = "redoubt_links", describe_gauge, Count, "Links to Redis that are open now, by kind.";
    LINKS_MAX = "redoubt_links_max", describe_gauge, Count, "Most links that sessions may have open.";
    MAINT_NOTIFICATIONS = "redoubt_maint_notifications_total", describe_counter, Count, "Maintenance notifications sent to clients that asked for them: MOVING, before their connections end.";
    LINKS_STALLED = "redoubt_links_stalled_total", describe_counter, Count, "Shared links closed because a reply was pending for too long while Redis answered on other links.";
    LEASES = "redoubt_leases", describe_gauge, Count, "Leases now: links that each serve one session, including links that are being opened.";
    UPSTREAM_UP = "redoubt_upstream_up", describe_gauge, Count, "1 while Redoubt can log in to Redis, else 0.";
    UPSTREAM_CONNECTS = "redoubt_upstream_connects_total", describe_counter, Count, "Links opened for sessions, by outcome.";
    UPSTREAM_PRIMARY = "redoubt_upstream_primary", describe_gauge, Count, "1 while it is known which server links go to, else 0.";
    UPSTREAM_NODE = "redoubt_upstream_node", describe_gauge, Count, "1 for the server that links go to, 0 for those before; by node.";
    UPSTREAM_FAILOVERS = "redoubt_upstream_failovers_total", describe_counter, Count, "Times that another server became the primary.";
    UPSTREAM_WITHOUT_PRIMARY = "redoubt_upstream_without_primary_seconds_total", describe_counter, Seconds, "Time without a known primary.";
    UPSTREAM_HELD = "redoubt_upstream_held_total", describe_counter, Count, "Sessions whose requests waited for Redis to be there again, by outcome: served, or refused after failover_timeout.";
    READY = "redoubt_ready", describe_gauge, Count, "1 while Redoubt is ready for clients, else 0.";
    UPSTREAM_LOSSES = "redoubt_upstream_losses_total", describe_counter, Count, "Times that Redis became unreachable.";
    CERTIFICATE_EXPIRY = "redoubt_certificate_expiry_timestamp_seconds", describe_gauge, Seconds, "When a certificate of Redoubt expires, in seconds since 1970.";
    LOG_LINES_DROPPED = "redoubt_log_lines_dropped_total", describe_counter, Count, "Log lines that were lost because the reader of the log was too slow.";
    TLS_HANDSHAKES = "redoubt_tls_handshakes_total", describe_counter, Count, "TLS handshakes, by side and outcome.";
    RELOADS = "redoubt_reloads_total", describe_counter, Count, "Reloads of the configuration, by outcome.";
    AUDIT_EVENTS = "redoubt_audit_events_total", describe_counter, Count, "Events written to the audit log.";
    AUDIT_DROPPED = "redoubt_audit_dropped_total", describe_counter, Count, "Events that were left out of the audit log because its queue was full.";
    AUDIT_WRITE_ERRORS = "redoubt_audit_write_errors_total", describe_counter, Count, "Failed writes of the audit log.";
    GUARD_STATE = "redoubt_guard_state", describe_gauge, Count, "1 for the guard's current state, 0 for the others.";
}

//! Writes a log line for each event of a session.

use std::fmt::Display;
use std::time::Duration;

use tracing::{error, info, warn};

use redoubt_core::session::{Answered, CloseReason, Event, Refusal};

/// The target of every line about a session, for use in `log.level`.
pub const SESSION: &str = "redoubt::session";

/// Logs that `peer` has connected as `session`, with the subject of its certificate if it has one.
pub fn opened(session: u64, peer: &dyn Display, certificate: Option<&str>) {
    info!(target: SESSION, session, %peer, certificate, "session opened");
}

/// Logs that `count` connections were refused for `reason` since the last such line, and `total`
/// since the start.
pub fn refused(reason: &dyn Display, count: u64, total: u64) {
    warn!(target: SESSION, %reason, count, total, "connections refused");
}

/// Logs that `count` sessions without log lines of their own ended at once since the last such
/// line, because the upstream is unavailable.
pub fn unserved(count: u64) {
    let reason = CloseReason::UpstreamUnavailable;
    warn!(target: SESSION, %reason, count, "sessions closed at once");
}

/// Logs that `keys` keys were deleted in `databases` for `session`, in place of `command`.
pub fn keys_deleted(
    session: u64,
    peer: &dyn Display,
    command: &str,
    databases: &[u32],
    keys: u64,
    succeeded: bool,
) {
    let databases = databases.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    info!(
        target: SESSION, session, %peer, command, databases, keys, succeeded,
        "keys deleted in place of a refused command, as policy.compat.flush says"
    );
}

/// Logs `event` of `session`, whose client connects from `peer` and may have a certificate.
pub fn report(session: u64, peer: &dyn Display, certificate: Option<&str>, event: &Event) {
    match event {
        Event::Authenticated { user, method } => {
            let method = method.as_str();
            info!(target: SESSION, session, %peer, certificate, %user, %method, "authenticated");
        }
        Event::AuthFailed { user } => {
            warn!(target: SESSION, session, %peer, %user, "AUTH failed");
        }
        Event::LockedOut { lasts } => {
            let duration_ms = milliseconds(*lasts);
            warn!(target: SESSION, session, %peer, duration_ms, "address locked out");
        }
        Event::Refused { refused, program } => {
            let Refusal { command, rule, opened_by } = &refused.refusal;
            let (name, library) = (program.name.as_deref(), program.library.as_deref());
            warn!(
                target: SESSION, session, %peer, name, library, %command, %rule, opened_by,
                "command refused"
            );
        }
        Event::Answered(Answered { key, parameters, succeeded, .. }) => {
            let (key, parameters) = (key.as_str(), parameters.join(" "));
            info!(
                target: SESSION, session, %peer, key, parameters, succeeded,
                "refused command answered as policy.compat says"
            );
        }
        Event::Closed { reason, lasted, commands, bytes_in, bytes_out } => {
            let duration_ms = milliseconds(*lasted);
            macro_rules! closed {
                ($level:ident) => {
                    $level!(
                        target: SESSION, session, %peer, %reason, duration_ms, commands, bytes_in,
                        bytes_out, "session closed"
                    )
                };
            }
            match reason {
                CloseReason::Internal => closed!(error),
                _ => closed!(info),
            }
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

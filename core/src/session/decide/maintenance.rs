//! `CLIENT MAINT_NOTIFICATIONS`, which Redoubt always answers itself.
//!
//! The request never reaches a server, whose notifications would hold its addresses: a client would go there, past
//! Redoubt. Redoubt agrees to notifications without an address
//! ([`maintenance`](crate::session::replies::maintenance)). To all other types it replies what a server replies
//! that does not have the subcommand; a library in its mode "auto", which is the default of all four, goes on
//! without notifications then.

use bytes::Bytes;

use super::known::refused;
use super::{Action, Deciding, texts};
use crate::policy;
use crate::resp::{Protocol, Request, is_word, reply};

/// Types of addresses that libraries ask for.
const TYPES: [&[u8]; 4] = [b"internal-ip", b"internal-fqdn", b"external-ip", b"external-fqdn"];

/// Returns whether the request is a `CLIENT MAINT_NOTIFICATIONS`.
pub(super) fn is_meant(request: &Request<'_>) -> bool {
    is_word(request.name(), b"client")
        && request.arg(1).is_some_and(|word| is_word(word, b"maint_notifications"))
}

/// Decides on the request. In RESP2, which has no pushes, in a transaction, and if its arguments have not all
/// arrived, the subcommand does not exist, as on the servers that Redoubt is tested with.
pub(super) fn decide(this: &mut Deciding<'_>) -> Action {
    let is_resp2 = this.state.protocol == Protocol::Resp2;
    let lacks = this.in_transaction() || this.state.opaque || !this.context.known.is_whole;
    if !lacks && is_resp2 && this.context.due.remote() > 0 {
        // The reply to a HELLO may be pending.
        return Action::AwaitReplies;
    }
    if lacks || is_resp2 {
        return refused(this, policy::unknown_subcommand(this.request.args()));
    }
    match wanted(this.request) {
        Ok(wants) => {
            this.change.maint_notifications = Some(wants);
            this.local(reply::OK.clone())
        }
        Err(error) => this.local(error),
    }
}

/// Returns whether the client wants notifications.
///
/// # Errors
/// The reply to arguments that Redoubt does not agree to.
fn wanted(request: &Request<'_>) -> Result<bool, Bytes> {
    let is = |place: usize, word: &[u8]| request.arg(place).is_some_and(|arg| is_word(arg, word));
    match request.declared() {
        ..3 => Err(policy::wrong_arity("client|maint_notifications")),
        3 if is(2, b"off") => Ok(false),
        // Lettuce and go-redis may leave the type out, and both understand a notification without an address.
        3 if is(2, b"on") => Ok(true),
        5 if is(2, b"on") && is(3, b"moving-endpoint-type") => {
            if is(4, b"none") {
                Ok(true)
            } else if TYPES.iter().any(|kind| is(4, kind)) {
                Err(policy::unknown_subcommand(request.args()))
            } else {
                Err(texts::SYNTAX_ERROR.clone())
            }
        }
        _ => Err(texts::SYNTAX_ERROR.clone()),
    }
}

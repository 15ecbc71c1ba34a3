//! `CLIENT SETNAME`, `GETNAME` and `SETINFO`: the names of a client and its library.
//!
//! On a shared link Redoubt keeps the name and answers as Redis would; on a lease Redis answers, and
//! Redoubt records the name.

use bytes::Bytes;

use super::texts;
use super::{Action, Deciding, Need};
use crate::command::Spec;
use crate::policy;
use crate::resp::reply::{self, Value};
use crate::resp::{Request, is_word};
use crate::session::replies::expect::{Expect, Learn};
use crate::upstream::Dialect;

/// Decides on `CLIENT SETNAME`, `GETNAME` or `SETINFO`.
pub(super) fn client_name(this: &mut Deciding<'_>, spec: &'static Spec, need: Need) -> Action {
    let (request, leased) = (this.request, this.state.leased);
    if !leased && !this.context.rules.exists(spec) {
        return this.local(policy::unknown_subcommand(request.args()));
    }
    // Inside a transaction or in subscribed state, it is unknown when the name takes effect, or whether
    // it does. The effect of SETINFO on a server of unknown version is always unknown, and what it sets
    // stays until the link closes.
    let is_unknown = this.state.asks_redis(this.context.due);
    let asks_redis = is_unknown || need == Need::Lease;
    this.change.pins |= asks_redis;
    // Redoubt keeps what SETINFO sets, so a lease need not have it.
    let leased = leased && (asks_redis || spec.word() != "setinfo");
    let named = match (spec.word(), request.arg(2)) {
        ("setname", Some(name)) => rename(this, name),
        _ => Ok(()),
    };
    if leased || need == Need::Lease {
        if spec.word() == "setinfo" && !is_unknown {
            set_info(this);
        }
        let learn = if spec.word() == "setname" { Learn::Name } else { Learn::Nothing };
        return Action::Forward { expect: Expect { learn, ..this.plain() }, need };
    }
    let reply = match (spec.word(), named) {
        (_, Err(error)) => error,
        ("getname", _) => {
            let name = this.state.name.as_deref().map_or(Value::Null, Value::Bulk);
            reply::compose(&name, this.state.protocol)
        }
        ("setinfo", _) => set_info(this),
        _ => reply::OK.clone(),
    };
    this.local(reply)
}

/// Sets the session's name to `name`, or to none if it is empty.
pub(super) fn rename(this: &mut Deciding<'_>, name: &[u8]) -> Result<(), Bytes> {
    if !is_name(name, this.context.rules.dialect) {
        return Err(texts::BAD_CLIENT_NAME.clone());
    }
    this.change.left_on_lease.named |= this.state.leased;
    this.change.name = Some(Bytes::copy_from_slice(name));
    Ok(())
}

/// Sets the name or the version of the client's library. Returns the reply of Redis 7.2 to `CLIENT SETINFO
/// attribute value`.
fn set_info(this: &mut Deciding<'_>) -> Bytes {
    let request: &Request<'_> = this.request;
    let attribute = request.arg(2).unwrap_or_default();
    let shown = attribute.split(|byte| *byte == 0).next().unwrap_or_default();
    let value = request.arg(3).unwrap_or_default();
    let value = value.split(|byte| *byte == 0).next().unwrap_or_default();
    if !is_word(attribute, b"lib-name") && !is_word(attribute, b"lib-ver") {
        return reply::error(&[b"ERR Unrecognized option '", shown, b"'"].concat());
    }
    if is_printable(value) {
        let [name, version] = &mut **this.change.library.get_or_insert_default();
        let attribute = if is_word(attribute, b"lib-name") { name } else { version };
        *attribute = Some(Bytes::copy_from_slice(value));
        return reply::OK.clone();
    }
    let name = shown.to_ascii_lowercase();
    let rule = b" cannot contain spaces, newlines or special characters.";
    reply::error(&[b"ERR ", name.as_slice(), rule].concat())
}

/// Returns true if the server permits this name of a client.
pub(super) fn is_name(name: &[u8], dialect: Dialect) -> bool {
    let checked = match dialect.names_end_at_nul {
        true => name.split(|byte| *byte == 0).next().unwrap_or_default(),
        false => name,
    };
    is_printable(checked)
}

/// Returns true if `text` has only characters that Redis permits in a client's name.
fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

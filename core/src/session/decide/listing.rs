//! `COMMAND` and its subcommands: they show only commands that exist for the client, so that they agree
//! with the replies to those commands.
//!
//! The upstream describes the commands; Redoubt asks it for those that are not refused, by name. A
//! container that is not refused is shown with all its subcommands, also those that are refused.

use bytes::{Bytes, BytesMut};

use super::{Action, Deciding, Need};
use crate::command::{Spec, lookup_whole};
use crate::policy::Decision;
use crate::resp::encode_command;
use crate::session::rules::Rules;

/// A name that no command has: the upstream replies for it as for a command that does not exist.
const NO_COMMAND: &[u8] = b"?";

/// Decides on a request for `spec` if it lists or describes commands and some commands are refused. `None`
/// if it is forwarded as it is.
pub(super) fn decide(this: &Deciding<'_>, spec: &Spec) -> Option<Action> {
    let (request, rules) = (this.request, this.context.rules);
    if !spec.name.starts_with("command") || rules.policy.rules().next().is_none() {
        return None;
    }
    let (word, names) = match spec.name {
        "command" => (&b"INFO"[..], None),
        "command|info" => (&b"INFO"[..], Some(request.args().skip(2))),
        "command|docs" => (&b"DOCS"[..], Some(request.args().skip(2))),
        "command|count" if request.declared() == 2 && !this.in_transaction() => {
            let count = existing(rules)?.count();
            return Some(this.local(Bytes::from(format!(":{count}\r\n"))));
        }
        "command|list" if request.declared() == 2 && !this.in_transaction() => {
            let listed = rules.commands.as_ref()?.listed()?;
            return Some(this.local(array(listed.filter(|name| exists(rules, name.as_bytes())))));
        }
        _ => return None,
    };
    let mut words: Vec<&[u8]> = vec![b"COMMAND", word];
    match names {
        Some(names) if request.declared() > 2 => {
            words.extend(names.map(|name| if exists(rules, name) { name } else { NO_COMMAND }));
        }
        _ => words.extend(existing(rules)?.map(str::as_bytes)),
    }
    let mut bytes = BytesMut::new();
    encode_command(words, &mut bytes);
    let need = if this.context.known.is_whole { Need::Fenced } else { Need::Lease };
    Some(Action::Substitute { request: bytes.freeze(), expect: this.plain(), need })
}

/// Returns the names of the commands that exist for the client, without subcommands, in the upstream's order;
/// `None` if the upstream lists no subcommands, as before Redis 7.0.
fn existing(rules: &Rules) -> Option<impl Iterator<Item = &str>> {
    let listed = rules.commands.as_ref()?.listed()?;
    Some(listed.filter(|name| !name.contains('|') && exists(rules, name.as_bytes())))
}

/// Returns true unless the policy refuses the command or subcommand called `name` (`client|kill`).
fn exists(rules: &Rules, name: &[u8]) -> bool {
    let mut parts = name.splitn(2, |byte| *byte == b'|');
    let (command, word) = (parts.next().unwrap_or_default(), parts.next());
    matches!(rules.policy.decide(lookup_whole(name), command, word), Decision::Allow)
}

/// Returns `names` as an array of bulk strings, which a request is too.
fn array<'a>(names: impl Iterator<Item = &'a str>) -> Bytes {
    let names: Vec<_> = names.map(str::as_bytes).collect();
    let mut bytes = BytesMut::new();
    encode_command(names, &mut bytes);
    bytes.freeze()
}

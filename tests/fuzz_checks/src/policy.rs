//! Checks of the policy: no spelling of a blocked name is allowed, and every refusal is one well-formed
//! error.
//!
//! The first two bytes select a name in the command table, or none; the next byte is the number of
//! edits that follow, of two bytes each: a position, and a byte to put there or a case to change. The
//! rest is appended to the name, up to 0xff, and further arguments follow.

use std::sync::LazyLock;

use bytes::BytesMut;
use redoubt_core::command::{self, Spec};
use redoubt_core::policy::{Decision, Escapes, Policy};
use redoubt_core::resp::{
    Kind, Parsed, ReplyScanner, RequestLimits, RequestParser, encode_command,
};
use redoubt_core::session;

/// The refused names: commands, subcommands, and names that the table does not have.
const RULES: [&str; 57] = [
    "FLUSHDB",
    "FLUSHALL",
    "CONFIG",
    "DEBUG",
    "ACL",
    "MODULE",
    "REPLICAOF",
    "SLAVEOF",
    "FAILOVER",
    "SYNC",
    "PSYNC",
    "REPLCONF",
    "SHUTDOWN",
    "MIGRATE",
    "MONITOR",
    "SWAPDB",
    "SAVE",
    "BGSAVE",
    "BGREWRITEAOF",
    "PFDEBUG",
    "PFSELFTEST",
    "RESTORE-ASKING",
    "CLUSTER|ADDSLOTS",
    "CLUSTER|ADDSLOTSRANGE",
    "CLUSTER|BUMPEPOCH",
    "CLUSTER|DELSLOTS",
    "CLUSTER|DELSLOTSRANGE",
    "CLUSTER|FAILOVER",
    "CLUSTER|FLUSHSLOTS",
    "CLUSTER|FORGET",
    "CLUSTER|MEET",
    "CLUSTER|REPLICATE",
    "CLUSTER|RESET",
    "CLUSTER|SAVECONFIG",
    "CLUSTER|SET-CONFIG-EPOCH",
    "CLUSTER|SETSLOT",
    "CLIENT|KILL",
    "CLIENT|PAUSE",
    "CLIENT|UNPAUSE",
    "FUNCTION|FLUSH",
    "FUNCTION|RESTORE",
    "FUNCTION|DELETE",
    "FUNCTION|KILL",
    "SCRIPT|FLUSH",
    "SCRIPT|KILL",
    "LATENCY|RESET",
    "SLOWLOG|RESET",
    "MEMORY|PURGE",
    "OBJECT|FREQ",
    "XGROUP|DESTROY",
    "CLIENT|FUTURE",
    "CLUSTER|FUTURE",
    "FT.DROPINDEX",
    "JSON.SET",
    "GRAPH.CONFIG|SET",
    "FUTURE",
    "TS.CREATE",
];

static POLICY: LazyLock<Policy> =
    LazyLock::new(|| Policy::compile(&RULES, Escapes::Allow).expect("good rules"));
static SPECS: LazyLock<Vec<&'static Spec>> = LazyLock::new(|| command::specs().collect());

/// Panics if a blocked name is allowed, another name is refused, or a refusal is malformed.
pub fn check(data: &[u8]) {
    let Some(args) = request(data) else { return };
    let [name, rest @ ..] = &args[..] else { return };
    let word = rest.first().map(Vec::as_slice);
    let decision = decide(&args);
    // Redis may stop reading a name at a NUL; the part before it is what Redis might run.
    let (shown, shown_word) = (canonical(name), word.map(canonical));
    let named = |rule: &str| match (rule.split_once('|'), &shown_word) {
        (None, _) => rule.to_ascii_lowercase().as_bytes() == shown,
        (Some((of, sub)), Some(word)) => {
            of.to_ascii_lowercase().as_bytes() == shown
                && sub.to_ascii_lowercase().as_bytes() == word
        }
        (Some(_), None) => false,
    };
    let blocked = RULES.iter().any(|rule| named(rule));
    match &decision {
        Decision::Allow => assert!(!blocked, "a blocked name passes"),
        Decision::Deny(denied) => {
            let nul = |text: &[u8]| text.contains(&0);
            assert!(blocked || nul(name) || word.is_some_and(nul), "an innocent name is refused");
            let rule = denied.rule().to_ascii_uppercase();
            assert!(RULES.contains(&rule.as_str()) || rule == "NAME WITH A NUL", "{rule}");
            well_formed(&denied.reply(args.iter().map(Vec::as_slice)));
        }
    }
    let as_text = |case: fn(&[u8]) -> Vec<u8>| args.iter().map(|arg| case(arg)).collect::<Vec<_>>();
    for other in [as_text(<[u8]>::to_ascii_uppercase), as_text(<[u8]>::to_ascii_lowercase)] {
        let same = matches!(decide(&other), Decision::Allow) == (decision == Decision::Allow);
        assert!(same, "case changes the decision");
    }
}

/// Decides as a session does, by the request's own bytes, and again without the table's entry.
fn decide(args: &[Vec<u8>]) -> Decision {
    let mut wire = BytesMut::new();
    encode_command(args.iter().map(Vec::as_slice), &mut wire);
    let mut parser = RequestParser::new();
    let whole = RequestLimits { stream_at: usize::MAX, ..RequestLimits::AUTHENTICATED };
    assert_eq!(parser.parse(&wire, &whole), Ok(Parsed::Request { len: wire.len() }));
    let request = parser.request(&wire);
    let (name, word) = (request.name(), request.arg(1));
    let decision = POLICY.decide(session::classify(&request), name, word);
    assert_eq!(decision, POLICY.decide(None, name, word), "a forgotten lookup opens something");
    assert_eq!(decision, POLICY.decide(command::lookup(name), name, word));
    decision
}

fn canonical(name: &[u8]) -> Vec<u8> {
    name.split(|byte| *byte == 0).next().unwrap_or_default().to_ascii_lowercase()
}

/// Checks that the reply is one error on one line of bounded length.
fn well_formed(reply: &[u8]) {
    let unknown = [&b"-ERR unknown command '"[..], b"-ERR unknown subcommand '"];
    assert!(unknown.iter().any(|text| reply.starts_with(text)));
    assert!(reply.len() < 1024);
    let line = reply.strip_suffix(b"\r\n").expect("a whole line");
    assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    let mut scanner = ReplyScanner::new();
    let scan = scanner.scan(reply).expect("a reply");
    assert!(scan.done && scan.len == reply.len() && scanner.kind().is_some_and(Kind::is_error));
}

/// Returns the arguments that an input stands for.
fn request(data: &[u8]) -> Option<Vec<Vec<u8>>> {
    let [high, low, edits, rest @ ..] = data else { return None };
    let mut text = match SPECS.get(usize::from(u16::from_be_bytes([*high, *low]))) {
        Some(spec) => spec.name.replacen('|', "\u{1}", 1).into_bytes(),
        None => Vec::new(),
    };
    let (edits, rest) = rest.split_at_checked(usize::from(edits % 16) * 2)?;
    for edit in edits.chunks_exact(2) {
        let place = usize::from(edit[0] & 0x3f).min(text.len());
        match (edit[0] >> 6, text.get_mut(place)) {
            (0, Some(byte)) => *byte ^= 0x20,
            (1, Some(byte)) => *byte = edit[1],
            (2, Some(_)) => drop(text.remove(place)),
            _ => text.insert(place, edit[1]),
        }
    }
    // In a subcommand's name, the bar marks where the second argument begins.
    let mut args: Vec<Vec<u8>> = text.splitn(2, |byte| *byte == 1).map(<[u8]>::to_vec).collect();
    let mut more = rest.split(|byte| *byte == 0xff);
    if let (Some(last), Some(tail)) = (args.last_mut(), more.next()) {
        last.extend_from_slice(tail);
    }
    args.extend(more.map(<[u8]>::to_vec));
    Some(args)
}

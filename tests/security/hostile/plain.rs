//! Each refused command as a client library would send it: multibulk, inline, and in MULTI.

use super::case::{Case, multibulk, refuses_restore, says, unknown};

super::in_every_mode!(refused_commands_do_not_exist);

/// Refused commands, with arguments by which they would do damage.
const REFUSED: [&str; 82] = [
    "FLUSHDB",
    "FLUSHDB ASYNC",
    "FLUSHALL",
    "FLUSHALL SYNC",
    "CONFIG",
    "CONFIG GET requirepass",
    "CONFIG SET maxmemory 1mb",
    "CONFIG SET requirepass mine",
    "CONFIG REWRITE",
    "CONFIG RESETSTAT",
    "CONFIG HELP",
    "DEBUG SLEEP 0",
    "DEBUG OBJECT canary",
    "DEBUG RELOAD",
    "DEBUG SEGFAULT",
    "ACL",
    "ACL USERS",
    "ACL LIST",
    "ACL GETUSER default",
    "ACL SETUSER evil on nopass ~* &* +@all",
    "ACL SETUSER default nopass",
    "ACL DELUSER admin",
    "ACL LOAD",
    "ACL SAVE",
    "ACL LOG RESET",
    "ACL DRYRUN default FLUSHALL",
    "MODULE LOAD /nonexistent/evil.so",
    "MODULE LOADEX /nonexistent/evil.so CONFIG a b",
    "MODULE UNLOAD evil",
    "REPLICAOF 127.0.0.1 1",
    "REPLICAOF NO ONE",
    "SLAVEOF 127.0.0.1 1",
    "FAILOVER",
    "FAILOVER ABORT",
    "SYNC",
    "PSYNC ? -1",
    "REPLCONF listening-port 1",
    "REPLCONF ACK 0",
    "SHUTDOWN",
    "SHUTDOWN NOSAVE NOW FORCE",
    "SHUTDOWN ABORT",
    "MIGRATE 127.0.0.1 1 canary 0 10 COPY",
    "MONITOR",
    "SWAPDB 0 1",
    "SAVE",
    "BGSAVE",
    "BGSAVE SCHEDULE",
    "BGREWRITEAOF",
    "PFDEBUG GETREG canary",
    "PFSELFTEST",
    "RESTORE new 0 payload",
    "RESTORE-ASKING new 0 payload",
    "LATENCY RESET",
    "SLOWLOG GET",
    "SLOWLOG RESET",
    "SFLUSH 0 16383",
    "CLUSTER ADDSLOTS 1",
    "CLUSTER ADDSLOTSRANGE 1 2",
    "CLUSTER BUMPEPOCH",
    "CLUSTER DELSLOTS 1",
    "CLUSTER DELSLOTSRANGE 1 2",
    "CLUSTER FAILOVER TAKEOVER",
    "CLUSTER FLUSHSLOT 0",
    "CLUSTER FLUSHSLOTS",
    "CLUSTER FORGET x",
    "CLUSTER MEET 127.0.0.1 1",
    "CLUSTER REPLICATE x",
    "CLUSTER RESET HARD",
    "CLUSTER SAVECONFIG",
    "CLUSTER SET-CONFIG-EPOCH 1",
    "CLUSTER SETSLOT 1 STABLE",
    "CLIENT KILL TYPE normal SKIPME no",
    "CLIENT KILL 127.0.0.1:1",
    "CLIENT PAUSE 1 WRITE",
    "CLIENT UNPAUSE",
    "FUNCTION FLUSH",
    "FUNCTION RESTORE payload FLUSH",
    "FUNCTION DELETE canary",
    "FUNCTION KILL",
    "SCRIPT FLUSH",
    "SCRIPT KILL",
    "SCRIPT DEBUG SYNC",
];

/// Returns those of [`REFUSED`] that are refused before the server under test.
pub(crate) fn refused() -> impl Iterator<Item = &'static str> {
    REFUSED.into_iter().filter(|line| refuses_restore() || !line.starts_with("RESTORE "))
}

/// Returns the beginning of the refusal of a line.
pub(crate) fn refusal(line: &str) -> String {
    let mut words = line.split(' ');
    let (name, word) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match name.to_ascii_uppercase().as_str() {
        "CLIENT" | "CLUSTER" | "FUNCTION" | "LATENCY" | "MODULE" | "SCRIPT" | "SLOWLOG" => {
            format!("-ERR unknown subcommand '{word}'. Try {} HELP.", name.to_ascii_uppercase())
        }
        _ => unknown(name),
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for line in refused() {
        let refused = refusal(line);
        let bytes = multibulk(&[line]);
        cases.push(Case::new(line, bytes.clone(), says(&[&refused])));
        let lower = line.to_ascii_lowercase();
        let name = format!("{lower}, inline");
        cases.push(Case::new(name, format!("{lower}\r\n"), says(&[&refusal(&lower)])));
        let said = [multibulk(&["MULTI", "SET k v"]), bytes, multibulk(&["EXEC"])].concat();
        let heard = ["+OK\r\n+QUEUED\r\n", &refused, "\r\n-EXECABORT "];
        cases.push(Case::new(format!("{line}, in MULTI"), said, says(&heard)));
    }
    cases
}

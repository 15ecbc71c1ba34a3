//! Escapes: commands that get round the block list or take the server over.
//!
//! A command is an escape if it lets a client undo what is refused (give itself rights, load code,
//! bring in other data), take the server away from its operator (stop it, point it at another master,
//! change its cluster, empty its logs), or reach into other sessions (watch, delay or cut their
//! connections, remove what they have loaded). A command that only shows information, or touches only
//! keys and the client's own connection, is no escape, as honest clients use it: `CLIENT LIST`, `INFO`,
//! `NO-EVICT`, `TRACKING` and `UNBLOCK` (which ends a wait as its time limit would), `SLOWLOG`,
//! `LATENCY`, `MEMORY`, `COMMAND`, `FUNCTION LOAD`, and `CLUSTER`'s queries.
//!
//! `RESTORE` is an escape only where the server does not check its payload
//! ([`Policy::where_payloads_are_checked`](super::Policy::where_payloads_are_checked)): by default
//! Redis trusts the payload, and a crafted one crashes Redis or makes it run code.

/// Whether clients may run escapes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Escapes {
    /// Escapes do not exist for clients.
    #[default]
    Deny,
    /// Escapes may run.
    Allow,
}

/// Groups of escapes, each with the reason why they are refused.
#[rustfmt::skip]
const GROUPS: [(&str, &[&str]); 11] = [
    ("gives rights, or brings in code that no rule holds", &["ACL", "MODULE"]),
    (
        "makes the server the replica of another, or hands its data to one",
        &["REPLICAOF", "SLAVEOF", "FAILOVER", "SYNC", "PSYNC", "REPLCONF", "MIGRATE"],
    ),
    (
        "changes which keys and nodes belong to the cluster",
        &[
            "CLUSTER|ADDSLOTS", "CLUSTER|ADDSLOTSRANGE", "CLUSTER|BUMPEPOCH", "CLUSTER|DELSLOTS",
            "CLUSTER|DELSLOTSRANGE", "CLUSTER|FAILOVER", "CLUSTER|FORGET",
            "CLUSTER|MEET", "CLUSTER|REPLICATE", "CLUSTER|RESET", "CLUSTER|SAVECONFIG",
            "CLUSTER|SET-CONFIG-EPOCH", "CLUSTER|SETSLOT",
            // Redis 8.4 and Valkey 9 have these.
            "CLUSTER|CANCELSLOTMIGRATIONS", "CLUSTER|MIGRATESLOTS", "CLUSTER|MIGRATION",
            "CLUSTER|SYNCSLOTS", "TRIMSLOTS",
        ],
    ),
    (
        "stops the server, or has it write all it holds to its disk",
        &["SHUTDOWN", "SAVE", "BGSAVE", "BGREWRITEAOF"],
    ),
    ("exchanges whole databases under the sessions that use them", &["SWAPDB"]),
    (
        "watches, holds up or ends what other sessions do",
        &[
            "MONITOR", "CLIENT|KILL", "CLIENT|PAUSE", "CLIENT|UNPAUSE", "FUNCTION|KILL",
            "SCRIPT|KILL",
        ],
    ),
    (
        "takes scripts or functions away from others, or runs any code in place of one",
        &["FUNCTION|DELETE", "FUNCTION|FLUSH", "FUNCTION|RESTORE", "SCRIPT|DEBUG", "SCRIPT|FLUSH"],
    ),
    (
        "empties whole slots of a cluster, as FLUSHALL empties all",
        // Redis 8 has SFLUSH, Valkey 9 has FLUSHSLOT.
        &["CLUSTER|FLUSHSLOT", "CLUSTER|FLUSHSLOTS", "SFLUSH"],
    ),
    (
        "empties what the server has recorded for its operator",
        // Valkey 8.1 has COMMANDLOG.
        &["COMMANDLOG|RESET", "LATENCY|RESET", "SLOWLOG|RESET"],
    ),
    (
        "loads a value that Redis does not check unless its sanitize-dump-payload is \"yes\"",
        &[Escapes::PAYLOAD],
    ),
    (
        "is for Redis's own tests and nodes, without the checks of what it stands for",
        &["PFDEBUG", "PFSELFTEST", "RESTORE-ASKING"],
    ),
];

impl Escapes {
    /// The command that is an escape only where the server does not check its payload.
    pub(super) const PAYLOAD: &str = "RESTORE";

    /// Returns the rules against all escapes, in upper case, whether they are in force or not.
    pub fn rules() -> impl Iterator<Item = &'static str> {
        GROUPS.into_iter().flat_map(|(_, rules)| rules.iter().copied())
    }

    /// Returns what the command that `rule` names, in any case, would do; `None` if it is no escape.
    pub fn why(rule: &str) -> Option<&'static str> {
        let among = |rules: &[&str]| rules.iter().any(|name| name.eq_ignore_ascii_case(rule));
        GROUPS.into_iter().find(|(_, rules)| among(rules)).map(|(why, _)| why)
    }

    /// Returns the rules against escapes that are in force.
    pub(super) fn denied(self) -> impl Iterator<Item = &'static str> {
        Self::rules().filter(move |_| self == Self::Deny)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_has_one_reason_and_is_listed_once() {
        let mut rules: Vec<_> = Escapes::rules().collect();
        let count = rules.len();
        rules.sort_unstable();
        rules.dedup();
        assert_eq!(rules.len(), count);
        assert!(Escapes::why("client|kill").is_some_and(|why| why.contains("other sessions")));
        assert!(rules.iter().all(|rule| Escapes::why(rule).is_some()));
        for honest in ["client|list", "flushall", "client", "get", ""] {
            assert_eq!(Escapes::why(honest), None, "{honest}");
        }
    }
}

//! Escapes: commands that get round the block list or take the server over.
//!
//! A command is an escape if it lets a client undo what is refused (give itself rights, load code,
//! bring in other data, delete keys in bulk), take the server away from its operator (stop it, point it
//! at another master, change its cluster, empty its logs), or reach into other sessions (watch, delay or
//! cut their connections, read what they have sent, remove what they have loaded). A command that only
//! shows information about the server, or touches only keys and the client's own connection, is no
//! escape, as honest clients use it.
//!
//! Rules name commands, since Redis's ACL, which holds the same rules in scripts, cannot look at
//! arguments. So where only an argument makes a command an escape (`FT.DROPINDEX … DD`, `FT.CONFIG SET`),
//! the whole command is one.
//!
//! Every command that a server flags as administrative, or has in the ACL category `@dangerous`, is
//! either refused or on the list of [`Escapes::reviewed`] with the reason why it is not; a test asks the
//! real servers.
//!
//! `RESTORE` is an escape only where the server does not check its payload
//! ([`Policy::where_payloads_are_checked`](super::Policy::where_payloads_are_checked)): by default
//! Redis trusts the payload, and a crafted one crashes Redis or makes it run code.

use super::Policy;

/// The setting that decides if clients may run escapes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Escapes {
    /// Escapes do not exist for clients.
    #[default]
    Deny,
    /// Escapes may run.
    Allow,
}

/// The decision about a command that a server calls administrative or dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reviewed {
    /// It is an escape, and this is what it does.
    Escape(&'static str),
    /// It is on the default list of blocked commands. Where the operator has taken it off the list, it
    /// may run.
    Blocked,
    /// It may run, for this reason.
    Allowed(&'static str),
}

/// Groups of escapes, each with the reason why they are refused.
#[rustfmt::skip]
const GROUPS: [(&str, &[&str]); 15] = [
    (
        "gives rights, or brings in code that no rule holds",
        &["ACL", "MODULE|LOAD", "MODULE|LOADEX", "MODULE|UNLOAD"],
    ),
    (
        "makes the server the replica of another, or hands its data to one",
        &["BACKUP", "REPLICAOF", "SLAVEOF", "FAILOVER", "SYNC", "PSYNC", "REPLCONF", "MIGRATE"],
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
            // The modules have a cluster's map of their own.
            "SEARCH.CLUSTERREFRESH", "SEARCH.CLUSTERSET", "TIMESERIES.CLUSTERSET",
            "TIMESERIES.CLUSTERSETFROMSHARD", "TIMESERIES.FORCESHARDSCONNECTION", "TIMESERIES.HELLO",
            "TIMESERIES.INNERCOMMUNICATION", "TIMESERIES.NETWORKTEST", "TIMESERIES.REFRESHCLUSTER",
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
        "shows arguments of other sessions' commands, or their scripts",
        &["COMMANDLOG|GET", "SCRIPT|SHOW", "SLOWLOG|GET"],
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
        "can delete all keys of an index at once",
        &["FT.DROP", "FT.DROPINDEX", "FT._DROPIFX", "FT._DROPINDEXIFX"],
    ),
    (
        "changes how the server or a module of it works, or what it records for its operator",
        &[
            "COMMANDLOG|RESET", "FT.CONFIG", "FT.DEBUG", "HOTKEYS|RESET", "HOTKEYS|START",
            "HOTKEYS|STOP", "LATENCY|RESET", "SLOWLOG|RESET", "_FT.CONFIG", "_FT.DEBUG",
        ],
    ),
    (
        "makes the server treat the connection as that of a data migration, or answer it with the \
         addresses of other servers",
        &["CLIENT|CAPA", "CLIENT|IMPORT-SOURCE"],
    ),
    (
        "loads a value that Redis does not check unless its sanitize-dump-payload is \"yes\"",
        &[Escapes::PAYLOAD],
    ),
    ("loads a part of a filter that the module does not check", &["BF.LOADCHUNK", "CF.LOADCHUNK"]),
    (
        "is for Redis's own tests and nodes, without the checks of what it stands for",
        &["PFDEBUG", "PFSELFTEST", "RESTORE-ASKING"],
    ),
];

/// Commands that a server calls administrative or dangerous and that clients may run, by the reason.
#[rustfmt::skip]
const ALLOWED: [(&str, &[&str]); 5] = [
    (
        "it only shows the server's state, without arguments of other sessions",
        &[
            "CLIENT|LIST", "CLUSTER|COUNT-FAILURE-REPORTS", "CLUSTER|GETSLOTMIGRATIONS",
            "CLUSTER|REPLICAS", "CLUSTER|SLAVES", "COMMANDLOG|LEN", "INFO", "LASTSAVE",
            "LATENCY|DOCTOR", "LATENCY|GRAPH", "LATENCY|HISTOGRAM", "LATENCY|HISTORY",
            "LATENCY|LATEST", "MODULE|LIST", "ROLE", "SLOWLOG|LEN",
        ],
    ),
    ("it changes only the client's own connection", &["CLIENT|NO-EVICT"]),
    ("it ends a wait as the wait's own time limit would", &["CLIENT|UNBLOCK"]),
    ("it only reads keys, though it may take long", &["KEYS", "SORT_RO"]),
    ("it only reads and writes keys, though it may take long", &["SORT"]),
];

impl Escapes {
    /// The command that is an escape only where the server does not check its payload.
    pub(super) const PAYLOAD: &str = "RESTORE";
    /// The subcommand of an escape that is none, because Redoubt answers it: it never reaches the server, whose
    /// ACL refuses it with all of `ACL`.
    pub(super) const HARMLESS: &str = "acl|whoami";

    /// Returns the rules against all escapes, in upper case, whether they are in force or not.
    pub fn rules() -> impl Iterator<Item = &'static str> {
        GROUPS.into_iter().flat_map(|(_, rules)| rules.iter().copied())
    }

    /// Returns what the command that `rule` names, in any case, would do; `None` if it is no escape.
    pub fn why(rule: &str) -> Option<&'static str> {
        let among = |rules: &[&str]| rules.iter().any(|name| name.eq_ignore_ascii_case(rule));
        GROUPS.into_iter().find(|(_, rules)| among(rules)).map(|(why, _)| why)
    }

    /// Returns what was decided about the command called `name`, in any case, such as `config|get`;
    /// `None` if nothing was decided about it. For a subcommand, what was decided about its container
    /// holds too.
    pub fn reviewed(name: &str) -> Option<Reviewed> {
        if name.eq_ignore_ascii_case(Self::HARMLESS) {
            return Some(Reviewed::Allowed(
                "Redoubt answers it, with the name of the client's identity",
            ));
        }
        let container = name.split_once('|').map(|(container, _)| container);
        let names = || [Some(name), container].into_iter().flatten();
        let among = |rules: &[&str]| {
            names().any(|name| rules.iter().any(|rule| rule.eq_ignore_ascii_case(name)))
        };
        if let Some(why) = names().find_map(Self::why) {
            return Some(Reviewed::Escape(why));
        }
        if among(&Policy::DEFAULT_BLOCKED) {
            return Some(Reviewed::Blocked);
        }
        let found = ALLOWED.into_iter().find(|(_, rules)| among(rules));
        found.map(|(why, _)| Reviewed::Allowed(why))
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
    #[test]
    fn a_verdict_on_a_container_holds_for_its_subcommands() {
        assert!(matches!(Escapes::reviewed("acl|list"), Some(Reviewed::Escape(_))));
        assert!(matches!(Escapes::reviewed("Slowlog|Get"), Some(Reviewed::Escape(_))));
        assert_eq!(Escapes::reviewed("CONFIG|NEWER"), Some(Reviewed::Blocked));
        assert!(matches!(Escapes::reviewed("slowlog|len"), Some(Reviewed::Allowed(_))));
        for new in ["slowlog|newer", "client", "get", "zz.admin", ""] {
            assert_eq!(Escapes::reviewed(new), None, "{new}");
        }
        for rule in ALLOWED.into_iter().flat_map(|(_, rules)| rules) {
            assert!(matches!(Escapes::reviewed(rule), Some(Reviewed::Allowed(_))), "{rule}");
        }
    }
}

//! Commands that must not exist, in forms that do nothing if they exist.
//!
//! Redis itself rejects each form before it acts: the number of arguments is wrong, or an argument
//! is unknown to its parser. The check needs only the name, and the policy decides only by the
//! name. A command that accepts everything is queued in `MULTI` and discarded.
//! tests/operations/verify_harmless.rs makes Redis count which of these commands it ran.

/// `FLUSHALL` with more words than it has options. One would be enough for Redis, which rejects all
/// but `ASYNC` and `SYNC`; Dragonfly ignores one unknown option, and flushes.
pub(super) const FLUSHALL: [&str; 3] = ["FLUSHALL", "NONSENSE", "NONSENSE"];

/// The commands that are blocked by default.
pub(super) const BLOCKED: [&[&str]; 4] = [
    &["FLUSHDB", "NONSENSE", "NONSENSE"],
    &FLUSHALL,
    // These subcommands do not exist.
    &["CONFIG", "NONSENSE"],
    &["DEBUG", "NONSENSE"],
];

/// `RESTORE` with the wrong number of arguments.
pub(super) const RESTORE: [&str; 2] = ["RESTORE", "x"];

/// Every escape but `RESTORE`, which is no escape if the server checks payloads.
pub(super) const ESCAPES: [&[&str]; 82] = [
    &["ACL", "NONSENSE"],
    &["MODULE", "LOAD"],
    &["MODULE", "LOADEX"],
    &["MODULE", "UNLOAD"],
    // The number of arguments is wrong.
    &["REPLICAOF", "x"],
    &["SLAVEOF", "x"],
    &["SYNC", "x"],
    &["PSYNC", "x"],
    &["MIGRATE", "x"],
    &["SAVE", "x"],
    &["BGREWRITEAOF", "x"],
    &["MONITOR", "x"],
    &["PFDEBUG", "x"],
    &["PFSELFTEST", "x"],
    &["RESTORE-ASKING", "x"],
    // The words are not options, which is a syntax error.
    &["FAILOVER", "NONSENSE"],
    &["REPLCONF", "x"],
    &["SHUTDOWN", "NONSENSE"],
    &["BGSAVE", "NONSENSE"],
    // Databases have numbers, not names.
    &["SWAPDB", "a", "b"],
    // Subcommands, each with too few arguments, one too many, or an unknown option.
    &["CLUSTER", "ADDSLOTS"],
    &["CLUSTER", "ADDSLOTSRANGE"],
    &["CLUSTER", "BUMPEPOCH", "x"],
    &["CLUSTER", "DELSLOTS"],
    &["CLUSTER", "DELSLOTSRANGE"],
    &["CLUSTER", "FAILOVER", "NONSENSE"],
    &["CLUSTER", "FLUSHSLOT"],
    &["CLUSTER", "FLUSHSLOTS", "x"],
    &["CLUSTER", "FORGET"],
    &["CLUSTER", "MEET"],
    &["CLUSTER", "REPLICATE"],
    &["CLUSTER", "RESET", "NONSENSE"],
    &["CLUSTER", "SAVECONFIG", "x"],
    &["CLUSTER", "SET-CONFIG-EPOCH"],
    &["CLUSTER", "SETSLOT"],
    &["CLIENT", "KILL"],
    &["CLIENT", "PAUSE"],
    &["CLIENT", "UNPAUSE", "x"],
    &["FUNCTION", "KILL", "x"],
    &["SCRIPT", "KILL", "x"],
    &["FUNCTION", "DELETE"],
    &["FUNCTION", "FLUSH", "NONSENSE"],
    &["FUNCTION", "RESTORE"],
    &["SCRIPT", "DEBUG"],
    &["SCRIPT", "FLUSH", "NONSENSE"],
    &["COMMANDLOG", "RESET"],
    // The event does not exist: the command runs and resets nothing.
    &["LATENCY", "RESET", "NONSENSE"],
    &["SLOWLOG", "RESET", "x"],
    &["SFLUSH"],
    &["CLIENT", "CAPA"],
    &["CLIENT", "IMPORT-SOURCE"],
    &["COMMANDLOG", "GET"],
    &["SCRIPT", "SHOW"],
    // The count is not a number.
    &["SLOWLOG", "GET", "x"],
    // The words are unknown to newer versions of Redis and to modules, or arguments are missing.
    &["BACKUP", "NONSENSE"],
    &["HOTKEYS", "RESET", "NONSENSE"],
    &["HOTKEYS", "START", "NONSENSE"],
    &["HOTKEYS", "STOP", "NONSENSE"],
    &["BF.LOADCHUNK"],
    &["CF.LOADCHUNK"],
    &["FT.CONFIG", "NONSENSE"],
    &["FT.DEBUG", "NONSENSE"],
    &["FT.DROP"],
    &["FT.DROPINDEX"],
    &["FT._DROPIFX"],
    &["FT._DROPINDEXIFX"],
    &["_FT.CONFIG", "NONSENSE"],
    &["_FT.DEBUG", "NONSENSE"],
    // These are only queued, see `is_only_queued`.
    &["SEARCH.CLUSTERREFRESH"],
    &["SEARCH.CLUSTERSET"],
    &["TIMESERIES.CLUSTERSET"],
    &["TIMESERIES.CLUSTERSETFROMSHARD"],
    &["TIMESERIES.FORCESHARDSCONNECTION"],
    &["TIMESERIES.HELLO"],
    &["TIMESERIES.INNERCOMMUNICATION"],
    &["TIMESERIES.NETWORKTEST"],
    &["TIMESERIES.REFRESHCLUSTER"],
    // Commands of Redis 8.4 and Valkey 9, with numbers of arguments that their command tables
    // reject.
    &["TRIMSLOTS"],
    &["CLUSTER", "CANCELSLOTMIGRATIONS", "x"],
    &["CLUSTER", "MIGRATESLOTS"],
    &["CLUSTER", "MIGRATION"],
    // Valkey 9 accepts this without an argument and then reads a synchronization, so an unknown
    // argument is given. Redis accepts it only from its own nodes and closes the connection, so it
    // comes last.
    &["CLUSTER", "SYNCSLOTS", "NONSENSE"],
];

/// Containers that are refused as a whole; of other containers, single subcommands are refused.
const WHOLE: [&str; 3] = ["ACL", "CONFIG", "DEBUG"];
#[rustfmt::skip]
const CONTAINERS: [&str; 9] = [
    "CLUSTER", "CLIENT", "COMMANDLOG", "FUNCTION", "HOTKEYS", "LATENCY", "MODULE", "SCRIPT", "SLOWLOG",
];

/// Returns whether the command `args` may only be sent inside `MULTI`, where it is queued and not run.
/// This is so for the commands of the modules' own cluster. Some of them act whatever their arguments are:
/// `TIMESERIES.FORCESHARDSCONNECTION` ends a server that is not part of a cluster (7.4.1).
pub(super) fn is_only_queued(args: &[&str]) -> bool {
    let modules = ["SEARCH.", "TIMESERIES."];
    args.first().is_some_and(|name| modules.iter().any(|module| name.starts_with(module)))
}

/// Returns the name of the command that `args` test, such as `CLIENT KILL`.
pub(super) fn name(args: &[&str]) -> String {
    match args {
        [container, word, ..] if CONTAINERS.contains(container) => format!("{container} {word}"),
        [name, ..] => (*name).to_owned(),
        [] => String::new(),
    }
}

/// Returns whether `reply` means that the command `args` does not exist. Redis 7 replies `unknown
/// subcommand` if a container exists but not the subcommand: for a container that should be refused
/// as a whole, that means it was not refused. Older versions write it with a capital letter, and
/// also for wrong arguments.
pub(super) fn is_missing(args: &[&str], reply: &str) -> bool {
    let whole = args.first().is_none_or(|name| WHOLE.contains(name) || !CONTAINERS.contains(name));
    reply.starts_with("-ERR unknown command ")
        || (!whole && reply.starts_with("-ERR unknown subcommand "))
}

/// Returns whether `reply`, which was given inside `MULTI`, means that Redoubt runs the command as
/// `policy.compat.flush` says. Redis would have queued it.
pub(super) fn is_limited_flush(reply: &str) -> bool {
    reply.starts_with("-ERR FLUSH") && reply.contains("(policy.compat.flush)")
}

#[cfg(test)]
mod tests {
    use redoubt_core::policy::Escapes;

    use super::*;

    #[test]
    fn every_escape_is_tested() {
        let all = ESCAPES.iter().copied().chain([&RESTORE[..]]);
        let asked: Vec<_> = all.map(|args| name(args).replace(' ', "|")).collect();
        for rule in Escapes::rules() {
            assert!(asked.iter().any(|name| name == rule), "{rule}");
        }
    }

    #[test]
    fn unknown_subcommand_means_that_the_container_was_not_refused() {
        let reply = "-ERR unknown subcommand 'NONSENSE'. Try CONFIG HELP.";
        assert!(!is_missing(&["CONFIG", "NONSENSE"], reply));
        assert!(is_missing(
            &["CLIENT", "KILL"],
            "-ERR unknown subcommand 'KILL'. Try CLIENT HELP."
        ));
        let old = "-ERR Unknown subcommand or wrong number of arguments for 'KILL'";
        assert!(!is_missing(&["CLIENT", "KILL"], old));
    }
}

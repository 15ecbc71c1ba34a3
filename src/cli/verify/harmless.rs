//! Commands that must not exist, in forms that do nothing where they do.
//!
//! A form is chosen so that Redis refuses it itself before it acts: with a wrong number of
//! arguments, or with a word that its parser does not take. Only the name is asked about, and the
//! policy judges by nothing else. tests/operations/verify_harmless.rs has Redis count what it ran of
//! them.

/// `FLUSHALL` with more words than it has options. One would be enough for Redis, which knows `ASYNC`
/// and `SYNC` and refuses any other; Dragonfly passes over one that it does not know, and flushes.
pub(super) const FLUSHALL: [&str; 3] = ["FLUSHALL", "NONSENSE", "NONSENSE"];

/// What is blocked by default.
pub(super) const BLOCKED: [&[&str]; 4] = [
    &["FLUSHDB", "NONSENSE", "NONSENSE"],
    &FLUSHALL,
    // Subcommands that there are not.
    &["CONFIG", "NONSENSE"],
    &["DEBUG", "NONSENSE"],
];

/// With the wrong number of arguments.
pub(super) const RESTORE: [&str; 2] = ["RESTORE", "x"];

/// Every escape but `RESTORE`, which is none where the server checks what it brings.
pub(super) const ESCAPES: [&[&str]; 52] = [
    &["ACL", "NONSENSE"],
    &["MODULE", "NONSENSE"],
    // Wrong number of arguments.
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
    // Words that are no option: syntax error.
    &["FAILOVER", "NONSENSE"],
    &["REPLCONF", "x"],
    &["SHUTDOWN", "NONSENSE"],
    &["BGSAVE", "NONSENSE"],
    // Databases have numbers.
    &["SWAPDB", "a", "b"],
    // Subcommands, each with too few arguments or one too many, or a word that is no option.
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
    // An event of which nothing is recorded: this runs, and resets nothing.
    &["LATENCY", "RESET", "NONSENSE"],
    &["SLOWLOG", "RESET", "x"],
    &["SFLUSH"],
    // Of Redis 8.4 and Valkey 9. Their tables of commands ask for other numbers of arguments.
    &["TRIMSLOTS"],
    &["CLUSTER", "CANCELSLOTMIGRATIONS", "x"],
    &["CLUSTER", "MIGRATESLOTS"],
    &["CLUSTER", "MIGRATION"],
    // Valkey 9 takes it without a word and then reads one, so a word that it does not know is given.
    // Redis refuses it to all but its own nodes and closes the connection, so it comes last.
    &["CLUSTER", "SYNCSLOTS", "NONSENSE"],
];

/// Containers that are refused whole; of the others, a subcommand is.
const WHOLE: [&str; 4] = ["ACL", "MODULE", "CONFIG", "DEBUG"];
const CONTAINERS: [&str; 7] =
    ["CLUSTER", "CLIENT", "COMMANDLOG", "FUNCTION", "LATENCY", "SCRIPT", "SLOWLOG"];

/// The name of what is asked about: `CLIENT KILL`.
pub(super) fn name(args: &[&str]) -> String {
    match args {
        [container, word, ..] if CONTAINERS.contains(container) => format!("{container} {word}"),
        [name, ..] => (*name).to_owned(),
        [] => String::new(),
    }
}

/// Returns whether `reply` says that what `args` name does not exist. Redis 7 says of an unknown
/// subcommand of a container that it has `unknown subcommand`: for one that is to be refused
/// whole, that means that it got through. Older ones say it with a capital, of wrong arguments too.
pub(super) fn is_missing(args: &[&str], reply: &str) -> bool {
    let whole = args.first().is_none_or(|name| WHOLE.contains(name) || !CONTAINERS.contains(name));
    reply.starts_with("-ERR unknown command ")
        || (!whole && reply.starts_with("-ERR unknown subcommand "))
}

#[cfg(test)]
mod tests {
    use redoubt_core::policy::Escapes;

    use super::*;

    #[test]
    fn every_escape_is_asked_about() {
        let all = ESCAPES.iter().copied().chain([&RESTORE[..]]);
        let asked: Vec<_> = all.map(|args| name(args).replace(' ', "|")).collect();
        for rule in Escapes::rules() {
            assert!(asked.iter().any(|name| name == rule), "{rule}");
        }
    }

    #[test]
    fn an_unknown_subcommand_of_a_container_that_is_there_got_through() {
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

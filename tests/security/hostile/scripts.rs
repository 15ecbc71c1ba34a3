//! Refused commands called from scripts, where no proxy sees their names.

use super::case::{Case, Holds, multibulk};
use support::frame;

super::in_every_mode!(scripts_run_nothing_that_is_refused);

const FLUSH: &str = "return redis.call('FLUSHALL')";
/// The SHA-1 digest of [`FLUSH`].
const FLUSH_SHA: &str = "0602318aae32acfcc8425701de027a440970423c";

/// Scripts by which `FLUSHALL` runs where nothing restricts scripts.
const FLUSHES: [(&str, &str); 22] = [
    ("as it is", FLUSH),
    ("lower case", "return redis.call('flushall')"),
    ("mixed case", "return redis.call('fLuShAlL')"),
    ("asynchronously", "return redis.call('FLUSHALL', 'ASYNC')"),
    ("by pcall", "return redis.pcall('FLUSHALL')"),
    ("by Lua's pcall", "pcall(redis.call, 'FLUSHALL') return 1"),
    ("put together", "return redis.call('FLUSH' .. 'ALL')"),
    ("letter by letter", "return redis.call(string.char(70,76,85,83,72,65,76,76))"),
    ("backwards", "return redis.call(string.reverse('LLAHSULF'))"),
    ("with escapes", "return redis.call('\\70\\76\\85\\83\\72\\65\\76\\76')"),
    ("from a table", "return redis.call(unpack({'FLUSHALL', 'SYNC'}))"),
    ("from text", "return loadstring(\"return redis.call('FLUSHALL')\")()"),
    ("under another name", "local r = redis local c = r['call'] return c('FLUSHALL')"),
    ("from a closure", "local function f(n) return redis.call(n) end return f('FLUSHALL')"),
    ("after setresp", "redis.setresp(3) return redis.call('FLUSHALL')"),
    ("without replication", "redis.set_repl(redis.REPL_NONE) return redis.call('FLUSHALL')"),
    ("after replicate_commands", "redis.replicate_commands() return redis.call('FLUSHALL')"),
    (
        "after a write",
        "redis.call('SET', 'k', 1) redis.call('DEL', 'k') return redis.call('FLUSHALL')",
    ),
    ("after SELECT", "redis.call('SELECT', 1) return redis.call('FLUSHALL')"),
    ("a thousand times", "for i = 1, 1000 do redis.pcall('FLUSHALL') end return 1"),
    ("with NULs", "for i = 1, 3000 do redis.pcall('FLUSHALL\\0' .. i) end return 1"),
    ("with a header", "#!lua\nreturn redis.call('FLUSHALL')"),
];

/// Other commands that scripts may call in Redis, and the command that is executed there.
const OTHERS: [(&str, &str); 8] = [
    ("redis.call('FLUSHDB')", "flushdb"),
    ("redis.call('SELECT', 1) redis.call('FLUSHDB')", "flushdb"),
    ("redis.call('SWAPDB', 0, 1)", "swapdb"),
    ("redis.pcall('MIGRATE', '127.0.0.1', 1, 'canary', 0, 10, 'COPY')", "migrate"),
    ("redis.pcall('RESTORE', 'new', 0, 'payload')", "restore"),
    ("redis.pcall('RESTORE-ASKING', 'new', 0, 'payload')", "restore-asking"),
    ("redis.pcall('PFDEBUG', 'GETREG', 'canary')", "pfdebug"),
    ("redis.pcall('CLUSTER', 'FAILOVER')", "cluster|failover"),
];

/// Calls that Redis refuses in every script.
const NEVER: [&str; 30] = [
    "redis.pcall('CONFIG', 'SET', 'maxmemory', '1mb')",
    "redis.pcall('CONFIG', 'GET', 'requirepass')",
    "redis.pcall('CONFIG', 'RESETSTAT')",
    "redis.pcall('DEBUG', 'RELOAD')",
    "redis.pcall('ACL', 'SETUSER', 'evil', 'on', 'nopass', '+@all')",
    "redis.pcall('ACL', 'SETUSER', 'default', 'nopass')",
    "redis.pcall('MODULE', 'LOAD', '/nonexistent/evil.so')",
    "redis.pcall('REPLICAOF', '127.0.0.1', '1')",
    "redis.pcall('SLAVEOF', '127.0.0.1', '1')",
    "redis.pcall('FAILOVER')",
    "redis.pcall('SHUTDOWN', 'NOSAVE')",
    "redis.pcall('SAVE')",
    "redis.pcall('BGSAVE')",
    "redis.pcall('BGREWRITEAOF')",
    "redis.pcall('MONITOR')",
    "redis.pcall('SYNC')",
    "redis.pcall('PSYNC', '?', '-1')",
    "redis.pcall('REPLCONF', 'listening-port', '1')",
    "redis.pcall('CLIENT', 'KILL', 'TYPE', 'normal')",
    "redis.pcall('CLIENT', 'PAUSE', '1')",
    "redis.pcall('SCRIPT', 'FLUSH')",
    "redis.pcall('FUNCTION', 'FLUSH')",
    "redis.pcall('FUNCTION', 'DELETE', 'canary')",
    "redis.pcall('CLUSTER', 'RESET')",
    "redis.pcall('EVAL', \"return redis.call('FLUSHALL')\", '0')",
    "redis.pcall('AUTH', 'admin', 'the-password-of-the-admin-of-redis')",
    "redis.pcall('MULTI')",
    "os.execute('true')",
    "package.loadlib('/nonexistent/evil.so', 'f')",
    "redis.call = nil",
];

fn eval(script: &str) -> Vec<u8> {
    frame::request(&["EVAL", script, "0"])
}

fn flushes(name: impl Into<String>, said: Vec<u8>) -> Case {
    Case::new(name, said, Holds::Reaches("flushall"))
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> =
        FLUSHES.iter().map(|(name, script)| flushes(*name, eval(script))).collect();
    cases.extend(OTHERS.map(|(script, reached)| {
        Case::new(script, eval(&format!("{script} return 1")), Holds::Reaches(reached))
    }));
    cases.extend(NEVER.map(|script| Case::new(script, eval(script), Holds::ReachesNothing)));
    cases.extend(ways());
    cases.extend(loaded());
    cases
}

/// Returns several ways to send a script.
fn ways() -> Vec<Case> {
    let inline = "EVAL \"return redis.call('FLUSHALL')\" 0\r\n";
    let large = format!("-- {}\n{FLUSH}", "x".repeat(100_000));
    let read_only = |script: &str| frame::request(&["EVAL_RO", script, "0"]);
    vec![
        flushes(
            "name as argument",
            frame::request(&["EVAL", "return redis.call(ARGV[1])", "0", "FLUSHALL"]),
        ),
        flushes(
            "name as key",
            frame::request(&["EVAL", "return redis.call(KEYS[1])", "1", "FLUSHALL"]),
        ),
        flushes("lower case eval", frame::request(&["eval", FLUSH, "0"])),
        flushes("inline", inline.into()),
        flushes(
            "inline with escapes",
            b"\"\\x45VAL\" \"return redis.call('\\x46LUSHALL')\" 0\r\n".to_vec(),
        ),
        flushes("byte by byte", eval(FLUSH)).byte_by_byte(),
        flushes("100 kB", eval(&large)),
        flushes("in MULTI", [multibulk(&["MULTI"]), eval(FLUSH), multibulk(&["EXEC"])].concat()),
        flushes(
            "in a pipeline",
            [multibulk(&["PING"]), eval(FLUSH), eval(FLUSH), multibulk(&["PING"])].concat(),
        ),
        flushes("in RESP3", [multibulk(&["HELLO 3"]), eval(FLUSH)].concat()),
        flushes("in another database", [multibulk(&["SELECT 1"]), eval(FLUSH)].concat()),
        flushes("behind CLIENT ID", [multibulk(&["CLIENT ID"]), eval(FLUSH)].concat()),
        flushes("behind WATCH", [multibulk(&["WATCH k"]), eval(FLUSH)].concat()),
        Case::new("EVAL_RO", read_only(FLUSH), Holds::ReachesNothing),
        Case::new(
            "EVAL_RO by pcall",
            read_only("return redis.pcall('FLUSHDB')"),
            Holds::ReachesNothing,
        ),
        Case::new(
            "EVAL_RO of SWAPDB",
            read_only("return redis.pcall('SWAPDB', 0, 1)"),
            Holds::ReachesNothing,
        ),
        Case::new(
            "a script flagged no-writes",
            eval("#!lua flags=no-writes\nreturn redis.call('FLUSHALL')"),
            Holds::ReachesNothing,
        ),
    ]
}

/// Returns cases with scripts that have been loaded before.
fn loaded() -> Vec<Case> {
    let by_digest = |name: &str| frame::request(&[name, FLUSH_SHA, "0"]);
    let load = frame::request(&["SCRIPT", "LOAD", FLUSH]);
    let upper = frame::request(&["EVALSHA", &FLUSH_SHA.to_ascii_uppercase(), "0"]);
    let in_multi = [multibulk(&["MULTI"]), by_digest("EVALSHA"), multibulk(&["EXEC"])].concat();
    vec![
        flushes("loaded by the operator", by_digest("EVALSHA")).after(&["SCRIPT", "LOAD", FLUSH]),
        flushes("by its digest in upper case", upper).after(&["SCRIPT", "LOAD", FLUSH]),
        flushes("by its digest in MULTI", in_multi).after(&["SCRIPT", "LOAD", FLUSH]),
        flushes("loaded by another session", by_digest("EVALSHA")).after_another(load.clone()),
        flushes("loaded by itself", [load.clone(), by_digest("EVALSHA")].concat()),
        flushes(
            "loaded in MULTI",
            [multibulk(&["MULTI"]), load, by_digest("EVALSHA"), multibulk(&["EXEC"])].concat(),
        ),
        Case::new("EVALSHA_RO", by_digest("EVALSHA_RO"), Holds::ReachesNothing)
            .after(&["SCRIPT", "LOAD", FLUSH]),
    ]
}

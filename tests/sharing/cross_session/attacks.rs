//! Attacks that may leave something of a session to others, or get something of theirs.

use support::frame;

/// How the session ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// It closes its sending side, and reads all replies.
    HearsAll,
    /// It resets its connection at once, with pending replies.
    Leaves,
    /// It resets its connection when it has received this many bytes.
    LeavesAfter(usize),
}

/// The requests of an attacking session, and their expected replies.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) said: Vec<u8>,
    pub(crate) heard: Heard,
    pub(crate) end: End,
}

/// The replies that it must receive.
pub(crate) enum Heard {
    /// These parts.
    Parts(&'static [&'static str]),
    /// What the server itself replies to a client of its own.
    AsServer,
}

fn lines(lines: &[&str]) -> Vec<u8> {
    let request = |line: &&str| frame::request(&line.split(' ').collect::<Vec<_>>());
    lines.iter().flat_map(request).collect()
}

fn hears(name: &'static str, said: Vec<u8>, heard: &'static [&'static str]) -> Attack {
    Attack { name, said, heard: Heard::Parts(heard), end: End::HearsAll }
}

fn hears_as_server(name: &'static str, said: Vec<u8>) -> Attack {
    Attack { name, said, heard: Heard::AsServer, end: End::HearsAll }
}

fn leaves(name: &'static str, said: Vec<u8>) -> Attack {
    Attack { name, said, heard: Heard::Parts(&[]), end: End::Leaves }
}

fn leaves_after(name: &'static str, least: usize, said: Vec<u8>) -> Attack {
    Attack { name, said, heard: Heard::Parts(&[]), end: End::LeavesAfter(least) }
}

pub(crate) fn all() -> Vec<Attack> {
    [replies(), states(), subscriptions(), frames()].into_iter().flatten().collect()
}

/// Returns attacks with replies that arrive after the session has ended, or that do not arrive.
fn replies() -> Vec<Attack> {
    let echoes = lines(&["ECHO left-behind"]).repeat(200);
    let script = frame::request(&["EVAL", "return string.rep('left-behind', 100)", "0"]);
    let large = [
        frame::request(&["SET", "attacker:large", &"x".repeat(1 << 20)]),
        lines(&["GET attacker:large"]).repeat(20),
    ]
    .concat();
    let part = frame::request(&["SET", "attacker:part", &"x".repeat(100_000)]);
    let swallowed = [lines(&["CLIENT REPLY OFF"]), echoes.clone()].concat();
    vec![
        leaves("leaving 200 replies", echoes.clone()),
        leaves_after("leaving in the middle of a reply", 5, echoes),
        leaves("leaving the reply of a script", script.repeat(5)),
        leaves_after("leaving in the middle of a script's", 3, script),
        leaves_after("leaving 20 MB", 100, large),
        leaves("leaving in the middle of a large request", part[..70_000].to_vec()),
        leaves("leaving in the middle of a small request", part[..500].to_vec()),
        leaves("leaving a wrong command", lines(&["NONE left-behind", "ECHO left-behind"])),
        leaves("replies off, then leaving", swallowed),
        hears(
            "replies off, then on",
            lines(&["CLIENT REPLY OFF", "ECHO a", "CLIENT REPLY ON", "PING"]),
            &["+OK\r\n+PONG\r\n"],
        ),
        hears("a skipped reply", lines(&["CLIENT REPLY SKIP", "ECHO a", "PING"]), &["+PONG\r\n"]),
        leaves("a skip that skips nothing", lines(&["CLIENT REPLY SKIP"])),
        leaves("a skip in a transaction", lines(&["MULTI", "CLIENT REPLY SKIP", "EXEC", "ECHO a"])),
        leaves(
            "replies off in a transaction",
            lines(&["MULTI", "CLIENT REPLY OFF", "EXEC", "ECHO a"]),
        ),
        hears("QUIT and more", lines(&["ECHO a", "QUIT", "ECHO b"]), &["$1\r\na\r\n+OK\r\n"]),
        leaves("an element that nobody takes", lines(&["BLPOP attacker:list 0"])),
        leaves("a stream that nobody reads", lines(&["XREAD BLOCK 0 STREAMS attacker:stream $"])),
        leaves("waiting for replicas", lines(&["WAIT 1 0"])),
        leaves("waiting for another's element", lines(&["BLMPOP 0 1 attacker:list LEFT"])),
        hears(
            "a wrong AUTH between",
            lines(&["ECHO a", "AUTH wrong", "ECHO b"]),
            &["a\r\n-WRONGPASS", "b\r\n"],
        ),
    ]
}

/// Returns attacks with state that Redis keeps for a connection.
fn states() -> Vec<Attack> {
    vec![
        leaves("a transaction left open", lines(&["MULTI", "SET attacker 1", "GET attacker"])),
        leaves("a transaction that failed", lines(&["MULTI", "NONE", "SET attacker 1"])),
        hears_as_server("a transaction within", lines(&["MULTI", "MULTI", "EXEC"])),
        leaves("a key that is watched", lines(&["WATCH where text pipeliner victims:list"])),
        leaves("another database", lines(&["SELECT 9", "SET where nine"])),
        leaves(
            "another database in a transaction",
            lines(&["MULTI", "SELECT 9", "EXEC", "SET where nine"]),
        ),
        leaves(
            "another database that is dropped",
            lines(&["MULTI", "SELECT 9", "DISCARD", "SET attacker 1"]),
        ),
        hears(
            "a database that is none",
            lines(&["SELECT 9999", "SELECT -1", "ECHO a"]),
            &["-ERR DB index is out of range", "a\r\n"],
        ),
        leaves("a name", lines(&["CLIENT SETNAME attacker", "CLIENT ID"])),
        leaves("a name by HELLO", lines(&["HELLO 3 SETNAME attacker", "MULTI", "PING", "EXEC"])),
        hears(
            "another protocol and back",
            lines(&["HELLO 3", "HELLO 2", "HELLO 3", "HGETALL none", "HELLO 2", "HGETALL none"]),
            &["%0\r\n", "*0\r\n"],
        ),
        leaves("another protocol", lines(&["HELLO 3", "WATCH k", "HGETALL none"])),
        leaves(
            "another protocol in a transaction",
            lines(&["MULTI", "HELLO 3", "EXEC", "HGETALL none"]),
        ),
        hears("a protocol that is none", lines(&["HELLO 4", "ECHO a"]), &["-NOPROTO", "a\r\n"]),
        leaves("RESET with replies due", lines(&["ECHO a", "SELECT 9", "RESET", "ECHO b"])),
        leaves("RESET in a transaction", lines(&["SELECT 9", "MULTI", "SET k v", "RESET"])),
        leaves("reading only", lines(&["READONLY", "ASKING", "CLIENT NO-EVICT ON"])),
        leaves(
            "a script's protocol",
            frame::request(&["EVAL", "redis.setresp(3) redis.call('SELECT', 9) return 1", "0"]),
        ),
        leaves(
            "a script that fails",
            frame::request(&["EVAL", "redis.call('SELECT', 9) error('x')", "0"]),
        ),
        leaves(
            "a debugged script",
            [lines(&["SCRIPT DEBUG YES"]), frame::request(&["EVAL", "return 1", "0"])].concat(),
        ),
    ]
}

/// Returns attacks with messages that Redis sends without a request.
fn subscriptions() -> Vec<Attack> {
    vec![
        leaves("a subscription", lines(&["SUBSCRIBE attacker:c", "PING"])),
        leaves("a subscription in RESP3", lines(&["HELLO 3", "SUBSCRIBE attacker:c", "ECHO a"])),
        leaves("a pattern", lines(&["PSUBSCRIBE attacker:*"])),
        leaves("a shard's channel", lines(&["SSUBSCRIBE attacker:c"])),
        leaves(
            "a subscription in a transaction",
            lines(&["MULTI", "SUBSCRIBE attacker:c", "EXEC", "PING"]),
        ),
        hears(
            "a subscription given up",
            lines(&["SUBSCRIBE attacker:c", "UNSUBSCRIBE", "ECHO a"]),
            &[":1\r\n", ":0\r\n", "a\r\n"],
        ),
        leaves(
            "tracking",
            lines(&["HELLO 3", "CLIENT TRACKING ON", "GET attacker:k", "SET attacker:k 1"]),
        ),
        leaves("tracking of all", lines(&["HELLO 3", "CLIENT TRACKING ON BCAST PREFIX attacker:"])),
        leaves(
            "tracking in a transaction",
            lines(&["HELLO 3", "MULTI", "CLIENT TRACKING ON BCAST PREFIX attacker:", "EXEC"]),
        ),
        leaves("caching without tracking", lines(&["CLIENT CACHING YES", "GET attacker:k"])),
        hears(
            "MONITOR",
            lines(&["MONITOR", "ECHO a"]),
            &["-ERR unknown command 'MONITOR'", "a\r\n"],
        ),
        hears(
            "ending others",
            lines(&["CLIENT KILL TYPE normal SKIPME yes", "CLIENT KILL TYPE pubsub", "ECHO a"]),
            &["-ERR unknown subcommand 'KILL'", "a\r\n"],
        ),
        hears(
            "holding others up",
            lines(&["CLIENT PAUSE 100000", "ECHO a"]),
            &["-ERR unknown subcommand 'PAUSE'", "a\r\n"],
        ),
    ]
}

/// Returns attacks with bytes that may be taken for others' replies or requests.
fn frames() -> Vec<Attack> {
    vec![
        hears(
            "an error with line ends",
            frame::request(&["none\r\n+forged", "a\r\n:1\r\nb"]),
            &["-ERR unknown command 'none  +forged'"],
        ),
        hears(
            "a script that forges",
            frame::request(&["EVAL", "return redis.error_reply('x\\r\\n+forged')", "0"]),
            &["-ERR x  +forged\r\n"],
        ),
        hears(
            "a status with line ends",
            frame::request(&["EVAL", "return redis.status_reply('x\\r\\n+forged')", "0"]),
            &["+x  +forged\r\n"],
        ),
        hears(
            "a broken request behind others",
            [lines(&["ECHO a", "ECHO b"]), b"*1\r\n+x\r\n".to_vec()].concat(),
            &["a\r\n", "b\r\n-ERR Protocol error"],
        ),
        hears_as_server(
            "a request that lies",
            b"*2\r\n$4\r\nECHO\r\n$1\r\nabc\r\nPING\r\n".to_vec(),
        ),
        leaves(
            "a deep reply",
            frame::request(&["EVAL", "local t = {} for i = 1, 20 do t = {t} end return t", "0"]),
        ),
        leaves("a large count", b"*2000000000\r\n$4\r\nMSET\r\n".to_vec()),
    ]
}

//! One identity tries to reach another's keys, channels and databases, in every way that there is.

use support::redoubt::Setup;
use support::servers::on_each;

use crate::{Identities, SERVERS, fill, texts};

/// What the other identity has, and the thief must not see.
const TREASURE: &str = "treasure-5f2c";

type Commands = &'static [&'static [&'static str]];

/// Each is run twice on the same data: by an identity with all rights, whose last command must work, and by the
/// thief, whose last command must be refused.
const CASES: &[(&str, Commands)] = &[
    // Strings
    ("get", &[&["GET", "victim:s"]]),
    ("mget of both", &[&["MGET", "thief:s", "victim:s"]]),
    ("getrange", &[&["GETRANGE", "victim:s", "0", "-1"]]),
    ("getex", &[&["GETEX", "victim:s"]]),
    ("getdel", &[&["GETDEL", "victim:s"]]),
    ("getset", &[&["GETSET", "victim:s", "x"]]),
    ("set", &[&["SET", "victim:s", "x"]]),
    ("set with get", &[&["SET", "victim:s", "x", "GET"]]),
    ("mset of both", &[&["MSET", "thief:s", "x", "victim:s", "x"]]),
    ("append", &[&["APPEND", "victim:s", "x"]]),
    ("incr", &[&["INCR", "victim:n"]]),
    ("setbit", &[&["SETBIT", "victim:s", "1", "1"]]),
    ("bitcount", &[&["BITCOUNT", "victim:s"]]),
    ("bitop from", &[&["BITOP", "NOT", "thief:new", "victim:s"]]),
    ("bitop to", &[&["BITOP", "NOT", "victim:s", "thief:s"]]),
    ("lcs", &[&["LCS", "thief:s", "victim:s"]]),
    ("strlen", &[&["STRLEN", "victim:s"]]),
    // Any key
    ("del", &[&["DEL", "victim:s"]]),
    ("unlink of both", &[&["UNLINK", "thief:s", "victim:s"]]),
    ("exists", &[&["EXISTS", "victim:s"]]),
    ("type", &[&["TYPE", "victim:s"]]),
    ("ttl", &[&["TTL", "victim:s"]]),
    ("expire", &[&["EXPIRE", "victim:s", "1"]]),
    ("rename from", &[&["RENAME", "victim:s", "thief:new"]]),
    ("rename to", &[&["RENAME", "thief:s", "victim:s"]]),
    ("renamenx from", &[&["RENAMENX", "victim:s", "thief:new"]]),
    ("copy from", &[&["COPY", "victim:s", "thief:new"]]),
    ("copy to", &[&["COPY", "thief:s", "victim:s", "REPLACE"]]),
    ("dump", &[&["DUMP", "victim:s"]]),
    ("object", &[&["OBJECT", "ENCODING", "victim:s"]]),
    ("memory", &[&["MEMORY", "USAGE", "victim:s"]]),
    ("touch", &[&["TOUCH", "victim:s"]]),
    ("sort", &[&["SORT", "victim:l", "ALPHA"]]),
    ("sort by", &[&["SORT", "thief:l", "BY", "victim:*", "ALPHA"]]),
    ("sort get", &[&["SORT", "thief:l", "ALPHA", "GET", "victim:*"]]),
    ("sort get of a field", &[&["SORT", "thief:l", "ALPHA", "GET", "victim:*->f"]]),
    ("sort store", &[&["SORT", "thief:l", "ALPHA", "STORE", "victim:new"]]),
    ("sort_ro get", &[&["SORT_RO", "thief:l", "ALPHA", "GET", "victim:*"]]),
    // Lists
    ("lrange", &[&["LRANGE", "victim:l", "0", "-1"]]),
    ("rpop", &[&["RPOP", "victim:l"]]),
    ("lmove from", &[&["LMOVE", "victim:l", "thief:l", "LEFT", "LEFT"]]),
    ("lmove to", &[&["LMOVE", "thief:l", "victim:l", "LEFT", "LEFT"]]),
    ("rpoplpush", &[&["RPOPLPUSH", "victim:l", "thief:l"]]),
    ("blpop of both", &[&["BLPOP", "thief:none", "victim:l", "1"]]),
    ("blmove", &[&["BLMOVE", "victim:l", "thief:l", "LEFT", "LEFT", "1"]]),
    ("lmpop", &[&["LMPOP", "1", "victim:l", "LEFT"]]),
    ("blmpop", &[&["BLMPOP", "1", "2", "thief:none", "victim:l", "LEFT"]]),
    // Hashes
    ("hgetall", &[&["HGETALL", "victim:h"]]),
    ("hset", &[&["HSET", "victim:h", "f", "x"]]),
    ("hscan", &[&["HSCAN", "victim:h", "0"]]),
    // Sets
    ("smembers", &[&["SMEMBERS", "victim:set"]]),
    ("sunion of both", &[&["SUNION", "thief:set", "victim:set"]]),
    ("sunionstore from", &[&["SUNIONSTORE", "thief:new", "victim:set"]]),
    ("sunionstore to", &[&["SUNIONSTORE", "victim:set", "thief:set"]]),
    ("smove", &[&["SMOVE", "victim:set", "thief:set", TREASURE]]),
    ("sintercard", &[&["SINTERCARD", "2", "thief:set", "victim:set"]]),
    ("sscan", &[&["SSCAN", "victim:set", "0"]]),
    // Sorted sets
    ("zrange", &[&["ZRANGE", "victim:z", "0", "-1"]]),
    ("zrangestore", &[&["ZRANGESTORE", "thief:new", "victim:z", "0", "-1"]]),
    ("zunion of both", &[&["ZUNION", "2", "thief:z", "victim:z"]]),
    ("zunionstore from", &[&["ZUNIONSTORE", "thief:new", "1", "victim:z"]]),
    ("zinterstore to", &[&["ZINTERSTORE", "victim:z", "1", "thief:z"]]),
    ("zpopmin", &[&["ZPOPMIN", "victim:z"]]),
    ("bzpopmin", &[&["BZPOPMIN", "thief:none", "victim:z", "1"]]),
    ("zmpop", &[&["ZMPOP", "1", "victim:z", "MIN"]]),
    (
        "geosearchstore",
        &[&[
            "GEOSEARCHSTORE",
            "thief:new",
            "victim:z",
            "FROMLONLAT",
            "0",
            "0",
            "BYRADIUS",
            "1",
            "km",
        ]],
    ),
    // Streams
    ("xrange", &[&["XRANGE", "victim:x", "-", "+"]]),
    ("xread", &[&["XREAD", "STREAMS", "thief:x", "victim:x", "0", "0"]]),
    ("xadd", &[&["XADD", "victim:x", "*", "f", "x"]]),
    ("xgroup", &[&["XGROUP", "CREATE", "victim:x", "g", "0"]]),
    ("xreadgroup", &[&["XREADGROUP", "GROUP", "g0", "c", "STREAMS", "victim:x", ">"]]),
    ("xinfo", &[&["XINFO", "STREAM", "victim:x"]]),
    // Others
    ("pfmerge", &[&["PFMERGE", "thief:new", "victim:p"]]),
    ("pfcount of both", &[&["PFCOUNT", "thief:none", "victim:p"]]),
    // Transactions
    ("multi", &[&["MULTI"], &["GET", "victim:s"], &["EXEC"]]),
    (
        "multi with a script",
        &[&["MULTI"], &["EVAL", "return redis.call('GET', KEYS[1])", "1", "victim:s"], &["EXEC"]],
    ),
    ("watch", &[&["WATCH", "victim:s"]]),
    // Scripts and functions
    ("eval of a declared key", &[&["EVAL", "return redis.call('GET', KEYS[1])", "1", "victim:s"]]),
    ("eval of another key", &[&["EVAL", "return redis.call('GET', 'victim:s')", "0"]]),
    (
        "eval of a made key",
        &[&["EVAL", "return redis.call('GET', 'vic' .. 'tim:s')", "1", "thief:s"]],
    ),
    ("eval that writes", &[&["EVAL", "return redis.call('SET', 'victim:s', 'x')", "0"]]),
    (
        "eval with sort",
        &[&["EVAL", "return redis.call('SORT', 'thief:l', 'GET', 'victim:*', 'ALPHA')", "0"]],
    ),
    ("eval_ro", &[&["EVAL_RO", "return redis.call('GET', 'victim:s')", "0"]]),
    (
        "evalsha",
        &[
            &["SCRIPT", "LOAD", "return redis.call('GET', 'victim:s')"],
            // The digest of that text.
            &["EVALSHA", "8daee8095be47b116ed995545a9c4d9776cf86df", "0"],
        ],
    ),
    ("fcall", &[&["FCALL", "read", "1", "victim:s"]]),
    ("fcall of another key", &[&["FCALL", "steal", "0"]]),
    ("fcall_ro", &[&["FCALL_RO", "read", "1", "victim:s"]]),
    // Databases
    ("select", &[&["SELECT", "1"]]),
    ("select of a database that looks like 0", &[&["SELECT", "01"], &["SELECT", "1"]]),
    ("multi with select", &[&["MULTI"], &["SELECT", "1"], &["GET", "thief:s"], &["EXEC"]]),
    (
        "eval with select",
        &[&["EVAL", "redis.call('SELECT', 1) return redis.call('GET', 'thief:s')", "0"]],
    ),
    ("move", &[&["MOVE", "thief:s", "2"]]),
    ("copy to a database", &[&["COPY", "thief:s", "thief:new", "DB", "2"]]),
    ("swapdb", &[&["SWAPDB", "0", "1"]]),
    ("multi with swapdb", &[&["MULTI"], &["SWAPDB", "0", "1"], &["EXEC"]]),
    ("eval with move", &[&["EVAL", "return redis.call('MOVE', 'thief:s', 2)", "0"]]),
    (
        "eval with copy",
        &[&["EVAL", "return redis.call('COPY', 'thief:s', 'thief:new', 'DB', 2)", "0"]],
    ),
    ("eval with swapdb", &[&["EVAL", "return redis.call('SWAPDB', 0, 1)", "0"]]),
    // Channels
    ("subscribe", &[&["SUBSCRIBE", "victim:c"]]),
    ("subscribe to both", &[&["SUBSCRIBE", "thief:c", "victim:c"]]),
    ("psubscribe", &[&["PSUBSCRIBE", "victim:*"]]),
    ("psubscribe to all", &[&["PSUBSCRIBE", "*"]]),
    ("psubscribe to more than its own", &[&["PSUBSCRIBE", "thief*"]]),
    ("ssubscribe", &[&["SSUBSCRIBE", "victim:c"]]),
    ("keyspace events", &[&["SUBSCRIBE", "__keyspace@0__:victim:s"]]),
    ("key events", &[&["PSUBSCRIBE", "__key*__:*"]]),
    ("publish", &[&["PUBLISH", "victim:c", "x"]]),
    ("spublish", &[&["SPUBLISH", "victim:c", "x"]]),
    ("eval with publish", &[&["EVAL", "return redis.call('PUBLISH', 'victim:c', 'x')", "0"]]),
    // The connection
    ("tracking of all", &[&["HELLO", "3"], &["CLIENT", "TRACKING", "ON", "BCAST"]]),
    (
        "tracking of a prefix",
        &[&["HELLO", "3"], &["CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "victim:"]],
    ),
];

const DATA: &[&[&str]] = &[
    &["FLUSHALL"],
    &["SELECT", "1"],
    &["SET", "victim:s", TREASURE],
    &["SET", "thief:s", TREASURE],
    &["SELECT", "0"],
    &["SET", "victim:s", TREASURE],
    &["SET", "victim:n", "1"],
    &["HSET", "victim:h", "f", TREASURE],
    &["RPUSH", "victim:l", TREASURE],
    &["SADD", "victim:set", TREASURE],
    &["ZADD", "victim:z", "1", TREASURE],
    &["XADD", "victim:x", "1-1", "f", TREASURE],
    &["XGROUP", "CREATE", "victim:x", "g0", "0"],
    &["PFADD", "victim:p", TREASURE],
    &["SET", "thief:s", "mine"],
    &["RPUSH", "thief:l", "s", "h"],
    &["SADD", "thief:set", "mine"],
    &["ZADD", "thief:z", "1", "mine"],
    &["XADD", "thief:x", "1-1", "f", "mine"],
];

const FUNCTIONS: &str = "#!lua name=thefts\n\
    redis.register_function{function_name='read', callback=function(keys) return redis.call('GET', keys[1]) end, \
    flags={'no-writes'}}\n\
    redis.register_function('steal', function() return redis.call('GET', 'victim:s') end)";

/// Returns everything that belongs to the victim, as payloads.
fn belongings(identities: &Identities) -> Vec<Vec<u8>> {
    let mut wire = identities.redis.direct();
    let mut found = Vec::new();
    for database in ["0", "1"] {
        wire.command(&["SELECT", database]);
        for key in ["s", "n", "h", "l", "set", "z", "x", "p", "new"] {
            found.push(wire.command(&["DUMP", &format!("victim:{key}")]));
        }
        found.push(wire.command(&["PTTL", "victim:s"]));
    }
    // Database 1 is not the thief's, although its key there has a name that would be.
    found.push(wire.command(&["DUMP", "thief:s"]));
    wire.command(&["SELECT", "2"]);
    found.push(wire.command(&["DBSIZE"]));
    found
}

fn is_refused(reply: &str) -> bool {
    reply.starts_with('-')
}

#[test]
fn no_identity_reaches_what_belongs_to_another() {
    on_each(&SERVERS, |server| {
        let rights: &[(&str, &str)] = &[
            ("acl", "[\"~thief:*\", \"&thief:*\", \"+@all\", \"-client|tracking\"]"),
            ("databases", "[0]"),
        ];
        let all: &[(&str, &str)] = &[("acl", "[\"~*\", \"&*\", \"+@all\"]")];
        let named = [("thief", rights), ("owner", all)];
        let swaps = |setup: Setup| setup.set("policy.allow", "[\"SWAPDB\"]");
        let identities = Identities::start_with(server, &named, swaps);
        fill(&identities.redis, &[&["FUNCTION", "LOAD", FUNCTIONS]]);
        let mut wrong = Vec::new();
        for (name, commands) in CASES {
            fill(&identities.redis, DATA);
            let before = belongings(&identities);
            let run = |who: &str| {
                let mut session = identities.session(who);
                let replies = commands.iter().map(|command| texts(&session.command(command)));
                replies.collect::<Vec<_>>()
            };
            let replies = run("thief");
            let last = replies.last().unwrap();
            if !is_refused(last) || replies.iter().any(|reply| reply.contains(TREASURE)) {
                wrong.push(format!("{name}: the thief got {replies:?}"));
            }
            if replies.iter().any(|reply| reply.contains("redoubt-")) {
                wrong.push(format!("{name}: the guard is named in {replies:?}"));
            }
            if belongings(&identities) != before {
                wrong.push(format!("{name}: the thief changed something"));
            }
            // What nobody can do says nothing of the thief.
            let replies = run("owner");
            if is_refused(replies.last().unwrap()) {
                wrong.push(format!("{name}: the owner got {replies:?}"));
            }
        }
        assert!(wrong.is_empty(), "on {server}:\n{}", wrong.join("\n"));
        assert!(CASES.len() >= 60);
    });
}

#[test]
fn what_belongs_to_an_identity_itself_is_served() {
    on_each(&SERVERS, |server| {
        let rights: &[(&str, &str)] =
            &[("acl", "[\"~thief:*\", \"&thief:*\", \"+@all\"]"), ("databases", "[0, 1]")];
        let identities = Identities::start(server, &[("thief", rights)]);
        fill(&identities.redis, DATA);
        let mut session = identities.session("thief");
        assert_eq!(session.command(&["GET", "thief:s"]), b"$4\r\nmine\r\n");
        assert_eq!(session.command(&["SELECT", "1"]), b"+OK\r\n");
        assert!(texts(&session.command(&["GET", "thief:s"])).contains(TREASURE));
        let script = "redis.call('SELECT', 0) return redis.call('GET', KEYS[1])";
        assert_eq!(session.command(&["EVAL", script, "1", "thief:s"]), b"$4\r\nmine\r\n");
        assert_eq!(session.command(&["MULTI"]), b"+OK\r\n");
        for command in [&["SELECT", "0"][..], &["GET", "thief:s"]] {
            assert_eq!(session.command(command), b"+QUEUED\r\n");
        }
        assert_eq!(session.command(&["EXEC"]), b"*2\r\n+OK\r\n$4\r\nmine\r\n");
        assert!(session.command(&["SUBSCRIBE", "thief:c"]).starts_with(b"*3\r\n"));
    });
}

#[test]
fn a_connection_to_the_server_never_serves_two_identities() {
    on_each(&SERVERS, |server| {
        let rights: &[(&str, &str)] = &[("acl", "[\"~*\", \"&*\", \"+@all\"]")];
        let identities = Identities::start(server, &[("one", rights), ("two", rights)]);
        let mut users = std::collections::BTreeMap::<String, String>::new();
        let mut direct = identities.redis.direct();
        for round in 0..12 {
            let name = ["one", "two"][round % 2];
            let mut session = identities.session(name);
            for command in [
                &["WATCH", "k"][..],
                &["MULTI"],
                &["INCR", "k"],
                &["EXEC"],
                &["BLPOP", "none", "0.01"],
                &["SUBSCRIBE", "c"],
                &["UNSUBSCRIBE", "c"],
                &["GET", "k"],
            ] {
                session.command(command);
            }
            let list = texts(&direct.command(&["CLIENT", "LIST"]));
            for line in list.lines().filter(|line| line.contains("user=redoubt-")) {
                let field =
                    |name: &str| line.split(' ').find_map(|f| f.strip_prefix(name)).unwrap();
                let (id, user) = (field("id=").to_owned(), field("user=").to_owned());
                let known = users.entry(id).or_insert_with(|| user.clone());
                assert_eq!(*known, user, "a connection changed its user");
            }
        }
        let mut all: Vec<_> = users.into_values().collect();
        all.sort_unstable();
        all.dedup();
        assert!(all.len() >= 2, "{all:?}");
    });
}

//! The rules that Redis's own suite tries (`unit/acl.tcl`, `unit/acl-v2.tcl`), given to an identity and to a user of
//! Redis: both get the same replies, byte for byte.
//!
//! Left out are the tests of that suite that are not about what a rule allows: passwords, `ACL LOG`, `ACL LOAD`,
//! `ACL LIST`, `ACL DELUSER`, and what `ACL SETUSER` rejects (`lifecycle` has that).

use support::servers::on_each;

use crate::{Identities, SERVERS, direct_user, list, texts};

type Words = &'static [&'static str];

/// Rules, and commands that a user with these rules sends.
const SUITE: &[(Words, &[Words])] = &[
    // By default, users may run nothing, and reach no key and no channel.
    (&["-@all"], &[&["GET", "a"], &["PING"], &["SET", "a", "1"], &["ACL", "WHOAMI"]]),
    (&["+@all"], &[&["SET", "a", "1"], &["PING"], &["PUBLISH", "c", "x"], &["SUBSCRIBE", "c"]]),
    (&["allcommands", "allkeys"], &[&["SET", "foo", "bar"], &["GET", "foo"]]),
    // Patterns of keys.
    (
        &["allcommands", "~foo:*", "~bar:*"],
        &[
            &["SET", "foo:1", "a"],
            &["SET", "bar:2", "b"],
            &["SET", "zap:3", "c"],
            &["SET", "foo", "c"],
            &["MSET", "foo:1", "a", "zap:3", "c"],
            &["GET", "bar:2"],
        ],
    ),
    (&["+@all", "~*", "resetkeys", "~x"], &[&["GET", "x"], &["GET", "y"]]),
    (
        &["+@all", "~h?llo", "~h[ae]y", "~\\\\*"],
        &[
            &["GET", "hello"],
            &["GET", "hallo"],
            &["GET", "hllo"],
            &["GET", "hay"],
            &["GET", "hoy"],
            &["GET", "x"],
        ],
    ),
    // Patterns of channels.
    (
        &["+@all", "&foo:1", "&bar:*"],
        &[
            &["PUBLISH", "foo:1", "x"],
            &["PUBLISH", "foo:2", "x"],
            &["PUBLISH", "bar:2", "x"],
            &["PSUBSCRIBE", "bar:*"],
            &["PSUBSCRIBE", "ba*"],
            &["SPUBLISH", "foo:1", "x"],
            &["SPUBLISH", "foo:3", "x"],
        ],
    ),
    (&["+@all", "allchannels", "resetchannels"], &[&["SUBSCRIBE", "a"], &["PUBLISH", "a", "b"]]),
    (&["+@all", "resetchannels", "&b"], &[&["PUBLISH", "a", "b"], &["PUBLISH", "b", "b"]]),
    // Commands and subcommands.
    (&["+@all", "~*", "-client"], &[&["CLIENT", "ID"], &["CLIENT", "SETNAME", "x"], &["GET", "a"]]),
    (
        &["-@all", "~*", "+client|id", "+client|setname"],
        &[&["CLIENT", "SETNAME", "x"], &["CLIENT", "GETNAME"], &["PING"]],
    ),
    (&["+@all", "~*", "-client|setname"], &[&["CLIENT", "SETNAME", "x"], &["CLIENT", "GETNAME"]]),
    (
        &["-@all", "+client", "-client|getname"],
        &[&["CLIENT", "GETNAME"], &["CLIENT", "SETNAME", "x"]],
    ),
    (&["-@all", "+select|0"], &[&["SELECT", "0"], &["SELECT", "1"]]),
    (&["+@all", "-select", "+select|0"], &[&["SELECT", "0"], &["SELECT", "1"]]),
    // Categories.
    (
        &["-@all", "+@read", "~*"],
        &[&["GET", "a"], &["SET", "a", "1"], &["SORT_RO", "l"], &["SORT", "l"], &["DEL", "a"]],
    ),
    (
        &["+@all", "-@write", "~*"],
        &[
            &["GET", "a"],
            &["SET", "a", "1"],
            &["PING"],
            &["EVAL", "return redis.call('SET','a','1')", "0"],
        ],
    ),
    (&["+@hash", "~*"], &[&["HSET", "h", "f", "1"], &["HGET", "h", "f"], &["GET", "a"]]),
    (&["+@pubsub", "&*"], &[&["PUBLISH", "a", "b"], &["GET", "a"], &["PUBSUB", "NUMPAT"]]),
    (&["+@connection"], &[&["PING"], &["ECHO", "x"], &["CLIENT", "GETNAME"], &["GET", "a"]]),
    (
        &["+@transaction", "+get", "~*"],
        &[&["MULTI"], &["GET", "a"], &["SET", "a", "1"], &["EXEC"], &["WATCH", "a"], &["UNWATCH"]],
    ),
    (&["+@all", "-@dangerous", "~*"], &[&["KEYS", "*"], &["GET", "a"], &["SORT", "l"]]),
    (&["+@string", "-@write", "~*"], &[&["GET", "a"], &["SET", "a", "1"], &["STRLEN", "a"]]),
    (
        &["-@all", "+@scripting", "~*"],
        &[
            &["EVAL", "return 1", "0"],
            &["EVAL", "return redis.call('GET','a')", "0"],
            &["GET", "a"],
        ],
    ),
    (
        &["+eval", "+get", "~a"],
        &[
            &["EVAL", "return redis.call('GET','a')", "0"],
            &["EVAL", "return redis.call('GET','b')", "0"],
            &["EVAL", "return redis.call('SET','a', 1)", "0"],
            &["EVAL", "return redis.call('GET',KEYS[1])", "1", "b"],
            &["EVALSHA", "0000000000000000000000000000000000000000", "0"],
        ],
    ),
    // Read and write rights for keys.
    (
        &["+@all", "%R~read*", "%W~write*", "%RW~both*"],
        &[
            &["GET", "read"],
            &["SET", "read", "1"],
            &["SET", "write", "1"],
            &["GET", "write"],
            &["SET", "both", "1", "GET"],
            &["SET", "write", "1", "GET"],
            &["COPY", "read", "write"],
            &["COPY", "write", "read"],
            &["COPY", "read", "read2"],
            &["APPEND", "write", "x"],
            &["GETEX", "read"],
            &["LMOVE", "read", "write", "LEFT", "LEFT"],
            &["SUNIONSTORE", "write", "read"],
            &["SUNIONSTORE", "write", "both", "write"],
            &["EXISTS", "write"],
            &["TYPE", "read"],
            &["SCARD", "write"],
            &["BITFIELD", "read", "GET", "u4", "0"],
            &["BITFIELD", "read", "SET", "u4", "0", "1"],
            &["BITFIELD_RO", "read", "GET", "u4", "0"],
            &["EVAL", "return redis.call('GET', KEYS[1])", "1", "read"],
            &["EVAL", "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])", "1", "read"],
            &["EVAL_RO", "return redis.call('GET', KEYS[1])", "1", "read"],
            &["XREAD", "STREAMS", "read", "write", "0", "0"],
            &["SORT", "read", "STORE", "write"],
            &["ZDIFFSTORE", "write", "1", "read"],
        ],
    ),
    // Selectors.
    (
        &["-@all", "+@read", "~read*", "(+@write ~write*)"],
        &[
            &["GET", "read"],
            &["SET", "write", "1"],
            &["SET", "read", "1"],
            &["GET", "write"],
            &["MGET", "read", "write"],
            &["COPY", "read", "write"],
        ],
    ),
    (
        &["(%R~read* +get)", "(%W~write* +set)"],
        &[&["GET", "read"], &["SET", "write", "1"], &["SET", "read", "1"], &["GET", "write"]],
    ),
    (
        &["+@all", "~*", "(+publish &secret)"],
        &[&["PUBLISH", "secret", "x"], &["PUBLISH", "other", "x"], &["SUBSCRIBE", "secret"]],
    ),
    (&["(+@all ~a)", "(+@all ~b)"], &[&["MGET", "a", "b"], &["MGET", "a", "a"], &["GET", "c"]]),
    // SORT needs all keys for BY and GET.
    (
        &["+@all", "~list*"],
        &[
            &["SORT", "list", "BY", "nosort"],
            &["SORT", "list", "GET", "#"],
            &["SORT", "list", "GET", "other*"],
            &["SORT", "list", "BY", "w_*"],
        ],
    ),
    (
        &["+@all", "%R~*", "%W~out"],
        &[
            &["SORT", "list", "GET", "other*", "STORE", "out"],
            &["SORT", "list", "BY", "w_*", "STORE", "in"],
        ],
    ),
    // Keys in other places.
    (
        &["+@all", "~a"],
        &[
            &["OBJECT", "ENCODING", "b"],
            &["MEMORY", "USAGE", "b"],
            &["XINFO", "STREAM", "b"],
            &["ZUNION", "2", "a", "b"],
            &["LMPOP", "2", "a", "b", "LEFT"],
            &["BLMPOP", "0.01", "2", "a", "b", "LEFT"],
            &["GEORADIUS", "a", "0", "0", "1", "km", "STORE", "b"],
            &["BITOP", "AND", "a", "b"],
            &["FCALL", "none", "1", "b"],
            &["WATCH", "b"],
            &["COMMAND", "GETKEYS", "GET", "b"],
        ],
    ),
];

#[test]
fn rules_of_the_suite_of_redis_give_the_same_verdicts() {
    on_each(&SERVERS, |server| {
        let suite = SUITE;
        let named: Vec<_> = (0..suite.len()).map(|n| format!("user{n}")).collect();
        let acls: Vec<_> = suite.iter().map(|(rules, _)| list(rules)).collect();
        let keys: Vec<_> = acls.iter().map(|acl| [("acl", acl.as_str())]).collect();
        let identities: Vec<_> =
            named.iter().zip(&keys).map(|(name, keys)| (name.as_str(), &keys[..])).collect();
        let identities = Identities::start(server, &identities);
        let mut wrong = Vec::new();
        for (name, (rules, commands)) in named.iter().zip(suite) {
            for command in *commands {
                // Each command finds the same data: none.
                let run = |wire: &mut support::Wire| texts(&wire.command(command));
                identities.redis.flush();
                let seen = run(&mut direct_user(&identities.redis, name, rules));
                identities.redis.flush();
                let shown = run(&mut identities.session(name));
                if seen != shown {
                    wrong.push(format!("{rules:?}: {command:?}: {shown:?}, Redis {seen:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "on {server}:\n{}", wrong.join("\n"));
    });
}

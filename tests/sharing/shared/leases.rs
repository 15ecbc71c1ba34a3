//! When a session takes a lease, and when it returns to the shared link.

use redoubt_core::router::LinkId;

use crate::places::{Places, shown};
use support::bench::{assert_bytes, request};

const SHARED: Where = Where::Shared;
const LEASE: Where = Where::Lease;

/// The link that a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Shared,
    Fenced,
    Scripts,
    Lease,
    Local,
}

type Steps<'a> = &'a [(&'a str, &'a str, Where)];

const ECHO: (&str, &str, Where) = ("ECHO 1", "$1\r\n1\r\n", SHARED);
const ON_LEASE: (&str, &str, Where) = ("ECHO 1", "$1\r\n1\r\n", LEASE);
const SUBSCRIBED: &str = "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
const UNSUBSCRIBED: &str = "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n";
const NIL_UNSUBSCRIBED: &str = "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n";

/// Runs the steps of a session in order, and checks the link of each.
#[track_caller]
fn walk(steps: Steps<'_>) {
    let mut places = Places::new();
    let (observer, common) = places.plain();
    let scripts = places.turn(observer, b"EVAL s 0\r\n", b":1\r\n");
    assert_ne!(scripts, common);
    let fenced = places.turn(observer, b"OBJECT ENCODING k\r\n", b"$-1\r\n");
    assert!(fenced != common && fenced != scripts);
    let id = places.bench.authenticated();
    let mut lease: Option<LinkId> = None;
    for (said, reply, wanted) in steps {
        let line = format!("{said}\r\n");
        let sent = places.try_send(id, line.as_bytes());
        let went = match sent.as_ref().map(|(link, _)| *link) {
            None => Where::Local,
            Some(link) if link == common => Where::Shared,
            Some(link) if link == fenced => Where::Fenced,
            Some(link) if link == scripts => Where::Scripts,
            Some(_) => Where::Lease,
        };
        let way = sent.as_ref().map(|(_, sent)| shown(sent)).unwrap_or_default();
        assert_eq!(went, *wanted, "{said} of {steps:?}, sent as {way}");
        if let Some((link, sent)) = &sent {
            let extra = sent.iter().filter(|byte| **byte == b'*').count() - 1;
            places.bench.reply(*link, "+OK\r\n".repeat(extra).as_bytes());
            places.bench.reply(*link, reply.as_bytes());
        }
        if went == LEASE {
            let link = sent.map(|(link, _)| link);
            assert!(lease.is_none() || lease == link, "one lease for one state: {said}");
            lease = link;
        } else {
            lease = None;
        }
        assert_bytes(&places.bench.read(id), reply.as_bytes());
        places.prove();
    }
}

#[test]
fn transactions_take_a_lease_until_they_end() {
    let multi = ("MULTI", "+OK\r\n", LEASE);
    let queued = ("GET k", "+QUEUED\r\n", LEASE);
    let watch = ("WATCH k", "+OK\r\n", LEASE);
    walk(&[ECHO, multi, queued, ("EXEC", "*1\r\n$-1\r\n", LEASE), ECHO]);
    walk(&[multi, queued, ("DISCARD", "+OK\r\n", LEASE), ECHO]);
    walk(&[multi, queued, ("EXEC", "-EXECABORT Transaction discarded\r\n", LEASE), ECHO]);
    walk(&[multi, ("MULTI", "-ERR MULTI calls can not be nested\r\n", LEASE), ON_LEASE]);
    walk(&[watch, ON_LEASE, ("UNWATCH", "+OK\r\n", LEASE), ECHO]);
    walk(&[watch, multi, queued, ("EXEC", "*-1\r\n", LEASE), ECHO]);
    walk(&[watch, multi, ("DISCARD", "+OK\r\n", LEASE), ECHO]);
    // These do not end it: an UNWATCH that is only queued, EXEC without MULTI, a DISCARD that is
    // refused.
    walk(&[watch, multi, ("UNWATCH", "+QUEUED\r\n", LEASE), ON_LEASE]);
    walk(&[watch, ("EXEC", "-ERR EXEC without MULTI\r\n", LEASE), ON_LEASE]);
    walk(&[watch, ("DISCARD", "-ERR DISCARD without MULTI\r\n", LEASE), ON_LEASE]);
    walk(&[multi, ("DISCARD now", "-ERR wrong number\r\n", LEASE), ON_LEASE]);
    walk(&[watch, ("UNWATCH k", "-ERR wrong number\r\n", LEASE), ON_LEASE]);
    // A request that Redis rejects leaves no state.
    walk(&[("WATCH", "-ERR wrong number\r\n", LEASE), ECHO]);
    walk(&[("MULTI 1", "-ERR wrong number\r\n", LEASE), ECHO]);
    walk(&[("EXEC", "-ERR EXEC without MULTI\r\n", SHARED), ECHO]);
    walk(&[("DISCARD", "-ERR DISCARD without MULTI\r\n", SHARED), ECHO]);
    walk(&[("UNWATCH", "+OK\r\n", SHARED), ECHO]);
}

#[test]
fn blocking_commands_take_a_lease_until_their_reply() {
    walk(&[("BLPOP k 0", "*-1\r\n", LEASE), ECHO]);
    walk(&[("BLMPOP 0 1 k LEFT", "*-1\r\n", LEASE), ECHO]);
    walk(&[("BZPOPMIN k x", "-ERR timeout is not a float\r\n", LEASE), ECHO]);
    walk(&[("XREAD STREAMS s 0", "*-1\r\n", Where::Fenced), ECHO]);
    walk(&[("XREAD COUNT 1 BLOCK 0 STREAMS s 0", "*-1\r\n", LEASE), ECHO]);
    walk(&[("XREAD COUNT 1 STREAMS block 0", "*-1\r\n", Where::Fenced), ECHO]);
    walk(&[("XREADGROUP GROUP g c STREAMS s >", "*-1\r\n", Where::Fenced), ECHO]);
    walk(&[("XREADGROUP GROUP g c block 1 STREAMS s >", "*-1\r\n", LEASE), ECHO]);
}

#[test]
fn a_new_lease_records_the_replication_offset_before_wait() {
    walk(&[("WAIT 1 100", ":0\r\n", LEASE), ECHO]);
    let mut places = Places::new();
    let (id, common) = places.plain();
    let (lease, sent) = places.send(id, b"WAIT 1 100\r\n");
    assert_ne!(lease, common);
    assert_bytes(&sent, &[request(&["PING"]), request(&["WAIT", "1", "100"])].concat());
    places.bench.reply(lease, b"+PONG\r\n");
    assert_bytes(&places.bench.read(id), b"");
    places.bench.reply(lease, b":1\r\n");
    assert_bytes(&places.bench.read(id), b":1\r\n");
    places.prove();
    // The pooled link has an old offset, so the harmless command is sent first there, too.
    let (again, sent) = places.send(id, b"WAIT 1 100\r\n");
    assert_eq!(again, lease);
    assert_bytes(&sent, &[request(&["PING"]), request(&["WAIT", "1", "100"])].concat());
}

#[test]
fn wait_is_sent_after_earlier_writes() {
    let mut places = Places::new();
    let (id, common) = places.plain();
    let (link, sent) = places.send(id, b"SET k v\r\nWAIT 1 0\r\nGET k\r\n");
    assert_eq!(link, common);
    assert_bytes(&sent, &request(&["SET", "k", "v"]));
    places.bench.reply(common, b"+OK\r\n");
    let (lease, sent) = places.flush().expect("WAIT");
    assert_ne!(lease, common);
    assert_bytes(
        &sent,
        &[request(&["PING"]), request(&["WAIT", "1", "0"]), request(&["GET", "k"])].concat(),
    );
    places.bench.reply(lease, b"+PONG\r\n:1\r\n$1\r\nv\r\n");
    assert_bytes(&places.bench.read(id), b"+OK\r\n:1\r\n$1\r\nv\r\n");
    assert_eq!(places.link_of(id), common);
}

#[test]
fn subscriptions_take_a_lease_until_the_last_has_ended() {
    let subscribe = ("SUBSCRIBE a", SUBSCRIBED, LEASE);
    walk(&[ECHO, subscribe, ("UNSUBSCRIBE a", UNSUBSCRIBED, LEASE), ECHO]);
    walk(&[subscribe, ("UNSUBSCRIBE", UNSUBSCRIBED, LEASE), ECHO]);
    walk(&[subscribe, ("PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n", LEASE)]);
    walk(&[
        subscribe,
        ("UNSUBSCRIBE b", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n", LEASE),
        ("UNSUBSCRIBE a", UNSUBSCRIBED, LEASE),
        ECHO,
    ]);
    walk(&[
        subscribe,
        ("PSUBSCRIBE p?", "*3\r\n$10\r\npsubscribe\r\n$2\r\np?\r\n:2\r\n", LEASE),
        ("UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n", LEASE),
        ("PUNSUBSCRIBE", "*3\r\n$12\r\npunsubscribe\r\n$2\r\np?\r\n:0\r\n", LEASE),
        ECHO,
    ]);
    walk(&[
        subscribe,
        ("SSUBSCRIBE s", "*3\r\n$10\r\nssubscribe\r\n$1\r\ns\r\n:1\r\n", LEASE),
        ("UNSUBSCRIBE", UNSUBSCRIBED, LEASE),
        ("SUNSUBSCRIBE s", "*3\r\n$12\r\nsunsubscribe\r\n$1\r\ns\r\n:0\r\n", LEASE),
        ECHO,
    ]);
    walk(&[("UNSUBSCRIBE", NIL_UNSUBSCRIBED, LEASE), ECHO]);
    walk(&[("SUBSCRIBE", "-ERR wrong number\r\n", LEASE), ECHO]);
}

#[test]
fn connection_state_keeps_a_lease_until_the_session_ends() {
    for pins in ["CLIENT TRACKING on", "CLIENT NO-EVICT on"] {
        walk(&[ECHO, (pins, "+OK\r\n", LEASE), ON_LEASE, ON_LEASE]);
    }
    for pins in ["CLIENT CACHING yes", "CLIENT GETREDIR", "READONLY", "ASKING"] {
        walk(&[ECHO, (pins, "-ERR no\r\n", LEASE), ON_LEASE]);
    }
    walk(&[ECHO, ("graph.query g q", "-ERR unknown command\r\n", LEASE), ON_LEASE]);
    for novelty in
        ["+OK\r\n", "-ERR no\r\n", "-ERR unknown\r\n", "*1\r\n-ERR unknown subcommand x\r\n"]
    {
        walk(&[ECHO, ("CLIENT NOVELTY", novelty, LEASE), ON_LEASE]);
    }
    // A subcommand that Redis does not have does nothing; the errors of Redis 7.0 and of older versions
    // differ.
    for unknown in ["unknown subcommand 'NOVELTY'.", "Unknown subcommand or wrong number of"] {
        let reply = format!("-ERR {unknown} Try CLIENT HELP.\r\n");
        walk(&[ECHO, ("CLIENT NOVELTY", &reply, LEASE), ECHO]);
        walk(&[("MULTI", "+OK\r\n", LEASE), ("CLIENT NOVELTY", &reply, LEASE), ON_LEASE]);
    }
    walk(&[
        ("MULTI", "+OK\r\n", LEASE),
        ("CLIENT NOVELTY", "+QUEUED\r\n", LEASE),
        ("EXEC", "*1\r\n-ERR no\r\n", LEASE),
        ON_LEASE,
    ]);
    // Redis rejects the arguments, and the command does nothing.
    walk(&[("CLIENT ID 1", "-ERR wrong number\r\n", LEASE), ECHO]);
    walk(&[("OBJECT ENCODING k", "$-1\r\n", Where::Fenced), ECHO]);
}

#[test]
fn commands_that_are_answered_late_have_a_lease_until_their_reply() {
    for late in ["VSIM k ELE e", "FT.SEARCH i q", "ft.aggregate i q", "VADD k VALUES 1 1 e CAS"] {
        walk(&[ECHO, (late, "*1\r\n:0\r\n", LEASE), ECHO]);
    }
    walk(&[ECHO, ("VADD k VALUES 1 1 e", ":1\r\n", Where::Fenced), ECHO]);
}

#[test]
fn commands_that_may_repeat_a_clients_text_share_a_link_with_barriers() {
    for said in ["SCAN 0", "XINFO HELP", "FUNCTION LIST", "EXPIRE k 1 NX", "RESTORE k 0 x"] {
        walk(&[ECHO, (said, ":1\r\n", Where::Fenced), ECHO]);
    }
    walk(&[("EXPIRE k 1", ":1\r\n", SHARED), ("PEXPIREAT k 1", ":1\r\n", SHARED)]);
}

#[test]
fn scripts_use_a_separate_shared_link() {
    let eval = ("EVAL s 0", ":1\r\n", Where::Scripts);
    walk(&[ECHO, eval, ECHO]);
    walk(&[("FCALL f 0", ":1\r\n", Where::Scripts), ("EVALSHA_RO x 0", ":1\r\n", Where::Scripts)]);
    let load = ("FUNCTION LOAD x", "-ERR no\r\n", Where::Fenced);
    walk(&[("SCRIPT KILL", "-NOTBUSY\r\n", Where::Fenced), load]);
    walk(&[("MULTI", "+OK\r\n", LEASE), ("EVAL s 0", "+QUEUED\r\n", LEASE)]);
}

#[test]
fn replies_of_one_link_arrive_before_requests_go_to_another() {
    let mut places = Places::new();
    let (observer, common) = places.plain();
    let (id, _) = places.plain();
    let (_, sent) = places.send(id, b"GET a\r\nEVAL s 0\r\nGET b\r\nMULTI\r\nGET c\r\n");
    assert_bytes(&sent, &request(&["GET", "a"]));
    places.bench.reply(common, b"$1\r\na\r\n");
    // Requests behind a script may follow it at once on the same link.
    let (scripts, sent) = places.flush().expect("the script");
    assert_bytes(&sent, &[request(&["EVAL", "s", "0"]), request(&["GET", "b"])].concat());
    assert_eq!(places.link_of(observer), common);
    places.bench.reply(scripts, b":7\r\n");
    assert!(places.flush().is_none(), "one reply is still due from the scripts' link");
    places.bench.reply(scripts, b"$1\r\nb\r\n");
    let (lease, sent) = places.flush().expect("the transaction");
    assert!(lease != common && lease != scripts);
    assert_bytes(&sent, &[request(&["MULTI"]), request(&["GET", "c"])].concat());
    places.bench.reply(lease, b"+OK\r\n+QUEUED\r\n");
    assert_bytes(&places.bench.read(id), b"$1\r\na\r\n:7\r\n$1\r\nb\r\n+OK\r\n+QUEUED\r\n");
}

#[test]
fn a_script_uses_the_script_link_whatever_is_pending() {
    let mut places = Places::new();
    let (id, _) = places.plain();
    let scripts = places.turn(id, b"EVAL s 0\r\n", b":1\r\n");
    let (fenced, sent) = places.send(id, b"SCAN 0\r\nGET a\r\nEVAL s 0\r\n");
    assert_ne!(fenced, scripts);
    assert_bytes(&sent, &[request(&["SCAN", "0"]), request(&["GET", "a"])].concat());
    places.bench.reply(fenced, b"*0\r\n$-1\r\n");
    let (link, sent) = places.flush().expect("the script");
    assert_eq!(link, scripts);
    assert_bytes(&sent, &request(&["EVAL", "s", "0"]));
}

#[test]
fn select_moves_to_the_shared_link_of_that_database() {
    let mut places = Places::new();
    let (first, zero) = places.plain();
    let (second, _) = places.plain();
    // Only Redis knows if a database may be selected, so the first SELECT uses a lease.
    let lease = places.turn(first, b"SELECT 3\r\n", b"+OK\r\n");
    assert_ne!(lease, zero);
    let three = places.link_of(first);
    assert!(three != zero && three != lease);
    assert_bytes(&places.login[places.login.len() - 23..], &request(&["SELECT", "3"]));
    places.local(second, b"SELECT 3\r\n", b"+OK\r\n");
    assert_eq!(places.link_of(second), three);
    // Neither does a lower database follow from a higher one.
    assert_ne!(places.turn(second, b"SELECT 0\r\n", b"+OK\r\n"), zero);
    assert_eq!(places.link_of(second), zero);
    places.local(second, b"SELECT 3\r\n", b"+OK\r\n");
    places.local(second, b"SELECT 0\r\n", b"+OK\r\n");
    assert_eq!(places.link_of(second), zero);
    assert_eq!(places.link_of(first), three);
    let refused = b"-ERR DB index is out of range\r\n";
    assert_ne!(places.turn(second, b"SELECT 99\r\n", refused), zero);
    assert_eq!(places.link_of(second), zero, "a failed SELECT keeps the session's database");
    places.turn(second, b"SELECT x\r\n", b"-ERR invalid DB index\r\n");
    assert_eq!(places.link_of(second), zero);
}

#[test]
fn hello_moves_to_the_shared_link_of_that_protocol() {
    let mut places = Places::new();
    let (id, two) = places.plain();
    let map = b"%1\r\n$5\r\nproto\r\n:3\r\n";
    let three = places.turn(id, b"HELLO 3\r\n", map);
    assert_ne!(three, two);
    assert_bytes(&places.login[places.login.len() - 22..], &request(&["HELLO", "3"]));
    assert_eq!(places.link_of(id), three);
    assert_eq!(places.turn(id, b"HELLO 2\r\n", b"*2\r\n$5\r\nproto\r\n:2\r\n"), two);
    assert_eq!(places.link_of(id), two);
    // Each pipelined request waits for the replies before it.
    let (link, sent) = places.send(id, b"GET k\r\nHELLO 3\r\nGET k\r\n");
    assert_eq!(link, two);
    assert_bytes(&sent, &request(&["GET", "k"]));
    places.bench.reply(two, b"$-1\r\n");
    let (link, sent) = places.flush().expect("HELLO");
    assert_eq!(link, three);
    assert_bytes(&sent, &[request(&["HELLO", "3"]), request(&["GET", "k"])].concat());
    places.bench.reply(three, &[&map[..], b"_\r\n"].concat());
    assert_bytes(&places.bench.read(id), &[b"$-1\r\n", &map[..], b"_\r\n"].concat());
    // In a transaction Redis decides, and the session keeps the lease.
    let lease = places.turn(id, b"MULTI\r\n", b"+OK\r\n");
    assert_eq!(places.turn(id, b"HELLO 2\r\n", b"+QUEUED\r\n"), lease);
    assert_eq!(places.turn(id, b"EXEC\r\n", b"*1\r\n*2\r\n$5\r\nproto\r\n:2\r\n"), lease);
    assert_eq!(places.link_of(id), lease);
}

#[test]
fn a_large_request_takes_a_lease_until_its_reply() {
    let mut places = Places::new();
    let (id, common) = places.plain();
    places.bench.say(id, b"GET k\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n");
    places.bench.say(id, &[b'v'; 70_000]);
    let (link, _) = places.flush().expect("the first");
    assert_eq!(link, common);
    places.bench.reply(common, b"$-1\r\n");
    let (lease, sent) = places.flush().expect("the beginning of the large one");
    assert_ne!(lease, common);
    assert_eq!(sent.len(), 70_000 + b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n".len());
    places.bench.say(id, &[b'v'; 30_000]);
    places.bench.say(id, b"\r\n");
    assert_eq!(places.flush().map(|(link, sent)| (link, sent.len())), Some((lease, 30_002)));
    places.bench.reply(lease, b"+OK\r\n");
    assert_bytes(&places.bench.read(id), b"$-1\r\n+OK\r\n");
    assert_eq!(places.link_of(id), common);
    // A large request that is refused takes no lease.
    places.bench.say(id, b"*2\r\n$8\r\nFLUSHALL\r\n$100000\r\n");
    places.bench.say(id, &[b'v'; 100_000]);
    places.bench.say(id, b"\r\n");
    assert!(places.flush().is_none());
    places.bench.read(id);
    assert_eq!(places.link_of(id), common);
}

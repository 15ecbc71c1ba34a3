//! Reloads that change how links reach Redis and log in.

use std::net::SocketAddr;

use super::{change, quoted, text};
use support::frame::request;
use support::servers::refusals;
use support::{Deadline, Redis, Redoubt, Wire, now, secret, signal, since};

/// Returns the addresses and users of Redis's connections that run `command`.
fn links(redis: &Redis, command: &str) -> Vec<(SocketAddr, String)> {
    let list = text(&redis.direct().command(&["CLIENT", "LIST"]));
    let field = |line: &str, name: &str| {
        line.split(' ').find_map(|field| field.strip_prefix(name)).unwrap().to_owned()
    };
    list.lines()
        .filter(|line| line.contains(command))
        .map(|line| (field(line, "addr=").parse().unwrap(), field(line, "user=")))
        .collect()
}

/// Returns a session that waits for a list on a lease.
fn block(redis: &Redis, redoubt: &Redoubt, list: &str) -> Wire {
    let before = links(redis, "cmd=blpop").len();
    let mut session = redoubt.session();
    session.send(&request(&["BLPOP", list, "0"]));
    assert!(Deadline::standard().poll(|| links(redis, "cmd=blpop").len() > before));
    session
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_new_upstream_password_closes_no_session() {
    for in_file in [false, true] {
        let redis = Redis::start();
        let dir = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
        let new = secret();
        std::fs::write(&one, redis.password()).unwrap();
        std::fs::write(&two, &new).unwrap();
        let path = |file: &std::path::Path| quoted(file.to_str().unwrap());
        // Without a guard, links log in with this password.
        let mut setup = Redoubt::setup(&redis).set_text("policy.guard", "off");
        if in_file {
            setup = setup.set("upstream.password_file", path(&one));
        }
        let mut redoubt = setup.start();
        let (mut session, mut blocked) = (redoubt.session(), block(&redis, &redoubt, "list"));
        assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
        redis.direct().command(&["ACL", "SETUSER", "default", &format!(">{new}")]);
        let closed = match in_file {
            false => change(&mut redoubt, "upstream.password", &quoted(&new)),
            true => change(&mut redoubt, "upstream.password_file", &path(&two)),
        };
        assert_eq!(closed, 0);
        // From here on Redis accepts only the new password.
        let mut direct = redis.direct();
        direct.command(&["ACL", "SETUSER", "default", &format!("<{}", redis.password())]);
        assert_eq!(session.command(&["SELECT", "5"]), b"+OK\r\n");
        assert_eq!(session.command(&["RPUSH", "other", "v"]), b":1\r\n");
        assert_eq!(direct.command(&["RPUSH", "list", "v"]), b":1\r\n");
        blocked.expect(b"*2\r\n$4\r\nlist\r\n$1\r\nv\r\n");
        let mut later = redoubt.session();
        assert_eq!(later.command(&["MULTI"]), b"+OK\r\n");
        assert_eq!(later.command(&["DISCARD"]), b"+OK\r\n");
        direct.command(&["ACL", "SETUSER", "default", &format!(">{}", redis.password())]);
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn after_a_reload_links_log_in_as_the_new_user_and_the_guard_gets_its_rights() {
    for guard in ["off", "auto"] {
        let redis = Redis::start();
        let mut direct = redis.direct();
        let password = format!(">{}", redis.password());
        for (user, rights) in [("one", "+@all"), ("two", "-mget")] {
            direct.command(&["ACL", "SETUSER", user, "on", &password, "~*", "&*", "+@all", rights]);
        }
        let setup = Redoubt::setup(&redis).set_text("policy.guard", guard);
        let mut redoubt = setup.set_text("upstream.user", "one").start();
        let mut session = redoubt.session();
        let mget = ["EVAL", "return redis.call('MGET', 'a')", "0"];
        assert_eq!(session.command(&mget), b"*1\r\n$-1\r\n");
        assert_eq!(change(&mut redoubt, "upstream.user", "\"two\""), 0);
        let reply = text(&session.command(&mget));
        assert!(refusals(&reply) > 0, "guard = {guard}: {reply}");
        assert_eq!(session.command(&["GET", "a"]), b"$-1\r\n");
        if guard == "off" {
            let mut users: Vec<_> =
                links(&redis, "cmd=get").into_iter().map(|link| link.1).collect();
            users.dedup();
            assert_eq!(users, ["two"]);
        }
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_connect_timeout() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("upstream.connect_timeout", "60s").start();
    let mut session = redoubt.session();
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    change(&mut redoubt, "upstream.connect_timeout", "\"100ms\"");
    signal(redis.pid(), "STOP");
    let mut waits = redoubt.session();
    let asked = now();
    waits.send(&request(&["BLPOP", "list", "0"]));
    waits.read_to_close();
    signal(redis.pid(), "CONT");
    assert!(since(asked) < 20.0, "given up after {} s", since(asked));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_failover_timeout() {
    let mut redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("upstream.failover_timeout", "1h").start();
    let mut session = redoubt.session();
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    change(&mut redoubt, "upstream.failover_timeout", "\"0s\"");
    redis.kill();
    session.offer(&request(&["INCR", "n"]));
    assert_eq!(session.read_to_close(), b"");
}

/// Returns on how many connections to Redis the kernel sends keepalive probes.
fn probed(redis: &Redis, redoubt: &Redoubt) -> usize {
    let shown = std::process::Command::new("ss")
        .args(["-tnoHp", "dst", &redis.address().to_string()])
        .output()
        .expect("ss is missing: apt-get install -y iproute2");
    let of_redoubt = format!("pid={},", redoubt.pid());
    let shown = text(&shown.stdout);
    let is_probed = |line: &&str| line.contains("timer:(keepalive") && line.contains(&of_redoubt);
    shown.lines().filter(is_probed).count()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_dead_after() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("upstream.dead_after", "0s").start();
    let first = block(&redis, &redoubt, "a");
    assert_eq!(probed(&redis, &redoubt), 0);
    change(&mut redoubt, "upstream.dead_after", "\"1000s\"");
    let second = block(&redis, &redoubt, "b");
    assert!(Deadline::standard().poll(|| probed(&redis, &redoubt) == 1));
    drop((first, second));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_max_link_age() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("upstream.max_link_age", "0s").start();
    let mut session = redoubt.session();
    let mut over = || {
        assert_eq!(session.command(&["GET", "k"]), b"$-1\r\n");
        links(&redis, "cmd=get")
    };
    let first = over();
    change(&mut redoubt, "upstream.max_link_age", "\"1s\"");
    assert!(Deadline::standard().poll(|| over() != first), "the link stays");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_max_links() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set("upstream.max_links", 100).start();
    let mut holders = [(); 4].map(|()| redoubt.session());
    for holder in &mut holders {
        assert_eq!(holder.command(&["WATCH", "k"]), b"+OK\r\n");
    }
    assert_eq!(change(&mut redoubt, "upstream.max_links", "8"), 0, "open links stay");
    redoubt.metric_becomes("redoubt_leases", 4.0);
    let mut one_more = redoubt.session();
    one_more.send(&request(&["WATCH", "k"]));
    assert_eq!(one_more.read_to_close(), b"-ERR max number of clients reached\r\n");
    change(&mut redoubt, "upstream.max_links", "100");
    assert_eq!(redoubt.session().command(&["WATCH", "k"]), b"+OK\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_stall_timeout() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set("upstream.stall_timeout", "\"0s\"").start();
    let mut session = redoubt.session();
    assert_eq!(session.command(&["SET", "k", "v"]), b"+OK\r\n");
    let paused = redis.direct().command(&["CLIENT", "PAUSE", "600000", "WRITE"]);
    assert_eq!(paused, b"+OK\r\n");
    session.send(&request(&["SET", "k", "w"]));
    change(&mut redoubt, "upstream.stall_timeout", "\"1s\"");
    assert_eq!(session.read_to_close(), b"");
    assert_eq!(redoubt.metric("redoubt_links_stalled_total"), 1.0);
}

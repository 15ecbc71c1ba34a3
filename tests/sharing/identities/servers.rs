//! The same replies as from real servers, to users with the same rights.
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]

use std::sync::Arc;

use redoubt_core::command::{Flag, Spec, Version};
use redoubt_core::session::{Rights, Rules, answered};
use redoubt_core::upstream::Dialect;

use super::{grant, id, log_in, only_in, places};
use crate::places::Places;
use support::servers::{self, on_each};
use support::{Redis, Redoubt, Wire, frame, secret, shown};

const NO_DATABASE: &[u8] = b"-NOPERM No permissions to access database\r\n";

/// Two identities as at `server`; `reader` has these rights.
fn at(server: &str, rights: Rights) -> Places {
    let (name, version) = server.split_once('-').unwrap();
    let version = Version::parse(&format!("{version}.0")).unwrap();
    let mut places = places();
    grant(&mut places, Dialect::of(name, version), [rights, Rights::default()]);
    let book = Arc::clone(places.bench.router.rules());
    let rules = |rules: &Rules| Rules { upstream_version: Some(version), ..rules.clone() };
    let reader = Arc::new(rules(book.of(id(0))));
    let book = redoubt_core::session::Rulebook::clone(&book).with(id(0), reader);
    places.bench.router.replace_rules(Arc::new(book));
    places
}

/// Returns a connection of a user with these rights, who is called as an identity of the tests.
fn reader(redis: &Redis, rights: &[&str]) -> Wire {
    let user = [&["ACL", "SETUSER", "reader", "on", ">secret"], rights].concat();
    assert_eq!(redis.direct().command(&user), b"+OK\r\n", "{user:?}");
    let mut wire = Wire::connect(redis.address());
    assert_eq!(wire.command(&["AUTH", "reader", "secret"]), b"+OK\r\n");
    wire
}

/// Returns a request for `spec` with as many arguments as it needs.
fn request(spec: &Spec) -> Vec<u8> {
    let words = spec.name.split('|').chain(std::iter::repeat("1"));
    let words: Vec<_> = words.take(usize::from(spec.arity.unsigned_abs())).collect();
    frame::request(&words)
}

#[test]
fn what_redoubt_refuses_for_an_identity_is_refused_in_the_same_bytes() {
    on_each(&servers::ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let mut real = reader(&redis, &["-@all", "+multi", "+exec"]);
        let mut places = at(server, Rights::default().without(answered()));
        let session = log_in(&mut places, "reader");
        // The policy of the tests refuses one of them.
        let asked: Vec<_> = answered().filter(|spec| spec.name != "flushall").collect();
        assert!(asked.len() > 12);
        for spec in asked {
            real.send(&request(spec));
            let refused = real.frame();
            places.local(session, &request(spec), &refused);
            let is_about_rights = refused.starts_with(b"-NOPERM ");
            assert!(is_about_rights || server == "redis-7.0", "{}: {}", spec.name, shown(&refused));
            if spec.flags.contains(Flag::NoMulti) {
                // In MULTI some servers name another reason first.
                continue;
            }
            assert_eq!(real.command(&["MULTI"]), b"+OK\r\n");
            real.send(&request(spec));
            assert_eq!(real.frame(), refused, "in MULTI");
            assert!(real.command(&["EXEC"]).starts_with(b"-EXECABORT "));
        }
    });
}

#[test]
fn a_database_without_the_right_to_it_is_refused_in_the_bytes_of_valkey() {
    on_each(&["valkey-9.1"], |server| {
        let redis = Redis::setup().server(server).start();
        let rights = ["~*", "&*", "+@all", "resetdbs", "db=1,2"];
        let mut real = reader(&redis, &rights);
        let mut places = at(server, only_in(&[1, 2]));
        let session = log_in(&mut places, "reader");
        for line in [
            "GET k",
            "GET",
            "SELECT 0",
            "SELECT 5",
            "KEYS *",
            "SCAN 0",
            "DBSIZE",
            "RANDOMKEY",
            "WATCH k",
            "FLUSHDB",
            "SORT k GET x*",
            "EVAL 'return 1' 0",
            "XREAD BLOCK 0 STREAMS k $",
            "SWAPDB 0 1",
        ] {
            real.send(format!("{line}\r\n").as_bytes());
            places.local(session, format!("{line}\r\n").as_bytes(), &real.frame());
        }
        for line in [
            "PING",
            "ECHO x",
            "TIME",
            "INFO",
            "PUBLISH c m",
            "SPUBLISH c m",
            "PUBSUB CHANNELS",
            "UNWATCH",
            "DISCARD",
            "COMMAND COUNT",
            "CLIENT GETNAME",
            "CLIENT NO-EVICT off",
            "ACL WHOAMI",
            "SUBSCRIBE c",
        ] {
            let line = format!("{line}\r\n");
            real.send(line.as_bytes());
            let reply = real.frame();
            assert_ne!(reply, NO_DATABASE, "{line}");
            places.bench.say(session, line.as_bytes());
            let local = places.bench.read(session);
            assert_ne!(local, NO_DATABASE, "{line}");
            if local.is_empty() {
                let (link, _) = places.flush().expect("a request");
                places.bench.reply(link, &reply);
                assert_eq!(shown(&places.bench.read(session)), shown(&reply), "{line}");
                places.prove();
            }
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_refused_select_leaves_the_session_in_its_database() {
    on_each(&servers::ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let rights = ["~*", "&*", "+@all", "-select", "+select|1", "+select|2"];
        let password = secret();
        let add = format!(">{password}");
        let user = [&["ACL", "SETUSER", "limited", "on", &add][..], &rights].concat();
        assert_eq!(redis.direct().command(&user), b"+OK\r\n");
        let redoubt = Redoubt::setup(&redis)
            .set_text("upstream.user", "limited")
            .set_text("upstream.password", &password)
            .set_text("policy.guard", "off")
            .start();
        let who = if server == "redis-7.0" { "this user" } else { "User default" };
        let refused = format!("-NOPERM {who} has no permissions to run the 'select' command\r\n")
            .into_bytes();
        let [mut first, mut second] = [(); 2].map(|()| redoubt.session());
        for (wire, database) in [(&mut first, "1"), (&mut second, "2")] {
            assert_eq!(wire.command(&["SELECT", database]), b"+OK\r\n");
            assert_eq!(wire.command(&["SET", "k", database]), b"+OK\r\n");
        }
        for round in 0..3 {
            for (wire, database) in [(&mut first, "1"), (&mut second, "2")] {
                let value = format!("$1\r\n{database}\r\n").into_bytes();
                for other in ["0", "3", "02", "x", "99999999999"] {
                    let reply = wire.command(&["SELECT", other]);
                    assert_eq!(shown(&reply), shown(&refused), "{server}: {other} in {round}");
                    assert_eq!(wire.command(&["GET", "k"]), value, "{server}");
                }
                wire.send(b"GET k\r\nSELECT 0\r\nGET k\r\nSELECT 3\r\nGET k\r\n");
                wire.expect(&[&value[..], &refused, &value, &refused, &value].concat());
                wire.send(b"MULTI\r\nSELECT 0\r\nGET k\r\nEXEC\r\nGET k\r\n");
                let aborted = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
                wire.expect(&[b"+OK\r\n", &refused[..], b"+QUEUED\r\n", aborted, &value].concat());
                let script = "return redis.call('SELECT', '0')";
                let reply = shown(&wire.command(&["EVAL", script, "0"]));
                assert!(reply.starts_with('-') && !reply.contains("limited"), "{server}: {reply}");
                assert_eq!(wire.command(&["GET", "k"]), value, "{server}");
            }
        }
        let mut wire = redoubt.session();
        assert_eq!(shown(&wire.command(&["SELECT", "0"])), shown(&refused), "{server}");
        assert_eq!(wire.command(&["GET", "k"]), b"$-1\r\n", "{server}: it is in database 0");
        assert_eq!(wire.command(&["ACL", "WHOAMI"]), b"$7\r\ndefault\r\n");
        wire.send(b"MULTI\r\nACL WHOAMI\r\nEXEC\r\n");
        wire.expect(b"+OK\r\n+QUEUED\r\n*1\r\n$7\r\ndefault\r\n");
    });
}

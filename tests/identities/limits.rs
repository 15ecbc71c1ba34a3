//! Limits on all sessions of an identity together.

use std::time::Duration;

use support::http::http_get;
use support::{Deadline, Wire, frame, now, servers, since};

use crate::{Identities, texts};

const ALL: &str = "[\"~*\", \"&*\", \"+@all\"]";
const FULL: &str = "-ERR max number of clients reached\r\n";

/// Starts a Redoubt of two workers with an identity `one` of these limits, and `two` without.
fn limited(limits: &str) -> Identities {
    let one: &[(&str, &str)] = &[("acl", ALL), ("limits", limits)];
    Identities::start_with(servers::tested(), &[("one", one), ("two", &[("acl", ALL)])], |setup| {
        setup.set("workers", 2)
    })
}

/// Logs in as `one`, and returns the reply to `PING` or else the error.
fn enter(identities: &Identities) -> Result<Wire, String> {
    let mut wire = identities.redoubt.connect();
    match &*texts(&wire.command(&["AUTH", "one", identities.password("one")])) {
        "+OK\r\n" => Ok(wire),
        error => {
            let error = error.to_owned();
            wire.read_to_close();
            Err(error)
        }
    }
}

fn limited_by(identities: &Identities, limit: &str) -> f64 {
    let series = format!("redoubt_identity_limited_total{{identity=\"one\",limit=\"{limit}\"}}");
    identities.redoubt.metric(&series)
}

/// Counts the replies that come within `time` on connections that always have requests waiting.
fn served(wires: &mut [Wire], time: Duration) -> Vec<usize> {
    let begin = now();
    let mut counts = vec![0; wires.len()];
    for wire in wires.iter_mut() {
        wire.set_time_limit(Duration::from_millis(5));
    }
    while begin.elapsed() < time {
        for (wire, count) in wires.iter_mut().zip(&mut counts) {
            wire.try_receive();
            *count = wire.received().len();
        }
    }
    counts
}

#[test]
fn sessions_over_the_limit_of_an_identity_are_closed_once_they_authenticate() {
    let mut identities = limited("{ sessions = 3 }");
    let mut held: Vec<_> = (0..3).map(|_| enter(&identities).unwrap()).collect();
    assert_eq!(enter(&identities).err().as_deref(), Some(FULL));
    let mut hello = identities.redoubt.connect();
    let words = ["HELLO", "3", "AUTH", "one", identities.password("one")];
    assert_eq!(texts(&hello.command(&words)), FULL);
    // A session of another identity that becomes this one counts too.
    let mut other = identities.session("two");
    assert_eq!(texts(&other.command(&["AUTH", "one", identities.password("one")])), FULL);
    assert_eq!(identities.session("two").command(&["PING"]), b"+PONG\r\n");
    // RESET and AUTH as another identity give places back.
    assert_eq!(held[0].command(&["RESET"]), b"+RESET\r\n");
    assert_eq!(held[1].command(&["AUTH", "two", identities.password("two")]), b"+OK\r\n");
    let mut again: Vec<_> = (0..2).map(|_| enter(&identities).unwrap()).collect();
    assert_eq!(enter(&identities).err().as_deref(), Some(FULL));
    identities.redoubt.metric_becomes("redoubt_identity_sessions{identity=\"one\"}", 3.0);
    assert!(limited_by(&identities, "sessions") >= 4.0);
    identities.redoubt.write("identities.one.limits", Some("{ sessions = 1 }"));
    let line = identities.redoubt.reload();
    assert!(line.contains("\"closed_sessions\":0"), "{line}");
    assert_eq!(again[0].command(&["PING"]), b"+PONG\r\n", "open sessions stay");
    drop((again, held));
    identities.redoubt.metric_becomes("redoubt_identity_sessions{identity=\"one\"}", 0.0);
    let first = enter(&identities).unwrap();
    assert!(enter(&identities).is_err());
    drop(first);
}

#[test]
fn a_session_that_needs_a_lease_over_the_limit_gets_the_error_for_too_many_clients() {
    let mut identities = limited("{ leases = 2 }");
    let mut leased: Vec<_> = (0..2).map(|_| enter(&identities).unwrap()).collect();
    for wire in &mut leased {
        assert_eq!(wire.command(&["WATCH", "a"]), b"+OK\r\n");
    }
    let mut third = enter(&identities).unwrap();
    assert_eq!(third.command(&["SET", "a", "1"]), b"+OK\r\n", "this needs no lease");
    let large = "x".repeat(60_000);
    assert_eq!(third.command(&["SET", "b", &large]), b"+OK\r\n", "nor does this");
    assert_eq!(texts(&third.command(&["WATCH", "a"])), FULL);
    assert!(third.read_to_close().is_empty());
    let mut other = identities.session("two");
    assert_eq!(other.command(&["WATCH", "a"]), b"+OK\r\n");
    identities.redoubt.metric_becomes("redoubt_identity_leases{identity=\"one\"}", 2.0);
    assert!(limited_by(&identities, "leases") >= 1.0);
    assert_eq!(leased[0].command(&["UNWATCH"]), b"+OK\r\n");
    identities.redoubt.metric_becomes("redoubt_identity_leases{identity=\"one\"}", 1.0);
    let mut fourth = enter(&identities).unwrap();
    assert_eq!(fourth.command(&["WATCH", "a"]), b"+OK\r\n");
    identities.redoubt.write("identities.one.limits", None);
    identities.redoubt.reload();
    let mut fifth = enter(&identities).unwrap();
    assert_eq!(fifth.command(&["WATCH", "a"]), b"+OK\r\n", "a reload lifts the limit");
    drop((leased, fourth, fifth));
    identities.redoubt.metric_becomes("redoubt_identity_leases{identity=\"one\"}", 0.0);
}

#[test]
fn sessions_of_an_identity_share_its_commands_per_second_fairly() {
    let identities = limited("{ commands_per_second = 200 }");
    let mut wires: Vec<_> = (0..8).map(|_| enter(&identities).unwrap()).collect();
    let begin = now();
    let request = frame::request(&["ECHO", "x"]).repeat(3000);
    for wire in &mut wires {
        wire.send(&request);
    }
    let time = Duration::from_secs(6);
    let counts: Vec<_> = served(&mut wires, time).iter().map(|bytes| bytes / 7).collect();
    let all = counts.iter().sum::<usize>() as f64;
    let fair = 200.0 * (since(begin) + 1.0);
    assert!(all < fair * 1.1 + 10.0 && all > fair * 0.7, "{counts:?} of {fair}");
    // The first second's worth may come from any of them.
    let least = *counts.iter().min().unwrap();
    assert!(least > 60, "{counts:?}");
    assert!(limited_by(&identities, "commands_per_second") >= 8.0);
    assert!(limited_by(&identities, "bytes_per_second") == 0.0);
}

#[test]
fn an_identity_at_its_bound_costs_the_others_nothing() {
    let mut identities = limited("{ commands_per_second = 1, bytes_per_second = \"1kb\" }");
    let mut wires: Vec<_> = (0..20).map(|_| enter(&identities).unwrap()).collect();
    for wire in &mut wires {
        wire.send(&frame::request(&["ECHO", "x"]).repeat(500));
    }
    let mut other = identities.session("two");
    let begin = now();
    for _ in 0..500 {
        assert_eq!(other.command(&["ECHO", "x"]), b"$1\r\nx\r\n");
    }
    assert!(since(begin) < 3.0, "{} s", since(begin));
    let counts = served(&mut wires, Duration::from_millis(1500));
    assert!(counts.iter().sum::<usize>() / 7 < 30, "{counts:?}");
    // A reload that lifts the limits ends the waits at once.
    identities.redoubt.write("identities.one.limits", None);
    identities.redoubt.reload();
    let deadline = Deadline::standard();
    for wire in &mut wires {
        wire.set_time_limit(Duration::from_secs(10));
        while wire.received().len() < 7 * 500 {
            assert!(deadline.left().is_some() && wire.receive() > 0);
        }
    }
}

#[test]
fn bytes_of_requests_are_bounded_and_replies_are_not() {
    let identities = limited("{ bytes_per_second = \"100kb\" }");
    let mut wires: Vec<_> = (0..2).map(|_| enter(&identities).unwrap()).collect();
    let value = "x".repeat(20_000);
    let begin = now();
    for _ in 0..10 {
        for wire in &mut wires {
            assert_eq!(wire.command(&["SET", "a", &value]), b"+OK\r\n");
        }
    }
    // 400 kB, of which the first 100 kB come at once.
    let took = since(begin);
    assert!((2.0..8.0).contains(&took), "{took} s");
    let begin = now();
    for _ in 0..20 {
        assert_eq!(wires[0].command(&["GET", "a"]).len(), value.len() + 10);
    }
    assert!(since(begin) < 2.5, "{} s", since(begin));
    assert!(limited_by(&identities, "bytes_per_second") > 0.0);
}

#[test]
fn statistics_and_metrics_name_the_identity() {
    let identities = limited("{ sessions = 10 }");
    let mut one = enter(&identities).unwrap();
    for _ in 0..5 {
        one.command(&["PING"]);
    }
    one.command(&["FLUSHALL"]);
    let begin = now();
    let series = "redoubt_identity_refused_commands_total{identity=\"one\",rule=\"flushall\"}";
    identities.redoubt.metric_becomes(series, 1.0);
    identities.redoubt.metric_becomes("redoubt_identity_commands_total{identity=\"one\"}", 7.0);
    assert!(begin.elapsed() < Duration::from_secs(8));
    let (status, _, stats) = http_get(identities.redoubt.admin(), "/stats");
    assert_eq!(status, 200);
    let wanted = "\"one\":{\"sessions\":1,\"leases\":0,\"commands\":7,\"refused\":1";
    assert!(stats.contains(wanted), "{stats}");
    assert!(stats.contains("\"two\":{\"sessions\":0"), "{stats}");
    assert!(stats.contains("\"default\":{"), "{stats}");
}

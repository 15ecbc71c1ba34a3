//! `/sessions` and `redoubt sessions`.

use std::collections::HashMap;

use serde_json::Value;

use super::program;
use support::http::http_get;
use support::{Deadline, Redis, Redoubt, Wire};

/// Returns the sessions, by the port of their client.
fn sessions(redoubt: &Redoubt) -> HashMap<u16, Value> {
    let (status, headers, body) = http_get(redoubt.admin(), "/sessions");
    assert_eq!(status, 200, "{body}");
    assert!(headers.contains("content-type: application/json"), "{headers}");
    let reported: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(
        (&reported["truncated"], &reported["unanswered"]),
        (&false.into(), &Value::Array(vec![]))
    );
    let reported = reported["sessions"].as_array().expect("sessions").iter();
    reported
        .map(|session| {
            let peer = session["peer"].as_str().expect("a peer");
            let port = peer.rsplit(':').next().and_then(|port| port.parse().ok());
            (port.expect("a port"), session.clone())
        })
        .collect()
}

fn port(wire: &Wire) -> u16 {
    wire.stream().local_addr().expect("an address").port()
}

/// Waits until the session of `wire` is listed with these fields.
#[track_caller]
fn becomes(redoubt: &Redoubt, wire: &Wire, fields: &[(&str, Value)]) -> Value {
    let mut last = Value::Null;
    let became = Deadline::standard().poll(|| {
        last = sessions(redoubt).remove(&port(wire)).unwrap_or_default();
        fields.iter().all(|(field, value)| last[*field] == *value)
    });
    assert!(became, "expected {fields:?}, found {last}");
    last
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_session_list_shows_the_state_of_each_session() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("workers", 2).start();
    let unauthenticated = redoubt.connect();
    let fields = [("user", Value::Null), ("link", "none".into()), ("commands", 0.into())];
    let reported = becomes(&redoubt, &unauthenticated, &fields);
    assert_eq!((&reported["listener"], &reported["certificate"]), (&"tcp".into(), &Value::Null));

    let mut plain = redoubt.session();
    assert_eq!(plain.command(&["SELECT", "3"]), b"+OK\r\n");
    assert_eq!(plain.command(&["CLIENT", "SETNAME", "web-1"]), b"+OK\r\n");
    assert_eq!(plain.command(&["SET", "k", "v"]), b"+OK\r\n");
    assert!(plain.command(&["FLUSHALL"]).starts_with(b"-ERR unknown"));
    assert!(plain.command(&["CONFIG", "GET", "dir"]).starts_with(b"-ERR unknown"));
    let reported = becomes(&redoubt, &plain, &[("database", 3.into()), ("name", "web-1".into())]);
    let fields =
        ["user", "protocol", "link", "commands", "refused", "last_refused", "last_refused_by"];
    let found: Vec<_> = fields.iter().map(|field| reported[*field].clone()).collect();
    let expected = [
        "default".into(),
        2.into(),
        "shared".into(),
        6.into(),
        2.into(),
        "config|get".into(),
        Value::from("config"),
    ];
    assert_eq!(found, expected, "{reported}");
    assert_eq!(reported["opened_by"], "policy.compat.config_get");
    assert!(
        reported["bytes_in"].as_u64() > Some(100) && reported["bytes_out"].as_u64() > Some(50),
        "{reported}"
    );
    let opened = reported["opened"].as_str().expect("a time");
    assert!(opened.starts_with("20") && opened.ends_with('Z') && opened.len() == 20, "{opened}");

    let mut queueing = redoubt.session();
    assert_eq!(queueing.command(&["MULTI"]), b"+OK\r\n");
    let reported = becomes(&redoubt, &queueing, &[("in_transaction", true.into())]);
    assert_eq!(reported["link"], "lease");
    let lease = reported["link_number"].clone();
    assert!(lease.is_u64());
    assert_eq!(queueing.command(&["DISCARD"]), b"+OK\r\n");
    becomes(&redoubt, &queueing, &[("in_transaction", false.into())]);

    let mut listening = redoubt.session();
    listening.offer(b"HELLO 3\r\nSUBSCRIBE a b\r\n");
    let fields = [("subscriptions", 2.into()), ("protocol", 3.into()), ("link", "lease".into())];
    becomes(&redoubt, &listening, &fields);

    let mut blocked = redoubt.session();
    blocked.offer(b"BLPOP nothing 0\r\n");
    becomes(&redoubt, &blocked, &[("replies_due", 1.into()), ("link", "lease".into())]);

    let gone = port(&plain);
    drop(plain);
    assert!(Deadline::standard().poll(|| !sessions(&redoubt).contains_key(&gone)), "it is gone");
    assert_eq!(sessions(&redoubt).len(), 4);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_session_list_contains_no_secret_and_no_value_and_escapes_names() {
    const CANARY: &str = "canary-4d1f80b7a29c63e5-canary-4d1f80b7a29c63e5";
    let redis = Redis::setup().password(CANARY).start();
    let redoubt = Redoubt::setup(&redis).client_password(&format!("{CANARY}-too")).start();
    let mut wire = redoubt.session();
    for command in [
        &["SET", CANARY, CANARY][..],
        &["FLUSHALL", CANARY],
        &["CONFIG", "SET", "requirepass", CANARY],
        &[CANARY],
        &["AUTH", CANARY],
        &["HELLO", "3", "AUTH", CANARY, CANARY],
        &["MULTI"],
        &["SET", CANARY, CANARY],
    ] {
        wire.command(command);
    }
    let long = "n".repeat(200);
    let mut named = redoubt.session();
    assert_eq!(named.command(&["CLIENT", "SETNAME", &format!("\"\\<{long}")]), b"+OK\r\n");
    let reported = becomes(&redoubt, &named, &[]);
    assert_eq!(reported["name"], format!("\\\"\\\\<{}", &long[..61]));
    for path in ["/sessions", "/stats", "/refused", "/metrics", "/readyz", "/livez", "/"] {
        let (_, headers, body) = http_get(redoubt.admin(), path);
        assert!(!headers.contains("canary") && !body.contains("canary"), "{path}: {body}");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redoubt_sessions_prints_a_table_or_json() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let admin = redoubt.admin().to_string();
    let mut wire = redoubt.session();
    wire.command(&["CLIENT", "SETNAME", &"long-name-".repeat(12)]);
    wire.command(&["FLUSHALL"]);
    wire.command(&["MULTI"]);
    let output = program::run(&["sessions", "--admin", &admin]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = program::text(&output.stdout);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 100), "{text}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let headings = "SESSION PEER USER PROGRAM DB AGE IDLE LINK STATE COMMANDS REFUSED";
    assert_eq!(words(lines[0]).join(" "), headings);
    let cells = words(lines[1]);
    assert_eq!((&*cells[0], &*cells[2], &*cells[4]), ("1", "default", "0"), "{text}");
    assert!(cells[3].starts_with("long-name-") && cells[3].ends_with('…'), "{text}");
    assert!(lines[1].contains("lease ") && lines[1].contains(" MULTI "), "{text}");
    assert!(lines[1].ends_with("1 flushall"), "{text}");
    assert_eq!(lines[2..], ["1 session"]);
    assert!(!text.contains('\x1b'), "no colour where there is no terminal");

    let output = program::run(&["sessions", "--json", "--admin", &admin]);
    let reported: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(reported["sessions"][0]["last_refused_by"], "flushall");
}

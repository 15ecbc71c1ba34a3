//! docs/audit.md describes each event and each of its fields, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{full, lines, log, setup, stop};
use support::certificates::{Authority, Kind};
use support::tls::Caller;
use support::{Deadline, Redis, Wire, program, secret, signal};

/// Names of fields, and whether each is always present.
type Fields = BTreeMap<String, bool>;

/// Returns the fields of every line and those of each event, as the page describes them.
fn documented() -> (Fields, BTreeMap<String, Fields>) {
    let page = fs::read_to_string("docs/audit.md").unwrap();
    let rows = |header: &str| {
        let (_, table) = page.split_once(header).expect(header);
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        rows.map(|row| row.split('|').map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let common = rows("| field | meaning |").iter().flat_map(|row| fields(&row[1])).collect();
    let events = rows("| `event` | its fields | |");
    let events = events.iter().map(|row| (row[1].trim().replace('`', ""), fields(&row[2])));
    (common, events.collect())
}

/// Parses a cell such as "`a`, (`b`)": a, which is always present, and b, which is not.
fn fields(cell: &str) -> Fields {
    let names = cell.split(',').map(str::trim).filter(|name| !name.is_empty());
    let plain = |name: &str| name.replace(['`', '(', ')'], "");
    names.map(|name| (plain(name), !name.starts_with('('))).collect()
}

/// Returns lines of every event that a file can contain.
fn seen() -> Vec<Value> {
    // Redis 7.0 has no CLIENT SETINFO.
    let redis = Redis::setup().server("redis-8.0").start();
    let dir = tempfile::tempdir().unwrap();
    // A log without a chain that ends in half a line is repaired and renamed.
    stop(setup(&redis, &dir).start());
    let mut text = fs::read(log(&dir)).unwrap();
    text.extend(b"{\"schema\":1,\"ti");
    fs::write(log(&dir), text).unwrap();
    let (password, next) = (secret(), secret());
    let file = dir.path().join("password");
    fs::write(&file, &password).unwrap();
    let redoubt = setup(&redis, &dir)
        .set("audit.hash_chain", true)
        .set_text("audit.keys", "plain")
        .set("policy.blocked", "[\"SET\", \"CONFIG\", \"FLUSHDB\", \"FLUSHALL\"]")
        .set_text("upstream.stall_timeout", "1s")
        .set("policy.compat.config_get", true)
        .set("policy.compat.flush", "{ prefix = \"cache:\" }")
        .set("throttle.exempt", "[]")
        .set("throttle.failures", 1)
        .client_password(&password)
        .set_text("client.password_file", file.to_str().unwrap())
        .start();
    let mut session = redoubt.session();
    session.command(&["FLUSHDB"]);
    session.command(&["CLIENT", "SETNAME", "name"]);
    session.command(&["CLIENT", "SETINFO", "LIB-NAME", "library"]);
    session.command(&["SET", "key", "value"]);
    session.command(&["FLUSHDB"]);
    let is_answered = || session.command(&["CONFIG", "GET", "timeout"]).starts_with(b"*");
    assert!(Deadline::standard().poll(is_answered));
    let (mut stalled, mut direct) = (redoubt.session(), redis.direct());
    assert_eq!(direct.command(&["CLIENT", "PAUSE", "600000", "WRITE"]), b"+OK\r\n");
    stalled.set_time_limit(Duration::from_secs(60));
    stalled.send(b"DEL key\r\n");
    assert_eq!(stalled.read_to_close(), b"");
    assert_eq!(direct.command(&["CLIENT", "UNPAUSE"]), b"+OK\r\n");
    let mut guesser = Wire::connect_from([127, 0, 0, 2], redoubt.address());
    guesser.send(b"AUTH wrong\r\n");
    guesser.read_to_close();
    assert_eq!(Wire::connect_from([127, 0, 0, 2], redoubt.address()).read_to_close(), b"");
    let beside = dir.path().join("next");
    fs::write(&beside, &next).unwrap();
    fs::rename(&beside, &file).unwrap();
    // The session is closed because its password is no longer accepted.
    session.read_to_close();
    stop(redoubt);
    let before = lines(&log(&dir));
    // The end of the log is removed by another program.
    let text = fs::read_to_string(log(&dir)).unwrap();
    let (cut, _) = text.trim_end().rsplit_once('\n').unwrap();
    fs::write(log(&dir), format!("{cut}\n")).unwrap();
    stop(setup(&redis, &dir).set("audit.hash_chain", true).start());
    let aside = dir.path().join("audit.log.1");
    [lines(&aside), before, lines(&log(&dir))].concat()
}

/// Returns lines of a log that events were dropped from.
fn seen_when_full() -> Vec<Value> {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let mut redoubt = full::start(&redis, &dir, "drop");
    full::fill(&mut redoubt.session());
    redoubt.log().wait(|line| line.contains("events are dropped")).expect("a warning");
    let reader = full::read(&dir);
    signal(redoubt.pid(), "TERM");
    assert_eq!(redoubt.wait().code(), Some(0));
    reader.join().unwrap()
}

/// Returns lines of a session whose client has shown a certificate.
fn seen_in_tls() -> Vec<Value> {
    let (redis, dir, authority) = (Redis::start(), tempfile::tempdir().unwrap(), Authority::new());
    let (server, ca) = (authority.server("server"), authority.ca());
    let redoubt = setup(&redis, &dir)
        .set_text("listen", "tls://127.0.0.1:0")
        .set_text("tls.certificate", server.certificate.to_str().unwrap())
        .set_text("tls.key", server.key.to_str().unwrap())
        .set_text("tls.client_ca", ca.to_str().unwrap())
        .start();
    let caller = Caller::showing(&ca, &authority.issue("app", &["app.example"], Kind::Good));
    drop(caller.session(redoubt.address(), redoubt.password()));
    stop(redoubt);
    lines(&log(&dir))
}

/// Returns lines of an identity that is observed and gets a grant.
fn seen_of_identities() -> Vec<Value> {
    let (redis, dir, password) = (Redis::start(), tempfile::tempdir().unwrap(), secret());
    let redoubt = setup(&redis, &dir)
        .set_text("audit.keys", "plain")
        .set_text("identities.worker.password", &password)
        .set("identities.worker.acl", "[\"~a\", \"+get\"]")
        .set_text("identities.worker.mode", "observe")
        .start();
    redoubt.wait_until_it_knows_its_server();
    let mut session = redoubt.connect();
    assert_eq!(session.command(&["AUTH", "worker", &password]), b"+OK\r\n");
    assert_eq!(session.command(&["GET", "b"]), b"$-1\r\n");
    let run = |words: &[&str]| {
        let admin = redoubt.admin().to_string();
        let output =
            Command::new(program()).args(words).args(["--admin", &admin]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["grant", "worker", "FLUSHALL", "--for", "1h", "--reason", "a test"]);
    run(&["revoke", "1"]);
    let is_there = || lines(&log(&dir)).iter().any(|line| line["event"] == "would_refuse");
    assert!(Deadline::standard().poll(is_there));
    stop(redoubt);
    lines(&log(&dir))
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_audit_page_describes_exactly_the_events_and_fields() {
    let (common, events) = documented();
    let (mut met, mut fields_met) = (BTreeSet::new(), BTreeSet::new());
    for line in [seen(), seen_when_full(), seen_in_tls(), seen_of_identities()].concat() {
        let event = line["event"].as_str().unwrap().to_owned();
        let own = events.get(&event).unwrap_or_else(|| panic!("{event} is not in the page"));
        let names: BTreeSet<_> = line.as_object().unwrap().keys().cloned().collect();
        for (field, is_always) in common.iter().chain(own) {
            assert!(names.contains(field) || !is_always, "no {field} in {line}");
        }
        for name in &names {
            let is_known = common.contains_key(name) || own.contains_key(name);
            assert!(is_known, "{name} of {event} is not in the page");
            fields_met.insert(if common.contains_key(name) {
                name.clone()
            } else {
                format!("{event}.{name}")
            });
        }
        met.insert(event);
    }
    assert_eq!(met, events.keys().cloned().collect(), "events of the page");
    let of_events = events
        .iter()
        .flat_map(|(event, fields)| fields.keys().map(move |field| format!("{event}.{field}")));
    let wanted: BTreeSet<_> = common.keys().cloned().chain(of_events).collect();
    assert_eq!(fields_met, wanted, "fields of the page");
}

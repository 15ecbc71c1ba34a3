//! Certificates that change while sessions continue.

use std::fs;

use super::{logged, path, speaking};
use support::certificates::{Authority, Kind, Pair};
use support::tls::Caller;
use support::{Deadline, Redis};

/// Puts `new` in the place of `old`, the certificate first.
fn replace(old: &Pair, new: &Pair) {
    fs::rename(&new.certificate, &old.certificate).unwrap();
    fs::rename(&new.key, &old.key).unwrap();
}

#[test]
fn reloaded_certificates_are_used_for_new_connections_and_bad_ones_are_not() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let pair = authority.server("server");
    let redoubt = speaking(&redis, &pair)
        .set_text("tls.client_ca", path(&authority.ca()))
        .set_text("audit.output", "stdout")
        .start();
    let app = authority.issue("app", &["app"], Kind::Good);
    let caller = Caller::showing(&authority.ca(), &app);
    let mut living = caller.session(redoubt.address(), redoubt.password());
    let shown = || caller.connect(redoubt.address()).unwrap().shown();
    let before = shown();

    replace(&pair, &authority.server("next"));
    logged(&redoubt, "certificates changed", &["tls.certificate tls.key tls.client_ca"]);
    let event = "\"event\":\"configuration_changed\",\"keys\":[\"tls.certificate\"";
    assert!(redoubt.log().wait(|line| line.contains(event)).is_some());
    let after = shown();
    assert_ne!(before, after);

    fs::write(&pair.certificate, "nonsense").unwrap();
    let said =
        |line: &str| line.contains("certificates cannot be used; the old certificates stay in use");
    let line = redoubt.log().wait(said).expect("it is said");
    assert!(line.contains("tls.certificate") && line.contains("holds no certificate"), "{line}");
    assert_eq!(shown(), after);

    // The authority for client certificates can change too; sessions stay.
    let other = Authority::new();
    replace(&pair, &authority.server("third"));
    fs::copy(other.ca(), authority.dir().join("other.crt")).unwrap();
    let trusted = Caller::trusting(&authority.ca());
    fs::rename(authority.dir().join("other.crt"), authority.ca()).unwrap();
    let refused = Deadline::standard().poll(|| caller.ping(redoubt.address()).is_err());
    assert!(refused, "certificates of the old authority are not good any more");
    assert!(trusted.ping(redoubt.address()).is_err());
    assert_eq!(living.command(&["PING"]), b"+PONG\r\n");
    assert_eq!(
        redoubt.log().all().iter().filter(|line| said(line)).count(),
        1,
        "the error is logged once"
    );
}

#[test]
fn links_use_the_current_tls_files() {
    let (authority, other_authority) = (Authority::new(), Authority::new());
    let server = authority.server("server");
    let redis = Redis::setup().tls(&server, &authority.ca(), "yes").start();
    let shown = authority.issue("shown", &["redoubt"], Kind::Good);
    let setup = super::upstream::to(support::Redoubt::setup(&redis), &redis, &authority);
    let redoubt = setup
        .set_text("upstream.tls_certificate", path(&shown.certificate))
        .set_text("upstream.tls_key", path(&shown.key))
        .set_text("upstream.sharing", "off")
        .start();
    let mut living = redoubt.session();
    assert_eq!(living.command(&["SET", "k", "v"]), b"+OK\r\n");
    // Redis rejects this certificate, so links cannot be opened any more.
    replace(&shown, &other_authority.issue("wrong", &["redoubt"], Kind::Good));
    let keys = ["upstream.tls_ca upstream.tls_certificate upstream.tls_key"];
    logged(&redoubt, "certificates changed", &keys);
    let mut next = redoubt.session();
    next.send(b"GET k\r\n");
    assert!(next.read_to_close().is_empty());
    assert_eq!(living.command(&["GET", "k"]), b"$1\r\nv\r\n");
    let from = redoubt.log().count();
    replace(&shown, &authority.issue("right", &["redoubt"], Kind::Good));
    let changed = |line: &str| line.contains("certificates changed");
    assert!(redoubt.log().wait_from(from, changed).is_some());
    assert_eq!(redoubt.session().command(&["GET", "k"]), b"$1\r\nv\r\n");
}

#[test]
fn a_reload_reads_the_current_tls_files_or_changes_nothing() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let pair = authority.server("server");
    let mut redoubt = speaking(&redis, &pair).start();
    let caller = Caller::trusting(&authority.ca());
    let shown = |redoubt: &support::Redoubt| caller.connect(redoubt.address()).unwrap().shown();
    let before = shown(&redoubt);
    replace(&pair, &authority.server("next"));
    assert!(redoubt.reload().contains("configuration reloaded"));
    let after = shown(&redoubt);
    assert_ne!(before, after, "at once");
    fs::write(&pair.key, "nonsense").unwrap();
    redoubt.write("limits.max_sessions", Some("1"));
    let refused = redoubt.reload();
    assert!(refused.contains("nothing has changed") && refused.contains("tls.key"), "{refused}");
    let held = (caller.connect(redoubt.address()).unwrap(), shown(&redoubt));
    assert_eq!(held.1, after, "the limit changed although the reload failed");
}

//! A Redis with TLS.

use super::{logged, path};
use support::certificates::{Authority, Kind, Pair};
use support::redoubt::Setup;
use support::{Redis, Redoubt, frame};

/// Returns `setup` with TLS to `redis`, whose certificate `authority` has signed.
pub(crate) fn to(setup: Setup, redis: &Redis, authority: &Authority) -> Setup {
    setup
        .set_text("upstream.url", &format!("rediss://127.0.0.1:{}", redis.tls_port()))
        .set_text("upstream.tls_ca", path(&authority.ca()))
}

fn showing(setup: Setup, pair: &Pair) -> Setup {
    setup
        .set_text("upstream.tls_certificate", path(&pair.certificate))
        .set_text("upstream.tls_key", path(&pair.key))
}

#[track_caller]
fn serves(redoubt: &Redoubt) {
    logged(redoubt, "upstream is available", &[]);
    let mut session = redoubt.session();
    assert_eq!(session.command(&["SET", "k", "v"]), b"+OK\r\n");
    assert_eq!(session.command(&["EVAL", "return redis.call('GET','k')", "0"]), b"$1\r\nv\r\n");
    assert_eq!(session.command(&["MULTI"]), b"+OK\r\n");
    assert_eq!(session.command(&["GET", "k"]), b"+QUEUED\r\n");
    assert_eq!(session.command(&["EXEC"]), b"*1\r\n$1\r\nv\r\n");
}

#[test]
fn links_use_tls_and_a_client_certificate() {
    let authority = Authority::new();
    let server = authority.server("server");
    let client = authority.issue("redoubt", &["redoubt"], Kind::Good);
    let redis = Redis::setup().tls(&server, &authority.ca(), "yes").start();
    for sharing in ["auto", "off"] {
        let setup = to(Redoubt::setup(&redis), &redis, &authority);
        let redoubt = showing(setup, &client).set_text("upstream.sharing", sharing).start();
        logged(&redoubt, "guard made", &[]);
        serves(&redoubt);
    }
    let other = Authority::new();
    let other_authority = other.issue("redoubt", &["redoubt"], Kind::Good);
    let setup = || to(Redoubt::setup(&redis), &redis, &authority);
    for setup in [setup(), showing(setup(), &other_authority)] {
        let redoubt = setup.start();
        logged(
            &redoubt,
            "upstream is unavailable; sessions that need it are closed until it is back",
            &[],
        );
        let mut session = redoubt.connect();
        session.send(&frame::request(&["AUTH", redoubt.password()]));
        session.send(b"GET k\r\n");
        // A worker learns a moment later that the upstream is unavailable.
        let received = session.read_to_close();
        assert!([&b""[..], b"+OK\r\n"].contains(&&received[..]), "{received:?}");
    }
}

#[test]
fn a_redis_with_a_wrong_certificate_gets_no_password() {
    let (authority, other_authority) = (Authority::new(), Authority::new());
    let names = ["127.0.0.1"];
    for (pair, reported) in [
        (other_authority.server("server"), "UnknownIssuer"),
        (authority.issue("expired", &names, Kind::Expired), "expired"),
        (authority.issue("future", &names, Kind::Future), "not valid yet"),
        (authority.issue("self", &names, Kind::SelfSigned), "UnknownIssuer"),
        (authority.issue("foreign", &["other.example"], Kind::Good), "not valid for name"),
    ] {
        let redis = Redis::setup().tls(&pair, &authority.ca(), "no").start();
        let redoubt = to(Redoubt::setup(&redis), &redis, &authority).start();
        let message = "upstream is unavailable; sessions that need it are closed until it is back";
        let line = logged(&redoubt, message, &["TLS handshake with 127.0.0.1:", reported]);
        assert!(!line.contains(redis.password()), "{line}");
        let info = redis.direct().command(&["INFO", "commandstats"]);
        let info = String::from_utf8(info).unwrap();
        assert!(!info.contains("cmdstat_hello") && !info.contains("cmdstat_acl"), "{info}");
    }
}

#[test]
fn the_expected_certificate_name_can_differ_from_the_host() {
    let authority = Authority::new();
    let pair = authority.issue("redis", &["redis.example"], Kind::Good);
    let redis = Redis::setup().tls(&pair, &authority.ca(), "no").start();
    let setup = to(Redoubt::setup(&redis), &redis, &authority);
    serves(&setup.set_text("upstream.tls_name", "redis.example").start());
}

#[test]
fn any_upstream_certificate_is_accepted_with_a_warning_if_configured() {
    let (authority, other_authority) = (Authority::new(), Authority::new());
    let pair = other_authority.issue("self", &["elsewhere"], Kind::SelfSigned);
    let redis = Redis::setup().tls(&pair, &other_authority.ca(), "no").start();
    let redoubt = to(Redoubt::setup(&redis), &redis, &authority)
        .set("upstream.tls_dangerously_accept_any_certificate", true)
        .start();
    let warned = redoubt.log().wait(|line| {
        line.contains("WARN") && line.contains("tls_dangerously_accept_any_certificate")
    });
    assert!(warned.is_some());
    serves(&redoubt);
}

#[test]
fn a_plain_redis_is_rejected_if_tls_is_configured() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let redoubt = Redoubt::setup(&redis)
        .set_text("upstream.url", &format!("rediss://127.0.0.1:{}", redis.port()))
        .set_text("upstream.tls_ca", path(&authority.ca()))
        .start();
    logged(
        &redoubt,
        "upstream is unavailable; sessions that need it are closed until it is back",
        &["did not answer"],
    );
}

//! Settings of TLS and of Unix sockets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use support::certificates::{Authority, Kind, Pair};
use support::redoubt::Setup;
use support::tls::{Caller, ONLY_12};
use support::{Deadline, Redis, Redoubt};

const NO_AUTH: &str = "-NOAUTH Authentication required.\r\n";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns the setup of a Redoubt that shows `pair` to its clients.
fn showing(redis: &Redis, pair: &Pair) -> Setup {
    Redoubt::setup(redis)
        .set_text("listen", "tls://127.0.0.1:0")
        .set_text("tls.certificate", text(&pair.certificate))
        .set_text("tls.key", text(&pair.key))
}

#[test]
fn unix_socket_mode_takes_effect() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    for mode in [0o660, 0o600] {
        let path = dir.path().join(format!("{mode}.sock"));
        let listen = format!("[\"127.0.0.1:0\", \"unix://{}\"]", path.display());
        let setup = Redoubt::setup(&redis).set("listen", listen);
        let _redoubt = setup.set_text("unix_socket_mode", &format!("{mode:o}")).start();
        assert!(Deadline::standard().poll(|| path.exists()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[test]
fn certificate_takes_effect() {
    let (redis, authority, other) = (Redis::start(), Authority::new(), Authority::new());
    // Clients get the certificate that "tls.certificate" names.
    let redoubt = showing(&redis, &authority.server("server")).start();
    assert_eq!(Caller::trusting(&authority.ca()).ping(redoubt.address()).unwrap(), NO_AUTH);
    assert!(Caller::trusting(&other.ca()).ping(redoubt.address()).is_err());
}

#[test]
fn key_takes_effect() {
    let (redis, authority) = (Redis::start(), Authority::new());
    // A key of another certificate under "tls.key" is rejected.
    let (pair, other) = (authority.server("one"), authority.server("other"));
    let mixed = Pair { certificate: pair.certificate.clone(), key: other.key };
    assert!(catch_unwind(AssertUnwindSafe(|| showing(&redis, &mixed).start())).is_err());
    let redoubt = showing(&redis, &pair).start();
    assert_eq!(Caller::trusting(&authority.ca()).ping(redoubt.address()).unwrap(), NO_AUTH);
}

#[test]
fn client_ca_takes_effect() {
    let (redis, authority, other) = (Redis::start(), Authority::new(), Authority::new());
    let redoubt = showing(&redis, &authority.server("server"));
    let redoubt = redoubt.set_text("tls.client_ca", text(&authority.ca())).start();
    for (pair, is_in) in [(authority.server("app"), true), (other.server("app"), false)] {
        let served = Caller::showing(&authority.ca(), &pair).ping(redoubt.address());
        assert_eq!(served.is_ok(), is_in, "{served:?}");
    }
}

#[test]
fn client_certificates_takes_effect() {
    let (redis, authority) = (Redis::start(), Authority::new());
    for (setting, is_in) in [("required", false), ("optional", true)] {
        let redoubt = showing(&redis, &authority.server("server"))
            .set_text("tls.client_ca", text(&authority.ca()))
            .set_text("tls.client_certificates", setting)
            .start();
        let served = Caller::trusting(&authority.ca()).ping(redoubt.address());
        assert_eq!(served.is_ok(), is_in, "{setting}: {served:?}");
    }
}

#[test]
fn min_version_takes_effect() {
    let (redis, authority) = (Redis::start(), Authority::new());
    let old = Caller::new(&authority.ca(), ONLY_12, None);
    for (setting, is_in) in [("1.2", true), ("1.3", false)] {
        let setup = showing(&redis, &authority.server("server"));
        let redoubt = setup.set_text("tls.min_version", setting).start();
        assert_eq!(old.ping(redoubt.address()).is_ok(), is_in, "{setting}");
    }
}

/// Returns the setup of a Redoubt that uses TLS with its Redis.
fn to(redis: &Redis) -> Setup {
    let url = format!("rediss://127.0.0.1:{}", redis.tls_port());
    Redoubt::setup(redis).set_text("upstream.url", &url)
}

/// Returns true if Redis serves through a Redoubt with this setup.
fn serves(setup: Setup) -> bool {
    setup.start().serves()
}

#[test]
fn tls_ca_takes_effect() {
    let (authority, other) = (Authority::new(), Authority::new());
    let redis = Redis::setup().tls(&authority.server("redis"), &authority.ca(), "no").start();
    assert!(serves(to(&redis).set_text("upstream.tls_ca", text(&authority.ca()))));
    assert!(!serves(to(&redis).set_text("upstream.tls_ca", text(&other.ca()))));
}

/// Returns true if a Redis that requires certificates of `authority` accepts this one.
fn takes(authority: &Authority, pair: &Pair) -> bool {
    let redis = Redis::setup().tls(&authority.server("redis"), &authority.ca(), "yes").start();
    serves(
        to(&redis)
            .set_text("upstream.tls_ca", text(&authority.ca()))
            .set_text("upstream.tls_certificate", text(&pair.certificate))
            .set_text("upstream.tls_key", text(&pair.key)),
    )
}

#[test]
fn tls_certificate_takes_effect() {
    let (authority, other) = (Authority::new(), Authority::new());
    // Redis accepts one of two values of "upstream.tls_certificate".
    assert!(takes(&authority, &authority.server("ours")));
    assert!(!takes(&authority, &other.server("ours")));
}

#[test]
fn tls_key_takes_effect() {
    let authority = Authority::new();
    let (pair, other) = (authority.server("ours"), authority.server("other"));
    assert!(takes(&authority, &pair));
    // Another certificate's key under "upstream.tls_key" stops the start.
    let mixed = Pair { certificate: pair.certificate, key: other.key };
    assert!(catch_unwind(AssertUnwindSafe(|| takes(&authority, &mixed))).is_err());
}

#[test]
fn tls_name_takes_effect() {
    let authority = Authority::new();
    let pair = authority.issue("redis", &["redis.internal"], Kind::Good);
    let redis = Redis::setup().tls(&pair, &authority.ca(), "no").start();
    let setup = || to(&redis).set_text("upstream.tls_ca", text(&authority.ca()));
    assert!(!serves(setup()));
    assert!(serves(setup().set_text("upstream.tls_name", "redis.internal")));
}

#[test]
fn tls_dangerously_accept_any_certificate_takes_effect() {
    let (authority, other) = (Authority::new(), Authority::new());
    let redis = Redis::setup().tls(&authority.server("redis"), &authority.ca(), "no").start();
    for dangerous in [true, false] {
        let setup = to(&redis).set_text("upstream.tls_ca", text(&other.ca()));
        let setup = setup.set("upstream.tls_dangerously_accept_any_certificate", dangerous);
        assert_eq!(serves(setup), dangerous);
    }
}

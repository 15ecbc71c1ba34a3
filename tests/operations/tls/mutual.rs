//! Client certificates.

use super::{logged, path, speaking};
use support::certificates::{Authority, Kind};
use support::tls::{Caller, ONLY_12, ONLY_13};
use support::{Deadline, Redis};

const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";

#[test]
fn clients_need_both_a_valid_certificate_and_the_password() {
    let (authority, other_authority, redis) = (Authority::new(), Authority::new(), Redis::start());
    let redoubt = speaking(&redis, &authority.server("server"))
        .set_text("tls.client_ca", path(&authority.ca()))
        .set_text("log.level", "debug")
        .set_text("audit.output", "stdout")
        .start();
    let ca = authority.ca();
    for (caller, reported) in [
        (Caller::trusting(&ca), "CertificateRequired"),
        (Caller::showing(&ca, &other_authority.issue("app", &["app"], Kind::Good)), "alert"),
        (
            Caller::showing(&ca, &authority.issue("old", &["app"], Kind::Expired)),
            "CertificateExpired",
        ),
        (Caller::showing(&ca, &authority.issue("soon", &["app"], Kind::Future)), "alert"),
        (Caller::showing(&ca, &authority.issue("self", &["app"], Kind::SelfSigned)), "alert"),
    ] {
        let refused = caller.ping(redoubt.address()).unwrap_err();
        assert!(refused.contains(reported), "{reported}: {refused}");
    }
    logged(&redoubt, "connections refused", &["tls_handshake"]);
    assert!(!redoubt.log().all().iter().any(|line| line.contains("session opened")));

    let caller = Caller::showing(&ca, &authority.issue("app", &["app.example"], Kind::Good));
    assert_eq!(caller.ping(redoubt.address()).as_deref(), Ok(NOAUTH), "AUTH is needed too");
    let mut session = caller.session(redoubt.address(), redoubt.password());
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    let name = "\"certificate\":\"app.example\"";
    logged(&redoubt, "session opened", &[name]);
    logged(&redoubt, "authenticated", &[name]);
    for event in ["session_opened", "auth_succeeded"] {
        let event = format!("\"event\":\"{event}\"");
        let line = redoubt.log().wait(|line| line.contains(&event) && line.contains(name));
        assert!(line.is_some(), "{event}");
    }
}

#[test]
fn client_certificates_are_checked_in_every_handshake() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let pair = authority.server("server");
    let app = authority.issue("app", &["app"], Kind::Good);
    for (client_ca, resumes) in [(None, true), (Some(authority.ca()), false)] {
        let mut setup = speaking(&redis, &pair);
        if let Some(ca) = &client_ca {
            setup = setup.set_text("tls.client_ca", path(ca));
        }
        let redoubt = setup.start();
        for versions in [ONLY_12, ONLY_13] {
            let caller = Caller::new(&authority.ca(), versions, Some(&app));
            let session = || caller.session(redoubt.address(), redoubt.password());
            assert!(!session().is_resumed());
            assert_eq!(session().is_resumed(), resumes);
        }
    }
}

#[test]
fn an_optional_client_certificate_must_be_valid_if_sent() {
    let (authority, other_authority, redis) = (Authority::new(), Authority::new(), Redis::start());
    let redoubt = speaking(&redis, &authority.server("server"))
        .set_text("tls.client_ca", path(&authority.ca()))
        .set_text("tls.client_certificates", "optional")
        .start();
    let ca = authority.ca();
    assert_eq!(Caller::trusting(&ca).ping(redoubt.address()).as_deref(), Ok(NOAUTH));
    let right = authority.issue("app", &["app"], Kind::Good);
    assert_eq!(Caller::showing(&ca, &right).ping(redoubt.address()).as_deref(), Ok(NOAUTH));
    let wrong = Caller::showing(&ca, &other_authority.issue("app", &["app"], Kind::Good));
    assert!(wrong.ping(redoubt.address()).is_err());
}

#[test]
fn sessions_are_limited_for_each_client_certificate() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let redoubt = speaking(&redis, &authority.server("server"))
        .set_text("tls.client_ca", path(&authority.ca()))
        .set_text("tls.client_certificates", "optional")
        .set("limits.sessions_per_identity", 2)
        .start();
    let showing =
        |name: &str| Caller::showing(&authority.ca(), &authority.issue(name, &[name], Kind::Good));
    let mut kept = Vec::new();
    for caller in [showing("one"), showing("two"), Caller::trusting(&authority.ca())] {
        let session = || caller.session(redoubt.address(), redoubt.password());
        let (first, mut second) = (session(), session());
        let mut third = caller.connect(redoubt.address()).unwrap();
        assert!(third.command(&["AUTH", redoubt.password()]).starts_with(b"-ERR max number"));
        assert!(third.is_closed());
        drop(first);
        let free = Deadline::standard().poll(|| {
            let mut next = caller.connect(redoubt.address()).unwrap();
            next.command(&["AUTH", redoubt.password()]) == b"+OK\r\n"
        });
        assert!(free, "a place comes back");
        assert_eq!(second.command(&["PING"]), b"+PONG\r\n");
        // The limit of one certificate does not apply to the others.
        kept.push(second);
    }
}

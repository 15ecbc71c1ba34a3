//! The connection limiter with addresses and a clock that the tests choose.
#![allow(
    clippy::disallowed_methods,
    reason = "the instant is only a start of measurement; no code waits for it"
)]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use redoubt_core::auth::{
    ConnectionLimiter, ConnectionLimits, Networks, Permit, Refusal, Throttle, ThrottleLimits,
    Verdict,
};

const LIMITS: ConnectionLimits = ConnectionLimits {
    sessions: 100,
    per_source: None,
    per_identity: None,
    unauthenticated: 80,
    unauthenticated_memory: 1000,
};

fn networks(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn limiter(limits: ConnectionLimits) -> Arc<ConnectionLimiter> {
    let throttle = ThrottleLimits {
        failures: 2,
        lockout: Duration::from_secs(1),
        max_lockout: Duration::from_secs(60),
    };
    let networks = Networks {
        allow: networks(&["10.0.0.0/8", "2001:db8::/32"]),
        exempt: networks(&["10.9.0.0/16"]),
        shared: networks(&["10.8.0.0/16"]),
    };
    Arc::new(ConnectionLimiter::new(networks, limits, throttle))
}

fn admit(limiter: &Arc<ConnectionLimiter>, client: &str) -> Result<Permit, Refusal> {
    limiter.admit(Some(client.parse::<IpAddr>().unwrap()), Instant::now())
}

#[test]
fn only_allowed_networks_get_a_permit() {
    let limiter = limiter(LIMITS);
    for client in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"] {
        admit(&limiter, client).unwrap();
    }
    for client in ["11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", "::1"] {
        assert_eq!(admit(&limiter, client).unwrap_err(), Refusal::NotAllowed, "{client}");
    }
    assert_eq!(limiter.sessions(), 0, "the places of closed connections are returned");
}

#[test]
fn a_locked_out_source_gets_no_permit_and_an_exempt_source_always_does() {
    let limiter = limiter(LIMITS);
    let now = Instant::now();
    for client in ["10.0.0.1", "10.9.0.1"] {
        let mut permit = admit(&limiter, client).unwrap();
        (0..5).for_each(|_| _ = permit.failed(now));
    }
    assert_eq!(admit(&limiter, "10.0.0.1").unwrap_err(), Refusal::LockedOut);
    admit(&limiter, "10.0.0.2").unwrap();
    admit(&limiter, "10.9.0.1").unwrap();
}

#[test]
fn one_source_cannot_take_all_unauthenticated_sessions() {
    let limiter = limiter(LIMITS);
    let mut held = Vec::new();
    while let Ok(permit) = admit(&limiter, "10.0.0.1") {
        held.push(permit);
    }
    assert_eq!(held.len(), 70, "seven eighths");
    assert_eq!(admit(&limiter, "10.0.0.1").unwrap_err(), Refusal::Unauthenticated);
    let mut other = admit(&limiter, "10.0.0.2").unwrap();
    assert!(other.authenticated(Instant::now()));
    drop(held);
    assert_eq!((limiter.sessions(), limiter.unauthenticated()), (1, 0));
}

#[test]
fn an_unauthenticated_place_is_returned_at_login_and_taken_again_at_reset() {
    let limiter = limiter(ConnectionLimits { unauthenticated: 1, ..LIMITS });
    let mut first = admit(&limiter, "10.0.0.1").unwrap();
    assert_eq!(admit(&limiter, "10.0.0.2").unwrap_err(), Refusal::Unauthenticated);
    assert!(first.authenticated(Instant::now()));
    let second = admit(&limiter, "10.0.0.2").unwrap();
    first.reset();
    assert_eq!(limiter.unauthenticated(), 2, "a session that sent RESET stays");
    drop((first, second));
    admit(&limiter, "10.0.0.2").unwrap();
}

#[test]
fn sessions_are_limited_in_total_by_source_and_by_identity() {
    let now = Instant::now();
    let all = limiter(ConnectionLimits { sessions: 2, ..LIMITS });
    let mut held = [admit(&all, "10.0.0.1").unwrap(), admit(&all, "10.0.0.2").unwrap()];
    assert!(held.iter_mut().all(|permit| permit.authenticated(now)));
    assert_eq!(admit(&all, "10.0.0.3").unwrap_err(), Refusal::Sessions);
    let source = limiter(ConnectionLimits { per_source: Some(1), ..LIMITS });
    let mut held = admit(&source, "2001:db8::1").unwrap();
    assert!(held.authenticated(now));
    assert_eq!(admit(&source, "2001:db8::2").unwrap_err(), Refusal::PerSource, "the same /64");
    admit(&source, "2001:db8:0:1::1").unwrap();
    let identity = limiter(ConnectionLimits { per_identity: Some(1), ..LIMITS });
    let mut held = admit(&identity, "10.0.0.1").unwrap();
    assert!(held.authenticated(now));
    assert!(!admit(&identity, "10.0.0.2").unwrap().authenticated(now));
    drop(held);
    assert!(admit(&identity, "10.0.0.2").unwrap().authenticated(now));
}

#[test]
fn a_client_behind_a_proxy_is_checked_once_its_address_is_known() {
    let limiter = limiter(ConnectionLimits { per_source: Some(1), ..LIMITS });
    let now = Instant::now();
    let identify = |client: &str| {
        let mut permit = limiter.admit(None, now).unwrap();
        permit.identify(client.parse().unwrap(), now).map(|()| permit)
    };
    assert_eq!(identify("11.0.0.1").unwrap_err(), Refusal::NotAllowed);
    let mut held = identify("10.0.0.1").unwrap();
    assert_eq!(identify("10.0.0.1").unwrap_err(), Refusal::PerSource);
    held.failed(now);
    held.failed(now);
    drop(held);
    assert_eq!(identify("10.0.0.1").unwrap_err(), Refusal::LockedOut);
}

#[test]
fn memory_of_all_unauthenticated_sessions_is_limited() {
    let limiter = limiter(LIMITS);
    let [mut first, mut second] = [1, 2].map(|_| admit(&limiter, "10.0.0.1").unwrap());
    assert!(first.hold(600));
    assert!(second.hold(400));
    assert!(!second.hold(401));
    assert!(second.hold(100), "holding fewer bytes is always permitted");
    assert!(first.authenticated(Instant::now()));
    assert!(second.hold(1000));
    drop((first, second));
    assert_eq!(limiter.unauthenticated_memory(), 0);
}

#[test]
fn replaced_limits_apply_to_later_connections() {
    let limiter = limiter(LIMITS);
    let now = Instant::now();
    let mut first = admit(&limiter, "10.1.0.1").unwrap();
    assert_eq!(first.failed(now), Verdict::Delay(Duration::from_millis(100)));
    let throttle = ThrottleLimits {
        failures: 3,
        lockout: Duration::from_secs(2),
        max_lockout: Duration::from_secs(60),
    };
    let limits = ConnectionLimits { sessions: 2, per_identity: Some(1), ..LIMITS };
    let others = Networks {
        allow: networks(&["11.0.0.0/8"]),
        exempt: networks(&["11.9.0.0/16"]),
        ..Networks::default()
    };
    limiter.replace(others, limits, throttle);
    assert_eq!(admit(&limiter, "10.1.0.1").unwrap_err(), Refusal::NotAllowed);
    let mut exempt = admit(&limiter, "11.9.0.1").unwrap();
    assert_eq!(admit(&limiter, "11.0.0.1").unwrap_err(), Refusal::Sessions);
    // Earlier wrong passwords still count, against the new limits.
    assert!(matches!(first.failed(now), Verdict::Delay(_)));
    assert_eq!(first.failed(now), Verdict::LockOut(Duration::from_secs(2)));
    (0..5).for_each(|_| assert_eq!(exempt.failed(now), Verdict::Answer));
    assert!(first.authenticated(now), "an earlier client may still authenticate");
    assert!(!exempt.authenticated(now), "the identity has one session already");
    // An address that was exempt when its client connected is not exempt after the change.
    limiter.replace(Networks::default(), limits, throttle);
    assert!((0..3).any(|_| exempt.failed(now) != Verdict::Answer));
}

#[test]
fn a_shared_address_gets_a_permit_despite_wrong_passwords() {
    let limiter = limiter(LIMITS);
    let now = Instant::now();
    let mut guesser = admit(&limiter, "10.8.0.1").unwrap();
    for _ in 0..20 {
        assert!(matches!(guesser.failed(now), Verdict::Delay(_)));
    }
    assert!(admit(&limiter, "10.8.0.1").unwrap().authenticated(now), "the right password counts");
    // A changed list does not make guessing faster.
    assert_eq!(guesser.failed(now), Verdict::Delay(Duration::from_secs(2)));
}

#[test]
fn delayed_replies_stop_counting_when_their_permit_is_dropped() {
    let limiter = limiter(LIMITS);
    let now = Instant::now();
    let admit = || admit(&limiter, "10.8.0.1").unwrap();
    let mut waiting: Vec<_> = (0..).map(|_| admit()).take(Throttle::MAX_DELAYED as usize).collect();
    for permit in &mut waiting {
        assert!(matches!(permit.failed(now), Verdict::Delay(_)));
    }
    assert_eq!(admit().failed(now), Verdict::Crowded);
    waiting[0].answered();
    assert!(
        matches!(admit().failed(now), Verdict::Delay(_)),
        "the place is returned when the permit is dropped"
    );
    drop(waiting.pop());
    assert!(matches!(admit().failed(now), Verdict::Delay(_)));
}

#[test]
fn local_users_are_separate_sources_and_never_locked_out() {
    let limiter = limiter(LIMITS);
    let now = Instant::now();
    let of_user = |user| {
        let mut permit = limiter.admit(None, now).unwrap();
        permit.is_of_user(user);
        permit
    };
    let mut guesser = of_user(1000);
    for _ in 0..20 {
        assert!(matches!(guesser.failed(now), Verdict::Delay(_)));
    }
    assert_eq!(of_user(1001).failed(now), Verdict::Delay(Duration::from_millis(100)), "its first");
    assert!(of_user(1000).authenticated(now));
}

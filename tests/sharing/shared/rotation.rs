//! Passwords that change: which sessions end, and how links log in again.

use std::sync::Arc;

use redoubt_core::auth::Identity;
use redoubt_core::router::LinkFault;
use redoubt_core::session::{CloseReason, Rulebook, Rules, Unexpected};
use redoubt_core::upstream::{Credentials, LinkCredentials};

use crate::places::Places;
use support::bench::{CLIENT_PASSWORD, assert_bytes, request};

const NEXT_CLIENT_PASSWORD: &str = "the password that clients say next";
const OK: &[u8] = b"+OK\r\n";

impl Places {
    fn accept(&mut self, passwords: [&str; 2]) {
        let mut rules = Rules::clone(self.bench.router.rules().strangers());
        rules.identities =
            Identity::new(None, &passwords[0].into()).or(&passwords[1].into()).into();
        self.bench.router.replace_rules(Arc::new(Rulebook::of_one(Arc::new(rules))));
    }

    fn rotate(&mut self) {
        self.rotate_to("next");
    }

    fn rotate_to(&mut self, password: &str) {
        let credentials = Credentials { user: Some("app".into()), password: Some(password.into()) };
        self.bench.router.rotate_credentials(LinkCredentials::of_one(credentials), self.bench.now);
    }
}

/// Returns the login of a link after [`Places::rotate`].
fn login() -> Vec<u8> {
    request(&["AUTH", "app", "next"])
}

#[test]
fn a_withdrawn_password_closes_only_its_sessions() {
    let mut places = Places::new();
    let (old, common) = places.plain();
    let (watching, lease) = places.watching();
    let unauthenticated = places.bench.open();
    places.accept([NEXT_CLIENT_PASSWORD, CLIENT_PASSWORD]);
    let new = places.bench.open();
    places.bench.say(new, &request(&["AUTH", NEXT_CLIENT_PASSWORD]));
    assert_bytes(&places.bench.read(new), OK);
    let moved = places.bench.authenticated();
    places.bench.say(moved, &request(&["AUTH", NEXT_CLIENT_PASSWORD]));
    assert_bytes(&places.bench.read(moved), OK);
    assert_eq!(places.link_of(old), common);
    // Both sessions have pending replies.
    places.send(old, b"GET k\r\n");
    places.send(new, b"GET k\r\n");

    places.accept([NEXT_CLIENT_PASSWORD, NEXT_CLIENT_PASSWORD]);
    for id in [old, watching] {
        assert_eq!(places.bench.close(id), CloseReason::CredentialWithdrawn);
    }
    assert!(places.is_closed(lease), "the lease of a closed session is closed");
    places.bench.reply(common, b"$3\r\nold\r\n$3\r\nnew\r\n");
    assert_bytes(&places.bench.read(new), b"$3\r\nnew\r\n");
    for id in [new, moved] {
        assert_eq!(places.link_of(id), common);
    }
    places.bench.say(unauthenticated, &request(&["AUTH", CLIENT_PASSWORD]));
    assert!(places.bench.read(unauthenticated).starts_with(b"-WRONGPASS"));
    assert!(!places.bench.router.is_finished(unauthenticated));
}

#[test]
fn a_session_after_reset_survives_a_withdrawn_password() {
    let mut places = Places::new();
    let id = places.bench.authenticated();
    places.local(id, b"RESET\r\n", b"+RESET\r\n");
    places.accept([NEXT_CLIENT_PASSWORD, NEXT_CLIENT_PASSWORD]);
    assert!(!places.bench.router.is_finished(id));
}

#[test]
fn shared_links_are_replaced_when_no_reply_is_pending() {
    let mut places = Places::new();
    let (busy, common) = places.plain();
    let (idle, _) = places.plain();
    places.send(busy, b"GET k\r\n");
    places.rotate();
    // A session without a pending reply continues at once; a session with a pending reply continues
    // after it.
    let fresh = places.link_of(idle);
    assert_ne!(fresh, common);
    assert_bytes(&places.login, &login());
    assert!(places.try_send(busy, b"GET l\r\n").is_none());
    assert!(!places.is_closed(common));
    places.bench.reply(common, b"$1\r\nk\r\n");
    assert!(places.is_closed(common));
    assert_bytes(&places.bench.read(busy), b"$1\r\nk\r\n");
    let (link, sent) = places.flush().expect("the request that waited");
    assert_eq!(link, fresh);
    assert_bytes(&sent, &request(&["GET", "l"]));
    places.bench.reply(fresh, b"$1\r\nl\r\n");
    assert_bytes(&places.bench.read(busy), b"$1\r\nl\r\n");

    places.rotate();
    assert!(!places.is_closed(fresh), "nothing is new");
    places.rotate_to("the one after");
    assert!(places.is_closed(fresh), "a link without pending replies is closed");
}

#[test]
fn sessions_that_wait_for_room_on_a_replaced_link_continue() {
    let mut places = Places::new();
    let (waiting, common) = places.plain();
    let fillers = places.fill(common);
    assert!(places.try_send(waiting, b"ECHO 1\r\n").is_none());
    places.rotate();
    let (link, sent) = places.flush().expect("the waiting request is sent");
    assert_ne!(link, common);
    assert_bytes(&sent, &request(&["ECHO", "1"]));
    places.bench.reply(link, b"$1\r\n1\r\n");
    assert_bytes(&places.bench.read(waiting), b"$1\r\n1\r\n");
    places.bench.reply(common, &b":1\r\n".repeat(65_536));
    for filler in &fillers {
        assert_bytes(&places.bench.read(*filler), &b":1\r\n".repeat(512));
    }
    assert!(places.is_closed(common));
    assert_eq!(places.link_of(fillers[0]), link);
}

#[test]
fn password_rotation_closes_pooled_leases() {
    let mut places = Places::new();
    let (id, _) = places.plain();
    let lease = places.turn(id, b"BLPOP k 1\r\n", b"*-1\r\n");
    places.rotate();
    assert!(places.is_closed(lease));
    assert_ne!(places.turn(id, b"BLPOP k 1\r\n", b"*-1\r\n"), lease);
    assert_bytes(&places.login, &login());
}

#[test]
fn a_lease_in_use_logs_in_once_more_before_its_next_request() {
    let mut places = Places::new();
    let (id, lease) = places.watching();
    places.rotate();
    assert!(places.flush().is_none(), "not before there is a request");
    let (link, sent) = places.send(id, b"GET k\r\n");
    assert_eq!(link, lease);
    assert_bytes(&sent, &[login(), request(&["GET", "k"])].concat());
    places.bench.reply(lease, b"+OK\r\n$1\r\nk\r\n");
    assert_bytes(&places.bench.read(id), b"$1\r\nk\r\n");
    let (_, sent) = places.send(id, b"UNWATCH\r\n");
    assert_bytes(&sent, &request(&["UNWATCH"]));
    places.bench.reply(lease, OK);
    assert_bytes(&places.bench.read(id), OK);
    places.prove();
    assert_eq!(places.turn(id, b"BLPOP k 1\r\n", b"*-1\r\n"), lease, "the lease is clean again");
}

#[test]
fn password_rotation_does_not_disturb_pending_requests() {
    let mut places = Places::new();
    let id = places.bench.authenticated();
    let (lease, _) = places.send(id, b"BLPOP k 0\r\n");
    places.rotate();
    assert!(places.flush().is_none());
    let (link, sent) = places.send(id, b"LLEN k\r\n");
    assert_eq!(link, lease);
    assert_bytes(&sent, &[login(), request(&["LLEN", "k"])].concat());
    places.bench.reply(lease, b"*2\r\n$1\r\nk\r\n$1\r\nv\r\n+OK\r\n:0\r\n");
    assert_bytes(&places.bench.read(id), b"*2\r\n$1\r\nk\r\n$1\r\nv\r\n:0\r\n");
}

#[test]
fn a_lease_logs_in_again_after_its_transaction() {
    let mut places = Places::new();
    let id = places.bench.authenticated();
    let lease = places.turn(id, b"MULTI\r\n", OK);
    places.rotate();
    assert_eq!(places.turn(id, b"INCR k\r\n", b"+QUEUED\r\n"), lease);
    let (_, sent) = places.send(id, b"EXEC\r\n");
    assert_bytes(&sent, &request(&["EXEC"]));
    // The reply shows if the login was accepted.
    let (link, sent) = places.send(id, b"GET k\r\n");
    assert_eq!(link, lease);
    assert_bytes(&sent, &request(&["GET", "k"]));
    places.bench.reply(lease, b"*1\r\n:1\r\n$1\r\n1\r\n");
    assert_bytes(&places.bench.read(id), b"*1\r\n:1\r\n$1\r\n1\r\n");
    assert!(places.is_closed(lease), "the lease does not go to the pool");
}

#[test]
fn subscribers_keep_their_lease_while_redis_would_reject_a_login() {
    let mut places = Places::new();
    let id = places.bench.authenticated();
    let subscribed: &[u8] = b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
    let lease = places.turn(id, b"SUBSCRIBE a\r\n", subscribed);
    places.rotate();
    let (link, sent) = places.send(id, b"PING\r\n");
    assert_eq!(link, lease);
    assert_bytes(&sent, &request(&["PING"]));
    let pong: &[u8] = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n";
    places.bench.reply(lease, pong);
    assert_bytes(&places.bench.read(id), pong);
    let gone: &[u8] = b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n";
    let (_, sent) = places.send(id, b"UNSUBSCRIBE\r\n");
    assert_bytes(&sent, &request(&["UNSUBSCRIBE"]));
    places.bench.reply(lease, gone);
    assert_bytes(&places.bench.read(id), gone);
    assert!(places.is_closed(lease));
    places.link_of(id);
    assert_bytes(&places.login, &login());
}

#[test]
fn a_login_is_not_sent_within_a_large_request() {
    let mut places = Places::new();
    let id = places.bench.authenticated();
    let value = "v".repeat(100_000);
    let whole = request(&["SET", "k", &value]);
    let (lease, begun) = places.send(id, &whole[..70_000]);
    places.rotate();
    let (link, rest) = places.send(id, &whole[70_000..]);
    assert_eq!(link, lease);
    assert_bytes(&[begun, rest].concat(), &whole);
    places.bench.reply(lease, OK);
    assert_bytes(&places.bench.read(id), OK);
    assert!(places.is_closed(lease));
}

#[test]
fn a_login_that_redis_rejects_closes_the_link() {
    let mut places = Places::new();
    let (id, lease) = places.watching();
    places.rotate();
    places.send(id, b"GET k\r\n");
    let wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n$1\r\nk\r\n";
    let outcome = places.bench.router.link_bytes(lease, wrong, places.bench.now);
    assert_eq!(outcome, Err(LinkFault::Unexpected(Unexpected::Refused)));
    assert!(places.is_closed(lease));
    assert_bytes(&places.bench.read(id), b"");
    assert_eq!(places.bench.close(id), CloseReason::UpstreamLost);
}

#[test]
fn a_lease_given_up_by_reset_leaves_nothing_behind() {
    let mut places = Places::new();
    let (id, lease) = places.watching();
    places.rotate();
    places.bench.say(id, b"RESET\r\n");
    assert_bytes(&places.bench.read(id), b"+RESET\r\n");
    assert!(places.is_closed(lease));
    places.bench.say(id, &request(&["AUTH", CLIENT_PASSWORD]));
    assert_bytes(&places.bench.read(id), OK);
    let (_, sent) = places.send(id, b"WATCH k\r\n");
    assert_bytes(&sent, &request(&["WATCH", "k"]));
}

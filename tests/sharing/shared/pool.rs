//! A lease returns to the pool only when it is clean, and is prepared for its next session.

use redoubt_core::router::{LinkBudget, LinkId};
use redoubt_core::session::CloseReason;

use crate::places::{Places, shown};
use support::bench::{assert_bytes, request};

const SUBSCRIBED_3: &[u8] = b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
const UNSUBSCRIBED_3: &[u8] = b">3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n";
const MESSAGE_3: &[u8] = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n";
const MAP: &[u8] = b"%1\r\n$5\r\nproto\r\n:3\r\n";

/// Requests a lease and returns its link, which shows if the pool's lease is reused.
#[track_caller]
fn next_lease(places: &mut Places) -> LinkId {
    let id = places.bench.authenticated();
    let (link, sent) = places.send(id, b"WATCH other\r\n");
    assert_bytes(&sent, &request(&["WATCH", "other"]));
    places.bench.reply(link, b"+OK\r\n");
    assert_bytes(&places.bench.read(id), b"+OK\r\n");
    link
}

/// Runs the steps of a session with a lease; afterwards no session may get the lease.
#[track_caller]
fn stays_out(steps: &[(&[u8], &[u8])], leave: bool) {
    let mut places = Places::new();
    let id = places.bench.authenticated();
    let mut lease = None;
    for (said, reply) in steps {
        let link = places.turn(id, said, reply);
        assert_eq!(*lease.get_or_insert(link), link);
    }
    let lease = lease.expect("a lease");
    if leave {
        places.leave(id);
        assert!(places.is_closed(lease));
    } else {
        assert_eq!(places.link_of(id), lease, "the session keeps a lease that is not clean");
    }
    assert_ne!(next_lease(&mut places), lease);
}

#[test]
fn a_clean_lease_is_reused() {
    let mut places = Places::new();
    let (id, common) = places.plain();
    let lease = places.turn(id, b"BLPOP k 1\r\n", b"*-1\r\n");
    assert_eq!(places.link_of(id), common);
    assert_eq!(places.turn(id, b"BLPOP k 1\r\n", b"*-1\r\n"), lease);
    places.leave(id);
    assert_eq!(next_lease(&mut places), lease, "also by another session");
}

#[test]
fn state_left_by_a_session_closes_its_lease() {
    let ok: &[u8] = b"+OK\r\n";
    for leave in [true, false] {
        stays_out(&[(b"WATCH k\r\n", ok)], leave);
        stays_out(&[(b"MULTI\r\n", ok)], leave);
        stays_out(&[(b"WATCH k\r\n", ok), (b"EXEC\r\n", b"-ERR EXEC without MULTI\r\n")], leave);
        stays_out(&[(b"MULTI\r\n", ok), (b"DISCARD 1\r\n", b"-ERR wrong number\r\n")], leave);
        let queued: &[u8] = b"+QUEUED\r\n";
        for inside in [&b"SELECT 3\r\n"[..], b"HELLO 3\r\n", b"CLIENT SETNAME me\r\n"] {
            let steps =
                [(&b"MULTI\r\n"[..], ok), (inside, queued), (b"EXEC\r\n", b"*1\r\n+OK\r\n")];
            stays_out(&steps, leave);
            // The reply to EXEC does not matter.
            let steps = [(&b"MULTI\r\n"[..], ok), (inside, queued), (b"EXEC\r\n", b"*-1\r\n")];
            stays_out(&steps, leave);
            let steps = [(&b"MULTI\r\n"[..], ok), (inside, queued), (b"DISCARD\r\n", ok)];
            stays_out(&steps, leave);
        }
        stays_out(&[(b"CLIENT TRACKING on\r\n", ok)], leave);
        stays_out(&[(b"mymodule.cmd\r\n", ok)], leave);
    }
}

#[test]
fn a_lease_with_queued_client_reply_or_streaming_commands_is_never_pooled() {
    for inside in [&b"CLIENT REPLY OFF\r\n"[..], b"SUBSCRIBE a\r\n"] {
        let mut places = Places::new();
        let id = places.bench.authenticated();
        let lease = places.turn(id, b"MULTI\r\n", b"+OK\r\n");
        // From here on replies are passed on unread, until the session ends.
        assert_eq!(places.turn(id, inside, b"+QUEUED\r\n"), lease);
        assert_eq!(places.turn(id, b"DISCARD\r\n", b"+OK\r\n"), lease);
        assert_eq!(places.turn(id, b"ECHO 1\r\n", b"$1\r\n1\r\n"), lease);
        places.leave(id);
        assert!(places.is_closed(lease));
    }
}

#[test]
fn client_reply_never_reaches_a_link() {
    let mut places = Places::new();
    let (id, common) = places.plain();
    places.local(id, b"CLIENT REPLY OFF\r\n", b"");
    let (link, sent) = places.send(id, b"BLPOP k 1\r\nSET k v\r\n");
    assert_ne!(link, common);
    assert_bytes(&sent, &[request(&["BLPOP", "k", "1"]), request(&["SET", "k", "v"])].concat());
    places.bench.reply(link, b"*-1\r\n+OK\r\n");
    assert_bytes(&places.bench.read(id), b"");
    places.prove();
    assert_eq!(next_lease(&mut places), link, "it answers everything, so it is clean");
    places.local(id, b"CLIENT REPLY ON\r\n", b"+OK\r\n");
}

#[test]
fn a_lease_is_lent_only_in_its_database_and_gets_the_session_name() {
    let mut places = Places::new();
    let (id, _) = places.plain();
    let lease = places.turn(id, b"SELECT 3\r\n", b"+OK\r\n");
    assert_eq!(places.proved.take(), Some(shown(&request(&["SELECT", "3"]))));
    places.local(id, b"CLIENT SETNAME first\r\n", b"+OK\r\n");
    let (again, sent) = places.send(id, b"WATCH k\r\n");
    assert_eq!(again, lease);
    let name = request(&["CLIENT", "SETNAME", "first"]);
    assert_bytes(&sent, &[name.clone(), request(&["WATCH", "k"])].concat());
    places.bench.reply(lease, b"+OK\r\n+OK\r\n");
    assert_bytes(&places.bench.read(id), b"+OK\r\n");
    assert_eq!(places.turn(id, b"UNWATCH\r\n", b"+OK\r\n"), lease);
    // The name is removed before another session gets the link.
    let undone = [request(&["UNWATCH"]), request(&["CLIENT", "SETNAME", ""])].concat();
    assert_eq!(places.proved.take(), Some(shown(&undone)));
    // A lease in another database is not lent, since a SELECT before the first request could fail.
    let (other, _) = places.plain();
    let (link, sent) = places.send(other, b"WATCH k\r\n");
    assert_ne!(link, lease);
    assert_bytes(&sent, &request(&["WATCH", "k"]));
    places.bench.reply(link, b"+OK\r\n");
    assert_bytes(&places.bench.read(other), b"+OK\r\n");
    let (link, sent) = places.send(id, b"WATCH k\r\n");
    assert_eq!(link, lease);
    assert_bytes(&sent, &[name, request(&["WATCH", "k"])].concat());
}

#[test]
fn state_that_a_session_may_have_left_is_undone_before_its_lease_is_reused() {
    let mut places = Places::new();
    let (id, _) = places.plain();
    let lease = places.turn(id, b"WATCH k\r\n", b"+OK\r\n");
    assert_eq!(places.turn(id, b"SELECT 3\r\n", b"+OK\r\n"), lease);
    assert_eq!(places.turn(id, b"CLIENT SETNAME me\r\n", b"+OK\r\n"), lease);
    assert_eq!(places.turn(id, b"UNWATCH\r\n", b"+OK\r\n"), lease);
    let undone = [&["UNWATCH"][..], &["SELECT", "3"], &["CLIENT", "SETNAME", ""]];
    let undone: Vec<u8> = undone.iter().flat_map(|words| request(words)).collect();
    assert_eq!(places.proved.take(), Some(shown(&undone)));
    let other = places.bench.authenticated();
    places.local(other, b"SELECT 3\r\n", b"+OK\r\n");
    let (link, sent) = places.send(other, b"WATCH k\r\n");
    assert_eq!(link, lease);
    assert_bytes(&sent, &request(&["WATCH", "k"]));
}

#[test]
fn a_lease_that_is_not_proved_clean_is_closed() {
    // The proofs fail: a reply too many, a reply of another type, a truncated reply, and the server's
    // errors.
    let closed = |proof: &[u8]| {
        let mut places = Places::new();
        let id = places.bench.authenticated();
        let (lease, _) = places.send(id, b"BLPOP k 1\r\n");
        places.bench.reply(lease, b"*-1\r\n");
        assert_bytes(&places.bench.read(id), b"*-1\r\n");
        let asked = places.bench.sent(lease);
        assert!(asked.starts_with(b"*2\r\n$4\r\nECHO\r\n$32\r\n"), "{}", shown(&asked));
        let token = &asked[asked.len() - 39..];
        let proof = match proof {
            b"token" => token.to_vec(),
            other => [other, token].concat(),
        };
        assert_eq!(places.bench.router.link_bytes(lease, &proof, places.bench.now), Ok(()));
        let ended = places.bench.router.is_finished(id);
        let reason = ended.then(|| places.bench.close(id));
        let clean = !places.is_closed(lease);
        assert_eq!(next_lease(&mut places) == lease, clean);
        (clean, reason)
    };
    assert_eq!(closed(b"token"), (true, None));
    for stray in [&b"+OK\r\n"[..], b"-ERR no\r\n", b"$100\r\n", b":1\r\n", b"$32\r\n"] {
        assert_eq!(closed(stray), (false, Some(CloseReason::ReplyMismatch)), "{}", shown(stray));
    }
    for error in [&b"-BUSY x\r\n"[..], b"-NOPERM x\r\n", b"-LOADING x\r\n", MESSAGE_3] {
        assert_eq!(closed(error), (false, None), "{}", shown(error));
    }
}

#[test]
fn a_client_name_that_redis_refused_is_not_assumed() {
    // While a script overruns, Redis answers CLIENT SETNAME with BUSY.
    let mut places = Places::new();
    let id = places.bench.authenticated();
    let lease = places.turn(id, b"WATCH k\r\n", b"+OK\r\n");
    let busy = b"-BUSY Redis is busy running a script.\r\n";
    assert_eq!(places.turn(id, b"CLIENT SETNAME me\r\n", busy), lease);
    let (_, sent) = places.send(id, b"UNWATCH\r\n");
    assert_bytes(&sent, &request(&["UNWATCH"]));
    places.bench.reply(lease, b"+OK\r\n");
    places.bench.read(id);
    let other = places.bench.authenticated();
    places.local(other, b"CLIENT SETNAME me\r\n", b"+OK\r\n");
    let (link, sent) = places.send(other, b"WATCH k\r\n");
    let named = [request(&["CLIENT", "SETNAME", "me"]), request(&["WATCH", "k"])].concat();
    assert!(link != lease || sent == named, "the link has not the name that it is taken to have");
}

#[test]
fn a_lease_without_the_session_name_serves_the_session() {
    const BUSY: &[u8] = b"-BUSY Redis is busy running a script.\r\n";
    let mut places = Places::new();
    let (id, common) = places.plain();
    places.local(id, b"CLIENT SETNAME me\r\n", b"+OK\r\n");
    let (link, sent) = places.send(id, b"BLPOP k 1\r\n");
    assert_bytes(
        &sent,
        &[request(&["CLIENT", "SETNAME", "me"]), request(&["BLPOP", "k", "1"])].concat(),
    );
    places.bench.reply(link, &BUSY.repeat(2));
    assert_bytes(&places.bench.read(id), BUSY);
    assert_eq!(places.link_of(id), common);
    places.turn(id, b"BLPOP k 1\r\n", b"*-1\r\n");
}

#[test]
fn leases_of_another_protocol_stay_in_the_pool() {
    let mut places = Places::new();
    let (id, _) = places.plain();
    let two = places.turn(id, b"BLPOP k 1\r\n", b"*-1\r\n");
    places.turn(id, b"HELLO 3\r\n", MAP);
    let three = places.turn(id, b"BLPOP k 1\r\n", b"_\r\n");
    assert_ne!(three, two);
    assert_eq!(next_lease(&mut places), two);
    assert_eq!(places.turn(id, b"BLPOP k 1\r\n", b"_\r\n"), three);
}

#[test]
fn bytes_on_a_pooled_link_close_it_and_no_session() {
    for stray in [&b"+late\r\n"[..], b"+la", MESSAGE_3, b"\r\n", b">"] {
        let mut places = Places::new();
        let (id, common) = places.plain();
        let lease = places.turn(id, b"BLPOP k 1\r\n", b"*-1\r\n");
        assert!(places.bench.router.link_bytes(lease, stray, places.bench.now).is_err());
        assert!(places.is_closed(lease), "{}", shown(stray));
        assert_eq!(places.link_of(id), common);
        assert_ne!(next_lease(&mut places), lease);
    }
}

#[test]
fn a_lease_with_half_an_extra_reply_is_not_clean() {
    let mut places = Places::new();
    let (id, _) = places.plain();
    let (lease, _) = places.send(id, b"BLPOP k 1\r\n");
    assert!(places.bench.router.link_bytes(lease, b"*-1\r\n+ha", places.bench.now).is_err());
    assert!(places.is_closed(lease));
    assert_bytes(&places.bench.read(id), b"*-1\r\n");
    assert_eq!(places.bench.close(id), CloseReason::UpstreamLost);
    assert_ne!(next_lease(&mut places), lease);
}

#[test]
fn a_lease_with_bytes_after_the_last_reply_is_not_clean() {
    for stray in [&b"$5\r\nst"[..], b"$5\r\nstray\r\n"] {
        let mut places = Places::new();
        let id = places.bench.authenticated();
        let (lease, _) = places.send(id, b"MULTI\r\nEXEC\r\nQUIT\r\n");
        let came = [b"+OK\r\n*0\r\n", stray].concat();
        let _ = places.bench.router.link_bytes(lease, &came, places.bench.now);
        assert_bytes(&places.bench.read(id), b"+OK\r\n*0\r\n+OK\r\n");
        assert_eq!(places.bench.close(id), CloseReason::Quit);
        assert_ne!(next_lease(&mut places), lease, "the next session would be given the rest");
    }
}

#[test]
fn a_lease_that_was_subscribed_is_not_reused() {
    let mut places = Places::new();
    let (first, _) = places.plain();
    places.turn(first, b"HELLO 3\r\n", MAP);
    let lease = places.turn(first, b"SUBSCRIBE a\r\n", SUBSCRIBED_3);
    places.bench.reply(lease, MESSAGE_3);
    assert_bytes(&places.bench.read(first), MESSAGE_3);
    assert_eq!(places.turn(first, b"UNSUBSCRIBE a\r\n", UNSUBSCRIBED_3), lease);
    assert!(places.is_closed(lease), "a message may still be on its way");
}

#[test]
fn an_unrequested_push_closes_a_lease() {
    let mut places = Places::new();
    let (id, _) = places.plain();
    places.turn(id, b"HELLO 3\r\n", MAP);
    let lease = places.turn(id, b"WATCH k\r\n", b"+OK\r\n");
    let came = places.bench.router.link_bytes(lease, MESSAGE_3, places.bench.now);
    assert_bytes(&places.bench.read(id), b"");
    assert!(came.is_err() && places.is_closed(lease));
}

/// Returns a request with a large value, in one segment.
fn large() -> Vec<u8> {
    request(&["SET", "k", &"x".repeat(64 << 10)])
}

#[test]
fn a_large_request_takes_a_lease_and_returns_it() {
    let mut places = Places::new();
    let (id, common) = places.plain();
    let lease = places.turn(id, &large(), b"+OK\r\n");
    assert_ne!(lease, common);
    assert_eq!(places.link_of(id), common, "small requests use the shared link");
    assert_eq!(next_lease(&mut places), lease);
}

#[test]
fn a_large_request_does_not_wait_for_a_lease() {
    // Behind a pending reply the request stays on the shared link, and also if no lease is available.
    let mut places = Places::new();
    places.bench = places.bench.counting_links(&LinkBudget::new(2));
    let (id, common) = places.plain();
    let pipeline = [request(&["ECHO", "1"]), large()].concat();
    let (link, sent) = places.send(id, &pipeline);
    assert_eq!(link, common);
    assert_bytes(&sent, &pipeline);
    places.bench.reply(link, b"$1\r\n1\r\n+OK\r\n");
    assert_bytes(&places.bench.read(id), b"$1\r\n1\r\n+OK\r\n");
    let (_, lease) = places.watching();
    let used = places.turn(id, &large(), b"+OK\r\n");
    assert_eq!(used, common);
    assert_ne!(used, lease);
}

//! Ends of sessions and links, and which other sessions they affect.

use redoubt_core::router::LinkFault;
use redoubt_core::session::CloseReason;

use crate::places::{Places, shown};
use support::bench::{assert_bytes, request};

#[test]
fn a_lost_shared_link_closes_only_sessions_with_pending_replies() {
    let mut places = Places::new();
    let (owed, common) = places.plain();
    let (idle, _) = places.plain();
    let (leased, lease) = places.watching();
    places.send(owed, b"GET k\r\nGET l\r\n");
    places.bench.reply(common, b"$1\r\nv\r\n");
    places.bench.router.link_lost(common, places.bench.now);
    assert_bytes(&places.bench.read(owed), b"$1\r\nv\r\n");
    assert_eq!(places.bench.close(owed), CloseReason::UpstreamLost);
    let fresh = places.link_of(idle);
    assert_ne!(fresh, common);
    assert_eq!(places.link_of(leased), lease);
}

#[test]
fn no_request_of_a_lost_link_is_sent_again() {
    let mut places = Places::new();
    let (owed, common) = places.plain();
    let (waits, _) = places.plain();
    // One request is written, another is not; neither may be repeated elsewhere.
    places.send(owed, b"INCR k\r\n");
    places.bench.say(waits, b"INCR l\r\n");
    places.bench.router.link_lost(common, places.bench.now);
    assert!(places.flush().is_none(), "no request goes out once more");
    assert_eq!(places.bench.close(owed), CloseReason::UpstreamLost);
    assert_eq!(places.bench.close(waits), CloseReason::UpstreamLost);
}

#[test]
fn a_lost_lease_ends_its_session_alone() {
    let mut places = Places::new();
    let (id, lease) = places.watching();
    let (other, common) = places.plain();
    places.bench.router.link_lost(lease, places.bench.now);
    assert_eq!(places.bench.close(id), CloseReason::UpstreamLost);
    assert_eq!(places.link_of(other), common);
}

#[test]
fn a_link_that_cannot_be_opened_closes_its_waiting_sessions() {
    let mut places = Places::new();
    let ids = [places.bench.authenticated(), places.bench.authenticated()];
    let third = places.bench.authenticated();
    for id in ids {
        places.bench.say(id, b"GET k\r\n");
    }
    let link = places.bench.router.next_link_to_open().expect("a link");
    assert!(places.bench.router.next_link_to_open().is_none(), "one link for both");
    places.bench.router.link_failed(link, places.bench.now);
    for id in ids {
        assert_eq!(places.bench.close(id), CloseReason::UpstreamUnavailable);
    }
    assert_ne!(places.link_of(third), link);
}

#[test]
fn pending_replies_of_a_closed_session_keep_their_place_and_are_dropped() {
    let mut places = Places::new();
    let (first, common) = places.plain();
    let (gone, _) = places.plain();
    let (last, _) = places.plain();
    places.send(first, b"GET a\r\n");
    places.send(gone, b"GET b\r\nGET c\r\n");
    places.send(last, b"GET d\r\n");
    places.bench.reply(common, b"$1\r\na\r\n$1\r\n");
    places.leave(gone);
    // A new session may have the memory of the old session, but must not get its replies.
    let newcomer = places.bench.authenticated();
    places.send(newcomer, b"GET e\r\n");
    for byte in b"b\r\n*2\r\n:1\r\n:2\r\n$1\r\nd\r\n$1\r\ne\r\n" {
        places.bench.reply(common, &[*byte]);
    }
    assert_bytes(&places.bench.read(first), b"$1\r\na\r\n");
    assert_bytes(&places.bench.read(last), b"$1\r\nd\r\n");
    assert_bytes(&places.bench.read(newcomer), b"$1\r\ne\r\n");
    assert!(!places.is_closed(common));
}

#[test]
fn an_unexpected_reply_closes_a_shared_link_and_sessions_with_pending_replies() {
    // In the third case the excess arrives while a session that has left still has a pending reply.
    for excess in
        [&b"+a\r\n+b\r\n+c\r\n+stray\r\n"[..], b"+a\r\n+b\r\n+c\r\n+", b"?\r\n", b"+a\r\n\0"]
    {
        let mut places = Places::new();
        let (owed, common) = places.plain();
        let (idle, _) = places.plain();
        let (gone, _) = places.plain();
        places.send(owed, b"GET a\r\n");
        places.send(gone, b"GET b\r\n");
        places.leave(gone);
        places.send(owed, b"GET c\r\n");
        let came = places.bench.router.link_bytes(common, excess, places.bench.now);
        assert!(matches!(came, Err(LinkFault::Unexpected(_))), "{}", excess.escape_ascii());
        assert!(places.is_closed(common));
        let heard = places.bench.read(owed);
        assert!(b"+a\r\n+c\r\n".starts_with(&heard[..]), "{}", heard.escape_ascii());
        assert_ne!(places.link_of(idle), common);
        if heard.len() < 8 {
            assert_eq!(places.bench.close(owed), CloseReason::UpstreamLost);
        }
    }
}

#[test]
fn a_push_on_a_shared_link_reaches_no_session() {
    // The kind of the push decides, so it is an error as soon as the kind has arrived.
    let push = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n";
    for owed in [true, false] {
        let mut places = Places::new();
        let (id, _) = places.plain();
        let three = places.turn(id, b"HELLO 3\r\n", b"%1\r\n$5\r\nproto\r\n:3\r\n");
        if owed {
            places.send(id, b"GET k\r\n");
        }
        assert!(places.bench.router.link_bytes(three, push, places.bench.now).is_err());
        assert_bytes(&places.bench.read(id), b"");
        assert!(places.is_closed(three));
        if owed {
            assert_eq!(places.bench.close(id), CloseReason::UpstreamLost);
        } else {
            assert_ne!(places.link_of(id), three);
        }
    }
}

#[test]
fn an_invalidation_on_a_shared_link_is_dropped_in_any_segments() {
    let push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    for cut in 0..push.len() {
        let mut places = Places::new();
        let (id, _) = places.plain();
        let three = places.turn(id, b"HELLO 3\r\n", b"%1\r\n$5\r\nproto\r\n:3\r\n");
        places.send(id, b"GET k\r\n");
        places.bench.reply(three, &push[..cut]);
        places.bench.reply(three, &push[cut..]);
        assert_bytes(&places.bench.read(id), b"");
        places.bench.reply(three, &[b"$1\r\nv\r\n", &push[..]].concat());
        assert_bytes(&places.bench.read(id), b"$1\r\nv\r\n");
        assert_eq!(places.link_of(id), three);
    }
}

/// Redis 7.0 sends the invalidation of a key that expires during an `MGET` in the middle of its reply.
#[test]
fn a_push_within_a_reply_of_a_shared_link_reaches_no_session() {
    let push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$6\r\nhidden\r\n";
    for script in [false, true] {
        let mut places = Places::new();
        let (id, _) = places.plain();
        places.turn(id, b"HELLO 3\r\n", b"%1\r\n$5\r\nproto\r\n:3\r\n");
        let said: &[u8] = if script { b"EVAL s 0\r\n" } else { b"MGET a b\r\n" };
        let (link, _) = places.send(id, said);
        let reply = [b"*2\r\n$1\r\na\r\n", &push[..], b"$1\r\nb\r\n"].concat();
        let came = places.bench.router.link_bytes(link, &reply, places.bench.now);
        let heard = places.bench.read(id);
        assert!(!heard.windows(6).any(|part| part == b"hidden"), "{}", shown(&heard));
        // On a plain link nothing shows where the next reply begins.
        assert_eq!((came.is_err(), places.is_closed(link)), (!script, !script));
        let reason = if script { CloseReason::ReplyMismatch } else { CloseReason::UpstreamLost };
        assert_eq!(places.bench.close(id), reason);
    }
}

#[test]
fn a_client_that_leaves_while_blocked_closes_its_lease() {
    let mut places = Places::new();
    let (id, common) = places.plain();
    let (lease, _) = places.send(id, b"BLPOP k 0\r\n");
    places.bench.router.client_eof(id, places.bench.now);
    assert_eq!(places.bench.close(id), CloseReason::Client);
    assert!(places.is_closed(lease) && !places.is_closed(common));
}

#[test]
fn a_waiting_blocking_command_of_a_client_that_left_is_not_sent() {
    let mut places = Places::new();
    let (id, common) = places.plain();
    let (link, sent) = places.send(id, b"GET k\r\nBLPOP k 0\r\n");
    assert_eq!(link, common);
    assert_bytes(&sent, &request(&["GET", "k"]));
    places.leave(id);
    places.bench.reply(common, b"$-1\r\n");
    assert!(places.flush().is_none());
    // The same happens when the client only closes its sending side.
    let (id, _) = places.plain();
    places.send(id, b"GET k\r\nBLPOP k 0\r\n");
    places.bench.router.client_eof(id, places.bench.now);
    places.bench.reply(common, b"$-1\r\n");
    places.flush();
    assert!(places.bench.router.is_finished(id), "a value would be popped for a client that left");
}

#[test]
fn reset_keeps_the_shared_link_and_drops_a_lease() {
    let mut places = Places::new();
    let (id, common) = places.plain();
    let (leased, lease) = places.watching();
    places.local(id, b"RESET\r\n", b"+RESET\r\n");
    places.local(leased, b"RESET\r\n", b"+RESET\r\n");
    assert!(!places.is_closed(common) && places.is_closed(lease));
    let (other, _) = places.plain();
    assert_eq!(places.link_of(other), common);
}

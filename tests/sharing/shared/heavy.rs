//! Clients that receive a lot, or that do not read: other sessions are not affected.

use std::time::Duration;

use redoubt_core::router::{LinkId, SessionId};
use redoubt_core::session::CloseReason;

use crate::places::Places;
use support::bench::{assert_bytes, request};

const MIB: usize = 1 << 20;
const PIECE: usize = 64 << 10;

/// Delivers the beginning of a value of this length, as far as the link is read.
fn bring(places: &mut Places, link: LinkId, length: usize) -> usize {
    places.bench.reply(link, format!("${length}\r\n").as_bytes());
    go_on(places, link, length)
}

/// Delivers up to `left` bytes of a value while the link is read; returns how many.
fn go_on(places: &mut Places, link: LinkId, left: usize) -> usize {
    let mut came = 0;
    while came < left && places.bench.router.link_wants_read(link, places.bench.now) {
        let piece = PIECE.min(left - came);
        places.bench.reply(link, &vec![b'v'; piece]);
        came += piece;
    }
    came
}

/// Returns a slow reader and a session behind it on a link that is retired by now, and how much of the
/// value has arrived.
fn slow_reader_with_waiter(length: usize) -> (Places, SessionId, SessionId, LinkId, usize) {
    let mut places = Places::new();
    let (heavy, common) = places.plain();
    let (behind, _) = places.plain();
    places.send(heavy, b"GET big\r\n");
    places.send(behind, b"GET small\r\n");
    let came = bring(&mut places, common, length);
    (places, heavy, behind, common, came)
}

#[test]
fn a_link_with_a_mebibyte_of_unread_reply_is_retired_and_others_move_to_a_new_link() {
    let (mut places, heavy, behind, retired, came) = slow_reader_with_waiter(40 * MIB);
    assert!((24 * MIB..24 * MIB + 2 * PIECE).contains(&came), "{came} bytes came");
    let (fresh, _) = places.plain();
    let link = places.link_of(fresh);
    assert_ne!(link, retired);
    // The session behind it waits for its reply, and its next request waits too.
    assert!(places.try_send(behind, b"GET more\r\n").is_none());
    // The link is read as soon as the client reads.
    places.bench.read(heavy);
    assert!(places.bench.router.link_wants_read(retired, places.bench.now));
    let mut left = 40 * MIB - came;
    while left > 0 {
        left -= go_on(&mut places, retired, left);
        places.bench.read(heavy);
    }
    places.bench.reply(retired, b"\r\n$5\r\nsmall\r\n");
    places.bench.read(heavy);
    assert_bytes(&places.bench.read(behind), b"$5\r\nsmall\r\n");
    assert!(places.is_closed(retired), "the link has no pending replies any more");
    let (moved, sent) = places.flush().expect("the waiting request is sent");
    assert_eq!(moved, link);
    assert_bytes(&sent, &request(&["GET", "more"]));
    places.bench.reply(link, b"$-1\r\n");
    // The slow reader has a lease for a while.
    let own = places.turn(heavy, b"GET k\r\n", b"$-1\r\n");
    assert!(own != link && own != retired);
    places.bench.pass(Duration::from_secs(59));
    assert_eq!(places.link_of(heavy), own);
    places.bench.pass(Duration::from_secs(1));
    let after = places.link_of(heavy);
    assert_ne!(after, own);
}

#[test]
fn a_slow_reader_with_a_lease_delays_only_that_lease() {
    let (mut places, heavy, behind, retired, came) = slow_reader_with_waiter(2 * MIB);
    places.bench.read(heavy);
    assert_eq!(go_on(&mut places, retired, 2 * MIB - came), 2 * MIB - came);
    places.bench.reply(retired, b"\r\n$5\r\nsmall\r\n");
    places.bench.read(heavy);
    let (own, _) = places.send(heavy, b"GET big\r\n");
    let came = bring(&mut places, own, 40 * MIB);
    assert_eq!(came, 256 << 10, "Redis keeps what it does not read");
    assert_bytes(&places.bench.read(behind), b"$5\r\nsmall\r\n");
    assert_ne!(places.link_of(behind), own);
    places.bench.pass(Duration::from_secs(10));
    assert!(!places.bench.router.link_wants_read(own, places.bench.now));
    assert!(!places.bench.router.is_finished(heavy));
}

#[test]
fn the_login_of_a_slow_readers_lease_is_read_at_once() {
    let (mut places, heavy, _, retired, came) = slow_reader_with_waiter(2 * MIB);
    assert_eq!(came, 2 * MIB, "Redis answers all of it, and the client reads none");
    places.bench.reply(retired, b"\r\n$5\r\nsmall\r\n");
    places.bench.say(heavy, b"GET k\r\n");
    let lease = places.bench.router.next_link_to_open().expect("a lease for the slow reader");
    places.bench.router.link_connected(lease, places.bench.now);
    assert!(places.bench.router.link_wants_read(lease, places.bench.now), "its login waits");
    let login = places.bench.sent(lease);
    places.bench.reply(lease, &b"+OK\r\n".repeat(login.iter().filter(|b| **b == b'*').count()));
    assert!(places.bench.router.link_is_ready(lease));
    assert!(!places.bench.router.link_wants_read(lease, places.bench.now));
}

#[test]
fn sessions_behind_a_slow_reader_are_served_at_once() {
    let (mut places, heavy, behind, retired, came) = slow_reader_with_waiter(20 * MIB);
    assert_eq!(came, 20 * MIB, "a lease may wait, and no other session waits behind it");
    places.bench.reply(retired, b"\r\n$5\r\nsmall\r\n");
    assert_bytes(&places.bench.read(behind), b"$5\r\nsmall\r\n");
    assert!(!places.bench.router.is_finished(heavy));
    assert_eq!(places.bench.router.output(heavy).len(), 20 * MIB + b"$20971520\r\n\r\n".len());
}

#[test]
fn a_slow_reader_that_catches_up_in_time_is_waited_for_again() {
    let (mut places, heavy, _, retired, came) = slow_reader_with_waiter(60 * MIB);
    places.bench.pass(Duration::from_millis(900));
    places.bench.read(heavy);
    let more = go_on(&mut places, retired, 60 * MIB - came);
    assert!((24 * MIB..24 * MIB + 2 * PIECE).contains(&more), "{more} bytes came");
    places.bench.pass(Duration::from_millis(900));
    assert!(!places.bench.router.link_wants_read(retired, places.bench.now));
    assert!(!places.bench.router.is_finished(heavy));
}

#[test]
fn sessions_behind_a_reader_that_does_not_catch_up_wait_at_most_a_second() {
    let (mut places, heavy, behind, retired, came) = slow_reader_with_waiter(30 * MIB);
    places.bench.pass(Duration::from_millis(999));
    assert_eq!(go_on(&mut places, retired, 30 * MIB - came), 0);
    while places.bench.router.next_touched_link().is_some() {}
    places.bench.pass(Duration::from_millis(1));
    let touched =
        std::iter::from_fn(|| places.bench.router.next_touched_link()).collect::<Vec<_>>();
    assert!(touched.contains(&retired), "the program is notified of the link");
    assert_eq!(go_on(&mut places, retired, 30 * MIB - came), 30 * MIB - came);
    places.bench.reply(retired, b"\r\n$5\r\nsmall\r\n");
    assert_bytes(&places.bench.read(behind), b"$5\r\nsmall\r\n");
    assert!(!places.bench.router.is_finished(heavy), "30 MiB may wait");
}

#[test]
fn a_slow_reader_past_the_output_limit_is_closed() {
    let (mut places, heavy, behind, retired, came) = slow_reader_with_waiter(40 * MIB);
    places.bench.pass(Duration::from_secs(1));
    let mut most = 0;
    let mut left = 40 * MIB - came;
    while left > 0 {
        places.bench.reply(retired, &vec![b'v'; PIECE.min(left)]);
        left -= PIECE.min(left);
        most = most.max(places.bench.router.output(heavy).len());
    }
    assert!((32 * MIB - PIECE..=32 * MIB + PIECE).contains(&most), "{most} bytes");
    assert_eq!(places.bench.close(heavy), CloseReason::OutputLimit);
    // The rest of its reply is dropped, and the next reply is in order.
    places.bench.reply(retired, b"\r\n$5\r\nsmall\r\n");
    assert_bytes(&places.bench.read(behind), b"$5\r\nsmall\r\n");
}

#[test]
fn a_slow_reader_alone_on_its_link_is_never_closed() {
    let mut places = Places::new();
    let (heavy, common) = places.plain();
    places.send(heavy, b"GET big\r\n");
    let came = bring(&mut places, common, 100 * MIB);
    assert!(came < MIB + 2 * PIECE);
    places.bench.pass(Duration::from_secs(20));
    assert_eq!(go_on(&mut places, common, 100 * MIB), 0);
    assert!(!places.bench.router.is_finished(heavy));
}

#[test]
fn unread_small_replies_count_like_a_large_one() {
    let mut places = Places::new();
    let (heavy, common) = places.plain();
    let (other, _) = places.plain();
    let reply = format!("$1000\r\n{}\r\n", "v".repeat(1000));
    let mut unread = 0;
    let own = loop {
        let (link, _) = places.send(heavy, b"GET k\r\n");
        if link != common {
            break link;
        }
        unread += reply.len();
        assert!(unread < MIB + 2000, "it is on the shared link with {unread} bytes unread");
        places.bench.reply(link, reply.as_bytes());
    };
    assert!(unread >= MIB);
    assert_eq!(
        places.link_of(other),
        common,
        "no session moves, because none waited behind the slow reader"
    );
    assert!(!places.bench.router.link_wants_read(own, places.bench.now));
}

#[test]
fn a_slow_reader_that_still_sends_continues_on_the_retired_link() {
    let (mut places, heavy, behind, retired, came) = slow_reader_with_waiter(2 * MIB);
    // The client may read nothing before it has sent everything, so its requests must not wait for its
    // reading.
    let (link, sent) = places.send(heavy, b"GET next\r\n");
    assert_eq!(link, retired);
    assert_bytes(&sent, &request(&["GET", "next"]));
    assert!(places.bench.router.wants_read(heavy));
    // Requests that cannot use that link wait.
    assert!(places.try_send(heavy, b"MULTI\r\n").is_none());
    assert_eq!(go_on(&mut places, retired, 2 * MIB - came), 2 * MIB - came);
    places.bench.reply(retired, b"\r\n$5\r\nsmall\r\n$4\r\nnext\r\n");
    assert_bytes(&places.bench.read(behind), b"$5\r\nsmall\r\n");
    assert!(places.bench.read(heavy).ends_with(b"v\r\n$4\r\nnext\r\n"));
    assert!(places.is_closed(retired));
    let (own, sent) = places.flush().expect("the transaction");
    assert_ne!(own, retired);
    assert_bytes(&sent, &request(&["MULTI"]));
}

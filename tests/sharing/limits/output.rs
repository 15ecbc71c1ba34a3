//! The limit on bytes that wait for a client, with values other than the default.

use std::time::Duration;

use redoubt_core::router::LinkId;
use redoubt_core::session::CloseReason;

use super::limited;
use crate::places::Places;
use support::bench::assert_bytes;

const MIB: usize = 1 << 20;
const PIECE: usize = 16 << 10;

/// Delivers up to `most` bytes of a value while the link is read; returns how many.
fn bring(places: &mut Places, link: LinkId, most: usize) -> usize {
    let mut came = 0;
    while came < most && places.bench.router.link_wants_read(link, places.bench.now) {
        places.bench.reply(link, &vec![b'v'; PIECE.min(most - came)]);
        came += PIECE.min(most - came);
    }
    came
}

#[test]
fn all_output_thresholds_follow_the_configured_limit() {
    for bound in [MIB, 4 * MIB, 64 * MIB] {
        let mut places = limited(|limits| limits.output_buffer = bound);
        let (heavy, common) = places.plain();
        let (behind, _) = places.plain();
        places.send(heavy, b"GET big\r\n");
        places.send(behind, b"GET small\r\n");
        let length = 2 * bound;
        places.bench.reply(common, format!("${length}\r\n").as_bytes());
        // The link is read until three quarters of the limit wait, then it is not read for a second.
        let came = bring(&mut places, common, length);
        assert!((bound / 4 * 3..bound / 4 * 3 + PIECE).contains(&came), "{came} of {bound}");
        // A client that has read down to a quarter has caught up.
        let left = bound / 4 - 1;
        let waits = places.bench.router.output(heavy).len();
        places.bench.router.output_written(heavy, waits - left, places.bench.now);
        let more = bring(&mut places, common, length - came);
        assert!((bound / 2 - PIECE..bound / 2 + 2 * PIECE).contains(&more), "{more} of {bound}");
        places.bench.pass(Duration::from_secs(1));
        let mut most = 0;
        while !places.bench.router.is_finished(heavy) {
            most = places.bench.router.output(heavy).len();
            places.bench.reply(common, &[b'v'; PIECE]);
        }
        assert!((bound - PIECE..=bound).contains(&most), "{most} of {bound}");
        assert_eq!(places.bench.close(heavy), CloseReason::OutputLimit);
        assert!(!places.bench.router.is_finished(behind));
    }
}

#[test]
fn a_session_is_closed_at_the_exact_output_limit() {
    let reply = |size: usize| format!("${size}\r\n{}\r\n", "v".repeat(size)).into_bytes();
    let overhead = reply(MIB).len() - MIB;
    for (size, ends) in [(MIB - overhead, false), (MIB - overhead + 1, true)] {
        let mut places = limited(|limits| limits.output_buffer = MIB);
        let (id, common) = places.plain();
        places.send(id, b"GET big\r\n");
        places.bench.reply(common, &reply(size));
        assert_eq!(places.bench.router.is_finished(id), ends);
        if !ends {
            assert_bytes(&places.bench.read(id), &reply(size));
        }
    }
}

#[test]
fn a_lease_is_paused_at_the_output_limit_instead_of_closed() {
    for subscribed in [false, true] {
        let mut places = limited(|limits| limits.output_buffer = MIB);
        let id = places.bench.authenticated();
        let lease = if subscribed {
            let confirmed = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
            places.turn(id, b"SUBSCRIBE c\r\n", confirmed)
        } else {
            places.turn(id, b"WATCH k\r\n", b"+OK\r\n")
        };
        let begin: &[u8] = match subscribed {
            true => b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$9000000\r\n",
            false => {
                places.send(id, b"GET big\r\n");
                b"$9000000\r\n"
            }
        };
        places.bench.reply(lease, begin);
        let came = bring(&mut places, lease, 9_000_000);
        assert!(came <= (256 << 10) + PIECE, "{came} bytes came");
        places.bench.pass(Duration::from_secs(3600 - 60));
        assert!(!places.bench.router.link_wants_read(lease, places.bench.now));
        places.bench.read(id);
        assert!(places.bench.router.link_wants_read(lease, places.bench.now));
        assert!(!places.bench.router.is_finished(id));
    }
}

#[test]
fn unread_local_replies_are_bounded_below_the_output_limit() {
    let mut places = limited(|limits| limits.output_buffer = MIB);
    let (id, _) = places.plain();
    while places.bench.router.wants_read(id) {
        places.bench.say(id, &b"FLUSHALL\r\n".repeat(1000));
    }
    let unread = places.bench.router.output(id).len();
    assert!((MIB / 2..MIB).contains(&unread), "{unread} bytes wait");
}

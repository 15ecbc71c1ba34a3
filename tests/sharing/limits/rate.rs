//! The limit on the rate of commands.

use std::num::NonZeroU32;
use std::time::Duration;

use redoubt_core::router::{LinkId, SessionId};
use redoubt_core::session::{CloseReason, Rate};

use super::{limit, limited};
use crate::places::Places;
use support::bench::{TIMEOUTS, assert_bytes, request};

/// The interval at which the program checks time limits.
const TICK: Duration = Duration::from_millis(200);
const GET: &[u8] = b"GET k\r\n";

/// Returns a session that has used up its tokens, and its link.
fn paced(per_second: u32) -> (Places, SessionId, LinkId) {
    let mut places = limited(|_| {});
    let (id, link) = places.plain();
    limit(&mut places.bench, |limits| {
        limits.rate = NonZeroU32::new(per_second).map(Rate::per_second);
    });
    (places, id, link)
}

/// Returns how many requests are sent now; each gets a reply.
fn answered(places: &mut Places) -> usize {
    let Some((link, sent)) = places.flush() else { return 0 };
    let count = sent.len() / request(&["GET", "k"]).len();
    places.bench.reply(link, &b"$-1\r\n".repeat(count));
    count
}

#[test]
fn one_second_of_commands_runs_at_once_and_the_rest_at_the_rate() {
    for per_second in [1, 2, 3, 7, 10, 100, 500] {
        let (mut places, id, _) = paced(per_second);
        let most = usize::try_from(per_second).unwrap();
        let burst = most.max(2);
        let all = burst + 10 * most;
        places.bench.say(id, &GET.repeat(all));
        assert_eq!(answered(&mut places), burst);
        assert!(!places.bench.router.wants_read(id), "the rest of the pipeline waits");
        let mut taken = 0;
        for tick in 1..=50 {
            places.bench.pass(TICK);
            let came = answered(&mut places);
            assert!(came <= most.div_ceil(5) + 1, "{came} at once");
            taken += came;
            let fair = most * tick / 5;
            assert!(taken.abs_diff(fair) <= 1, "{taken} instead of {fair}");
        }
        places.bench.pass(TICK);
        taken += answered(&mut places);
        assert_eq!(taken, 10 * most, "nothing is lost");
        assert_bytes(&places.bench.read(id), &b"$-1\r\n".repeat(all));
        assert!(places.bench.router.wants_read(id));
        assert_eq!(places.bench.router.pauses().in_flight, 0);
        assert!(places.bench.router.pauses().rate > 0);
    }
}

#[test]
fn a_client_that_waits_for_replies_gets_the_same_rate() {
    for per_second in [1, 3, 50] {
        let (mut places, id, _) = paced(per_second);
        let mut taken = 0;
        // The first seconds are the burst.
        for tick in 0..105 {
            while places.bench.router.wants_read(id) {
                places.bench.say(id, GET);
                taken += answered(&mut places);
            }
            if tick == 4 {
                taken = 0;
            }
            places.bench.pass(TICK);
            taken += answered(&mut places);
        }
        let fair = 20 * per_second as usize;
        assert!(taken.abs_diff(fair) <= 1 + fair / 50, "{taken} instead of {fair}");
    }
}

#[test]
fn commands_below_the_rate_are_not_delayed() {
    let (mut places, id, _) = paced(10);
    for _ in 0..100 {
        places.bench.pass(TICK);
        places.bench.say(id, &GET.repeat(2));
        assert_eq!(answered(&mut places), 2);
        assert!(places.bench.router.wants_read(id));
    }
    assert_eq!(places.bench.router.pauses(), Default::default());
}

#[test]
fn a_rate_limited_session_is_woken_once_when_it_may_continue() {
    let (mut places, id, _) = paced(2);
    places.bench.say(id, &GET.repeat(3));
    assert_eq!(answered(&mut places), 2);
    assert!(!places.bench.router.wants_read(id));
    while places.bench.router.next_touched().is_some() {}
    for _ in 0..2 {
        places.bench.pass(TICK);
        assert!(!places.bench.router.wants_read(id));
    }
    places.bench.pass(TICK);
    assert!(places.bench.router.wants_read(id));
    let touched = std::iter::from_fn(|| places.bench.router.next_touched()).collect::<Vec<_>>();
    assert_eq!(touched, [id]);
    assert_eq!(places.bench.router.pauses().rate, 1, "one pause, however often it is looked at");
}

#[test]
fn commands_answered_by_redoubt_count_toward_the_rate() {
    let (mut places, id, _) = paced(4);
    places.bench.say(id, &b"CONFIG\r\n".repeat(9));
    let one = b"-ERR unknown command 'CONFIG', with args beginning with: \r\n";
    assert_bytes(&places.bench.read(id), &one.repeat(4));
    places.bench.pass(Duration::from_millis(500));
    assert_bytes(&places.bench.read(id), &one.repeat(2));
}

#[test]
fn the_rate_of_a_session_does_not_delay_others_on_the_link() {
    let (mut places, id, common) = paced(5);
    let (other, _) = {
        places.bench.pass(Duration::from_secs(1));
        places.plain()
    };
    places.bench.say(id, &GET.repeat(100));
    assert_eq!(answered(&mut places), 5);
    for _ in 0..3 {
        assert_eq!(places.turn(other, b"GET o\r\n", b"$1\r\no\r\n"), common);
    }
}

#[test]
fn a_large_request_counts_as_one_command_and_is_not_interrupted_by_the_rate() {
    let (mut places, id, _) = paced(2);
    places.bench.say(id, GET);
    assert_eq!(answered(&mut places), 1);
    let large = request(&["SET", "k", &"v".repeat(300_000)]);
    let mut sent = Vec::new();
    let mut lease = None;
    for part in large.chunks(50_000) {
        assert!(places.bench.router.wants_read(id));
        if let Some((link, bytes)) = places.try_send(id, part) {
            sent.extend(bytes);
            lease = Some(link);
        }
    }
    assert_bytes(&sent, &large);
    places.bench.reply(lease.expect("a lease"), b"+OK\r\n");
    places.bench.say(id, GET);
    assert!(!places.bench.router.wants_read(id));
}

#[test]
fn rate_limited_requests_are_neither_idle_nor_lost_at_the_end() {
    let (mut places, id, _) = paced(1);
    places.bench.say(id, &GET.repeat(100));
    places.bench.router.client_eof(id, places.bench.now);
    let mut taken = answered(&mut places);
    let mut heard = places.bench.read(id).len();
    // Without a rate the pipeline would be done; with this rate it takes longer than the idle timeout.
    for _ in 0..98 * 5 {
        assert!(!places.bench.router.is_finished(id), "after {taken}");
        places.bench.pass(TICK);
        taken += answered(&mut places);
        heard += places.bench.read(id).len();
    }
    assert!(TIMEOUTS.idle < Duration::from_secs(98));
    assert_eq!((taken, heard), (100, 500));
    assert_eq!(places.bench.close(id), CloseReason::Client);
}

#[test]
fn removing_the_rate_lets_a_waiting_session_continue() {
    let (mut places, id, _) = paced(1);
    places.bench.say(id, &GET.repeat(10));
    answered(&mut places);
    limit(&mut places.bench, |limits| limits.rate = None);
    places.bench.pass(TICK);
    assert_eq!(answered(&mut places), 8);
    assert!(places.bench.router.wants_read(id));
}

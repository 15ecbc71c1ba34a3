//! How much is done for a session before other sessions have their turn.

use redoubt_core::router::Sharing;
use redoubt_core::session::{CloseReason, Limits, State};

use support::bench::{AUTH_ATTEMPTS, Bench, assert_bytes, request};

const KIB: usize = 1 << 10;
const NOTHING: &[u8] = b"$-1\r\n";

/// Returns the most requests that one call takes from an authenticated session.
fn turn() -> usize {
    Limits::default().turn as usize
}

#[test]
fn a_flood_of_locally_answered_requests_is_handled_in_turns() {
    // Without a lease, Redoubt answers them itself.
    let mut bench = Bench::with(Sharing::Auto);
    let id = bench.authenticated();
    const COUNT: usize = 2000;
    let flood = b"CLIENT GETNAME\r\n".repeat(COUNT);
    bench.router.client_bytes(id, &flood, bench.now);
    let (mut turns, mut answered) = (0, 0);
    loop {
        let output = bench.router.output(id).to_vec();
        assert!(output.len() <= turn() / 4 * NOTHING.len(), "{} bytes in one turn", output.len());
        answered += output.len() / NOTHING.len();
        bench.router.output_written(id, output.len(), bench.now);
        if !bench.router.waits_for_turn(id) {
            break;
        }
        assert!(!bench.router.wants_read(id), "the session is read before its turn");
        bench.router.take_turn(id, bench.now);
        turns += 1;
    }
    assert_eq!(answered, COUNT);
    assert!(turns >= COUNT / turn(), "{turns} turns");
    assert!(bench.router.wants_read(id));
}

#[test]
fn a_flood_of_blank_lines_is_handled_in_turns() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    let blank = 10 * turn();
    let said = [&b"\r\n".repeat(blank)[..], b"ECHO 1\r\n"].concat();
    bench.router.client_bytes(id, &said, bench.now);
    for _ in 0..10 {
        assert!(bench.router.waits_for_turn(id));
        assert_bytes(bench.router.link_output(link), b"");
        bench.router.take_turn(id, bench.now);
    }
    assert!(!bench.router.waits_for_turn(id));
    assert_bytes(&bench.sent(link), &request(&["ECHO", "1"]));
}

#[test]
fn a_reply_on_its_link_gives_a_waiting_session_no_extra_turn() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    let count = turn() * 3;
    bench.router.client_bytes(id, &b"ECHO 1\r\n".repeat(count), bench.now);
    let sent = |bench: &mut Bench| {
        let output = bench.router.link_output(link).to_vec();
        bench.router.link_output_written(link, output.len(), bench.now);
        output.len() / request(&["ECHO", "1"]).len()
    };
    let first = sent(&mut bench);
    assert!((1..=turn()).contains(&first), "{first}");
    bench.router.link_bytes(link, &b"$1\r\n1\r\n".repeat(first), bench.now).unwrap();
    assert_eq!(sent(&mut bench), 0, "the turn is that of the link");
    assert!(bench.router.waits_for_turn(id));
    bench.take_turns(id);
    assert_eq!(first + sent(&mut bench), count);
}

#[test]
fn all_requests_that_a_client_sent_before_closing_are_handled() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    let count = turn() * 3;
    bench.router.client_bytes(id, &b"ECHO 1\r\n".repeat(count), bench.now);
    bench.router.client_eof(id, bench.now);
    assert!(!bench.router.is_finished(id));
    bench.take_turns(id);
    let sent = bench.sent(link);
    assert_eq!(sent.len(), count * request(&["ECHO", "1"]).len());
    bench.reply(link, &b"$1\r\n1\r\n".repeat(count));
    assert_eq!(bench.read(id).len(), count * b"$1\r\n1\r\n".len());
    assert_eq!(bench.close(id), CloseReason::Client);
}

#[test]
fn unauthenticated_sessions_have_small_turns_and_small_reads() {
    let mut bench = Bench::new();
    let (unauthenticated, client) = (bench.open(), bench.authenticated());
    assert_eq!(bench.router.read_size(unauthenticated), 4 * KIB);
    assert_eq!(bench.router.read_size(client), 64 * KIB);
    bench.router.client_bytes(unauthenticated, &b"\n".repeat(4 * KIB), bench.now);
    assert!(bench.router.waits_for_turn(unauthenticated));
}

#[test]
fn requests_without_effect_count_as_login_attempts() {
    for (one, answer) in [(&b"\n"[..], &b""[..]), (b"*0\r\n", b""), (b"RESET\r\n", b"+RESET\r\n")] {
        let mut bench = Bench::new();
        let id = bench.open();
        let allowed = (State::IDLE_REQUESTS * (AUTH_ATTEMPTS + 1) - 1) as usize;
        bench.say(id, &one.repeat(allowed));
        assert_bytes(&bench.read(id), &answer.repeat(allowed));
        assert!(!bench.router.is_finished(id));
        bench.say(id, &one.repeat(2));
        assert_bytes(&bench.read(id), answer);
        assert_eq!(bench.close(id), CloseReason::AuthAttempts);
    }
}

#[test]
fn a_single_blank_line_or_reset_before_auth_is_not_counted() {
    let mut bench = Bench::new();
    for _ in 0..100 {
        let id = bench.open();
        bench.say(id, b"\r\n*0\r\nRESET\r\n");
        assert_bytes(&bench.read(id), b"+RESET\r\n");
        bench.say(id, &request(&["AUTH", support::bench::CLIENT_PASSWORD]));
        assert_bytes(&bench.read(id), b"+OK\r\n");
        // After authentication such requests do not count.
        bench.say(id, &b"\n".repeat(100_000));
        assert!(!bench.router.is_finished(id));
        bench.router.client_lost(id);
        bench.close(id);
    }
}

#[test]
fn a_client_that_sends_too_many_bytes_before_auth_is_closed() {
    let mut bench = Bench::new();
    let id = bench.open();
    // The bytes are one request that Redis accepts before authentication, repeated, so its end never
    // comes.
    let argument = [&b"$16384\r\n"[..], &[b'x'; 16 * KIB], b"\r\n"].concat();
    let large = [&b"*10\r\n"[..], &argument.repeat(10)].concat();
    bench.say(id, &large);
    assert!(!bench.router.is_finished(id), "the largest that Redis takes");
    bench.say(id, &large);
    bench.read(id);
    assert_eq!(bench.close(id), CloseReason::UnauthenticatedBytes);
}

#[test]
fn a_closing_session_ends_even_if_its_client_keeps_sending() {
    let mut bench = Bench::new();
    let id = bench.open();
    bench.say(id, &b"PING\r\n".repeat(100));
    assert!(!bench.router.is_finished(id), "the session waits until its replies are read");
    for _ in 0..40 {
        bench.pass(std::time::Duration::from_secs(1));
        bench.say(id, b"\n");
    }
    assert_eq!(bench.close(id), CloseReason::AuthAttempts);
}

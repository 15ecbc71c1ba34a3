//! `FLUSHDB` and `FLUSHALL` with `policy.compat.flush`: a session waits for its earlier replies and then for the
//! program, and its later requests wait with it.

use std::sync::Arc;

use redoubt_core::session::{CloseReason, Compat, Flush, Rulebook, Rules};
use support::bench::{Bench, TIMEOUTS, assert_bytes};

fn bench() -> Bench {
    let mut bench = Bench::new();
    let mut rules = Rules::clone(bench.router.rules().strangers());
    rules.compat = Compat { flush: true, ..Compat::default() };
    bench.router.replace_rules(Arc::new(Rulebook::of_one(Arc::new(rules))));
    bench
}

#[test]
fn a_flush_runs_after_earlier_requests_and_before_later_ones() {
    let mut bench = bench();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"SET a 1\r\nSET b 1\r\nFLUSHDB\r\nGET b\r\n");
    assert_bytes(
        &bench.sent(link),
        b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n1\r\n",
    );
    assert_eq!(bench.router.next_flush(), None);
    bench.reply(link, b"+OK\r\n");
    assert_eq!(bench.router.next_flush(), None, "a reply is missing");
    bench.reply(link, b"+OK\r\n");
    assert_eq!(bench.router.next_flush(), Some((id, Flush::Database(0))));
    for _ in 0..3 {
        bench.router.tick(bench.now);
        assert_eq!(bench.router.next_flush(), None, "it is ordered once");
    }
    assert_bytes(&bench.read(id), b"+OK\r\n+OK\r\n");
    assert_bytes(&bench.sent(link), b"");
    bench.router.give_flushed(id, Ok(()), bench.now);
    assert_bytes(&bench.read(id), b"+OK\r\n");
    assert_bytes(&bench.sent(link), b"*2\r\n$3\r\nGET\r\n$1\r\nb\r\n");
}

#[test]
fn each_flush_has_an_outcome_of_its_own() {
    let mut bench = bench();
    let (id, link) = bench.session_with_link();
    bench.answer(id, link, b"SELECT 7\r\n", b"+OK\r\n");
    bench.say(id, b"flushdb async\r\nFLUSHALL SYNC\r\nFLUSHDB\r\n");
    let ended = [Ok(()), Err(b"-READONLY no\r\n"[..].to_vec().into()), Ok(())];
    let wanted = [Flush::Database(7), Flush::All, Flush::Database(7)];
    for (flush, outcome) in wanted.into_iter().zip(ended) {
        assert_eq!(bench.router.next_flush(), Some((id, flush)));
        let reply = outcome.clone().err().unwrap_or(b"+OK\r\n"[..].into());
        bench.router.give_flushed(id, outcome, bench.now);
        assert_bytes(&bench.read(id), &reply);
        // An outcome that nobody waits for is dropped, unless the next flush waits.
    }
    assert_eq!(bench.router.next_flush(), None);
    bench.router.give_flushed(id, Ok(()), bench.now);
    assert_bytes(&bench.read(id), b"");
    bench.say(id, b"FLUSHDB\r\n");
    assert_eq!(bench.router.next_flush(), Some((id, Flush::Database(7))));
}

#[test]
fn only_well_formed_requests_of_authenticated_sessions_in_plain_state_flush() {
    let mut bench = bench();
    let (id, link) = bench.session_with_link();
    for wrong in ["FLUSHDB NOW", "FLUSHALL ASYNC SYNC", "FLUSHALL ASYNC ASYNC", "FLUSHDB \"\""] {
        bench.say(id, format!("{wrong}\r\n").as_bytes());
        assert_bytes(&bench.read(id), b"-ERR syntax error\r\n");
    }
    bench.answer(id, link, b"MULTI\r\n", b"+OK\r\n");
    bench.say(id, b"FLUSHDB\r\n");
    // A command that does not exist makes EXEC fail.
    assert!(!bench.sent(link).is_empty());
    bench.reply(link, b"-ERR unknown command\r\n");
    let reply = bench.read(id);
    assert!(reply.starts_with(b"-ERR FLUSHDB is not possible inside MULTI"), "{reply:?}");
    bench.answer(id, link, b"EXEC\r\n", b"-EXECABORT\r\n");
    bench.answer(id, link, b"SUBSCRIBE a\r\n", b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    bench.say(id, b"FLUSHDB\r\n");
    assert!(bench.read(id).starts_with(b"-ERR unknown command 'FLUSHDB'"));
    let stranger = bench.open();
    bench.say(stranger, b"FLUSHDB\r\n");
    assert!(bench.read(stranger).starts_with(b"-ERR unknown command 'FLUSHDB'"));
    assert_eq!(bench.router.next_flush(), None);
}

#[test]
fn a_client_that_wants_no_replies_gets_none() {
    let mut bench = bench();
    let (id, _) = bench.session_with_link();
    bench.say(id, b"CLIENT REPLY OFF\r\nFLUSHDB\r\nCLIENT REPLY ON\r\n");
    assert_eq!(bench.router.next_flush(), Some((id, Flush::Database(0))));
    assert_bytes(&bench.read(id), b"");
    bench.router.give_flushed(id, Ok(()), bench.now);
    assert_bytes(&bench.read(id), b"+OK\r\n");
    bench.say(id, b"CLIENT REPLY SKIP\r\nFLUSHDB\r\nFLUSHALL\r\n");
    assert!(bench.router.next_flush().is_some());
    bench.router.give_flushed(id, Ok(()), bench.now);
    assert_bytes(&bench.read(id), b"");
    assert_eq!(bench.router.next_flush(), Some((id, Flush::All)));
    bench.router.give_flushed(id, Ok(()), bench.now);
    assert_bytes(&bench.read(id), b"+OK\r\n");
}

#[test]
fn a_session_that_waits_is_not_idle_and_one_that_has_ended_gets_nothing() {
    let mut bench = bench();
    let (id, _) = bench.session_with_link();
    let (gone, _) = bench.session_with_link();
    for waiting in [id, gone] {
        bench.say(waiting, b"FLUSHDB\r\n");
        assert!(bench.router.next_flush().is_some());
    }
    bench.now += TIMEOUTS.idle * 2;
    bench.router.client_lost(gone);
    assert_eq!(bench.close(gone), CloseReason::Client);
    bench.router.tick(bench.now);
    for waiting in [gone, id] {
        bench.router.give_flushed(waiting, Ok(()), bench.now);
    }
    assert_bytes(&bench.read(id), b"+OK\r\n");
    assert!(!bench.router.is_finished(id));
}

#[test]
fn a_client_that_sends_nothing_more_still_gets_the_outcome() {
    let mut bench = bench();
    let (id, _) = bench.session_with_link();
    bench.say(id, b"FLUSHDB\r\n");
    bench.router.client_eof(id, bench.now);
    assert!(!bench.router.is_finished(id));
    bench.router.give_flushed(id, Ok(()), bench.now);
    assert_bytes(&bench.read(id), b"+OK\r\n");
    assert!(bench.router.is_finished(id));
}

#[test]
fn rules_that_change_meanwhile_leave_the_outcome_as_it_is() {
    let mut bench = bench();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"FLUSHDB\r\n");
    assert!(bench.router.next_flush().is_some());
    let mut rules = Rules::clone(bench.router.rules().strangers());
    rules.compat = Compat::default();
    rules.policy = redoubt_core::policy::Policy::compile(&["GET"], Default::default()).unwrap();
    bench.router.replace_rules(Arc::new(Rulebook::of_one(Arc::new(rules))));
    bench.router.give_flushed(id, Ok(()), bench.now);
    assert_bytes(&bench.read(id), b"+OK\r\n");
    assert_bytes(&bench.sent(link), b"");
}

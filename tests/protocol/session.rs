//! Which requests a session forwards to a link and which it answers, by the public interface of the
//! core.

mod hostile;

use hostile::hostile;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use redoubt_core::auth::LoginMethod;
use redoubt_core::session::{CloseReason, Event};
use support::bench::{self, Bench, CLIENT_PASSWORD, UPSTREAM_PASSWORD, request};

/// Sends `input` in pieces of at most `piece` bytes; checks that nothing was sent to a link.
fn stays_out(input: &[u8], piece: usize) -> Result<(), TestCaseError> {
    let mut bench = Bench::new();
    let id = bench.open();
    for piece in input.chunks(piece) {
        if !bench.router.wants_read(id) {
            bench.read(id);
        }
        bench.say(id, piece);
        prop_assert_eq!(bench.router.link_count(), 0, "a link was opened");
        prop_assert!(bench.router.next_link_to_open().is_none());
        prop_assert!(bench.router.output(id).len() < 4 << 20);
    }
    Ok(())
}

#[test]
fn no_unauthenticated_request_reaches_a_link() {
    for input in hostile() {
        for piece in [1, 7, usize::MAX] {
            stays_out(&input, piece).unwrap();
        }
    }
    // All of them are sent in one session, as long as it lives.
    stays_out(&hostile().concat(), 1000).unwrap();
}

#[test]
fn random_unauthenticated_bytes_reach_no_link() {
    let word = || {
        let words: Vec<Vec<u8>> =
            redoubt_core::command::specs().map(|spec| spec.name.as_bytes().to_vec()).collect();
        prop_oneof![
            proptest::sample::select(words),
            proptest::sample::select(vec![
                b"AUTH".to_vec(),
                b"HELLO".to_vec(),
                b"3".to_vec(),
                b"default".to_vec(),
                b"SETNAME".to_vec(),
                b"RESET".to_vec(),
                b"the password that clients have to sa".to_vec(),
            ]),
            vec(any::<u8>(), 0..20),
        ]
    };
    let bytes = vec(any::<u8>(), 0..400);
    let lists = vec(vec(word(), 1..6), 1..20).prop_map(|requests| {
        let mut out = bytes::BytesMut::new();
        for args in &requests {
            redoubt_core::resp::encode_command(args.iter().map(Vec::as_slice), &mut out);
        }
        out.to_vec()
    });
    let mut runner = TestRunner::new(Config { cases: 2000, ..Config::default() });
    runner
        .run(&(prop_oneof![bytes, lists], 1usize..50), |(input, piece)| stays_out(&input, piece))
        .unwrap();
}

#[test]
fn failed_attempts_before_authentication_are_counted() {
    let mut bench = Bench::new();
    let id = bench.open();
    for _ in 0..bench::AUTH_ATTEMPTS {
        bench.say(id, b"PING\r\n");
    }
    assert!(!bench.router.is_finished(id));
    bench.say(id, b"RESET\r\nAUTH wrong\r\n");
    let output = bench.read(id);
    assert!(output.ends_with(
        b"+RESET\r\n-WRONGPASS invalid username-password pair or user is \
                               disabled.\r\n"
    ));
    assert_eq!(bench.close(id), CloseReason::AuthAttempts);
}

#[test]
fn the_right_password_authenticates_and_is_reported() {
    for (words, answer) in [
        (vec!["AUTH", CLIENT_PASSWORD], "+OK\r\n"),
        (vec!["auth", "default", CLIENT_PASSWORD], "+OK\r\n"),
        (vec!["HELLO", "3", "AUTH", "default", CLIENT_PASSWORD], ""),
    ] {
        let mut bench = Bench::new();
        let id = bench.open();
        bench.say(id, &request(&words));
        assert_eq!(bench.read(id), answer.as_bytes());
        let events = bench.events();
        assert_eq!(
            events,
            [Event::Authenticated { user: "default".into(), method: LoginMethod::Password }]
        );
        bench.say(id, b"PING\r\n");
        assert_eq!(bench.router.link_count(), 1);
    }
}

#[test]
fn client_passwords_are_never_forwarded_and_stand_ins_have_the_same_result() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    let right = ["AUTH", UPSTREAM_PASSWORD].join("");
    let pieces: Vec<Vec<u8>> = vec![
        request(&["MULTI"]),
        request(&["AUTH", CLIENT_PASSWORD]),
        request(&["AUTH", "default", CLIENT_PASSWORD]),
        request(&["AUTH", "default", "a wrong password"]),
        request(&["AUTH", "a", "b", "a fourth word"]),
        request(&["HELLO", "3", "AUTH", "default", CLIENT_PASSWORD, "SETNAME", "x"]),
        request(&["HELLO", "3", "AUTH", "default", "a wrong password", "AUTH", "default", "later"]),
        request(&["HELLO", "3", "FOO", "AUTH", "default", CLIENT_PASSWORD]),
        request(&["HELLO", "9", "AUTH", "default", CLIENT_PASSWORD]),
        request(&["EXEC"]),
        // Some servers would not answer a wrong password here while replies are pending, so the request
        // waits.
        request(&["HELLO", "2", "AUTH", "default", CLIENT_PASSWORD]),
    ];
    bench.say(id, &pieces.concat());
    let sent = bench.sent(link);
    let expected = [
        request(&["MULTI"]),
        request(&["AUTH", "default", UPSTREAM_PASSWORD]),
        request(&["AUTH", "default", UPSTREAM_PASSWORD]),
        request(&["AUTH", "no such user", "x"]),
        request(&["AUTH", "", "", ""]),
        request(&["HELLO", "3", "AUTH", "default", UPSTREAM_PASSWORD, "SETNAME", "x"]),
        request(&["HELLO", "3", "AUTH", "no such user", "x"]),
        request(&["HELLO", "3", "FOO"]),
        request(&["HELLO", "9"]),
        request(&["EXEC"]),
    ];
    bench::assert_bytes(&sent, &expected.concat());
    bench.reply(link, &[&b"+OK\r\n"[..], &b"+QUEUED\r\n".repeat(8), b"*-1\r\n"].concat());
    let sent = [sent, bench.sent(link)].concat();
    let last = request(&["HELLO", "2", "AUTH", "default", UPSTREAM_PASSWORD]);
    bench::assert_bytes(&sent, &[expected.concat(), last].concat());
    for secret in [CLIENT_PASSWORD, "a wrong password", "later", "a fourth word", &right] {
        assert!(!sent.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[test]
fn auth_outside_a_transaction_is_answered_by_redoubt() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, &request(&["AUTH", CLIENT_PASSWORD]));
    bench.say(id, &request(&["AUTH", "a wrong password"]));
    bench.say(id, &request(&["AUTH", "a", "b", "c"]));
    bench.say(id, &request(&["AUTH"]));
    bench::assert_bytes(
        &bench.read(id),
        b"+OK\r\n-WRONGPASS invalid username-password pair or user is disabled.\r\n-ERR syntax \
          error\r\n-ERR wrong number of arguments for 'auth' command\r\n",
    );
    assert!(bench.sent(link).is_empty());
    bench.answer(id, link, b"ECHO 1\r\n", b"$1\r\n1\r\n");
}

#[test]
fn a_refused_command_in_a_transaction_makes_redis_abort_it() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"MULTI\r\nFLUSHALL async\r\nSET a b\r\nEXEC\r\nPING\r\n");
    let sent = bench.sent(link);
    let text = String::from_utf8(sent).unwrap();
    assert!(!text.to_ascii_lowercase().contains("flushall"), "{text}");
    assert!(text.starts_with("*1\r\n$5\r\nMULTI\r\n*1\r\n$32\r\nredoubt-refused-"), "{text}");
    bench.reply(
        link,
        b"+OK\r\n-ERR unknown command 'redoubt-refused-x', with args beginning with: \r\n\
          +QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n+PONG\r\n",
    );
    bench::assert_bytes(
        &bench.read(id),
        b"+OK\r\n-ERR unknown command 'FLUSHALL', with args beginning with: 'async' \r\n\
          +QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n+PONG\r\n",
    );
    // After EXEC Redoubt answers it again.
    bench.say(id, b"FLUSHALL\r\n");
    assert!(bench.sent(link).is_empty());
    assert!(bench.read(id).starts_with(b"-ERR unknown command 'FLUSHALL'"));
}

/// Whether Redis accepts MULTI depends on confirmations that have not arrived.
#[test]
fn multi_pipelined_behind_unsubscribe_opens_a_transaction() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"SUBSCRIBE a\r\n");
    bench.sent(link);
    bench.reply(link, b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    bench.read(id);
    bench.say(id, b"UNSUBSCRIBE a\r\nMULTI\r\nFLUSHALL\r\nEXEC\r\n");
    bench::assert_bytes(&bench.sent(link), &request(&["UNSUBSCRIBE", "a"]));
    bench.reply(link, b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n");
    let sent = String::from_utf8(bench.sent(link)).unwrap();
    assert!(sent.contains("redoubt-refused-") && sent.ends_with("EXEC\r\n"), "{sent}");
}

#[test]
fn multi_pipelined_behind_subscribe_opens_no_transaction() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"SUBSCRIBE a\r\nMULTI\r\nSUBSCRIBE b\r\nFLUSHALL\r\n");
    bench.sent(link);
    bench.reply(link, b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    assert_eq!(bench.sent(link), [request(&["MULTI"]), request(&["SUBSCRIBE", "b"])].concat());
    bench.reply(
        link,
        b"-ERR Can't execute 'multi': only\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n",
    );
    let output = bench.read(id);
    assert!(output.ends_with(b"-ERR unknown command 'FLUSHALL', with args beginning with: \r\n"));
    assert!(!bench.router.is_finished(id));
}

/// A HELLO that is queued and fails when it runs does not change the protocol.
#[test]
fn a_queued_hello_that_fails_does_not_change_the_protocol() {
    for failing in [
        vec!["HELLO", "3", "AUTH", "default", "a wrong password"],
        vec!["HELLO", "3", "SETNAME", "a b"],
        vec!["HELLO", "3", "FOO"],
    ] {
        let mut bench = Bench::new();
        let (id, link) = bench.session_with_link();
        bench.say(id, &[request(&["MULTI"]), request(&failing), request(&["EXEC"])].concat());
        bench.sent(link);
        bench.reply(link, b"+OK\r\n+QUEUED\r\n*1\r\n-ERR no\r\n");
        // In RESP2 a subscribed session is restricted, so Redis is asked about CLIENT REPLY.
        bench.say(id, b"SUBSCRIBE a\r\n");
        bench.sent(link);
        bench.reply(link, b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
        bench.read(id);
        bench.say(id, b"CLIENT REPLY OFF\r\n");
        bench::assert_bytes(&bench.sent(link), &request(&["CLIENT", "REPLY", "OFF"]));
    }
}

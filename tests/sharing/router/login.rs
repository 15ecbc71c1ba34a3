//! Links that log in again, and the requests that wait for them.

use std::time::Duration;

use redoubt_core::resp::reply;
use redoubt_core::router::{LinkFault, Sharing};
use redoubt_core::session::CloseReason;
use redoubt_core::upstream::{Credentials, LinkCredentials};

use support::bench::{Bench, CLIENT_PASSWORD, assert_bytes, request};

#[test]
fn a_link_keeps_its_requests_when_it_logs_in_again() {
    let mut bench = Bench::new();
    let id = bench.authenticated();
    bench.say(id, b"ECHO 1\r\n");
    let link = bench.router.next_link_to_open().unwrap();
    bench.router.link_connected(link, bench.now);
    bench.sent(link);
    let outcome = bench.router.link_bytes(link, b"-WRONGPASS no\r\n", bench.now);
    assert!(matches!(outcome, Err(LinkFault::Login(_))), "{outcome:?}");
    let credentials = Credentials { user: Some("guard".into()), password: Some("new".into()) };
    bench.router.replace_credentials(LinkCredentials::of_one(credentials));
    bench.router.link_connected(link, bench.now);
    assert_bytes(&bench.sent(link), &request(&["AUTH", "guard", "new"]));
    bench.reply(link, b"+OK\r\n");
    assert_bytes(&bench.sent(link), &request(&["ECHO", "1"]));
    bench.reply(link, b"$1\r\n1\r\n");
    assert_bytes(&bench.read(id), b"$1\r\n1\r\n");
}

#[test]
fn only_links_with_waiting_or_running_scripts_are_closed() {
    let mut bench = Bench::with(Sharing::Auto);
    let (plain, script) = (bench.authenticated(), bench.authenticated());
    bench.say(plain, b"ECHO 1\r\n");
    bench.say(script, b"MULTI\r\nEVAL return 0\r\n");
    bench.router.drop_links_with_scripts(bench.now);
    assert_eq!(bench.close(script), CloseReason::UpstreamUnavailable);
    let link = bench.router.next_link_to_open().unwrap();
    bench.router.link_connected(link, bench.now);
    bench.sent(link);
    bench.reply(link, b"+OK\r\n");
    assert_bytes(&bench.sent(link), &request(&["ECHO", "1"]));
    let given_up = bench.router.next_link_to_open().unwrap();
    assert!(bench.router.link_is_closed(given_up));
    bench.say(plain, b"EVAL 1 0\r\n");
    assert!(bench.router.next_link_to_open().is_none(), "no link opens while a reply is pending");
    bench.router.drop_links_with_scripts(bench.now);
    bench.reply(link, b"$1\r\n1\r\n");
    assert_bytes(&bench.read(plain), b"$1\r\n1\r\n");
    let script = bench.router.next_link_to_open().unwrap();
    bench.router.link_connected(script, bench.now);
    bench.sent(script);
    bench.reply(script, b"+OK\r\n");
    assert_bytes(&bench.sent(script), &request(&["EVAL", "1", "0"]));
    bench.router.drop_links_with_scripts(bench.now);
    assert_eq!(bench.close(plain), CloseReason::UpstreamLost);
}

#[test]
fn right_password_is_answered_once_a_link_is_there_if_the_server_was_in_doubt() {
    let mut bench = Bench::with(Sharing::Auto);
    let login = request(&["AUTH", CLIENT_PASSWORD]);
    for greeting in [login.clone(), request(&["HELLO", "2", "AUTH", "default", CLIENT_PASSWORD])] {
        bench.router.doubt_upstream();
        let (id, other, wrong) = (bench.open(), bench.open(), bench.open());
        bench.say(id, &[login.clone(), b"GET k\r\n".to_vec()].concat());
        bench.say(other, &greeting);
        bench.say(wrong, &request(&["AUTH", "nonsense"]));
        assert_bytes(&bench.read(wrong), reply::WRONGPASS.as_ref());
        bench.pass(Duration::from_secs(1));
        let failed = bench.router.next_link_to_open().expect("a link to open");
        bench.router.link_failed(failed, bench.now);
        bench.pass(Duration::from_secs(1));
        assert_bytes(&[bench.read(id), bench.read(other)].concat(), b"");
        // The next link is tried at a tick, and only one at a time. HELLO needs a lease of a server whose version
        // is not known.
        let link = bench.link();
        assert_eq!(bench.router.next_link_to_open().is_none(), greeting == login);
        let sent = [bench.read(id), bench.sent(link)].concat();
        assert!(sent.starts_with(b"+OK\r\n*2\r\n$3\r\nGET\r\n"), "{}", sent.escape_ascii());
        bench.router.link_lost(link, bench.now);
        assert_eq!(bench.close(id), CloseReason::UpstreamLost);
    }
}

#[test]
fn session_ends_without_a_reply_to_the_right_password_if_there_is_no_server_for_long() {
    let mut bench = Bench::with(Sharing::Auto);
    bench.router.doubt_upstream();
    let id = bench.open();
    bench.say(id, &request(&["AUTH", CLIENT_PASSWORD]));
    for _ in 0..4 {
        let link = bench.router.next_link_to_open().expect("a link to open");
        bench.router.link_failed(link, bench.now);
        assert!(!bench.router.is_finished(id));
        bench.pass(Duration::from_secs(1));
    }
    assert_bytes(&bench.read(id), b"");
    assert_eq!(bench.close(id), CloseReason::UpstreamUnavailable);
}

#[test]
fn sessions_that_used_scripts_end_when_the_last_link_is_lost_and_others_stay() {
    let digest = b"EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0\r\n";
    let load: &[u8] = b"SCRIPT LOAD 1\r\n";
    for request in [b"EVAL 1 0\r\n", &digest[..], load, b"SCRIPT EXISTS 1\r\n"] {
        let mut bench = Bench::with(Sharing::Auto);
        let (plain, user) = (bench.authenticated(), bench.authenticated());
        let [other, scripts] =
            [(plain, &b"GET k\r\n"[..]), (user, request)].map(|(id, request)| {
                bench.say(id, request);
                let link = bench.link();
                bench.sent(link);
                bench.reply(link, b"$1\r\n1\r\n");
                assert_bytes(&bench.read(id), b"$1\r\n1\r\n");
                link
            });
        bench.router.link_lost(scripts, bench.now);
        assert!(!bench.router.is_finished(user), "a link is left");
        bench.router.link_lost(other, bench.now);
        assert_eq!(bench.close(user), CloseReason::ScriptsLost);
        assert!(!bench.router.is_finished(plain));
    }
}

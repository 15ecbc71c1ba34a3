//! Links that log in again, and the requests that wait for them.

use redoubt_core::router::{LinkFault, Sharing};
use redoubt_core::session::CloseReason;
use redoubt_core::upstream::{Credentials, LinkCredentials};

use support::bench::{Bench, assert_bytes, request};

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

//! Clients are shown the names of identities, and not of the users that links log in as.

use redoubt_core::session::{ClientLine, CloseReason, Described, Given, Rights};

use super::{OK, credentials, grant, log_in, password, places, redis_8};
use support::bench::{assert_bytes, request};

fn refusal(user: &str) -> String {
    format!("User {user} has no permissions to run the 'get' command\r\n")
}

/// Returns `text` with the users in it, and with the names of their identities.
fn both(text: impl Fn(&str) -> String) -> [Vec<u8>; 2] {
    [text("guard-r"), text("reader")].map(String::into_bytes)
}

#[test]
fn errors_name_the_identity_in_the_place_of_the_links_user() {
    let mut places = places();
    let reader = log_in(&mut places, "reader");
    let link = places.link_of(reader);
    let script = "ERR ACL failure in script: ";
    for [sent, wanted] in [
        both(|user| format!("-NOPERM {}", refusal(user))),
        both(|user| format!("*2\r\n:1\r\n-NOPERM {}", refusal(user))),
        both(|user| format!("*3\r\n+OK\r\n-NOPERM {0}*1\r\n-{script}{0}", refusal(user))),
    ] {
        // The bytes may come in any pieces.
        for cut in 0..sent.len() {
            places.bench.say(reader, b"GET k\r\n");
            places.bench.sent(link);
            places.bench.reply(link, &sent[..cut]);
            places.bench.reply(link, &sent[cut..]);
            assert_bytes(&places.bench.read(reader), &wanted);
        }
        places.bench.say(reader, b"GET k\r\nGET k\r\n");
        places.bench.sent(link);
        for byte in sent.repeat(2) {
            places.bench.reply(link, &[byte]);
        }
        assert_bytes(&places.bench.read(reader), &wanted.repeat(2));
    }
}

#[test]
fn text_outside_errors_is_passed_on_as_it_is() {
    let mut places = places();
    let reader = log_in(&mut places, "reader");
    let text = refusal("guard-r");
    let bulk = format!("${}\r\n{text}\r\n", text.len());
    for reply in [
        bulk.clone(),
        format!("*2\r\n{bulk}-ERR no\r\n"),
        format!("+{text}"),
        format!("-NOPERM {}", refusal("guard-rr")),
        format!("-NOPERM {}", refusal("guard-w")),
        "-ERR unknown command 'guard-r', with args beginning with: \r\n".to_owned(),
    ] {
        places.turn(reader, b"GET k\r\n", reply.as_bytes());
    }
}

#[test]
fn errors_in_transactions_and_of_scripts_name_the_identity() {
    let mut places = places();
    let reader = log_in(&mut places, "reader");
    let lease = places.turn(reader, b"MULTI\r\n", OK);
    let [sent, wanted] = both(|user| format!("-NOPERM {}", refusal(user)));
    places.send(reader, b"GET k\r\n");
    places.bench.reply(lease, &sent);
    assert_bytes(&places.bench.read(reader), &wanted);
    let [sent, wanted] = both(|user| format!("*2\r\n:1\r\n-NOPERM {}", refusal(user)));
    places.send(reader, b"EXEC\r\n");
    places.bench.reply(lease, &sent);
    assert_bytes(&places.bench.read(reader), &wanted);
    places.prove();
    let [sent, wanted] = both(|user| format!("-ERR ACL failure in script: {}", refusal(user)));
    let (link, _) = places.send(reader, b"EVAL x 0\r\n");
    places.bench.reply(link, &sent);
    assert_bytes(&places.bench.read(reader), &wanted);
}

#[test]
fn after_a_rotation_errors_that_are_pending_name_the_identity_too() {
    let mut places = places();
    let reader = log_in(&mut places, "reader");
    let lease = places.turn(reader, b"WATCH k\r\n", OK);
    let now = places.bench.now;
    places.bench.router.rotate_credentials(credentials(["next-r", "guard-w"]), now);
    places.bench.say(reader, b"GET a\r\n");
    let sent = places.bench.sent(lease);
    assert!(sent.starts_with(&request(&["AUTH", "next-r", "secret"])));
    let replies = format!("+OK\r\n-NOPERM {}", refusal("next-r"));
    places.bench.reply(lease, replies.as_bytes());
    let wanted = format!("-NOPERM {}", refusal("reader"));
    assert_bytes(&places.bench.read(reader), wanted.as_bytes());
    places.bench.say(reader, b"GET a\r\n");
    places.bench.sent(lease);
    places.bench.reply(lease, format!("-NOPERM {}", refusal("guard-r")).as_bytes());
    assert_bytes(&places.bench.read(reader), wanted.as_bytes());
}

#[test]
fn a_client_list_shows_all_identities_and_a_kill_ends_sessions_of_its_own() {
    let mut places = places();
    grant(&mut places, redis_8(), [Rights::default(), Rights::default()]);
    let [reader, writer] = ["reader", "writer"].map(|name| log_in(&mut places, name));
    let now = places.bench.now;
    let router = &places.bench.router;
    let mut lines: Vec<ClientLine> =
        [reader, writer].map(|session| router.client_line(session, now).unwrap()).into();
    lines[1].id += 2;
    let second = lines[1].id;
    let shown = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();

    places.bench.say(reader, b"CLIENT LIST\r\n");
    assert!(places.bench.router.next_listing().is_some());
    places.bench.router.give_clients(reader, Given::Clients(lines.clone()), now);
    let (link, _) = places.flush().expect("the request");
    places.bench.reply(link, b"$0\r\n\r\n");
    let list = shown(places.bench.read(reader));
    assert!(list.contains(" user=reader ") && list.contains(" user=writer "), "{list}");
    assert!(!list.contains("guard"), "{list}");
    // An identity that may not run it is shown nothing.
    places.bench.say(reader, b"CLIENT LIST\r\n");
    assert!(places.bench.router.next_listing().is_some());
    places.bench.router.give_clients(reader, Given::Clients(lines.clone()), now);
    let (link, _) = places.flush().expect("the request");
    let text = |user| {
        format!("-NOPERM User {user} has no permissions to run the 'client|list' command\r\n")
    };
    places.bench.reply(link, text("guard-r").as_bytes());
    assert_bytes(&places.bench.read(reader), text("reader").as_bytes());

    let mut kill = |options: &str, reply: &[u8]| {
        places.bench.say(reader, format!("CLIENT KILL {options}\r\n").as_bytes());
        assert!(places.bench.router.next_listing().is_some());
        places.bench.router.give_clients(reader, Given::Clients(lines.clone()), now);
        if let Some((link, _)) = places.flush() {
            places.bench.reply(link, reply);
        }
        let found = shown(places.bench.read(reader));
        assert_eq!(found.as_bytes(), reply, "{options}: {found}");
    };
    // The server has no connection with the number of a session.
    kill(&format!("ID {second}"), b":0\r\n");
    kill("USER reader SKIPME yes", b":0\r\n");
    kill("TYPE normal", b":0\r\n");
    places.bench.say(reader, b"CLIENT KILL TYPE normal SKIPME no\r\n");
    assert!(places.bench.router.next_listing().is_some());
    places.bench.router.give_clients(reader, Given::Clients(lines.clone()), now);
    let own = Described::Ended(vec![lines[0].id]);
    assert_eq!(places.bench.router.next_listing(), Some((reader, own)));
    places.bench.router.give_clients(reader, Given::Ended { count: 1, itself: true }, now);
    assert_bytes(&places.bench.read(reader), b":1\r\n");
    assert_eq!(places.bench.close(reader), CloseReason::Killed);
    places.local(writer, &request(&["AUTH", "writer", &password("writer")]), OK);
}

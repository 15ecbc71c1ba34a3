//! What Redoubt answers is refused to an identity that may not run it.

use redoubt_core::session::{Rights, answered};
use redoubt_core::upstream::Dialect;

use super::{OK, grant, id, log_in, password, places, redis_8};
use crate::places::{Places, shown};
use support::bench::{assert_bytes, request};

const ANSWERED: [(&str, &str); 9] = [
    ("CLIENT ID", "client|id"),
    ("client GetName", "client|getname"),
    ("CLIENT SETNAME name", "client|setname"),
    ("CLIENT INFO", "client|info"),
    ("CLIENT LIST", "client|list"),
    ("CLIENT REPLY OFF", "client|reply"),
    ("COMMAND", "command"),
    ("COMMAND COUNT", "command|count"),
    ("ACL WHOAMI", "acl|whoami"),
];

/// `reader` may run none of the commands that Redoubt answers.
fn restricted(dialect: Dialect) -> Places {
    let mut places = places();
    grant(&mut places, dialect, [Rights::default().without(answered()), Rights::default()]);
    places
}

fn may_not_run(who: &str, command: &str) -> Vec<u8> {
    format!("-NOPERM {who} has no permissions to run the '{command}' command\r\n").into_bytes()
}

#[test]
fn commands_that_redoubt_answers_are_refused_as_the_server_would() {
    for (dialect, who) in [(Dialect::REDIS_7_0, "this user"), (redis_8(), "User reader")] {
        let mut places = restricted(dialect);
        let reader = log_in(&mut places, "reader");
        for (line, command) in ANSWERED {
            places.local(reader, format!("{line}\r\n").as_bytes(), &may_not_run(who, command));
        }
        // A wrong number of arguments is an error of its own.
        let wrong = b"-ERR wrong number of arguments for 'client|id' command\r\n";
        places.turn(reader, b"CLIENT ID x\r\n", wrong);
        places.turn(reader, b"ECHO 1\r\n", b"$1\r\n1\r\n");
        let writer = log_in(&mut places, "writer");
        places.local(writer, b"CLIENT SETNAME name\r\n", OK);
        places.local(writer, b"ACL WHOAMI\r\n", b"$6\r\nwriter\r\n");
    }
}

#[test]
fn commands_for_which_redis_asks_for_no_right_are_never_refused() {
    let mut places = restricted(redis_8());
    let reader = log_in(&mut places, "reader");
    places.local(reader, &request(&["AUTH", "reader", &password("reader")]), OK);
    let (_, sent) = places.send(reader, b"HELLO 2\r\n");
    assert_bytes(&sent, &request(&["HELLO", "2"]));
    let reader = log_in(&mut places, "reader");
    places.local(reader, b"RESET\r\n", b"+RESET\r\n");
    places.local(reader, b"QUIT\r\n", OK);
}

#[test]
fn a_command_without_the_right_fails_the_transaction() {
    let mut places = restricted(redis_8());
    let reader = log_in(&mut places, "reader");
    let lease = places.turn(reader, b"MULTI\r\n", OK);
    for (line, command) in ANSWERED {
        let (link, sent) = places.send(reader, format!("{line}\r\n").as_bytes());
        assert_eq!(link, lease);
        assert!(shown(&sent).contains("redoubt-refused-"), "{line}: {}", shown(&sent));
        places.bench.reply(lease, b"-ERR unknown command\r\n");
        assert_bytes(&places.bench.read(reader), &may_not_run("User reader", command));
    }
    let aborted = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
    places.turn(reader, b"EXEC\r\n", aborted);
}

#[test]
fn clients_are_told_their_identity_and_not_the_user_of_their_link() {
    let mut places = places();
    let reader = log_in(&mut places, "reader");
    places.local(reader, b"ACL WHOAMI\r\n", b"$6\r\nreader\r\n");
    places.local(reader, &request(&["AUTH", "writer", &password("writer")]), OK);
    places.local(reader, b"acl whoami\r\n", b"$6\r\nwriter\r\n");
    let stranger = places.bench.open();
    let noauth = b"-NOAUTH Authentication required.\r\n";
    places.local(stranger, b"ACL WHOAMI\r\n", noauth);
    let subscribed = log_in(&mut places, "reader");
    let (link, _) = places.send(subscribed, b"SUBSCRIBE c\r\n");
    places.bench.reply(link, b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    places.bench.read(subscribed);
    let refused = b"-ERR Can't execute 'acl|whoami': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
        are allowed in this context\r\n";
    places.local(subscribed, b"ACL WHOAMI\r\n", refused);
}

#[test]
fn a_transaction_tells_clients_their_identity() {
    let mut places = places();
    grant(&mut places, redis_8(), [Rights::default(), Rights::default()]);
    let reader = log_in(&mut places, "reader");
    let lease = places.turn(reader, b"MULTI\r\n", OK);
    let (_, sent) = places.send(reader, b"ACL WHOAMI\r\n");
    assert_bytes(&sent, &request(&["ECHO", "reader"]));
    places.bench.reply(lease, b"+QUEUED\r\n");
    assert_bytes(&places.bench.read(reader), b"+QUEUED\r\n");
    // The user of the link may not run ECHO.
    places.send(reader, b"ACL WHOAMI\r\n");
    places.bench.reply(lease, &may_not_run("User guard-r", "echo"));
    assert_bytes(&places.bench.read(reader), &may_not_run("User reader", "acl|whoami"));
}

#[test]
fn whether_echo_is_refused_is_learned_for_each_identity() {
    let mut places = places();
    let names = ["reader", "reader", "writer", "writer"];
    let [first, second, third, fourth] = names.map(|name| log_in(&mut places, name));
    let info = request(&["INFO"]);
    let (link, _) = places.send(first, b"INFO\r\n");
    // A second session of the identity: a barrier keeps them apart.
    places.bench.say(second, b"INFO\r\n");
    let sent = places.bench.sent(link);
    assert!(sent.starts_with(b"*2\r\n$4\r\nECHO\r\n"), "{}", shown(&sent));
    places.bench.reply(link, b"$1\r\n1\r\n");
    places.bench.reply(link, &may_not_run("User guard-r", "echo"));
    let sent = places.bench.sent(link);
    assert!(sent.starts_with(b"*3\r\n$5\r\nHELLO\r\n"), "{}", shown(&sent));
    let token = &sent[sent.len() - 34..sent.len() - 2];
    let proof = [b"-ERR Syntax error in HELLO option '", token, b"'\r\n"].concat();
    places.bench.reply(link, &[b"$1\r\n2\r\n", &proof[..]].concat());
    assert_bytes(&places.bench.read(second), b"$1\r\n2\r\n");
    // From now on barriers of this identity take the other form, and those of others do not.
    places.bench.say(first, b"INFO\r\n");
    places.bench.say(second, b"INFO\r\n");
    let sent = shown(&places.bench.sent(link));
    assert!(sent.contains("HELLO") && !sent.contains("ECHO"), "{sent}");
    let (link, sent) = places.send(third, b"INFO\r\n");
    assert_bytes(&sent, &info);
    places.bench.say(fourth, b"INFO\r\n");
    let sent = places.bench.sent(link);
    assert!(sent.starts_with(b"*2\r\n$4\r\nECHO\r\n"), "{}", shown(&sent));
    assert_ne!(id(0), id(1));
}

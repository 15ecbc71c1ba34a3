//! `CLIENT SETNAME`, `GETNAME` and `SETINFO` without a lease: Redoubt answers as Redis would.

use std::sync::Arc;

use redoubt_core::command::Version;
use redoubt_core::session::{Rulebook, Rules};

use crate::places::Places;
use support::bench::{assert_bytes, request};

const BAD_NAME: &[u8] =
    b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n";

#[test]
fn client_name_is_kept_and_returned() {
    let mut places = Places::new();
    let id = places.bench.authenticated();
    places.local(id, b"CLIENT GETNAME\r\n", b"$-1\r\n");
    places.local(id, b"client setname me\r\n", b"+OK\r\n");
    places.local(id, b"CLIENT GETNAME\r\n", b"$2\r\nme\r\n");
    places.local(id, b"CLIENT SETNAME \"a b\"\r\n", BAD_NAME);
    places.local(id, b"CLIENT GETNAME\r\n", b"$2\r\nme\r\n");
    places.turn(id, b"HELLO 3\r\n", b"%1\r\n$5\r\nproto\r\n:3\r\n");
    places.local(id, b"CLIENT GETNAME\r\n", b"$2\r\nme\r\n");
    places.local(id, b"CLIENT SETNAME \"\"\r\n", b"+OK\r\n");
    places.local(id, b"CLIENT GETNAME\r\n", b"_\r\n");
    let other = places.bench.authenticated();
    places.local(other, b"CLIENT GETNAME\r\n", b"$-1\r\n");
}

#[test]
fn local_replies_to_client_commands_wait_for_their_turn() {
    let mut places = Places::new();
    let (id, common) = places.plain();
    let (_, sent) = places.send(id, b"GET a\r\nCLIENT SETNAME me\r\nCLIENT GETNAME\r\nGET b\r\n");
    assert_bytes(&sent, &[request(&["GET", "a"]), request(&["GET", "b"])].concat());
    assert_bytes(&places.bench.read(id), b"");
    places.bench.reply(common, b"$1\r\na\r\n");
    assert_bytes(&places.bench.read(id), b"$1\r\na\r\n+OK\r\n$2\r\nme\r\n");
    places.bench.reply(common, b"$1\r\nb\r\n");
    assert_bytes(&places.bench.read(id), b"$1\r\nb\r\n");
}

#[test]
fn hello_sets_the_client_name_too() {
    let mut places = Places::new();
    let (id, _) = places.plain();
    let (link, sent) = places.send(id, b"HELLO 2 SETNAME me\r\n");
    assert_bytes(&sent, &request(&["HELLO", "2"]));
    places.bench.reply(link, b"*2\r\n$5\r\nproto\r\n:2\r\n");
    places.bench.read(id);
    places.local(id, b"CLIENT GETNAME\r\n", b"$2\r\nme\r\n");
    let other = places.bench.authenticated();
    places.local(other, b"CLIENT GETNAME\r\n", b"$-1\r\n");
}

#[test]
fn setinfo_exists_from_7_2_on() {
    let mut places = Places::new();
    let id = places.bench.authenticated();
    let before = b"-ERR unknown subcommand 'setinfo'. Try CLIENT HELP.\r\n";
    places.local(id, b"CLIENT setinfo lib-name x\r\n", before);
    let mut rules = Rules::clone(places.bench.router.rules().strangers());
    rules.upstream_version = Version::parse("7.2.0");
    places.bench.router.replace_rules(Arc::new(Rulebook::of_one(Arc::new(rules))));
    places.local(id, b"CLIENT SETINFO LIB-NAME x\r\n", b"+OK\r\n");
    places.local(id, b"CLIENT SETINFO lib-ver 1.0\r\n", b"+OK\r\n");
    places.local(
        id,
        b"CLIENT SETINFO LIB-NAME \"a b\"\r\n",
        b"-ERR lib-name cannot contain spaces, newlines or special characters.\r\n",
    );
    places.local(id, b"CLIENT SETINFO color red\r\n", b"-ERR Unrecognized option 'color'\r\n");
}

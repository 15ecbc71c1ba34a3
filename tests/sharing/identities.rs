//! Sessions of several identities share no link, no lease, no rule and no database that is known to exist.
//!
//! | module | what it tests |
//! |---|---|
//! | `attacks` | a client of one identity tries to reach what belongs to another |
//! | `databases` | an identity reaches nothing in a database that it may not use |
//! | `names` | clients are shown the names of identities, and not of the users that links log in as |
//! | `rights` | what Redoubt answers is refused to an identity that may not run it |
//! | `servers` | the same replies as from real servers, to users with the same rights |

mod attacks;
mod databases;
mod names;
mod rights;
mod servers;

use std::sync::Arc;

use redoubt_core::auth::{Identities, Identity, IdentityId};
use redoubt_core::command::Version;
use redoubt_core::policy::{Escapes, Policy};
use redoubt_core::router::SessionId;
use redoubt_core::session::{CloseReason, Rights, Rulebook, Rules};
use redoubt_core::upstream::{Credentials, Dialect, LinkCredentials};

use crate::places::Places;
use support::bench::{assert_bytes, request};

const NAMES: [&str; 2] = ["reader", "writer"];
const OK: &[u8] = b"+OK\r\n";

fn id(place: usize) -> IdentityId {
    IdentityId::new(place.try_into().unwrap()).unwrap()
}

fn password(name: &str) -> String {
    format!("the password of {name}")
}

/// Returns the identities that are called so, with ids by their places in [`NAMES`].
fn identities(names: &[&str]) -> Identities {
    let of = |name: &str| Identity::new(Some(name), &password(name).into());
    let place = |name: &str| NAMES.iter().position(|other| *other == name).unwrap();
    Identities::new(names.iter().map(|name| (id(place(name)), of(name))))
}

fn credentials(users: [&str; 2]) -> LinkCredentials {
    let of = |user: &str| Credentials { user: Some(user.into()), password: Some("secret".into()) };
    LinkCredentials::default().with(id(0), of(users[0])).with(id(1), of(users[1]))
}

/// Two identities; `reader` may not run `SET`.
fn places() -> Places {
    let mut places = Places::new();
    let rules = rules(&places, &NAMES);
    places.bench.router.replace_rules(Arc::new(rules));
    places.bench.router.replace_credentials(credentials(["guard-r", "guard-w"]));
    places
}

/// Returns the rules where these identities are accepted.
fn rules(places: &Places, names: &[&str]) -> Rulebook {
    let mut strangers = Rules::clone(places.bench.router.rules().strangers());
    strangers.identities = identities(names);
    let policy = |blocked: &[&str]| Policy::compile(blocked, Escapes::Allow).unwrap();
    let of = |blocked: &[&str]| Arc::new(Rules { policy: policy(blocked), ..strangers.clone() });
    let [reader, writer] = [of(&["FLUSHALL", "SET"]), of(&["FLUSHALL"])];
    Rulebook::new(Arc::new(strangers)).with(id(0), reader).with(id(1), writer)
}

fn log_in(places: &mut Places, name: &str) -> SessionId {
    let session = places.bench.open();
    places.local(session, &request(&["AUTH", name, &password(name)]), OK);
    session
}

/// Puts other rights of both identities in force, at a server of this dialect.
fn grant(places: &mut Places, dialect: Dialect, rights: [Rights; 2]) {
    let old = Arc::clone(places.bench.router.rules());
    let rules = |old: &Rules, rights| Arc::new(Rules { dialect, rights, ..old.clone() });
    let mut book = Rulebook::new(rules(old.strangers(), Rights::default()));
    for (place, rights) in rights.into_iter().enumerate() {
        book = book.with(id(place), rules(old.of(id(place)), rights));
    }
    places.bench.router.replace_rules(Arc::new(book));
}

/// Returns the rights to use only these databases.
fn only_in(databases: &[u32]) -> Rights {
    Rights::default().only_in(Some(databases.into()))
}

fn redis_8() -> Dialect {
    Dialect::of("redis", Version::new(8, 0, 0))
}

fn login(user: &str) -> Vec<u8> {
    request(&["AUTH", user, "secret"])
}

#[test]
fn two_identities_share_no_link() {
    let mut places = places();
    let [reader, writer, other] = ["reader", "writer", "writer"].map(|n| log_in(&mut places, n));
    let first = places.link_of(reader);
    assert_bytes(&places.login, &login("guard-r"));
    let second = places.link_of(writer);
    assert_bytes(&places.login, &login("guard-w"));
    assert_ne!(first, second);
    assert_eq!(places.link_of(other), second, "sessions of one identity share");
    assert_eq!(places.link_of(reader), first);
}

#[test]
fn a_lease_of_one_identity_is_never_lent_to_another() {
    let mut places = places();
    let [reader, writer] = NAMES.map(|name| log_in(&mut places, name));
    let lease = places.turn(reader, b"BLPOP k 0\r\n", b"*-1\r\n");
    let others = places.turn(writer, b"BLPOP k 0\r\n", b"*-1\r\n");
    assert_ne!(lease, others);
    assert_eq!(places.turn(reader, b"BLPOP k 0\r\n", b"*-1\r\n"), lease, "it was in the pool");
    assert_eq!(places.turn(writer, b"BLPOP k 0\r\n", b"*-1\r\n"), others);
}

#[test]
fn each_identity_has_its_own_rules() {
    let mut places = places();
    let [reader, writer] = NAMES.map(|name| log_in(&mut places, name));
    let refused = b"-ERR unknown command 'SET', with args beginning with: 'k' 'v' \r\n";
    places.local(reader, b"SET k v\r\n", refused);
    places.turn(writer, b"SET k v\r\n", OK);
    // In one turn each request is decided by the rules of the identity that it comes from.
    let (name, secret) = ("writer", password("writer"));
    let changed = [request(&["AUTH", name, &secret]), request(&["SET", "k", "v"])].concat();
    let (_, sent) = places.send(reader, &changed);
    assert_bytes(&sent, &request(&["SET", "k", "v"]));
}

#[test]
fn a_session_that_changes_its_identity_moves_to_the_other_link() {
    let mut places = places();
    let (session, writer) = (log_in(&mut places, "reader"), log_in(&mut places, "writer"));
    let (first, second) = (places.link_of(session), places.link_of(writer));
    places.send(session, b"GET a\r\n");
    // The reply is due on the link of the former identity, so the next request waits.
    let changed = [request(&["AUTH", "writer", &password("writer")]), request(&["GET", "b"])];
    places.bench.say(session, &changed.concat());
    assert_eq!(places.flush(), None);
    places.bench.reply(first, b"$1\r\na\r\n");
    let (link, sent) = places.flush().expect("the waiting request");
    assert_eq!(link, second);
    assert_bytes(&sent, &request(&["GET", "b"]));
    places.bench.reply(second, b"$1\r\nb\r\n");
    assert_bytes(&places.bench.read(session), b"$1\r\na\r\n+OK\r\n$1\r\nb\r\n");
    // Another password of another identity does the same in HELLO.
    let hello = request(&["HELLO", "2", "AUTH", "reader", &password("reader")]);
    let (link, _) = places.send(session, &hello);
    assert_eq!(link, first);
}

#[test]
fn a_session_that_holds_state_keeps_its_identity_until_reset() {
    let mut places = places();
    let session = log_in(&mut places, "reader");
    let lease = places.turn(session, b"WATCH k\r\n", OK);
    let auth = request(&["AUTH", "writer", &password("writer")]);
    let refused = b"-ERR the user cannot change while the connection is subscribed, blocked, in a transaction or has \
        other state; send RESET first\r\n";
    places.local(session, &auth, refused);
    let hello = request(&["HELLO", "2", "AUTH", "writer", &password("writer")]);
    places.local(session, &hello, refused);
    assert_eq!(places.turn(session, b"GET k\r\n", b"$-1\r\n"), lease);
    // Its own password again changes nothing.
    places.local(session, &request(&["AUTH", "reader", &password("reader")]), OK);
    places.local(session, b"RESET\r\n", b"+RESET\r\n");
    assert!(places.is_closed(lease));
    places.local(session, &auth, OK);
    let link = places.link_of(session);
    assert_bytes(&places.login, &login("guard-w"));
    assert_ne!(link, lease);
}

#[test]
fn new_credentials_of_one_identity_replace_only_its_links() {
    let mut places = places();
    let [reader, writer] = NAMES.map(|name| log_in(&mut places, name));
    let [first, second] = [reader, writer].map(|session| places.link_of(session));
    let now = places.bench.now;
    places.bench.router.rotate_credentials(credentials(["guard-r", "next"]), now);
    assert!(!places.is_closed(first) && places.is_closed(second));
    assert_eq!(places.link_of(reader), first);
    assert_ne!(places.link_of(writer), second);
    assert_bytes(&places.login, &login("next"));
}

#[test]
fn a_withdrawn_identity_ends_only_its_own_sessions() {
    let mut places = places();
    let [reader, writer] = NAMES.map(|name| log_in(&mut places, name));
    let link = places.link_of(reader);
    places.link_of(writer);
    let rules = rules(&places, &["reader"]);
    places.bench.router.replace_rules(Arc::new(rules));
    assert_eq!(places.bench.close(writer), CloseReason::CredentialWithdrawn);
    assert_eq!(places.link_of(reader), link);
    let stranger = places.bench.open();
    let wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    places.local(stranger, &request(&["AUTH", "writer", &password("writer")]), wrong);
}

#[test]
fn a_link_without_credentials_of_its_identity_sends_nothing() {
    let mut places = places();
    let writer = log_in(&mut places, "writer");
    let only = Credentials { user: Some("guard-r".into()), password: Some("secret".into()) };
    places.bench.router.replace_credentials(LinkCredentials::default().with(id(0), only));
    places.bench.say(writer, b"GET k\r\n");
    let link = places.bench.router.next_link_to_open().expect("a link");
    let now = places.bench.now;
    places.bench.router.link_connected(link, now);
    assert!(places.is_closed(link));
    assert_bytes(&places.bench.sent(link), b"");
    assert_eq!(places.bench.close(writer), CloseReason::UpstreamUnavailable);
}

#[test]
fn a_database_that_one_identity_has_selected_is_asked_for_by_another() {
    let mut places = places();
    let [reader, writer] = NAMES.map(|name| log_in(&mut places, name));
    places.turn(reader, b"SELECT 7\r\n", OK);
    places.local(reader, b"SELECT 7\r\n", OK);
    let refused = b"-NOPERM this user has no permissions to access database 7\r\n";
    places.turn(writer, b"SELECT 7\r\n", refused);
}

//! Redis 5, which has no ACL, and Redis 6, whose ACL has neither subcommands nor dry runs.
//!
//! Neither can be installed beside Redis 7, so the test plays them, as far as Redoubt sends them
//! requests.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::logged;
use support::{Redoubt, Wire, frame, secret};

/// The users, each with the commands that it may not run.
type Users = BTreeMap<String, BTreeSet<String>>;

/// An old Redis. It records everything that it receives.
#[derive(Clone)]
struct Old {
    /// Its reply to `HELLO`; without it, it is Redis 5.
    mode: Option<&'static str>,
    users: Arc<Mutex<Users>>,
    seen: Arc<Mutex<Vec<String>>>,
}

const COMMANDS: [&str; 9] =
    ["get", "set", "eval", "flushall", "flushdb", "config", "debug", "cluster", "client"];

/// Returns what `COMMAND` reports of one: its name, arity, flags and places of keys.
fn row(name: &str) -> String {
    format!("*6\r\n${}\r\n{name}\r\n:-1\r\n*0\r\n:0\r\n:0\r\n:0\r\n", name.len())
}

impl Old {
    fn start(mode: Option<&'static str>, denied: &[&str]) -> (Self, u16) {
        let denied = denied.iter().map(|name| (*name).to_owned()).collect();
        let users = Users::from([("default".to_owned(), denied)]);
        let old = Self { mode, users: Arc::new(Mutex::new(users)), seen: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let playing = old.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let old = playing.clone();
                std::thread::spawn(move || old.serve(stream));
            }
        });
        (old, port)
    }

    fn serve(&self, mut stream: TcpStream) {
        let (mut input, mut buffer) = (Vec::new(), [0; 4096]);
        let (mut user, mut multi) = ("default".to_owned(), false);
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            input.extend_from_slice(&buffer[..len]);
            while let Some(len) = frame::length(&input) {
                let request: Vec<u8> = input.drain(..len).collect();
                let text = String::from_utf8(request).unwrap();
                let words: Vec<_> = text.split("\r\n").skip(2).step_by(2).collect();
                let reply = self.answer(&words, &mut user, &mut multi);
                if stream.write_all(reply.as_bytes()).is_err() {
                    return;
                }
            }
        }
    }

    fn answer(&self, words: &[&str], user: &mut String, multi: &mut bool) -> String {
        self.seen.lock().unwrap().push(words.join(" "));
        let mut users = self.users.lock().unwrap();
        let name = words[0].to_ascii_lowercase();
        match (name.as_str(), words.get(1).copied()) {
            ("auth", Some(first)) => {
                if words.len() == 3 {
                    *user = first.to_owned();
                }
                "+OK\r\n".to_owned()
            }
            ("ping", _) if *multi => "+QUEUED\r\n".to_owned(),
            ("ping", _) => "+PONG\r\n".to_owned(),
            ("multi", _) => {
                *multi = true;
                "+OK\r\n".to_owned()
            }
            ("discard", _) => {
                *multi = false;
                "+OK\r\n".to_owned()
            }
            ("hello", _) if self.mode.is_some() => format!(
                "*4\r\n$7\r\nversion\r\n$6\r\n6.2.14\r\n$4\r\nmode\r\n${}\r\n{}\r\n",
                self.mode.unwrap().len(),
                self.mode.unwrap()
            ),
            ("acl", Some("WHOAMI")) if self.mode.is_some() => "$7\r\ndefault\r\n".to_owned(),
            ("acl", Some("LIST")) if self.mode.is_some() => {
                "*1\r\n$34\r\nuser default on #0123 ~* &* +@all \r\n".to_owned()
            }
            ("acl", Some("SETUSER")) if self.mode.is_some() => {
                let denied = users.entry(words[2].to_owned()).or_default();
                for word in &words[3..] {
                    match word.strip_prefix('-') {
                        Some(name) if !COMMANDS.contains(&name) => {
                            return format!(
                                "-ERR Error in ACL SETUSER modifier '{word}': \
                                 Unknown command or category name in ACL\r\n"
                            );
                        }
                        Some(name) => drop(denied.insert(name.to_owned())),
                        None => {}
                    }
                }
                "+OK\r\n".to_owned()
            }
            ("acl", Some("DELUSER")) if self.mode.is_some() => {
                words[2..].iter().for_each(|name| drop(users.remove(*name)));
                ":1\r\n".to_owned()
            }
            ("acl", _) if self.mode.is_some() => "-ERR Unknown subcommand or wrong number of \
                 arguments for 'DRYRUN'. Try ACL HELP.\r\n"
                .to_owned(),
            ("command", Some("INFO")) => {
                let known = |name: &&str| COMMANDS.contains(name);
                let info = words[2..].iter().map(|name| match Some(*name).filter(known) {
                    Some(name) => row(name),
                    None => "*-1\r\n".to_owned(),
                });
                format!("*{}\r\n{}", words.len() - 2, info.collect::<String>())
            }
            ("command", None) => format!("*{}\r\n{}", COMMANDS.len(), COMMANDS.map(row).concat()),
            ("command", _) => {
                "-ERR Unknown subcommand or wrong number of arguments.\r\n".to_owned()
            }
            (name, _) if !COMMANDS.contains(&name) => {
                format!("-ERR unknown command `{name}`, with args beginning with: \r\n")
            }
            (name, _) if users.get(user.as_str()).is_some_and(|denied| denied.contains(name)) => {
                format!(
                    "-NOPERM this user has no permissions to run the '{name}' command or its \
                     subcommand\r\n"
                )
            }
            _ if *multi => "+QUEUED\r\n".to_owned(),
            _ => format!("${}\r\n{user}\r\n", user.len()),
        }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn guards(&self) -> usize {
        self.users.lock().unwrap().keys().filter(|name| name.starts_with("redoubt-")).count()
    }
}

const RULES: &str = "[\"FLUSHALL\", \"FLUSHDB\", \"CONFIG\", \"CLUSTER|RESET\", \"CLIENT|KILL\"]";

fn before(port: u16) -> (Redoubt, Wire) {
    let setup = Redoubt::setup_for(port, &secret()).set("policy.blocked", RULES);
    let redoubt = setup.start();
    let session = redoubt.session();
    (redoubt, session)
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redis_5_has_no_guard_and_no_scripts() {
    let (old, port) = Old::start(None, &[]);
    let (redoubt, mut session) = before(port);
    let line = logged(&redoubt, 0, "no guard");
    assert!(line.contains("flushall"), "{line}");
    assert_eq!(session.command(&["GET", "k"]), frame::bulk(b"default"));
    // Each command was checked inside a transaction, and none after it.
    let seen = old.seen();
    let queued = seen.iter().position(|line| line == "MULTI").unwrap();
    let over = seen.iter().position(|line| line == "DISCARD").unwrap();
    for (place, line) in seen.iter().enumerate() {
        let within = queued < place && place < over;
        assert!(!line.starts_with("flush") || within, "{line} outside of it:\n{}", seen.join("\n"));
    }
    assert!(seen.iter().any(|line| line.starts_with("flushall")));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redis_5_without_the_refused_commands_needs_no_guard() {
    let (_, port) = Old::start(None, &["flushall", "flushdb", "cluster"]);
    let (redoubt, mut session) = before(port);
    logged(&redoubt, 0, "audited");
    assert_eq!(session.command(&["GET", "k"]), frame::bulk(b"default"));
    assert_eq!(session.command(&["EVAL", "return 7", "0"]), frame::bulk(b"default"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn on_redis_6_the_guard_is_checked_by_queueing_commands() {
    let (old, port) = Old::start(Some("standalone"), &[]);
    let (redoubt, mut session) = before(port);
    logged(&redoubt, 0, "guard made");
    let user = session.command(&["GET", "k"]);
    assert!(user.starts_with(b"$"), "{user:?}");
    assert!(String::from_utf8(user).unwrap().contains("redoubt-"));
    let guarded = session.command(&["EVAL", "return 7", "0"]);
    assert!(String::from_utf8(guarded).unwrap().contains("redoubt-"));
    assert_eq!(old.guards(), 1);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn on_a_redis_6_cluster_the_guard_cannot_refuse_subcommands() {
    let (old, port) = Old::start(Some("cluster"), &[]);
    let rules = RULES.replace("RESET", "FORGET");
    let setup = Redoubt::setup_for(port, &secret()).set("policy.blocked", rules);
    let redoubt = setup.start();
    let line = logged(&redoubt, 0, "no guard");
    assert!(line.contains("the guard could still run "), "{line}");
    assert!(line.contains("cluster|forget"), "{line}");
    assert_eq!(old.guards(), 0, "it is removed again");
    let mut session = redoubt.session();
    assert_eq!(session.command(&["GET", "k"]), frame::bulk(b"default"));
}

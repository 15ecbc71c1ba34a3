//! Sessions that do honest work and check every byte of every reply.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::SECRET;
use support::{Redoubt, Wire, frame};

/// Works until the test ends; returns the number of rounds. Panics at the first wrong byte.
pub(crate) type Victim = fn(&Redoubt, &AtomicBool) -> u64;

pub(crate) const ALL: [(&str, Victim); 9] = [
    ("the pipeliner", pipeliner),
    ("the one in database 3", in_database_3),
    ("the one in transactions", in_transactions),
    ("the watcher", watcher),
    ("the named", named),
    ("the subscriber", subscriber),
    ("the tracker", tracker),
    ("the one who errs", in_error),
    ("the blocked", blocked),
];

#[allow(clippy::disallowed_methods, reason = "the pause yields the CPU; no code waits for it")]
fn rounds(done: &AtomicBool, mut round: impl FnMut(u64)) -> u64 {
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        count += 1;
        round(count);
        std::thread::sleep(Duration::from_millis(2));
    }
    count
}

fn session(redoubt: &Redoubt) -> Wire {
    let mut wire = redoubt.session();
    wire.set_time_limit(Duration::from_secs(10));
    wire
}

/// Sends requests in one write, and checks their replies.
fn ask(wire: &mut Wire, asked: &[(&[&str], &[u8])]) {
    let said: Vec<u8> = asked.iter().flat_map(|(words, _)| frame::request(words)).collect();
    wire.send(&said);
    for (_, reply) in asked {
        wire.expect(reply);
    }
}

fn secret(who: &str, count: u64) -> String {
    format!("{SECRET}:{who}:{count}")
}

fn bulk(text: &str) -> Vec<u8> {
    frame::bulk(text.as_bytes())
}

fn pipeliner(redoubt: &Redoubt, done: &AtomicBool) -> u64 {
    let mut wire = session(redoubt);
    rounds(done, |count| {
        let [a, b, c] = ["a", "b", "c"].map(|part| secret(part, count));
        ask(
            &mut wire,
            &[
                (&["ECHO", &a], &bulk(&a)),
                (&["SET", "pipeliner", &b], b"+OK\r\n"),
                (&["GET", "pipeliner"], &bulk(&b)),
                (&["CONFIG"], b"-ERR unknown command 'CONFIG', with args beginning with: \r\n"),
                (&["PING", &c], &bulk(&c)),
            ],
        );
    })
}

fn in_database_3(redoubt: &Redoubt, done: &AtomicBool) -> u64 {
    let mut wire = session(redoubt);
    ask(&mut wire, &[(&["SELECT", "3"], b"+OK\r\n"), (&["SET", "where", "three"], b"+OK\r\n")]);
    rounds(done, |_| {
        ask(
            &mut wire,
            &[
                (&["GET", "where"], b"$5\r\nthree\r\n"),
                (&["MULTI"], b"+OK\r\n"),
                (&["GET", "where"], b"+QUEUED\r\n"),
                (&["EXEC"], b"*1\r\n$5\r\nthree\r\n"),
            ],
        );
    })
}

fn in_transactions(redoubt: &Redoubt, done: &AtomicBool) -> u64 {
    let mut wire = session(redoubt);
    rounds(done, |count| {
        let mine = secret("transaction", count);
        let reply = [b"*2\r\n", &bulk(&mine)[..], b"+PONG\r\n"].concat();
        ask(
            &mut wire,
            &[
                (&["MULTI"], b"+OK\r\n"),
                (&["ECHO", &mine], b"+QUEUED\r\n"),
                (&["PING"], b"+QUEUED\r\n"),
                (&["EXEC"], &reply),
            ],
        );
    })
}

fn watcher(redoubt: &Redoubt, done: &AtomicBool) -> u64 {
    let mut wire = session(redoubt);
    rounds(done, |count| {
        let (key, count) = (format!("watched:{count}"), count.to_string());
        ask(
            &mut wire,
            &[
                (&["WATCH", &key], b"+OK\r\n"),
                (&["MULTI"], b"+OK\r\n"),
                (&["SET", &key, &count], b"+QUEUED\r\n"),
                (&["DEL", &key], b"+QUEUED\r\n"),
                (&["EXEC"], b"*2\r\n+OK\r\n:1\r\n"),
            ],
        );
    })
}

fn named(redoubt: &Redoubt, done: &AtomicBool) -> u64 {
    let mut wire = session(redoubt);
    rounds(done, |count| {
        let name = format!("victim-{count}");
        ask(
            &mut wire,
            &[
                (&["CLIENT", "SETNAME", &name], b"+OK\r\n"),
                (&["BLPOP", "nothing", "0.001"], b"*-1\r\n"),
                (&["CLIENT", "GETNAME"], &bulk(&name)),
            ],
        );
    })
}

/// One session publishes; the other must receive the messages and nothing else, in RESP2 and RESP3.
fn subscriber(redoubt: &Redoubt, done: &AtomicBool) -> u64 {
    let mut publisher = session(redoubt);
    let mut two = session(redoubt);
    let mut three = session(redoubt);
    three.command(&["HELLO", "3"]);
    let confirmed = [&bulk("subscribe")[..], &bulk("victims"), b":1\r\n"].concat();
    ask(&mut two, &[(&["SUBSCRIBE", "victims"], &[b"*3\r\n", &confirmed[..]].concat())]);
    ask(&mut three, &[(&["SUBSCRIBE", "victims"], &[b">3\r\n", &confirmed[..]].concat())]);
    rounds(done, |count| {
        let message = secret("message", count);
        ask(&mut publisher, &[(&["PUBLISH", "victims", &message], b":2\r\n")]);
        let heard = [&bulk("message")[..], &bulk("victims"), &bulk(&message)].concat();
        two.expect(&[b"*3\r\n", &heard[..]].concat());
        three.expect(&[b">3\r\n", &heard[..]].concat());
        let word = secret("word", count);
        ask(&mut three, &[(&["ECHO", &word], &bulk(&word))]);
    })
}

/// Must get invalidations of what it has read, and of nothing else.
fn tracker(redoubt: &Redoubt, done: &AtomicBool) -> u64 {
    let mut wire = session(redoubt);
    let mut writer = session(redoubt);
    wire.command(&["HELLO", "3"]);
    ask(&mut wire, &[(&["CLIENT", "TRACKING", "ON"], b"+OK\r\n")]);
    rounds(done, |count| {
        let key = format!("tracked:{count}");
        ask(&mut wire, &[(&["GET", &key], b"_\r\n")]);
        ask(&mut writer, &[(&["SET", &key, "x"], b"+OK\r\n"), (&["DEL", &key], b":1\r\n")]);
        let reported = [b">2\r\n", &bulk("invalidate")[..], b"*1\r\n", &bulk(&key)].concat();
        wire.expect(&reported);
        let word = secret("tracker", count);
        ask(&mut wire, &[(&["ECHO", &word], &bulk(&word))]);
    })
}

fn in_error(redoubt: &Redoubt, done: &AtomicBool) -> u64 {
    let mut wire = session(redoubt);
    let wrong = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    ask(&mut wire, &[(&["SET", "text", "x"], b"+OK\r\n")]);
    rounds(done, |count| {
        let name = secret("error", count);
        let unknown =
            format!("-ERR unknown command 'NONE', with args beginning with: '{name}' \r\n");
        ask(
            &mut wire,
            &[
                (&["LPUSH", "text", "x"], wrong),
                (&["GET"], b"-ERR wrong number of arguments for 'get' command\r\n"),
                (
                    &["CONFIG", "x"],
                    b"-ERR unknown command 'CONFIG', with args beginning with: 'x' \r\n",
                ),
            ],
        );
        // An unknown command keeps a lease, so a session of its own sends it.
        if count % 50 == 1 {
            ask(&mut session(redoubt), &[(&["NONE", &name], unknown.as_bytes())]);
        }
    })
}

/// Waits for an element that another session pushes.
fn blocked(redoubt: &Redoubt, done: &AtomicBool) -> u64 {
    let mut wire = session(redoubt);
    let mut pusher = session(redoubt);
    rounds(done, |count| {
        let element = secret("element", count);
        wire.send(&frame::request(&["BLPOP", "victims:list", "0"]));
        ask(&mut pusher, &[(&["RPUSH", "victims:list", &element], b":1\r\n")]);
        wire.expect(&[b"*2\r\n", &bulk("victims:list")[..], &bulk(&element)].concat());
    })
}

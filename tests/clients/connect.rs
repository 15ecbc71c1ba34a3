//! Libraries that cannot run here connect through Redoubt: what they send is replayed, byte for byte.
//!
//! The same bytes go to the server and to Redoubt before it, and the replies must be the same, but for
//! numbers, which differ between any two connections, and for what [`support::programs`] says is refused.

use support::programs::{CONNECT_KEYS, CONNECTS, Connect, PASSWORD};
use support::servers::on_each;
use support::{Redis, Redoubt, Wire, frame};

/// Servers that know all that the libraries send.
const SERVERS: [&str; 2] = ["redis-8.0", "valkey-9.1"];

/// Opens a connection, sends the batches, and returns each request with the frames that answer it.
fn replay(mut wire: Wire, batches: &[&[&[&str]]], password: &str) -> Vec<(String, String)> {
    let mut replies = Vec::new();
    for batch in batches {
        let words = |request: &[&str]| -> Vec<String> {
            let word = |word: &&str| if *word == PASSWORD { password } else { *word }.to_owned();
            request.iter().map(word).collect()
        };
        let bytes: Vec<u8> =
            batch.iter().flat_map(|request| frame::request(&words(request))).collect();
        wire.send(&bytes);
        for request in *batch {
            let reply = String::from_utf8_lossy(&wire.frame()).into_owned();
            replies.push((request.join(" "), reply));
        }
    }
    // A reply too many would come before this one.
    wire.send(&frame::request(&["QUIT"]));
    let end = wire.read_to_close();
    replies.push(("QUIT".to_owned(), String::from_utf8_lossy(&end).into_owned()));
    replies
}

/// Puts one digit in place of each number.
fn without_numbers(text: &str) -> String {
    let mut last = ' ';
    let digit = |c: char| {
        let again = c.is_ascii_digit() && last == '0';
        last = if c.is_ascii_digit() { '0' } else { c };
        (!again).then_some(last)
    };
    text.chars().filter_map(digit).collect()
}

/// Replays all sequences, and demands the server's replies, but for what is `refused`.
#[track_caller]
fn compare(redis: &Redis, redoubt: &Redoubt, is_refused: impl Fn(&Connect, &str) -> bool) {
    redoubt.wait_until_it_knows_its_server();
    for library in CONNECTS {
        for batches in library.connections {
            let direct = replay(Wire::connect(redis.address()), batches, redis.password());
            let through = replay(redoubt.connect(), batches, redoubt.password());
            for ((request, wanted), (_, got)) in direct.iter().zip(&through) {
                let what = format!("{}: {request}", library.name);
                if is_refused(library, request) {
                    assert!(got.starts_with("-ERR unknown command 'CONFIG'"), "{what}: {got}");
                    assert!(!wanted.starts_with("-ERR unknown command"), "{what}: {wanted}");
                } else {
                    assert_eq!(without_numbers(got), without_numbers(wanted), "{what}");
                }
            }
        }
    }
}

/// Starts a server with the events that Spring asks for.
fn start(server: &'static str) -> Redis {
    Redis::setup().server(server).config("notify-keyspace-events Exg").start()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "compares Redoubt with its server")]
fn connect_sequences_get_the_servers_replies_but_for_what_is_refused() {
    on_each(&SERVERS, |server| {
        let redis = start(server);
        let redoubt = Redoubt::start(&redis);
        compare(&redis, &redoubt, |library, request| library.refused.contains(&request));
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "compares Redoubt with its server")]
fn with_the_keys_of_compat_connect_sequences_get_the_servers_replies() {
    on_each(&SERVERS, |server| {
        let redis = start(server);
        let setup =
            CONNECT_KEYS.iter().fold(Redoubt::setup(&redis), |setup, key| setup.set(key, true));
        compare(&redis, &setup.start(), |_, _| false);
    });
}

#[test]
fn refused_requests_are_part_of_the_sequences() {
    for library in CONNECTS {
        let sent: Vec<_> =
            library.connections.iter().copied().flatten().copied().flatten().collect();
        for refused in library.refused {
            assert!(sent.iter().any(|request| request.join(" ") == *refused), "{refused}");
        }
    }
}

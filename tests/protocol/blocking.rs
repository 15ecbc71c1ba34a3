//! Which `XREAD` and `XREADGROUP` block, compared with real servers: a shared link must not block.

use redoubt_core::resp::{Parsed, RequestLimits, RequestParser};
use redoubt_core::session::may_block;
use support::rng::Rng;
use support::servers::{MAIN, on_each_or_chosen};
use support::{Deadline, Redis, Redoubt, Wire, frame, shown};

/// Requests for each server.
const REQUESTS: u64 = 6000;

/// Returns true if Redoubt expects that `request` may block.
fn is_expected_to_block(request: &[u8]) -> bool {
    let mut parser = RequestParser::new();
    let parsed = parser.parse(request, &RequestLimits::AUTHENTICATED).unwrap();
    assert!(matches!(parsed, Parsed::Request { .. }));
    may_block(&parser.request(request))
}

/// Returns one of `words`, in mixed case, and sometimes with a NUL and more bytes after it.
fn word(rng: &mut Rng, words: &[&str]) -> Vec<u8> {
    let mut word = words[rng.below(words.len())].as_bytes().to_vec();
    for byte in &mut word {
        if rng.below(3) == 0 {
            *byte = byte.to_ascii_lowercase();
        }
    }
    match rng.below(12) {
        0 => word.push(0),
        1 => word.extend(b"\0streams"),
        2 => word.extend(b"\0 x"),
        3 if rng.below(4) == 0 => word.push(b'x'),
        _ => {}
    }
    word
}

/// Returns valid options, or options that nobody would write: keywords as names of groups, options
/// twice, values missing.
fn random_options(rng: &mut Rng) -> Vec<Vec<u8>> {
    const GROUPS: [&str; 5] = ["g", "STREAMS", "BLOCK", "COUNT", "NOACK"];
    let grouped = rng.below(2) == 0;
    let mut args = vec![if grouped { b"XREADGROUP".to_vec() } else { b"XREAD".to_vec() }];
    let mut options = Vec::new();
    if grouped || rng.below(20) == 0 {
        options.push(0);
    }
    for _ in 0..rng.below(4) {
        options.push(rng.below(8));
    }
    for _ in 0..options.len() {
        let option = options.swap_remove(rng.below(options.len()));
        match option {
            0 => {
                args.push(word(rng, &["GROUP"]));
                // Names of groups are case-sensitive, so they are as they were created.
                args.push(GROUPS[rng.below(GROUPS.len())].into());
                args.push(word(rng, &["c", "STREAMS", "BLOCK"]));
            }
            1..=3 => {
                args.push(word(rng, &["BLOCK"]));
                args.push(["0", "100000", "0", "STREAMS"][rng.below(4)].into());
            }
            4 | 5 => {
                args.push(word(rng, &["COUNT"]));
                args.push(["1", "7", "9", "STREAMS"][rng.below(4)].into());
            }
            6 => args.push(word(rng, &["NOACK"])),
            _ if rng.below(4) == 0 => args.push(word(rng, &["CLAIM", "x", "STREAMS", "BLOCK"])),
            _ => {}
        }
    }
    if rng.below(20) > 0 {
        args.push(word(rng, &["STREAMS"]));
    }
    args.push(b"k".to_vec());
    args.push(if grouped { b">".to_vec() } else { b"$".to_vec() });
    args
}

/// Returns true if `request`, which is sent over `asking`, blocks; ends the wait.
fn blocks(request: &[u8], asking: &mut Wire, id: &str, watching: &mut Wire) -> bool {
    asking.send(request);
    asking.stream().set_nonblocking(true).unwrap();
    let mut blocked = false;
    let deadline = Deadline::standard();
    while !blocked && asking.try_receive().is_none() {
        assert!(deadline.left().is_some(), "neither a reply nor a wait: {}", shown(request));
        blocked = watching.command(&["CLIENT", "UNBLOCK", id]) == b":1\r\n";
    }
    asking.stream().set_nonblocking(false).unwrap();
    asking.frame();
    blocked
}

#[test]
fn every_xread_that_blocks_on_a_server_is_classified_as_blocking() {
    on_each_or_chosen(&MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let (mut asking, mut watching) = (redis.direct(), redis.direct());
        for group in ["g", "STREAMS", "BLOCK", "COUNT", "NOACK"] {
            let made = watching.command(&["XGROUP", "CREATE", "k", group, "$", "MKSTREAM"]);
            assert_eq!(shown(&made), "+OK\\r\\n");
        }
        let id = asking.command(&["CLIENT", "ID"]);
        let id = String::from_utf8(id[1..id.len() - 2].to_vec()).unwrap();
        let mut rng = Rng::new(0x7_5717_ea75);
        let (mut waited, mut passed) = (0, 0);
        for _ in 0..REQUESTS {
            let request = frame::request(&random_options(&mut rng));
            let said = is_expected_to_block(&request);
            if blocks(&request, &mut asking, &id, &mut watching) {
                waited += 1;
                assert!(said, "{server} waits: {}", shown(&request));
            }
            passed += u64::from(!said);
        }
        // If no request blocked, or all were expected to, the test would prove nothing.
        assert!(waited > REQUESTS / 10 && passed > REQUESTS / 10, "{waited} wait, {passed} pass");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn no_disguise_of_the_block_option_delays_other_sessions() {
    on_each_or_chosen(&MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::start(&redis);
        let mut other = redoubt.session();
        assert_eq!(other.command(&["SET", "greeting", "hello"]), b"+OK\r\n");
        let made = other.command(&["XGROUP", "CREATE", "k", "streams", "$", "MKSTREAM"]);
        assert_eq!(shown(&made), "+OK\\r\\n");
        let mut waiting = Vec::new();
        for disguised in [
            &["XREADGROUP", "GROUP", "streams", "c", "BLOCK", "0", "STREAMS", "k", ">"][..],
            &["XREAD", "BLOCK\0", "0", "STREAMS", "k", "$"],
            &["XREAD", "COUNT\0", "1", "block\0streams", "0", "STREAMS", "k", "$"],
        ] {
            let mut wire = redoubt.session();
            let blocked = format!("blocked_clients:{}\r\n", waiting.len() + 1);
            wire.send(&frame::request(disguised));
            let mut direct = redis.direct();
            let waits = Deadline::standard().poll(|| {
                let info = direct.command(&["INFO", "clients"]);
                String::from_utf8_lossy(&info).contains(&blocked)
            });
            assert!(waits, "{disguised:?} does not wait");
            waiting.push(wire);
            assert_eq!(shown(&other.command(&["GET", "greeting"])), "$5\\r\\nhello\\r\\n");
        }
    });
}

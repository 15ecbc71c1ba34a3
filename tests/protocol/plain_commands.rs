//! The commands that share plain links never put a client's text outside a bulk string.
//!
//! Each is sent to real servers thousands of times, with keys of every type, options of every command
//! and texts that look like replies. The server's answer must be one reply, and without its bulk
//! strings it must not contain the text.

use redoubt_core::command::{self, Effect, Spec};
use support::rng::Rng;
use support::{Redis, Wire, frame, servers, shown};

/// A part of every text that a client sends here.
const MARK: &str = "MARK";
/// Requests for each command, protocol and server.
const ROUNDS: u64 = 60;

const HOSTILE: [&str; 6] = [
    "MARK\r\n$4\r\nfake\r\n+OK\r\n",
    "\r\n-MARK\r\n:1\r\n",
    "MARK\n$100\r\n",
    "MARK",
    "1\r\nMARK",
    "MARK\0\r\n+OK\r\n",
];
const KEYS: [&str; 10] =
    ["string", "number", "list", "hash", "set", "zset", "stream", "hll", "vectors", "MARK\r\nkey"];
const WORDS: [&str; 53] = [
    "0",
    "1",
    "-1",
    "2",
    "10",
    "(1",
    "[a",
    "+",
    "-",
    "*",
    "$",
    "0.5",
    "nan",
    "inf",
    "EX",
    "PX",
    "XX",
    "NX",
    "GT",
    "LT",
    "CH",
    "INCR",
    "GET",
    "KEEPTTL",
    "PERSIST",
    "LIMIT",
    "COUNT",
    "MATCH",
    "WITHSCORES",
    "WITHVALUES",
    "WEIGHTS",
    "AGGREGATE",
    "SUM",
    "BYSCORE",
    "BYLEX",
    "REV",
    "LEFT",
    "RIGHT",
    "BEFORE",
    "AFTER",
    "RANK",
    "MAXLEN",
    "MINID",
    "NOMKSTREAM",
    "~",
    "=",
    "1-1",
    "u8",
    "OVERFLOW",
    "FAIL",
    "AND",
    "REPLACE",
    "FIELDS",
];

fn plant(wire: &mut Wire) {
    let setup: [&[&str]; 9] = [
        &["FLUSHALL"],
        &["SET", "string", "MARK\r\n+OK\r\n"],
        &["SET", "number", "5"],
        &["RPUSH", "list", "MARK\r\n:1\r\n", "b", "c"],
        &["HSET", "hash", "MARK\r\nf", "MARK\r\nv", "g", "1"],
        &["SADD", "set", "MARK\r\n:1\r\n", "b"],
        &["ZADD", "zset", "1", "MARK\r\n:1\r\n", "2", "b"],
        &["XADD", "stream", "*", "MARK\r\nf", "MARK\r\nv"],
        &["PFADD", "hll", "MARK\r\n"],
    ];
    for words in setup {
        let reply = wire.command(words);
        assert!(!reply.starts_with(b"-"), "{words:?}: {}", shown(&reply));
    }
    // Only Redis 8 has vector sets.
    wire.command(&["VADD", "vectors", "VALUES", "2", "1", "1", "MARK\r\n+OK\r\n"]);
    wire.command(&["VADD", "vectors", "VALUES", "2", "1", "0", "1", "SETATTR", "\"MARK\""]);
}

/// Returns true if the server has the command: otherwise its description is null.
fn has(wire: &mut Wire, spec: &Spec) -> bool {
    wire.command(&["COMMAND", "INFO", spec.name]).len() > "*1\r\n*-1\r\n".len()
}

fn request(spec: &Spec, rng: &mut Rng) -> Vec<String> {
    let least = usize::from(spec.arity.unsigned_abs()) - 1;
    let count = match spec.arity < 0 {
        // A wrong number of arguments, whose error must not contain the text either, is used now and
        // then.
        _ if rng.one_in(12) => rng.below(5),
        true => least + rng.below(6),
        false => least,
    };
    let count = if spec.effect == Effect::FencedOptions { count.min(least) } else { count };
    let mut words = vec![spec.name.to_owned()];
    for place in 0..count {
        words.push(match rng.below(10) {
            0..=3 => (*rng.pick(&HOSTILE)).to_owned(),
            4 | 5 => (*rng.pick(&WORDS)).to_owned(),
            _ if place < 2 => (*rng.pick(&KEYS)).to_owned(),
            6 => (*rng.pick(&KEYS)).to_owned(),
            _ => (*rng.pick(&WORDS)).to_owned(),
        });
    }
    words
}

/// Returns a reply without its bulk strings.
fn outside(reply: &[u8]) -> String {
    let (mut left, mut at) = (String::new(), 0);
    while let Some(line) = reply[at..].windows(2).position(|pair| pair == b"\r\n") {
        let text = &reply[at..at + line];
        at += line + 2;
        left += &String::from_utf8_lossy(text);
        left.push('\n');
        if let [b'$' | b'=', digits @ ..] = text
            && let Ok(len) = String::from_utf8_lossy(digits).parse::<usize>()
        {
            at += len + 2;
        }
    }
    left
}

fn check(server: &'static str, protocol: &str) {
    let redis = Redis::setup().server(server).start();
    let mut wire = redis.direct();
    assert!(!wire.command(&["HELLO", protocol]).starts_with(b"-"));
    let mut rng = Rng::new(7);
    let is_plain = |spec: &&Spec| matches!(spec.effect, Effect::None | Effect::FencedOptions);
    let plain = command::specs().filter(is_plain);
    let (mut asked, mut answered) = (0_u32, 0_u32);
    let mut wrong = std::collections::BTreeMap::new();
    for spec in plain {
        if !has(&mut wire, spec) {
            continue;
        }
        plant(&mut wire);
        for round in 0..ROUNDS {
            let words = request(spec, &mut rng);
            let fence = format!("fence-{asked}");
            let both = [frame::request(&words), frame::request(&["ECHO", &fence])].concat();
            wire.send(&both);
            let end = frame::bulk(fence.as_bytes());
            while !wire.received().ends_with(&end) {
                assert!(wire.receive() > 0, "{server} closes after {words:?}");
            }
            let reply = wire.frame();
            let what = || format!("{server}, RESP{protocol}: {words:?} gives {}", shown(&reply));
            assert_eq!(wire.received(), end, "more than one reply: {}", what());
            wire.expect(&end);
            if outside(&reply).contains(MARK) {
                wrong.insert(spec.name, what());
            }
            asked += 1;
            answered += u32::from(!reply.starts_with(b"-"));
            if round % 20 == 19 {
                plant(&mut wire);
            }
        }
    }
    assert!(wrong.is_empty(), "text of the client: {wrong:#?}");
    assert!(asked > 8000 && answered > asked / 10, "{answered} of {asked} are no errors");
}

#[test]
fn no_plain_command_repeats_text_outside_a_bulk_string_in_resp2() {
    servers::on_each_or_chosen(&servers::ALL, |server| check(server, "2"));
}

#[test]
fn no_plain_command_repeats_text_outside_a_bulk_string_in_resp3() {
    servers::on_each_or_chosen(&servers::ALL, |server| check(server, "3"));
}

//! The cost of the core, in instructions as valgrind counts them: the same in every run of one build.
//!
//! Every benchmark handles [`REQUESTS`] requests or replies, so its count divided by that is the cost
//! of one request. A long copy counts an instruction per byte, since it is one `rep movsb`: that shows
//! how often a large value is copied. `benches/core.py` runs it and compares with
//! `benches/core.baseline`.
#![allow(missing_docs, unreachable_pub, reason = "gungraun's macros generate this code")]
#![allow(clippy::disallowed_methods, reason = "gungraun's main calls exit itself")]

mod core_support;

use std::hint::black_box;

use core_support::{Conversation, bulk, request};
use gungraun::{library_benchmark, library_benchmark_group, main};
use redoubt_core::command;
use redoubt_core::policy::{Decision, Escapes, Policy};
use redoubt_core::resp::{Parsed, ReplyScanner, RequestLimits, RequestParser};
use redoubt_core::router::Sharing;

/// Requests, or replies, in each benchmark: a multiple of 16 times 50.
const REQUESTS: usize = 1600;
/// Bytes of one delivery, as a read may return.
const SEGMENT: usize = 16 << 10;

fn get() -> Vec<u8> {
    request(&[b"GET", b"key:000000000042"])
}

fn set(size: usize) -> Vec<u8> {
    request(&[b"SET", b"key:000000000042", &vec![b'v'; size]])
}

fn many_arguments() -> Vec<u8> {
    let mut words: Vec<&[u8]> = vec![b"MGET"];
    words.resize(100, b"key:000000000042");
    request(&words)
}

fn repeat(frame: Vec<u8>) -> Vec<u8> {
    frame.repeat(REQUESTS)
}

#[library_benchmark(setup = repeat)]
#[bench::get(get())]
#[bench::inline(b"GET key:000000000042\r\n".to_vec())]
#[bench::set_1k(set(1 << 10))]
#[bench::set_60k(set(60 << 10))]
#[bench::mget_99(many_arguments())]
fn scan_requests(input: Vec<u8>) -> usize {
    let mut parser = RequestParser::new();
    let (mut at, mut found) = (0, 0);
    let mut end = SEGMENT.min(input.len());
    while at < input.len() {
        match parser.parse(&input[at..end], &RequestLimits::AUTHENTICATED) {
            Ok(Parsed::Request { len }) => {
                found += black_box(parser.request(&input[at..end])).len();
                at += len;
            }
            Ok(Parsed::Incomplete) => end = (end + SEGMENT).min(input.len()),
            _ => unreachable!("a request of under 64 KiB"),
        }
    }
    found
}

fn array() -> Vec<u8> {
    [b"*100\r\n".to_vec(), bulk(16).repeat(100)].concat()
}

#[library_benchmark(setup = repeat)]
#[bench::status(b"+OK\r\n".to_vec())]
#[bench::integer(b":12345\r\n".to_vec())]
#[bench::bulk_3(bulk(3))]
#[bench::bulk_1k(bulk(1 << 10))]
#[bench::bulk_64k(bulk(64 << 10))]
#[bench::array_100(array())]
fn scan_replies(input: Vec<u8>) -> usize {
    let mut scanner = ReplyScanner::new();
    let mut found = 0;
    for segment in input.chunks(SEGMENT) {
        let mut rest = segment;
        while !rest.is_empty() {
            let scan = scanner.scan(rest).expect("a reply");
            found += usize::from(scan.done);
            rest = &rest[scan.len..];
        }
    }
    assert_eq!(found, REQUESTS);
    found
}

type Words = &'static [&'static [u8]];

fn with_policy(words: Words) -> (Policy, Words) {
    (Policy::compile(&Policy::DEFAULT_BLOCKED, Escapes::Deny).expect("a policy"), words)
}

#[library_benchmark(setup = with_policy)]
#[bench::allowed(&[b"get"])]
#[bench::upper_case(&[b"ZRANGEBYSCORE"])]
#[bench::subcommand(&[b"CLIENT", b"GETNAME"])]
#[bench::denied(&[b"CONFIG", b"SET"])]
#[bench::unknown(&[b"GRAPH.QUERY"])]
fn decide((policy, words): (Policy, Words)) -> usize {
    let mut allowed = 0;
    for _ in 0..REQUESTS {
        let (name, word) = (black_box(words[0]), words.get(1).copied());
        let spec = command::lookup(name);
        let narrower = spec.zip(word).and_then(|(spec, word)| spec.subcommand(word));
        let decision = policy.decide(narrower.or(spec), name, word);
        allowed += usize::from(matches!(black_box(decision), Decision::Allow));
    }
    allowed
}

const SHARED: Sharing = Sharing::Auto;
const OK: &[u8] = b"+OK\r\n";

/// Returns one session that sends `said`, over and over.
fn one(sharing: Sharing, said: Vec<u8>, answer: &[u8]) -> Conversation {
    Conversation::new(sharing, 1, said, answer)
}

/// Returns fifty sessions that send in turn.
fn fifty(sharing: Sharing, said: Vec<u8>, answer: &[u8]) -> Conversation {
    Conversation::new(sharing, 50, said, answer)
}

/// Makes sessions send something, `says` times in total.
fn turns(mut conversation: Conversation, says: usize) -> usize {
    (0..says / conversation.sessions()).map(|_| conversation.turn()).sum()
}

/// Returns sixteen GETs and their replies.
fn pipelined() -> (Vec<u8>, Vec<u8>) {
    (get().repeat(16), bulk(3).repeat(16))
}

#[library_benchmark]
#[bench::get_shared(one(SHARED, get(), &bulk(3)))]
#[bench::get_lease(one(Sharing::Off, get(), &bulk(3)))]
#[bench::get_1k_shared(one(SHARED, get(), &bulk(1 << 10)))]
#[bench::get_64k_shared(one(SHARED, get(), &bulk(64 << 10)))]
#[bench::set_1k_shared(one(SHARED, set(1 << 10), OK))]
#[bench::set_1k_lease(one(Sharing::Off, set(1 << 10), OK))]
#[bench::set_60k_shared(one(SHARED, set(60 << 10), OK))]
fn round_trip(conversation: Conversation) -> usize {
    turns(conversation, REQUESTS)
}

#[library_benchmark]
#[bench::get_shared(fifty(SHARED, get(), &bulk(3)))]
#[bench::get_lease(fifty(Sharing::Off, get(), &bulk(3)))]
#[bench::set_1k_shared(fifty(SHARED, set(1 << 10), OK))]
#[bench::set_1k_lease(fifty(Sharing::Off, set(1 << 10), OK))]
fn fifty_sessions(conversation: Conversation) -> usize {
    turns(conversation, REQUESTS)
}

/// Returns GET and SET in alternation, sixteen in total.
fn mixed() -> (Vec<u8>, Vec<u8>) {
    ([get(), set(3)].concat().repeat(8), [&bulk(3), OK].concat().repeat(8))
}

#[library_benchmark]
#[bench::get_shared(one(SHARED, pipelined().0, &pipelined().1))]
#[bench::get_lease(one(Sharing::Off, pipelined().0, &pipelined().1))]
#[bench::mixed_shared(one(SHARED, mixed().0, &mixed().1))]
#[bench::mixed_lease(one(Sharing::Off, mixed().0, &mixed().1))]
#[bench::get_50_sessions_shared(fifty(SHARED, pipelined().0, &pipelined().1))]
fn pipeline_16(conversation: Conversation) -> usize {
    turns(conversation, REQUESTS / 16)
}

/// Requests between two ticks of a worker, at which samples of durations are taken away. At 500
/// requests per second they are so few that a limit on samples alone would let every request be timed.
const BETWEEN_TICKS: usize = 100;

// Does what `round_trip` does, at a low and steady rate.
#[library_benchmark]
#[bench::get_shared(one(SHARED, get(), &bulk(3)))]
#[bench::get_lease(one(Sharing::Off, get(), &bulk(3)))]
fn steady(mut conversation: Conversation) -> usize {
    let mut read = 0;
    for index in 0..REQUESTS {
        if index % BETWEEN_TICKS == 0 {
            black_box(conversation.take_samples());
        }
        read += conversation.turn();
    }
    read
}

/// Returns MULTI, SET, INCR and EXEC, in one segment.
fn transaction_request() -> Vec<u8> {
    let words: [&[&[u8]]; 4] =
        [&[b"MULTI"], &[b"SET", b"key", b"value"], &[b"INCR", b"other"], &[b"EXEC"]];
    words.into_iter().flat_map(request).collect()
}

const TRANSACTION_REPLY: &[u8] = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n";

#[library_benchmark]
#[bench::shared(one(SHARED, transaction_request(), TRANSACTION_REPLY))]
#[bench::lease(one(Sharing::Off, transaction_request(), TRANSACTION_REPLY))]
fn transaction(conversation: Conversation) -> usize {
    turns(conversation, REQUESTS)
}

// These do what `round_trip`, `fifty_sessions` and `pipeline_16` do, where all that the sessions do is recorded.
#[library_benchmark]
#[bench::get_shared(Conversation::observed(1, get(), &bulk(3)), REQUESTS)]
#[bench::set_1k_shared(Conversation::observed(1, set(1 << 10), OK), REQUESTS)]
#[bench::get_50_sessions_shared(Conversation::observed(50, get(), &bulk(3)), REQUESTS)]
#[bench::pipeline_get_shared(Conversation::observed(1, pipelined().0, &pipelined().1), REQUESTS / 16)]
#[bench::pipeline_mixed_shared(Conversation::observed(1, mixed().0, &mixed().1), REQUESTS / 16)]
#[bench::transaction(Conversation::observed(1, transaction_request(), TRANSACTION_REPLY), REQUESTS)]
fn observed(conversation: Conversation, says: usize) -> usize {
    turns(conversation, says)
}

/// Returns sixteen requests for keys with a number of eight digits, and their replies.
fn numbered() -> (Vec<u8>, Vec<u8>) {
    let requests = (0..8).flat_map(|number| {
        let get = request(&[b"GET", format!("user:{number}0000000:name").as_bytes()]);
        let set = request(&[b"SET", format!("cache:page:{number}0000000").as_bytes(), b"abc"]);
        [get, set].concat()
    });
    (requests.collect(), [&bulk(3), OK].concat().repeat(8))
}

// Each request has another key than all before.
#[library_benchmark]
#[bench::pipeline(one(SHARED, numbered().0, &numbered().1), REQUESTS / 16)]
#[bench::pipeline_observed(Conversation::observed(1, numbered().0, &numbered().1), REQUESTS / 16)]
fn many_keys(mut conversation: Conversation, says: usize) -> usize {
    (0..says).map(|_| conversation.turn_with_other_keys()).sum()
}

library_benchmark_group!(name = resp, benchmarks = [scan_requests, scan_replies]);
library_benchmark_group!(name = policy, benchmarks = [decide]);
library_benchmark_group!(
    name = router,
    benchmarks =
        [round_trip, steady, fifty_sessions, pipeline_16, transaction, observed, many_keys]
);
main!(library_benchmark_groups = [resp, policy, router]);

//! The errors for refused commands, compared byte by byte with those of a real redis-server.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redoubt_core::command::{self, Spec};
use redoubt_core::policy::{
    Decision, Escapes, Policy, unknown_command, unknown_subcommand, wrong_arity,
};
use support::servers;
use support::unix_redis::{Connection, Server};

/// The version of the server that these tests start.
const REDIS: command::Version = command::Version::new(7, 0, u16::MAX);

/// Arguments that Redis's error texts treat in a special way.
fn odd_words() -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = [
        &b""[..],
        b" ",
        b"a",
        b"'",
        b"''",
        b"\"quoted\"",
        b"back\\slash",
        b"%s%n%.*s%d",
        b"\r\n",
        b"\r",
        b"\n",
        b"a\r\nb",
        b"\r\n+OK\r\n",
        b"\0",
        b"\0after",
        b"before\0after",
        b"\xff\xfe\x80",
        b"\x1b[2J\x07\t",
        "naïve ünïcode 文字".as_bytes(),
        b"-minus",
        b"UPPER lower",
    ]
    .map(<[u8]>::to_vec)
    .into();
    for len in [119, 124, 125, 126, 127, 128, 129, 130, 131, 256, 1000, 70_000] {
        words.push(vec![b'x'; len]);
    }
    // They are cut in the middle of a character, of a CRLF, and by a NUL just before and after the cut.
    words.push("ü".repeat(100).into_bytes());
    words.push([&[b'y'; 127][..], b"\r\nz"].concat());
    words.push([&[b'y'; 127][..], b"\0z"].concat());
    words.push([&[b'y'; 128][..], b"\0z"].concat());
    words
}

fn slices(words: &[Vec<u8>]) -> Vec<&[u8]> {
    words.iter().map(Vec::as_slice).collect()
}

fn check_command(redis: &mut Connection, args: &[&[u8]]) {
    let expected = redis.ask(args);
    assert!(expected.starts_with(b"-ERR unknown command '"), "{}", expected.escape_ascii());
    let made = unknown_command(args.iter().copied());
    assert_eq!(made.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

fn check_subcommand(redis: &mut Connection, args: &[&[u8]]) {
    let expected = redis.ask(args);
    assert!(expected.starts_with(b"-ERR unknown subcommand '"), "{}", expected.escape_ascii());
    let made = unknown_subcommand(args.iter().copied());
    assert_eq!(made.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn errors_for_unknown_commands_with_odd_names_match_redis() {
    let server = Server::start(&[]);
    let mut redis = server.connect();
    let words = odd_words();
    for word in &words {
        // The name is tested alone, then after a prefix that no command has.
        check_command(&mut redis, &[word]);
        check_command(&mut redis, &[word, b"key", word]);
        let name = [b"NoSuch", word.as_slice()].concat();
        check_command(&mut redis, &[&name]);
        for other in &words {
            check_command(&mut redis, &[&name, word, other]);
            check_command(&mut redis, &[b"nosuch", word, other, word, other]);
        }
    }
    check_command(&mut redis, &slices(&[vec![b"nosuch".to_vec()], words].concat()));
}

#[test]
fn errors_for_unknown_commands_with_many_arguments_match_redis() {
    let server = Server::start(&[]);
    let mut redis = server.connect();
    for len in 0..6 {
        let arg = vec![b'a'; len];
        for count in
            [1, 2, 15, 16, 17, 18, 20, 21, 22, 25, 26, 31, 32, 33, 41, 42, 43, 44, 45, 1000]
        {
            let mut args: Vec<&[u8]> = vec![b"NOSUCH"];
            args.resize(count + 1, &arg);
            check_command(&mut redis, &args);
            // The last argument that is shown gets the rest of the 128 bytes.
            args.push(&[b'z'; 200]);
            check_command(&mut redis, &args);
        }
    }
    for len in 100..140 {
        let arg = vec![b'a'; len];
        check_command(&mut redis, &[b"nosuch", &arg, b"second", b"third"]);
        check_command(&mut redis, &[b"nosuch", b"", &arg, b"third"]);
    }
}

#[test]
fn errors_for_unknown_subcommands_match_redis() {
    let server = Server::start(&[]);
    let mut redis = server.connect();
    let containers = command::specs().filter(|spec| spec.is_container() && spec.is_in(REDIS));
    for (place, container) in containers.enumerate() {
        let mut name = container.name.to_owned();
        // The client may write it in either case: the error shows it in upper case.
        if place % 2 == 0 {
            name[..2].make_ascii_uppercase();
        }
        for word in odd_words() {
            // A NUL after a real subcommand's name would sometimes run the subcommand.
            check_subcommand(&mut redis, &[name.as_bytes(), &word]);
            check_subcommand(&mut redis, &[name.as_bytes(), &word, b"more", &word]);
        }
    }
}

#[test]
fn errors_for_random_unknown_commands_match_redis() {
    let server = Server::start(&[]);
    let mut redis = server.connect();
    let letters = prop_oneof![Just(0), Just(b'\r'), Just(b'\n'), Just(b'\''), any::<u8>()];
    let word = || vec(letters.clone(), 0..180);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let redis = std::cell::RefCell::new(&mut redis);
    runner
        .run(&(word(), vec(word(), 0..30)), |(mut name, args)| {
            // No command begins with this byte.
            name.insert(0, b'~');
            let args = [vec![name], args].concat();
            check_command(&mut redis.borrow_mut(), &slices(&args));
            Ok(())
        })
        .unwrap();
}

#[test]
fn errors_for_wrong_numbers_of_arguments_match_redis() {
    let server = Server::start(&[]);
    let mut redis = server.connect();
    let mut checked = 0;
    // The requests have one argument too few, or none at all; commands for which one argument is enough
    // are left out.
    for spec in command::specs().filter(|spec| spec.is_in(REDIS)) {
        let own = if spec.command() == spec.name { 1 } else { 2 };
        let least = usize::from(spec.arity.unsigned_abs());
        if least <= own {
            continue;
        }
        let mut args: Vec<&[u8]> = vec![spec.command().as_bytes()];
        if own == 2 {
            args.push(spec.word().as_bytes());
        }
        args.resize(least - 1, b"x");
        assert!(!spec.arity_holds(args.len()), "{}", spec.name);
        let expected = redis.ask(&args);
        // The table has the arities of Redis 7.0, and a few are lower elsewhere.
        let is_7_0 = servers::tested() == servers::REDIS_7_0;
        if !is_7_0 && !expected.starts_with(b"-ERR wrong number") {
            continue;
        }
        assert_eq!(
            wrong_arity(spec.name).escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
        checked += 1;
    }
    assert!(checked > 200, "only {checked}");
}

/// Returns the policy's reply to a request, looked up as a session does.
fn judge(policy: &Policy, args: &[&[u8]]) -> Option<Vec<u8>> {
    let spec = command::lookup(args[0]);
    let word = args.get(1).copied();
    let sub: Option<&'static Spec> = spec.zip(word).and_then(|(spec, word)| spec.subcommand(word));
    match policy.decide(sub.or(spec), args[0], word) {
        Decision::Allow => None,
        Decision::Deny(denied) => Some(denied.reply(args.iter().copied()).to_vec()),
    }
}

#[test]
fn errors_for_blocked_commands_match_a_redis_without_them() {
    let mut options = Vec::new();
    for name in Policy::DEFAULT_BLOCKED {
        options.extend_from_slice(&["--rename-command", name, ""]);
    }
    let server = Server::start(&options);
    let mut redis = server.connect();
    let policy = Policy::compile(&Policy::DEFAULT_BLOCKED, Escapes::Allow).unwrap();
    let mut requests: Vec<Vec<&[u8]>> = vec![
        vec![b"CONFIG"],
        vec![b"config", b"get"],
        vec![b"Config", b"GET", b"maxmemory"],
        vec![b"CONFIG", b"HELP"],
        vec![b"cOnFiG", b"nonsense", b"a"],
        vec![b"CONFIG", b""],
        vec![b"CONFIG", b"get\0x"],
        vec![b"CONFIG", b"SET", b"requirepass", b"new\r\nline"],
        vec![b"FLUSHALL"],
        vec![b"flushall", b"ASYNC"],
        vec![b"FlushDB", b"SYNC", b"too", b"many"],
        vec![b"DEBUG"],
        vec![b"DEBUG", b"SLEEP", b"0"],
        vec![b"debug", b"RELOAD"],
    ];
    let words = odd_words();
    for word in &words {
        for name in Policy::DEFAULT_BLOCKED {
            requests.push(vec![name.as_bytes(), word, word]);
        }
    }
    for args in requests {
        let made = judge(&policy, &args).expect("a refusal");
        let expected = redis.ask(&args);
        assert_eq!(made.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }
}

#[test]
fn errors_for_blocked_subcommands_match_those_for_unknown_ones() {
    let server = Server::start(&[]);
    let mut redis = server.connect();
    let policy = Policy::compile(&["CLIENT|KILL", "script|flush"], Escapes::Allow).unwrap();
    // The expected reply is Redis's to a word of the same length, with the word put in its place.
    for (args, other) in [
        (vec![&b"CLIENT"[..], b"KILL", b"ID", b"1"], &b"KXLL"[..]),
        (vec![b"client", b"kill"], b"kxll"),
        (vec![b"Client", b"Kill", b"1.2.3.4:5"], b"Kxll"),
        (vec![b"SCRIPT", b"FLUSH", b"ASYNC"], b"FLXSH"),
        (vec![b"script", b"flush"], b"flxsh"),
    ] {
        let made = judge(&policy, &args).expect("a refusal");
        let mut unknown = args.clone();
        unknown[1] = other;
        let text = String::from_utf8(redis.ask(&unknown)).unwrap();
        let other = std::str::from_utf8(other).unwrap();
        let word = std::str::from_utf8(args[1]).unwrap();
        assert_eq!(String::from_utf8(made).unwrap(), text.replace(other, word));
    }
    assert_eq!(judge(&policy, &[b"CLIENT", b"LIST"]), None);
    assert_eq!(judge(&policy, &[b"SCRIPT", b"KILL"]), None);
    assert_eq!(judge(&policy, &[b"CLIENT"]), None, "Redis answers that itself");
}

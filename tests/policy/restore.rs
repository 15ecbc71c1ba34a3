//! `RESTORE` runs only where the server checks the payload: a crafted payload crashes servers that do
//! not check it.

use support::servers::{ALL, CHECKS_PAYLOADS, REDIS_7_0, on_each_or_chosen};
use support::{Deadline, Redis, Redoubt, Wire, frame, shown};

/// Computes CRC-64 as Redis does for a payload: Jones's polynomial, reflected.
fn crc64(bytes: &[u8]) -> u64 {
    const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| match crc & 1 {
            0 => crc >> 1,
            _ => (crc >> 1) ^ POLYNOMIAL,
        })
    })
}

/// Returns a payload of a hash, and the same with a field that claims to be longer than the hash. Its
/// checksum is right.
fn payloads(wire: &mut Wire) -> (Vec<u8>, Vec<u8>) {
    wire.command(&["HSET", "model", "a", "b"]);
    let dumped = wire.command(&["DUMP", "model"]);
    let start = dumped.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
    let honest = dumped[start..dumped.len() - 2].to_vec();
    let (body, sum) = honest.split_at(honest.len() - 8);
    assert_eq!(crc64(body).to_le_bytes(), sum);
    // In a listpack, 0x80 plus a length begins a short text.
    let field = body.windows(2).position(|pair| pair == b"\x81a").expect("the field");
    let mut crafted = body.to_vec();
    crafted[field] = 0xbf;
    let sum = crc64(&crafted);
    crafted.extend(sum.to_le_bytes());
    (honest, crafted)
}

fn restore(wire: &mut Wire, key: &str, payload: &[u8]) -> String {
    let reply = wire.command(&[b"RESTORE", key.as_bytes(), b"0", payload]);
    shown(&reply)
}

/// Runs `RESTORE` by a script.
fn in_script(wire: &mut Wire, payload: &[u8]) -> String {
    const SCRIPT: &str = "return redis.call('RESTORE', KEYS[1], 0, ARGV[1])";
    let args = [b"EVAL", SCRIPT.as_bytes(), b"1", b"scripted", payload];
    shown(&wire.command(&args))
}

/// Waits until Redoubt permits `RESTORE`, which it does once it knows of the check.
fn wait_until_restore_runs(redoubt: &Redoubt) -> bool {
    let mut wire = redoubt.session();
    Deadline::standard().poll(|| !wire.command(&["RESTORE", "x"]).starts_with(b"-ERR unknown"))
}

const UNKNOWN: &str = "-ERR unknown command ";

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_crafted_restore_payload_crashes_no_server_in_any_guard_mode() {
    on_each_or_chosen(&ALL, |server| {
        for guard in ["require", "auto", "audit", "off"] {
            let redis = Redis::setup().server(server).start();
            let (honest, crafted) = payloads(&mut redis.direct());
            let redoubt = Redoubt::setup(&redis).set_text("policy.guard", guard).start();
            // A session whose script arrives before the guard is ready may be closed.
            redoubt.wait_until_it_knows_its_server();
            let mut wire = redoubt.session();
            if CHECKS_PAYLOADS.contains(&server) {
                assert!(wait_until_restore_runs(&redoubt), "guard {guard}");
            } else {
                let refused = restore(&mut wire, "k", &honest);
                assert!(refused.starts_with(UNKNOWN), "guard {guard}: {refused}");
            }
            let refused = restore(&mut wire, "k", &crafted);
            assert!(refused.starts_with('-'), "guard {guard}: {refused}");
            // Where no guard restricts scripts, they can run it.
            if guard != "off" {
                let refused = in_script(&mut wire, &crafted);
                assert!(refused.starts_with('-'), "guard {guard}: {refused}");
            }
            assert_eq!(redis.direct().command(&["EXISTS", "k", "scripted"]), b":0\r\n");
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn restore_runs_if_payloads_are_checked_and_a_crafted_one_is_refused() {
    on_each_or_chosen(&ALL, |server| {
        for (check, guard) in [
            ("yes", "require"),
            ("yes", "auto"),
            ("yes", "audit"),
            ("yes", "off"),
            // The configured user has no skip-sanitize-payload.
            ("clients", "require"),
            ("clients", "off"),
        ] {
            let redis = Redis::setup().server(server);
            let redis = redis.config(&format!("sanitize-dump-payload {check}")).start();
            let (honest, crafted) = payloads(&mut redis.direct());
            let redoubt = Redoubt::setup(&redis).set_text("policy.guard", guard).start();
            assert!(wait_until_restore_runs(&redoubt), "{check}, guard {guard}");
            let mut wire = redoubt.session();
            assert_eq!(restore(&mut wire, "k", &honest), "+OK\\r\\n", "{check}, guard {guard}");
            assert_eq!(wire.command(&["HGET", "k", "a"]), b"$1\r\nb\r\n");
            let refused = restore(&mut wire, "crafted", &crafted);
            assert_eq!(refused, "-ERR Bad data format\\r\\n", "{check}, guard {guard}");
            // With guard "audit", scripts do not run if no ACL restricts them.
            if guard != "audit" {
                let refused = in_script(&mut wire, &crafted);
                assert!(refused.contains("Bad data format"), "{check}, guard {guard}: {refused}");
                assert_eq!(in_script(&mut wire, &honest), "+OK\\r\\n", "{check}, guard {guard}");
            }
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn restore_is_refused_for_a_user_whose_payloads_are_unchecked() {
    let redis = Redis::setup()
        .server(REDIS_7_0)
        .config("sanitize-dump-payload clients")
        .config(
            "user app on >app-password-app-password-app-password ~* &* +@all skip-sanitize-payload",
        )
        .start();
    let (honest, _) = payloads(&mut redis.direct());
    for guard in ["require", "off"] {
        let redoubt = Redoubt::setup_for(&redis, "app-password-app-password-app-password")
            .set_text("upstream.user", "app")
            .set_text("policy.guard", guard)
            .start();
        let refused = restore(&mut redoubt.session(), "k", &honest);
        assert!(refused.starts_with(UNKNOWN), "guard {guard}: {refused}");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn restore_is_refused_if_the_user_may_not_read_the_setting() {
    let redis = Redis::setup()
        .server(REDIS_7_0)
        .config("sanitize-dump-payload yes")
        .config("user app on >app-password-app-password-app-password ~* &* +@all -config")
        .start();
    let (honest, _) = payloads(&mut redis.direct());
    let redoubt = Redoubt::setup_for(&redis, "app-password-app-password-app-password")
        .set_text("upstream.user", "app")
        .start();
    let refused = restore(&mut redoubt.session(), "k", &honest);
    assert!(refused.starts_with(UNKNOWN), "{refused}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn an_explicit_rule_against_restore_stays_in_force() {
    let redis = Redis::setup().server(REDIS_7_0).config("sanitize-dump-payload yes").start();
    let (honest, _) = payloads(&mut redis.direct());
    let redoubt =
        Redoubt::setup(&redis).set("policy.blocked", "[\"FLUSHALL\", \"RESTORE\"]").start();
    let refused = restore(&mut redoubt.session(), "k", &honest);
    assert!(refused.starts_with(UNKNOWN), "{refused}");
    assert!(in_script(&mut redoubt.session(), &honest).starts_with('-'));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn restore_is_refused_after_the_server_restarts_without_the_check() {
    for guard in ["require", "off"] {
        let mut redis =
            Redis::setup().server(REDIS_7_0).config("sanitize-dump-payload yes").start();
        let (honest, _) = payloads(&mut redis.direct());
        let redoubt = Redoubt::setup(&redis).set_text("policy.guard", guard).start();
        assert!(wait_until_restore_runs(&redoubt), "guard {guard}");
        redis.kill();
        redis.configure("sanitize-dump-payload no");
        redis.restart();
        let refused = Deadline::standard().poll(|| {
            let mut wire = redoubt.connect();
            wire.offer(&frame::request(&["AUTH", redoubt.password()]));
            wire.offer(&frame::request(&[b"RESTORE", &b"x"[..]]));
            wire.offer(&frame::request(&["QUIT"]));
            shown(&wire.read_to_close()).contains(UNKNOWN)
        });
        assert!(refused, "guard {guard}");
        assert!(restore(&mut redoubt.session(), "k", &honest).starts_with(UNKNOWN));
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn restore_payloads_are_forwarded_unchanged() {
    let redis = Redis::setup().server(REDIS_7_0).config("sanitize-dump-payload yes").start();
    let redoubt = Redoubt::start(&redis);
    assert!(wait_until_restore_runs(&redoubt));
    // The payload is a string, version 10, with a wrong checksum.
    let string = [b"\x00\x05value\x0a\x00".as_slice(), &[0xff; 8]].concat();
    let large = vec![0xaa; 200_000];
    for payload in [
        b"".as_slice(),
        b"\x00",
        b"*1\r\n$8\r\nFLUSHALL\r\n",
        b"\x00\x05value\xff\xff\x01\x01\x01\x01\x01\x01\x01\x01",
        b"\xf5\xc3\x40\x11#!lua name=evil\n\x0a\x00aaaaaaaa",
        &string,
        &large,
    ] {
        let refused = restore(&mut redoubt.session(), "crafted", payload);
        assert_eq!(refused, "-ERR DUMP payload version or checksum are wrong\\r\\n");
    }
}

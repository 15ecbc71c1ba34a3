//! The crate `redis` where the connection's state matters: contention, scripts, tracking, and a
//! Redis that goes away and comes back.

use std::sync::mpsc;

use redis::{Commands as _, Connection, PushInfo, PushKind, Script, Value};

use super::redis_rs::{PROTOCOLS, open};
use support::{Deadline, Redis, Redoubt, TIME_LIMIT};

const RIVALS: usize = 4;
const TIMES: usize = 25;
const COUNT_UP: &str = "redis.call('INCRBY', KEYS[1], ARGV[1]) \
                        return {KEYS[1], redis.call('GET', KEYS[1])}";

fn count_up(connection: &mut Connection, by: i64) -> (String, i64) {
    Script::new(COUNT_UP).key("rs:script").arg(by).invoke(connection).expect("the script runs")
}

fn add(connection: &mut Connection) {
    let key = "rs:contended";
    let (): () = redis::transaction(connection, &[key], |connection, pipe| {
        let count: Option<i64> = connection.get(key)?;
        pipe.set(key, count.unwrap_or(0) + 1).ignore().query(connection)
    })
    .expect("a transaction that is tried until it succeeds");
}

#[test]
fn redis_rs_optimistic_transactions_work_under_contention() {
    let redis = Redis::start();
    for sharing in ["auto", "off"] {
        let redoubt = Redoubt::setup(&redis).set_text("upstream.sharing", sharing).start();
        for protocol in PROTOCOLS {
            redoubt.stand_in().unwrap_or(&redis).flush();
            let client = open(&redoubt, protocol);
            std::thread::scope(|scope| {
                for _ in 0..RIVALS {
                    let mut rival = client.get_connection().expect("a connection");
                    scope.spawn(move || (0..TIMES).for_each(|_| add(&mut rival)));
                }
            });
            let mut connection = client.get_connection().expect("a connection");
            assert_eq!(connection.get("rs:contended"), Ok(RIVALS * TIMES), "{sharing} {protocol}");
        }
    }
}

#[test]
fn redis_rs_loads_scripts_that_redis_does_not_have() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    for protocol in PROTOCOLS {
        redoubt.stand_in().unwrap_or(&redis).flush();
        let mut connection = open(&redoubt, protocol).get_connection().expect("a connection");
        // The library sends EVALSHA, and loads the script when Redis answers NOSCRIPT.
        assert_eq!(count_up(&mut connection, 2), ("rs:script".into(), 2));
        assert_eq!(count_up(&mut connection, 3), ("rs:script".into(), 5));
    }
}

#[test]
fn redis_rs_tracks_keys_in_resp3() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let client = open(&redoubt, "resp3");
    let mut cached = client.get_connection().expect("a connection");
    let mut other = client.get_connection().expect("a connection");
    let (pushes, reported) = mpsc::channel::<PushInfo>();
    cached.set_push_sender(pushes);
    let () = redis::cmd("CLIENT").arg("TRACKING").arg("ON").query(&mut cached).expect("tracking");
    for number in 0..20 {
        let _: Option<i64> = cached.get("rs:tracked").expect("a value");
        let () = other.set("rs:tracked", number).expect("set");
        // Pushes are read along with replies.
        let deadline = Deadline::standard();
        let push = loop {
            let () = redis::cmd("PING").query(&mut cached).expect("a reply");
            if let Ok(push) = reported.try_recv() {
                break push;
            }
            assert!(deadline.left().is_some(), "no push comes");
        };
        assert_eq!(push.kind, PushKind::Invalidate);
        let key = Value::BulkString(b"rs:tracked".to_vec());
        assert_eq!(push.data, [Value::Array(vec![key])]);
        assert_eq!(cached.get("rs:tracked"), Ok(number));
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redis_rs_works_after_redis_has_restarted() {
    let mut redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    for protocol in PROTOCOLS {
        let client = open(&redoubt, protocol);
        let mut connection = client.get_connection().expect("a connection");
        connection.set_read_timeout(Some(TIME_LIMIT)).expect("a time limit");
        let () = connection.set("rs:forgotten", 1).expect("set");
        count_up(&mut connection, 1);
        let mut waiting = client.get_connection().expect("a connection");
        let blocked = std::thread::spawn(move || {
            waiting.blpop::<_, Option<(String, String)>>("rs:lost", 0.0)
        });
        // A request that has not reached Redis before would wait for it to be back.
        let is_blocked = || {
            let info = redis.direct().command(&["INFO", "clients"]);
            String::from_utf8_lossy(&info).contains("blocked_clients:1")
        };
        assert!(Deadline::standard().poll(is_blocked));
        redis.kill();
        redis.restart();

        let lost = blocked.join().unwrap().expect_err("a pop that Redis has forgotten");
        assert!(lost.is_io_error() || lost.is_connection_dropped(), "{lost}");
        let deadline = Deadline::standard();
        let forgotten: Option<i64> = loop {
            if let Ok(value) = connection.get("rs:forgotten") {
                break value;
            }
            assert!(deadline.left().is_some(), "Redis is not reached again");
            if let Ok(fresh) = client.get_connection() {
                connection = fresh;
            }
        };
        assert_eq!(forgotten, None);
        assert_eq!(count_up(&mut connection, 7), ("rs:script".into(), 7));
    }
}

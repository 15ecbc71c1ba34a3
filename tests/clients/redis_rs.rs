//! The crate `redis`, blocking and asynchronous, with both versions of the protocol.

use std::collections::HashSet;

use redis::{Commands as _, Connection, ErrorKind, RedisResult, ServerErrorKind};

use crate::url;
use support::{Redis, Redoubt};

const LARGE: usize = 32 << 20;
pub(crate) const PROTOCOLS: [&str; 2] = ["resp2", "resp3"];

pub(crate) fn open(redoubt: &Redoubt, protocol: &str) -> redis::Client {
    let url = format!("{}?protocol={protocol}", url(redoubt));
    redis::Client::open(url).expect("a URL that redis-rs takes")
}

fn everything(client: &redis::Client) -> RedisResult<()> {
    let mut connection = client.get_connection()?;
    strings(&mut connection)?;
    pipeline(&mut connection)?;
    transaction(&mut connection)?;
    publish_subscribe(client, &mut connection)?;
    blocking_pop(client, &mut connection)?;
    scan(&mut connection)?;
    large(&mut connection)
}

fn strings(connection: &mut Connection) -> RedisResult<()> {
    let () = connection.set("rs:k", "v")?;
    assert_eq!(connection.get::<_, String>("rs:k")?, "v");
    assert_eq!(connection.get::<_, Option<String>>("rs:none")?, None);
    assert_eq!(connection.incr::<_, _, i64>("rs:n", 5)?, 5);
    assert_eq!(connection.del::<_, i64>("rs:k")?, 1);
    Ok(())
}

fn pipeline(connection: &mut Connection) -> RedisResult<()> {
    let mut pipe = redis::pipe();
    for number in 0..10_000 {
        pipe.cmd("ECHO").arg(number);
    }
    let replies: Vec<usize> = pipe.query(connection)?;
    assert!(replies.into_iter().eq(0..10_000));
    Ok(())
}

fn transaction(connection: &mut Connection) -> RedisResult<()> {
    let mut pipe = redis::pipe();
    pipe.atomic().set("rs:t", 1).ignore().incr("rs:t", 1).get("rs:t");
    assert_eq!(pipe.query::<(i64, String)>(connection)?, (2, "2".into()));

    let refused = redis::pipe().atomic().incr("rs:t", 1).cmd("FLUSHALL").query::<()>(connection);
    assert!(refused.is_err(), "a refused command in a transaction");
    assert_eq!(connection.get::<_, i64>("rs:t")?, 2);
    Ok(())
}

fn publish_subscribe(client: &redis::Client, publisher: &mut Connection) -> RedisResult<()> {
    let mut subscriber = client.get_connection()?;
    let mut pubsub = subscriber.as_pubsub();
    pubsub.subscribe("rs:c")?;
    pubsub.psubscribe("rs:p*")?;
    assert_eq!(publisher.publish::<_, _, i64>("rs:c", "one")?, 1);
    assert_eq!(publisher.publish::<_, _, i64>("rs:pattern", "two")?, 1);
    let first = pubsub.get_message()?;
    assert_eq!((first.get_channel_name(), first.get_payload::<String>()?), ("rs:c", "one".into()));
    let second = pubsub.get_message()?;
    assert_eq!(second.get_pattern::<String>()?, "rs:p*");
    assert_eq!(second.get_payload::<String>()?, "two");
    drop(pubsub);
    assert_eq!(redis::cmd("PING").query::<String>(&mut subscriber)?, "PONG");
    Ok(())
}

fn blocking_pop(client: &redis::Client, connection: &mut Connection) -> RedisResult<()> {
    let mut waiting = client.get_connection()?;
    std::thread::scope(|scope| {
        let popped = scope.spawn(move || waiting.blpop::<_, (String, String)>("rs:q", 30.0));
        let () = connection.rpush("rs:q", "work")?;
        assert_eq!(popped.join().unwrap()?, ("rs:q".into(), "work".into()));
        Ok(())
    })
}

fn scan(connection: &mut Connection) -> RedisResult<()> {
    let names: HashSet<String> = (0..1000).map(|number| format!("rs:scan:{number}")).collect();
    let pairs: Vec<(&String, i64)> = names.iter().map(|name| (name, 1)).collect();
    let () = connection.mset(&pairs)?;
    let found: RedisResult<HashSet<String>> = connection.scan_match("rs:scan:*")?.collect();
    assert_eq!(found?, names);
    Ok(())
}

fn large(connection: &mut Connection) -> RedisResult<()> {
    let value = b"0123456789abcdef".repeat(LARGE / 16);
    let () = connection.set("rs:large", &value)?;
    assert_eq!(connection.strlen::<_, usize>("rs:large")?, LARGE);
    assert!(connection.get::<_, Vec<u8>>("rs:large")? == value);
    Ok(())
}

#[test]
fn redis_rs_works_on_a_blocking_connection() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    for protocol in PROTOCOLS {
        redoubt.stand_in().unwrap_or(&redis).flush();
        everything(&open(&redoubt, protocol)).unwrap_or_else(|error| panic!("{protocol}: {error}"));
    }
}

#[test]
fn redis_rs_gets_redis_own_errors() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    for protocol in PROTOCOLS {
        let mut connection = open(&redoubt, protocol).get_connection().expect("a connection");
        let refused = redis::cmd("FLUSHALL").query::<()>(&mut connection).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Server(ServerErrorKind::ResponseError));
        assert!(refused.to_string().contains("unknown command 'FLUSHALL'"), "{refused}");

        let wrong = url(&redoubt).replace(redoubt.password(), "wrong");
        let wrong = redis::Client::open(format!("{wrong}?protocol={protocol}")).unwrap();
        let failed = wrong.get_connection().err().expect("a wrong password fails");
        // redis-rs has a separate error kind for AUTH, but not for HELLO.
        let authentication = failed.kind() == ErrorKind::AuthenticationFailed;
        assert!(authentication || failed.code() == Some("WRONGPASS"), "{failed}");
    }
}

#[test]
fn redis_rs_works_on_a_multiplexed_connection_of_many_tasks() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for protocol in PROTOCOLS {
            let client = open(&redoubt, protocol);
            let connection = client.get_multiplexed_async_connection().await.expect("a connection");
            let mut tasks = tokio::task::JoinSet::new();
            for task in 0..100 {
                let mut connection = connection.clone();
                tasks.spawn(async move {
                    for number in 0..100 {
                        let text = format!("{task}:{number}");
                        let echo = redis::cmd("ECHO").arg(&text).to_owned();
                        let echoed: String =
                            echo.query_async(&mut connection).await.expect("a reply");
                        assert_eq!(echoed, text);
                    }
                });
            }
            while let Some(task) = tasks.join_next().await {
                task.expect("a task without a fault");
            }
        }
    });
}

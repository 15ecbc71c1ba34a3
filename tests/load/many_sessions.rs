//! Thousands of sessions that are open and send little.

use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use support::http::http_get;
use support::{Deadline, Redis, Redoubt, frame, now, raise_open_files, since};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use super::thousand_sessions::ask;
use super::turn;

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn listing_ten_thousand_sessions_delays_no_client_and_is_truncated() {
    let _turn = turn();
    // The test opens as many sessions as the system permits.
    let pid = std::process::id().to_string();
    let raise = |files: &str| {
        let limit = format!("--nofile={files}:");
        Command::new("prlimit")
            .args(["--pid", &pid, &limit])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let most: usize = if raise("12000") { 10_000 } else { 900 };
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis)
        .set("limits.max_sessions", 20_000)
        .set("limits.unauthenticated_sessions", 100_000)
        .set_text("limits.auth_timeout", "5m")
        .start();
    let clients: Vec<_> = (0..most)
        .map(|_| std::net::TcpStream::connect(redoubt.address()).expect("connect"))
        .collect();
    let reported = || {
        let (status, _, body) = http_get(redoubt.admin(), "/sessions");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).expect("JSON")
    };
    let number = |reported: &Value| reported["sessions"].as_array().map_or(0, Vec::len);
    assert!(Deadline::standard().poll(|| number(&reported()) == most), "all sessions are listed");
    assert_eq!(reported()["truncated"], false);
    // Other clients are served meanwhile.
    let mut client = redoubt.session();
    let asking = std::thread::scope(|scope| {
        let asking = scope.spawn(reported);
        let mut slowest: f64 = 0.0;
        while !asking.is_finished() {
            let began = now();
            assert_eq!(client.command(&["PING"]), b"+PONG\r\n");
            slowest = slowest.max(since(began));
        }
        assert!(slowest < 1.0, "a client waited for {slowest} s");
        asking.join().expect("an answer")
    });
    assert_eq!(
        asking["truncated"],
        most == 10_000,
        "the list is truncated at ten thousand sessions"
    );
    assert_eq!(number(&asking), if most == 10_000 { most } else { most + 1 });
    drop(clients);
}

#[test]
fn invariant_6_a_thousand_idle_sessions_use_a_few_connections() {
    const SESSIONS: usize = 1000;
    let _turn = turn();
    raise_open_files();
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let all_there = Arc::new(Barrier::new(SESSIONS + 1));
        let all_done = Arc::new(Barrier::new(SESSIONS + 1));
        let mut sessions = tokio::task::JoinSet::new();
        for number in 0..SESSIONS {
            let (address, password) = (redoubt.address(), redoubt.password().to_owned());
            let (all_there, all_done) = (Arc::clone(&all_there), Arc::clone(&all_done));
            sessions.spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("connect");
                ask(&mut stream, &frame::request(&["AUTH", &password]), b"+OK\r\n").await;
                all_there.wait().await;
                ask(&mut stream, &frame::request(&["PING"]), b"+PONG\r\n").await;
                let word = number.to_string();
                ask(&mut stream, &frame::request(&["ECHO", &word]), &frame::bulk(word.as_bytes()))
                    .await;
                ask(&mut stream, &frame::request(&["GET", "k"]), b"$-1\r\n").await;
                all_done.wait().await;
                all_done.wait().await;
            });
        }
        all_there.wait().await;
        all_done.wait().await;
        if redoubt.stand_in().is_none() {
            let seen = redis.clients();
            assert!(seen < 10, "Redis sees {seen} connections");
        }
        all_done.wait().await;
        while let Some(session) = sessions.join_next().await {
            session.expect("a session without a fault");
        }
    });
}

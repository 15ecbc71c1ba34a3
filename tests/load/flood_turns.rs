//! Sixty clients that send the bytes that are most expensive for a server, as fast as they can, delay
//! other clients no longer than they would at a plain Redis.
//!
//! Their requests are answered without Redis or not at all, so only Redoubt itself could slow the
//! others down. If a session were served until its socket is empty, all others would wait for seconds,
//! and the health checks would fail. The flood takes all CPU time, so an absolute number would prove
//! nothing: phases at a plain Redis and at Redoubt alternate under the same flood, and the ratio of the
//! 99th percentiles of the time that fifty others wait for a `PING` is compared.
//! `tests/sharing/router/turns.rs` counts the work in one turn, without a clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use super::honest::{CLIENTS, Honest, runtime};
use super::turn;
use support::http::http_get;
use support::{Redis, Redoubt, TIME_LIMIT, frame, note, now, since, target_is_redis};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ATTACKERS: usize = 60;
const ROUNDS: usize = 3;
const PHASE: Duration = Duration::from_millis(800);
/// Time between two requests of one honest client.
const PACE: Duration = Duration::from_millis(20);
/// Highest ratio of the waiting time to that at a plain Redis.
const RATIO: f64 = 3.0;
/// Microseconds below which a wait passes whatever the ratio: a busy machine may take this long to
/// schedule a thread.
const UNNOTICED: u64 = 20_000;

/// The server of a phase.
struct Target {
    address: SocketAddr,
    password: String,
}

/// The bytes that attackers send on each connection.
#[derive(Clone)]
struct Attack {
    /// Sent once the connection is open, and answered with this many lines.
    begin: Vec<u8>,
    lines: usize,
    /// Sent again and again; replies are read and dropped.
    again: Vec<u8>,
}

/// Attacks over one connection until it is closed or the test ends.
async fn attack_once(address: SocketAddr, attack: &Attack, over: &AtomicBool) -> Option<()> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    stream.write_all(&attack.begin).await.ok()?;
    let mut byte = [0];
    for _ in 0..attack.lines {
        while byte != *b"\n" {
            stream.read_exact(&mut byte).await.ok()?;
        }
        byte = [0];
    }
    let (mut read, mut write) = stream.split();
    let reads = async {
        let mut dropped = vec![0; 64 << 10];
        while read.read(&mut dropped).await? > 0 {}
        std::io::Result::Ok(())
    };
    let writes = async {
        while !over.load(Ordering::Relaxed) {
            write.write_all(&attack.again).await?;
            tokio::task::yield_now().await;
        }
        std::io::Result::Ok(())
    };
    tokio::select! {
        _ = reads => {}
        _ = writes => {}
    }
    Some(())
}

/// Attacks until the test ends, with a new connection for each that is closed.
fn attack(address: SocketAddr, attack: &Attack, over: &AtomicBool, connections: &AtomicU64) {
    runtime().block_on(async {
        let attacker = || async {
            while !over.load(Ordering::Relaxed) {
                connections.fetch_add(1, Ordering::Relaxed);
                attack_once(address, attack, over).await;
            }
        };
        let all = (0..ATTACKERS).map(|_| attacker()).collect::<Vec<_>>();
        let mut all: Vec<_> = all.into_iter().map(Box::pin).collect();
        let mut look = tokio::time::interval(Duration::from_millis(10));
        // Some wait for a server that does not read, so the end is checked here.
        std::future::poll_fn(|cx| {
            all.retain_mut(|attacker| attacker.as_mut().poll(cx).is_pending());
            let _ = look.poll_tick(cx);
            if over.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
}

impl Honest {
    /// Runs one phase. Returns the 99th percentile of the time for a `PING`, in microseconds.
    fn phase(&mut self) -> u64 {
        let streams = std::mem::take(&mut self.streams);
        self.runtime.block_on(async {
            let began = now();
            let mut set = tokio::task::JoinSet::new();
            for (number, mut stream) in streams.into_iter().enumerate() {
                set.spawn(async move {
                    let mut took = Vec::new();
                    // The clients start at different times.
                    tokio::time::sleep(PACE * number as u32 / CLIENTS as u32).await;
                    let mut pace = tokio::time::interval(PACE);
                    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                    while since(began) < PHASE.as_secs_f64() {
                        pace.tick().await;
                        let asked = now();
                        stream.write_all(b"*1\r\n$4\r\nPING\r\n").await.unwrap();
                        let mut reply = [0; 7];
                        let read = tokio::time::timeout(TIME_LIMIT, stream.read_exact(&mut reply));
                        read.await.expect("a reply in time").expect("it is served");
                        assert_eq!(&reply, b"+PONG\r\n");
                        took.push((since(asked) * 1e6) as u64);
                    }
                    (stream, took)
                });
            }
            let mut all = Vec::new();
            while let Some(client) = set.join_next().await {
                let (stream, took) = client.unwrap();
                self.streams.push(stream);
                all.extend(took);
            }
            all.sort_unstable();
            all[all.len() * 99 / 100]
        })
    }
}

/// Runs one phase under attack, with requests to the health check meanwhile if there is one.
fn phase(target: &Target, honest: &mut Honest, kind: &Attack, admin: Option<SocketAddr>) -> u64 {
    let (over, connections) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| attack(target.address, kind, &over, &connections));
        let live = scope.spawn(|| {
            let mut answers = Vec::new();
            while !over.load(Ordering::Relaxed) {
                answers.extend(admin.map(|admin| http_get(admin, "/livez").0));
                std::thread::park_timeout(Duration::from_millis(50));
            }
            answers
        });
        // The flood has begun when the clients start.
        while connections.load(Ordering::Relaxed) < ATTACKERS as u64 {
            std::thread::yield_now();
        }
        let p99 = honest.phase();
        over.store(true, Ordering::Relaxed);
        let answers = live.join().unwrap();
        let failed = answers.iter().filter(|status| **status != 200).count();
        assert_eq!(failed, 0, "/livez failed, of {} times", answers.len());
        note(&format!("{} connections", connections.load(Ordering::Relaxed)));
        p99
    })
}

/// Returns the waiting times at one server, in microseconds, while `kind` runs. The server is new,
/// because one that has been flooded is busy for a while with what it received.
fn waits(
    target: &Target,
    admin: Option<SocketAddr>,
    known: bool,
    begin: &[u8],
    again: &[u8],
) -> u64 {
    let auth = frame::request(&["AUTH", &target.password]);
    let auth = if known { auth } else { Vec::new() };
    let again = again.repeat((16 << 10) / again.len());
    let kind = Attack { begin: [&auth, begin].concat(), lines: usize::from(known), again };
    phase(target, &mut Honest::start(target.address, &target.password), &kind, admin)
}

/// Compares the waiting times while `again` is sent, by authenticated clients if `known`.
fn compare(name: &str, known: bool, begin: &[u8], again: &[u8]) {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let bare = Redis::setup().hide_refused().start();
        let target = Target { address: bare.address(), password: bare.password().into() };
        let theirs = waits(&target, None, known, begin, again);
        drop(bare);
        let upstream = Redis::start();
        let redoubt =
            Redoubt::setup(&upstream).set_text("log.level", "error,redoubt::control=info");
        let redoubt = redoubt.start();
        let target = Target { address: redoubt.address(), password: redoubt.password().into() };
        let admin = (!target_is_redis()).then(|| redoubt.admin());
        rounds.push((theirs, waits(&target, admin, known, begin, again)));
    }
    note(&format!("{name}: µs at Redis and at Redoubt {rounds:?}"));
    let mut ratios = rounds
        .clone()
        .into_iter()
        .map(|(theirs, ours)| ours.saturating_sub(UNNOTICED) as f64 / theirs as f64)
        .collect::<Vec<_>>();
    ratios.sort_unstable_by(f64::total_cmp);
    if !target_is_redis() {
        assert!(ratios[ROUNDS / 2] <= RATIO, "{name}: others wait longer: {rounds:?}");
    }
}

#[test]
fn floods_of_unauthenticated_clients_delay_others_no_longer_than_at_redis() {
    let _turn = turn();
    compare("blank lines", false, b"", b"\n");
    compare("empty requests", false, b"", b"*0\r\n");
    compare("RESET", false, b"", b"RESET\r\n");
}

#[test]
fn floods_of_authenticated_clients_delay_others_no_longer_than_at_redis() {
    let _turn = turn();
    compare("blank lines of clients", true, b"", b"\n");
    compare("refused commands", true, b"CLIENT REPLY OFF\r\n", b"FLUSHALL\r\n");
    compare("local replies", true, b"", b"CLIENT GETNAME\r\n");
}

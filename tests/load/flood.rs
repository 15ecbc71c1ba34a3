//! Floods of connections that never authenticate take little from authenticated clients.
//!
//! Fifty honest clients send requests at a pace that a small machine can serve: one request in 10 ms
//! each, and late requests are made up for. Clients in a closed loop would take both cores, and lose to
//! whatever else runs, above all to the flooder in this process; at a pace, throughput falls only where
//! Redoubt delays requests. Slices without and with the flood alternate in one run, and the median of
//! the ratios of neighbours is compared: a machine busy with something else slows both alike. The
//! margin of a fifth is enough because Redoubt bounds what a flood can do before it is expensive:
//! connections over the limit are closed when they are accepted, and those within it wait and take no
//! CPU time. The flooder is paced too, and does not make up for what it could not do.

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::honest::Honest;
use super::turn;
use socket2::{Domain, SockAddr, Socket, Type};
use support::{Deadline, Redis, Redoubt, Wire, frame, note, now, raise_open_files, since};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Number of pairs of slices, and the length of a slice.
const ROUNDS: usize = 9;
const SLICE: Duration = Duration::from_millis(400);
/// Time between two requests of one honest client.
const PACE: Duration = Duration::from_millis(10);
const FLOOD: usize = 5000;
/// Most bytes by which Redoubt's memory may grow: buffers of unauthenticated clients (16 MiB), 2,000
/// sessions of some KiB, and what the allocator keeps. Without the limits, half-sent requests alone
/// would take 75 MiB.
const GROWTH: u64 = 40 << 20;
/// Share of their throughput that honest clients keep.
const KEPT: f64 = 0.8;

/// Connects from one of many addresses; returns `None` if the connection is refused.
fn connect(number: usize, address: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source = [127, 0, 1, 1 + (number % 200) as u8];
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect_timeout(&SockAddr::from(address), Duration::from_secs(5)).ok()?;
    Some(socket.into())
}

impl Honest {
    /// Returns the requests per second of all clients, for one slice.
    fn slice(&mut self) -> f64 {
        let streams = std::mem::take(&mut self.streams);
        self.runtime.block_on(async {
            let began = now();
            let mut set = tokio::task::JoinSet::new();
            for mut stream in streams {
                set.spawn(async move {
                    let mut done = 0;
                    let mut pace = tokio::time::interval(PACE);
                    while since(began) < SLICE.as_secs_f64() {
                        pace.tick().await;
                        stream.write_all(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n").await.unwrap();
                        let mut reply = [0; 5];
                        stream.read_exact(&mut reply).await.expect("an honest client is served");
                        assert_eq!(&reply, b"$-1\r\n");
                        done += 1;
                    }
                    (stream, done)
                });
            }
            let mut all = 0;
            while let Some(client) = set.join_next().await {
                let (stream, done) = client.unwrap();
                self.streams.push(stream);
                all += done;
            }
            f64::from(all) / since(began)
        })
    }
}

/// Measures what honest clients keep while `flood` runs; `flood` is called with its number for each of
/// the slices with the flood, and the flag tells it to end.
fn measure(name: &str, redoubt: &Redoubt, flood: impl Fn(&AtomicBool) + Sync) {
    let idle = redoubt.rss();
    let mut honest = Honest::start(redoubt.address(), redoubt.password());
    honest.slice();
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let over = AtomicBool::new(false);
            let before = honest.slice();
            let during = std::thread::scope(|scope| {
                scope.spawn(|| flood(&over));
                let during = honest.slice();
                over.store(true, Ordering::Relaxed);
                during
            });
            during / ((before + honest.slice()) / 2.0)
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let (median, grown) = (ratios[ROUNDS / 2], redoubt.peak_rss().saturating_sub(idle));
    note(&format!("{name}: kept {median:.2} of {ratios:.2?}, {} MiB more", grown >> 20));
    assert!(median >= KEPT, "{name}: they kept {median:.2}: {ratios:.2?}");
    assert!(grown < GROWTH, "{name}: {} MiB more", grown >> 20);
}

fn start(redis: &Redis) -> Redoubt {
    raise_open_files();
    Redoubt::setup(redis).set_text("log.level", "warn,redoubt::control=info").start()
}

/// Calls `act` this many times a second, until the flag is set.
fn paced(over: &AtomicBool, per_second: u32, mut act: impl FnMut()) {
    let began = now();
    let mut due = 0.0;
    while !over.load(Ordering::Relaxed) {
        while due < since(began) * f64::from(per_second) && !over.load(Ordering::Relaxed) {
            act();
            due += 1.0;
        }
        due = due.max(since(began) * f64::from(per_second) - 10.0);
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Opens connections during the flood, sends `said` on each, and keeps them open.
fn kept_connections(name: &str, said: &[u8]) {
    let redis = Redis::start();
    let redoubt = start(&redis);
    let idle = redoubt.rss();
    let kept = std::sync::Mutex::new(Vec::new());
    let number = AtomicUsize::new(0);
    let open = || {
        if let Some(mut stream) = connect(number.fetch_add(1, Ordering::Relaxed), redoubt.address())
        {
            // A connection that was rejected is closed already.
            let _ = stream.write_all(said);
            kept.lock().unwrap().push(stream);
        }
    };
    // In the slices with the flood, 5,000 connections are opened in total; they stay open in the other
    // slices too.
    let per_second = (FLOOD as f64 / ROUNDS as f64 / SLICE.as_secs_f64()) as u32;
    measure(name, &redoubt, |over| paced(over, per_second, open));
    while number.load(Ordering::Relaxed) < FLOOD {
        open();
    }
    let mut wire = Wire::connect(redoubt.address());
    assert_eq!(wire.command(&["AUTH", redoubt.password()]), b"+OK\r\n", "{name}: others come in");
    let grown = redoubt.peak_rss().saturating_sub(idle);
    assert!(grown < GROWTH, "{name}: {} MiB more", grown >> 20);
}

#[test]
fn five_thousand_silent_connections_cost_clients_little() {
    let _turn = turn();
    kept_connections("silent", b"");
}

#[test]
fn five_thousand_half_sent_auths_cost_clients_little() {
    let _turn = turn();
    let half = [&b"*2\r\n$4\r\nAUTH\r\n$16384\r\n"[..], &[b'x'; 15 << 10]].concat();
    kept_connections("half sent", &half);
}

#[test]
fn a_client_that_never_reads_costs_other_clients_little() {
    let _turn = turn();
    let redis = Redis::start();
    let redoubt = start(&redis);
    // One client reads nothing before AUTH, and another requests more after AUTH than it may leave
    // unread.
    let unauthenticated = Wire::connect(redoubt.address());
    let mut unread = Wire::authenticated(redoubt.address(), redoubt.password());
    assert_eq!(unread.command(&["SET", "v", &"v".repeat(64 << 10)]), b"+OK\r\n");
    for wire in [&unauthenticated, &unread] {
        wire.stream().set_nonblocking(true).unwrap();
    }
    measure("never reads", &redoubt, |over| {
        paced(over, 200, || {
            let _ = unauthenticated.stream().write(&frame::request(&["RESET"]).repeat(50));
            let _ = unread.stream().write(&frame::request(&["GET", "v"]));
        });
    });
}

#[test]
fn a_storm_of_short_connections_costs_clients_little() {
    let _turn = turn();
    let redis = Redis::start();
    let redoubt = start(&redis);
    let number = AtomicUsize::new(0);
    measure("storm", &redoubt, |over| {
        paced(over, 500, || {
            let stream = connect(number.fetch_add(1, Ordering::Relaxed), redoubt.address());
            if let Some(stream) = stream {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    });
    let gone = Deadline::standard().poll(|| {
        let mut wire = Wire::connect(redoubt.address());
        wire.command(&["AUTH", redoubt.password()]) == b"+OK\r\n"
    });
    assert!(gone, "others come in");
}

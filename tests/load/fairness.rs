//! A session that moves values of 100 MB and a session that never reads its replies delay other
//! sessions little: less than the same two delay the clients of a plain Redis.
//!
//! On a machine with few cores any load makes all clients slower, so an absolute number would prove
//! nothing. Four phases alternate, several times: a plain Redis and Redoubt, each quiet and disturbed
//! by the same two sessions. The ratio of their 99th percentiles is compared.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::{honest, turn};
use support::{Redis, Redoubt, Wire, frame, lines, note, now, since, target_is_redis};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CLIENTS: usize = 50;
const ROUNDS: usize = 5;
/// Requests of each client in one phase, and the interval between them.
const REQUESTS: usize = 100;
const PACE: Duration = Duration::from_millis(5);
/// Bytes of the large value.
const LARGE: usize = 100_000_000;
/// Bytes of the value that is requested and never read, and how many such values wait within the output
/// limit of 32 MiB, or exceed it.
const UNREAD: usize = 8 << 20;
const WAITING: usize = 3;
const CLOSED: usize = 10;
/// Bytes by which Redoubt may grow: the unread values of three sessions, one at its limit, and buffers.
const GROWTH: u64 = 192 << 20;
/// Most microseconds for one reply, including the second for which clients behind a slow reader wait.
const LONGEST: u64 = 5_000_000;

/// The server of a phase.
#[derive(Clone)]
struct Target {
    address: SocketAddr,
    password: String,
}

impl Target {
    fn wire(&self) -> Wire {
        Wire::authenticated(self.address, &self.password)
    }
}

/// Open while the disturbance runs.
#[derive(Default)]
struct Valve {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Shut,
    Open,
    Over,
}

impl Valve {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    /// Waits until it is open; returns false at the end of the test.
    fn pass(&self) -> bool {
        let shut = |state: &mut State| *state == State::Shut;
        *self.changed.wait_while(self.state.lock().unwrap(), shut).unwrap() != State::Over
    }
}

/// Sets and gets a large value again and again, in pieces, as long as the valve is open.
fn move_large_values(target: &Target, valve: &Valve) -> usize {
    let wire = target.wire();
    let mut stream = wire.stream();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let piece = vec![b'v'; 64 << 10];
    let mut buffer = vec![0; 64 << 10];
    let mut moved = 0;
    loop {
        stream
            .write_all(format!("*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n${LARGE}\r\n").as_bytes())
            .unwrap();
        let mut left = LARGE;
        while left > 0 {
            if !valve.pass() {
                return moved;
            }
            let sent = stream.write(&piece[..left.min(piece.len())]).unwrap();
            left -= sent;
            moved += sent;
        }
        stream.write_all(&[b"\r\n", &frame::request(&["GET", "large"])[..]].concat()).unwrap();
        let mut due = b"+OK\r\n$100000000\r\n".len() + LARGE + 2;
        while due > 0 {
            if !valve.pass() {
                return moved;
            }
            let most = due.min(buffer.len());
            match stream.read(&mut buffer[..most]) {
                Ok(got @ 1..) => {
                    due -= got;
                    moved += got;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => panic!("closed: {other:?}"),
            }
        }
    }
}

/// One client: sends requests at its pace, and returns how many microseconds each reply took.
async fn measure(mut stream: TcpStream, number: usize) -> (TcpStream, Vec<u64>) {
    let value = format!("{number:020}");
    let request = frame::request(&["ECHO", &value]);
    let wanted = frame::bulk(value.as_bytes());
    let mut got = vec![0; wanted.len()];
    let mut took = Vec::with_capacity(REQUESTS);
    // The clients start at different times.
    tokio::time::sleep(PACE * number as u32 / CLIENTS as u32).await;
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for _ in 0..REQUESTS {
        pace.tick().await;
        let asked = now();
        stream.write_all(&request).await.unwrap();
        stream.read_exact(&mut got).await.unwrap();
        took.push((since(asked) * 1e6) as u64);
        assert_eq!(got, wanted);
    }
    (stream, took)
}

/// The clients of one server and what disturbs them.
struct Side {
    target: Target,
    streams: Vec<TcpStream>,
    valve: Arc<Valve>,
    mover: std::thread::JoinHandle<usize>,
    never_read: Vec<Wire>,
    quiet: Vec<u64>,
    noisy: Vec<u64>,
    longest: u64,
}

impl Side {
    async fn start(target: Target) -> Self {
        let mut streams = Vec::new();
        for _ in 0..CLIENTS {
            streams.push(honest::connect(target.address, &target.password).await);
        }
        let valve = Arc::new(Valve::default());
        let mover = std::thread::spawn({
            let (target, valve) = (target.clone(), Arc::clone(&valve));
            move || move_large_values(&target, &valve)
        });
        Self {
            target,
            streams,
            valve,
            mover,
            never_read: Vec::new(),
            quiet: Vec::new(),
            noisy: Vec::new(),
            longest: 0,
        }
    }

    /// One more session requests `values` values and reads nothing.
    fn stop_reading(&mut self, values: usize) {
        let wire = self.target.wire();
        wire.stream().write_all(&frame::request(&["GET", "unread"]).repeat(values)).unwrap();
        self.never_read.push(wire);
    }

    /// All clients send requests, and all their replies are checked.
    async fn phase(&mut self, kind: Phase) {
        if kind == Phase::Noisy {
            self.valve.set(State::Open);
        }
        let mut set = tokio::task::JoinSet::new();
        for (number, stream) in self.streams.drain(..).enumerate() {
            set.spawn(measure(stream, number));
        }
        let mut all = Vec::new();
        while let Some(done) = set.join_next().await {
            let (stream, took) = done.expect("its own replies");
            self.streams.push(stream);
            all.extend(took);
        }
        self.valve.set(State::Shut);
        all.sort_unstable();
        let p99 = all[all.len() * 99 / 100];
        self.longest = self.longest.max(all[all.len() - 1]);
        match kind {
            Phase::Quiet => self.quiet.push(p99),
            Phase::Noisy => self.noisy.push(p99),
            Phase::JustStopped => {}
        }
    }
}

/// The purpose of a phase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Quiet,
    /// A session has just stopped reading: the sessions behind it wait for a second, once.
    JustStopped,
    Noisy,
}

#[test]
fn large_values_and_a_slow_reader_hardly_delay_small_clients() {
    let _turn = turn();
    let direct = Redis::start();
    let upstream = Redis::start();
    let redoubt = Redoubt::start(&upstream);
    let targets = [
        Target { address: direct.address(), password: direct.password().into() },
        Target { address: redoubt.address(), password: redoubt.password().into() },
    ];
    for target in &targets {
        let unread = vec![b'u'; UNREAD];
        assert_eq!(target.wire().command(&[&b"SET"[..], b"unread", &unread]), b"+OK\r\n");
    }
    let idle = redoubt.rss();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let [bare, mut guarded] = runtime.block_on(async {
        let [bare, guarded] = targets;
        let mut sides = [Side::start(bare).await, Side::start(guarded).await];
        for round in 0..ROUNDS {
            let [bare, guarded] = &mut sides;
            bare.phase(Phase::Quiet).await;
            guarded.phase(Phase::Quiet).await;
            let values = if round % 2 == 0 { WAITING } else { CLOSED };
            bare.stop_reading(values);
            guarded.stop_reading(values);
            guarded.phase(Phase::JustStopped).await;
            bare.phase(Phase::Noisy).await;
            guarded.phase(Phase::Noisy).await;
        }
        sides
    });
    let mut ratios: Vec<f64> = guarded
        .noisy
        .iter()
        .zip(&bare.noisy)
        .map(|(ours, theirs)| *ours as f64 / *theirs as f64)
        .collect();
    for (name, side) in [("a bare Redis", &bare), ("Redoubt", &guarded)] {
        let (quiet, noisy, longest) = (&side.quiet, &side.noisy, side.longest);
        note(&format!("{name}, µs: quiet {quiet:?}, disturbed {noisy:?}, longest {longest}"));
    }
    if target_is_redis() {
        return;
    }
    // Rounds in which the machine was busy with something else are left out, whichever server they
    // favour.
    ratios.sort_unstable_by(f64::total_cmp);
    assert!(ratios[1] < 2.0, "twice as long as with a bare Redis: {ratios:?}");
    assert!(guarded.longest < LONGEST, "{} µs for one reply", guarded.longest);
    let grown = redoubt.peak_rss().saturating_sub(idle);
    assert!(grown < GROWTH, "{} MiB above idle", grown >> 20);
    let closed = |line: &String| lines::field(line, "reason") == Some("output_limit");
    assert_eq!(redoubt.log().all().iter().filter(|line| closed(line)).count(), ROUNDS / 2);
    // Sessions whose replies fit within the limit have lost nothing.
    let unread = frame::bulk(&vec![b'u'; UNREAD]).repeat(WAITING);
    for wire in guarded.never_read.iter_mut().step_by(2) {
        wire.expect(&unread);
    }
    for side in [bare, guarded] {
        side.valve.set(State::Over);
        assert!(side.mover.join().unwrap() > LARGE, "it moved less than one value");
    }
}

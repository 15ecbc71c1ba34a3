//! What the tests share: a real redis-server, a Redoubt in front of it, raw sockets, and a router
//! without sockets.
//!
//! With `cargo test --features redis-stands-in` a second plain Redis with the same setup takes the
//! place of Redoubt. This shows if a test expects Redis's own behaviour; tests about features that
//! Redis lacks (Redoubt's log, its upstream) are ignored then.
//!
//! With `REDOUBT_TEST_TLS=1` Redoubt uses TLS, and a bridge forwards the plain connections of tests to
//! it. The few tests about a client's address, or about bytes before a handshake, fail then.
//!
//! With `REDOUBT_TEST_UNIX=1` Redoubt connects to each server over a Unix socket; tests themselves still connect to
//! the server's port.
#![allow(missing_docs, reason = "only tests use this crate, and most names need no documentation")]
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]
#![allow(
    clippy::new_without_default,
    clippy::should_implement_trait,
    reason = "the functions are for the fuzz targets only"
)]

pub mod bench;
pub mod bridge;
pub mod certificates;
pub mod differences;
pub mod forwarder;
pub mod frame;
pub mod health;
pub mod http;
pub mod keepalive;
pub mod lines;
pub mod pages;
pub mod programs;
pub mod redis;
pub mod redoubt;
pub mod rng;
pub mod scrape;
pub mod servers;
pub mod tls;
pub mod unix_redis;
pub mod wire;

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use lines::Lines;
pub use redis::Redis;
pub use redoubt::Redoubt;
pub use wire::Wire;

/// The longest that a test waits for an event; only a failing test waits so long.
pub const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Returns the directory of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the root of the workspace")
}

/// Returns the program under test, which Cargo puts into the directory above that of its tests.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test program");
    let program = test.ancestors().nth(2).expect("the folder of the build").join("redoubt");
    assert!(program.exists(), "{} is missing: cargo build --bin redoubt", program.display());
    program
}

/// Returns true if a plain Redis stands in for Redoubt.
pub fn target_is_redis() -> bool {
    cfg!(feature = "redis-stands-in")
}

/// Returns true if tests use Redoubt over TLS.
pub fn is_bridged() -> bool {
    std::env::var_os("REDOUBT_TEST_TLS").is_some_and(|value| value == "1")
}

/// Returns true if Redoubt connects to servers over Unix sockets.
pub fn is_over_unix() -> bool {
    std::env::var_os("REDOUBT_TEST_UNIX").is_some_and(|value| value == "1")
}

/// Returns `count` random bytes from the system.
pub fn random(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes
}

/// Returns a new password: 256 bits as 64 hexadecimal digits.
pub fn secret() -> String {
    random(32).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A point in time at which waiting ends.
#[derive(Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// Returns the deadline that is [`TIME_LIMIT`] from now.
    pub fn standard() -> Self {
        Self::after(TIME_LIMIT)
    }

    pub fn after(wait: Duration) -> Self {
        Self(Instant::now() + wait)
    }

    /// Returns the remaining time; `None` if it has passed.
    pub fn left(self) -> Option<Duration> {
        let left = self.0.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Calls `check` until it is true, with a short pause between; returns false when the time is over.
    /// It is for state that can only be polled, such as a file in /proc.
    pub fn poll(self, mut check: impl FnMut() -> bool) -> bool {
        loop {
            if check() {
                return true;
            }
            if self.left().is_none() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Returns the seconds since `from`, to check that something came soon or late.
pub fn since(from: Instant) -> f64 {
    from.elapsed().as_secs_f64()
}

/// Returns the present instant, for [`since`].
pub fn now() -> Instant {
    Instant::now()
}

/// Returns bytes in a form that a person can read and compare.
pub fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 1500;
    if bytes.len() <= MOST {
        return bytes.escape_ascii().to_string();
    }
    let (head, tail) = (&bytes[..MOST / 2], &bytes[bytes.len() - MOST / 2..]);
    let between = bytes.len() - MOST;
    format!("{} … {between} bytes … {}", head.escape_ascii(), tail.escape_ascii())
}

/// Writes to the test's output, which cargo shows when the test fails.
#[allow(clippy::print_stderr, reason = "tests print notes for failure reports")]
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// Sends a signal such as `TERM`.
pub fn signal(pid: u32, name: &str) {
    let status = std::process::Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status()
        .expect("run sh");
    assert!(status.success(), "cannot send {name} to {pid}");
}

/// Returns a field of /proc/PID/status that is counted in kB, in bytes: `VmRSS`, `VmHWM`.
pub fn memory(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a living process");
    let line = status.lines().find(|line| line.starts_with(field)).expect("the field");
    let kilobytes = line.split_ascii_whitespace().nth(1).expect("a number");
    kilobytes.parse::<u64>().expect("a number") * 1024
}

/// Raises the limit of open files of this process, and of those that it starts from now on, to
/// thousands.
pub fn raise_open_files() {
    raise_open_files_to(8192);
}

/// Raises the limit of open files of this process, and of those that it starts from now on, to
/// `wanted`.
pub fn raise_open_files_to(wanted: u64) {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("the limit");
    let soft = line.split_ascii_whitespace().nth(3).expect("a number");
    if soft.parse::<u64>().is_ok_and(|soft| soft < wanted) {
        let pid = std::process::id();
        let raised = std::process::Command::new("prlimit")
            .args(["--pid", &pid.to_string(), &format!("--nofile={wanted}:")])
            .status()
            .expect("prlimit is missing: apt-get install -y util-linux");
        assert!(raised.success(), "this test needs {wanted} open files: ulimit -n {wanted}");
    }
}

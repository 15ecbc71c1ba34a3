//! Clients that run scripts all the time, so that a script that runs after a reload is noticed.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::text;
use support::frame::request;
use support::{Deadline, Redis, Redoubt, Wire};

/// A script that appends to `log`, which the policy allows or refuses.
pub(super) const SCRIPT: [&str; 3] = ["EVAL", "return redis.call('APPEND', 'log', 'x')", "0"];
/// Number of clients that run it all the time.
const CLIENTS: usize = 6;
/// Scripts that each client has in flight.
const BATCH: usize = 50;

/// Counters of the clients' results.
#[derive(Default)]
struct Results {
    done: AtomicBool,
    ran: AtomicU64,
    refused: AtomicU64,
    closed: AtomicU64,
}

/// Runs scripts until the test ends, with a new connection when the old one is closed.
fn pump(address: SocketAddr, password: &str, seen: &Results) {
    let mut open = None;
    let batch = request(&SCRIPT).repeat(BATCH);
    while !seen.done.load(Ordering::Relaxed) {
        let stream = open.get_or_insert_with(|| {
            let wire = Wire::authenticated(address, password);
            let stream = wire.stream().try_clone().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream
        });
        if exchange(stream, &batch, seen).is_err() {
            seen.closed.fetch_add(1, Ordering::Relaxed);
            open = None;
        }
    }
}

fn exchange(stream: &mut TcpStream, batch: &[u8], seen: &Results) -> std::io::Result<()> {
    stream.write_all(batch)?;
    let (mut buffer, mut answers) = ([0; 4096], 0);
    let mut is_start = true;
    while answers < BATCH {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        for byte in &buffer[..len] {
            match byte {
                b':' if is_start => drop(seen.ran.fetch_add(1, Ordering::Relaxed)),
                b'-' if is_start => drop(seen.refused.fetch_add(1, Ordering::Relaxed)),
                b'\n' => answers += 1,
                _ => {}
            }
            is_start = *byte == b'\n';
        }
    }
    Ok(())
}

pub(super) fn log_length(redis: &Redis) -> Vec<u8> {
    redis.direct().command(&["STRLEN", "log"])
}

/// Waits until `count` has grown by `more`.
fn grows(count: &AtomicU64, more: u64) {
    let wanted = count.load(Ordering::Relaxed) + more;
    let enough = Deadline::standard().poll(|| count.load(Ordering::Relaxed) >= wanted);
    assert!(enough, "the clients came to a stop");
}

/// Runs `reload` while clients run scripts in a loop, and checks that no script ran after it. Returns
/// how often a connection was closed.
pub(super) fn while_scripts_run(
    redis: &Redis,
    redoubt: &mut Redoubt,
    reload: impl Fn(&mut Redoubt),
) -> u64 {
    let (seen, address, password) =
        (Results::default(), redoubt.address(), redoubt.password().to_owned());
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| pump(address, &password, &seen));
        }
        // The clients end even if a check fails.
        let _done = Done(&seen.done);
        grows(&seen.ran, 500);
        reload(redoubt);
        let at_the_answer = log_length(redis);
        grows(&seen.refused, 1000);
        assert_eq!(text(&log_length(redis)), text(&at_the_answer), "a script ran after the answer");
    });
    seen.closed.load(Ordering::Relaxed)
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

//! TLS with clients and with Redis, and Unix sockets.

mod audit;
mod clients;
mod mutual;
mod page;
mod reload;
mod unix;
mod upstream;

use std::path::Path;

use support::certificates::{Authority, Pair};
use support::redoubt::Setup;
use support::{Deadline, Redis, Redoubt, lines};

/// Returns the setup of a Redoubt that uses TLS for its clients, with a certificate.
fn speaking(redis: &Redis, pair: &Pair) -> Setup {
    Redoubt::setup(redis)
        .set_text("listen", "tls://127.0.0.1:0")
        .set_text("tls.certificate", path(&pair.certificate))
        .set_text("tls.key", path(&pair.key))
}

/// Starts a Redis and a Redoubt that uses TLS for its clients; returns them with the authority that has
/// signed the certificate.
fn plainly() -> (Authority, Redis, Redoubt) {
    let (authority, redis) = (Authority::new(), Redis::start());
    let redoubt = speaking(&redis, &authority.server("server")).start();
    (authority, redis, redoubt)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[track_caller]
fn wait_for_blocked(redis: &Redis, count: usize) {
    let wanted = format!("\r\nblocked_clients:{count}\r\n");
    let come = Deadline::standard().poll(|| {
        let clients = redis.direct().command(&["INFO", "clients"]);
        String::from_utf8_lossy(&clients).contains(&wanted)
    });
    assert!(come, "never {count} blocked clients");
}

/// Waits for a log line with this message and all of these parts.
#[track_caller]
fn logged(redoubt: &Redoubt, message: &str, parts: &[&str]) -> String {
    let line = redoubt.log().wait(|line| {
        lines::field(line, "message") == Some(message)
            && parts.iter().all(|part| line.contains(part))
    });
    line.unwrap_or_else(|| panic!("no {message} {parts:?}"))
}

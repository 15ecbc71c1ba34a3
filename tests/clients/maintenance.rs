//! Libraries that ask for maintenance notifications move to another Redoubt before theirs ends.

use std::net::SocketAddr;
use std::process::Command;

use support::forwarder::Forwarder;
use support::{Redis, Redoubt, lines, signal};

use super::{end, node, python, start};

/// Stops the Redoubt that a program is connected to, while another one takes its new connections.
///
/// The program sends requests all the time, from "ready", which it prints once it has all its connections, until
/// its input ends; it fails if there is any error. Its library has no attempt but the first for each request.
/// When the first Redoubt ends, all connections to it must have been closed by the library.
#[track_caller]
fn moves_without_an_error(mut program: Command, connections: usize) {
    let redis = Redis::start();
    let mut old = Redoubt::setup(&redis).set_text("drain_delay", "6s").start();
    let new = Redoubt::setup(&redis).client_password(old.password()).start();
    for redoubt in [&old, &new] {
        redoubt.wait_until_it_serves();
    }
    let balancer = Forwarder::new(old.address());
    let at = SocketAddr::from(([127, 0, 0, 1], balancer.port()));
    program.arg(format!("redis://:{}@{at}/", old.password()));
    let (client, stdin, output) = start(&mut program);
    let is_ready = output.wait(|line| line == "ready").is_some();
    assert!(is_ready, "it is not ready: {}", output.all().join("\n"));

    balancer.lead_to(new.address());
    let before = closed(&old).len();
    signal(old.pid(), "TERM");
    assert_eq!(old.wait().code(), Some(0));
    drop(stdin);
    let said = end(client, &output).join("\n");
    assert!(said.ends_with("all is well"), "{said}");
    let mut reasons = closed(&old).split_off(before);
    // The sessions that have found out whether it serves.
    reasons.retain(|reason| reason != "quit");
    // A library may open one more connection for a moment.
    assert!(reasons.len() >= connections, "{reasons:?}");
    assert!(reasons.iter().all(|reason| reason == "client_closed"), "{reasons:?}\n{said}");
    let notified = |line: &str| line.contains("are to reconnect");
    assert!(old.log().all().iter().any(|line| notified(line)), "nobody was notified");
}

/// Returns why sessions have ended.
fn closed(redoubt: &Redoubt) -> Vec<String> {
    let log = redoubt.log().all();
    let ended = log.iter().filter(|line| line.contains("\"message\":\"session closed\""));
    ended.filter_map(|line| lines::field(line, "reason").map(str::to_owned)).collect()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redis_py_moves_before_its_connections_end() {
    moves_without_an_error(python("maintenance_redis_py.py"), 3);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn node_redis_moves_before_its_connection_ends() {
    moves_without_an_error(node("maintenance_node_redis.cjs"), 1);
}

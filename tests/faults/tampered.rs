//! The upstream sends replies that Redis never sends. A real Redis runs behind a relay that replaces
//! one reply.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{Redis, Redoubt, secret};

/// A client sends this by ECHO so that the relay replaces the reply.
const MARK: &[u8] = b"swap this reply";

/// The bytes to replace, their replacement, and how often.
struct Swap {
    mark: &'static [u8],
    instead: &'static [u8],
    left: AtomicUsize,
}

impl Swap {
    fn takes(&self, bytes: &[u8]) -> bool {
        let less = |left: usize| left.checked_sub(1);
        bytes.windows(self.mark.len()).any(|window| window == self.mark)
            && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Relays each connection to `redis`, replaces bytes from Redis, and then closes the connection.
fn relay(redis: SocketAddr, mark: &'static [u8], instead: &'static [u8], most: usize) -> u16 {
    let swap = Arc::new(Swap { mark, instead, left: AtomicUsize::new(most) });
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let Ok(server) = TcpStream::connect(redis) else { continue };
            let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let swap = Arc::clone(&swap);
            std::thread::spawn(move || pass(client, forth, None));
            std::thread::spawn(move || pass(server, back, Some(&swap)));
        }
    });
    port
}

fn pass(mut from: TcpStream, mut to: TcpStream, swap: Option<&Swap>) {
    let mut buffer = [0; 64 << 10];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..len];
        if let Some(swap) = swap.filter(|swap| swap.takes(bytes)) {
            drop(to.write_all(swap.instead));
            break;
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}

/// Checks that a client that gets `instead` is closed after at most `shown`, and that others continue.
fn assert_only_one_session_closes(instead: &'static [u8], shown: &[u8]) {
    let redis = Redis::start();
    let port = relay(redis.address(), MARK, instead, usize::MAX);
    let redoubt = Redoubt::setup_for(port, redis.password()).start();
    redoubt.wait_until_it_serves();
    let mut bystander = redoubt.session();
    assert_eq!(bystander.command(&["SET", "k", "v"]), b"+OK\r\n");
    let mut victim = redoubt.session();
    victim.send(b"*2\r\n$4\r\nECHO\r\n$15\r\nswap this reply\r\n");
    let got = victim.read_to_close();
    assert!(shown.starts_with(&got), "{}", support::shown(&got));
    redoubt.wait_for_metric(crate::LOST, 1.0);
    redoubt.wait_until_ready();
    redoubt.wait_until_it_serves();
    assert_eq!(bystander.command(&["GET", "k"]), b"$1\r\nv\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn garbage_from_the_upstream_closes_only_its_session() {
    assert_only_one_session_closes(b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b"");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn half_a_reply_from_the_upstream_closes_only_its_session() {
    assert_only_one_session_closes(b"$15\r\nswap", b"$15\r\nswap");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_close_instead_of_a_reply_closes_only_its_session() {
    assert_only_one_session_closes(b"", b"");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn an_upstream_that_is_not_redis_is_reported_differently_from_one_that_is_down() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
            // It reads until the other side closes, so that sent bytes are not lost by a reset.
            while let Ok(1..) = stream.read(&mut [0; 1024]) {}
        }
    });
    let redoubt = Redoubt::setup_for(port, &secret()).start();
    crate::says(&redoubt, "does not speak the Redis protocol");
    crate::assert_closed_unserved(&redoubt);
    redoubt.wait_until_unready();
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn one_malformed_reply_does_not_stop_a_proxy_that_requires_a_guard() {
    let redis = Redis::start();
    // These are the replies to ACL WHOAMI and ACL LIST.
    let port = relay(redis.address(), b"user default on", b"$7\r\ndefault\r\n:1\r\n", 1);
    let setup = Redoubt::setup_for(port, redis.password());
    let redoubt = setup.set_text("policy.guard", "require").start();
    let line = crate::says(&redoubt, "upstream is unavailable");
    assert!(line.contains("ACL LIST: the answer makes no sense"), "{line}");
    redoubt.wait_until_it_serves();
    redoubt.wait_until_ready();
}

//! Ten thousand unauthenticated clients, each of which makes Redoubt buffer as much as it can, take no
//! more memory than they may: `limits.unauthenticated_memory` together, and the memory of each session
//! itself.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use support::{Redis, Redoubt, TIME_LIMIT, Wire, note, raise_open_files_to};

const STRANGERS: usize = 10_000;
/// The default of `limits.unauthenticated_memory`.
const MEMORY: u64 = 16 << 20;
/// Bytes that each session takes in addition: its own state, and that of its task and socket.
const EACH: u64 = 4 << 10;

fn connect(number: usize, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source = [127, 0, 1, 1 + (number % 200) as u8];
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect_timeout(&SockAddr::from(address), TIME_LIMIT).expect("connect");
    let stream = TcpStream::from(socket);
    // A client that Redoubt does not read must not block this test.
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    stream
}

/// Opens connections; each sends `said`, reads nothing and stays as long as it may.
fn hold(name: &str, said: impl Fn(usize) -> Vec<u8>) {
    let _turn = super::turn();
    raise_open_files_to(STRANGERS as u64 + 1000);
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis)
        .set_text("log.level", "error,redoubt::control=info")
        .set("limits.max_sessions", STRANGERS * 3)
        .set("limits.unauthenticated_sessions", STRANGERS * 2)
        .set_text("limits.auth_timeout", "10m")
        .start();
    redoubt.wait_until_ready();
    // Memory that any use of Redoubt takes does not count.
    for _ in 0..10 {
        drop(redoubt.session());
    }
    let idle = redoubt.rss();
    let mut unauthenticated = Vec::new();
    for number in 0..STRANGERS {
        let mut stream = connect(number, redoubt.address());
        // A client that holds too much is closed.
        let _ = stream.write_all(&said(number));
        unauthenticated.push(stream);
    }
    // A client that came later has been answered, so the bytes of the others have been handled.
    let mut honest = Wire::authenticated(redoubt.address(), redoubt.password());
    redoubt.wait_for_metric("redoubt_sessions_opened_total", (STRANGERS + 11) as f64);
    assert_eq!(honest.command(&["PING"]), b"+PONG\r\n");
    let held = redoubt.metric("redoubt_unauthenticated_memory_bytes");
    let sessions = redoubt.metric("redoubt_sessions");
    let grown = redoubt.peak_rss().saturating_sub(idle);
    note(&format!("{name}: {sessions} stay and hold {held} bytes; {} KiB more", grown >> 10));
    assert!(held as u64 <= MEMORY + STRANGERS as u64 * 1024, "{name}: {held} bytes are held");
    let most = MEMORY + STRANGERS as u64 * EACH;
    assert!(grown <= most, "{name}: {} KiB of {}", grown >> 10, most >> 10);
}

#[test]
fn memory_is_bounded_for_silent_unauthenticated_clients() {
    hold("silent", |_| Vec::new());
}

#[test]
fn memory_is_bounded_for_unauthenticated_lines_of_many_words() {
    hold("many words", |_| [b"a ".repeat(32_000), b"\n".to_vec()].concat());
}

#[test]
fn memory_is_bounded_for_unauthenticated_lines_without_an_end() {
    hold("a long line", |_| b"a ".repeat(31_000));
}

#[test]
fn memory_is_bounded_for_half_sent_auths() {
    let half = [&b"*2\r\n$4\r\nAUTH\r\n$16384\r\n"[..], &[b'x'; 15 << 10]].concat();
    hold("half an AUTH", |_| half.clone());
}

#[test]
fn memory_is_bounded_for_unread_errors_and_long_user_names() {
    let argument = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let name = "n".repeat(16_000);
    let hello = |words: &[&str]| {
        let words: String = words.iter().map(|word| argument(word)).collect();
        format!("*{}\r\n{words}", words.matches('$').count())
    };
    let named = hello(&["HELLO", "3", "SETNAME", &name]);
    let refused = hello(&["HELLO", "3", &name]).repeat(8);
    hold("names and errors", |_| [named.as_bytes(), refused.as_bytes()].concat());
}

#[test]
fn memory_is_bounded_when_each_unauthenticated_client_uses_its_full_share() {
    // Together they hold just as much as they may, so that all of them stay.
    let half = [&b"*2\r\n$4\r\nAUTH\r\n$16384\r\n"[..], &[b'x'; 1400]].concat();
    hold("within the limit", |_| half.clone());
}

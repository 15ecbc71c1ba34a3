//! Large values stream through, and a slow reader costs no memory.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use support::{Redis, Redoubt, frame, lines, target_is_redis};

const MIB: usize = 1 << 20;
/// Most bytes by which Redoubt may grow above idle, whatever the size of a value.
const GROWTH: u64 = 64 << 20;

/// A Redoubt whose memory is measured.
struct Watched {
    redoubt: Redoubt,
    idle: u64,
}

impl Watched {
    /// Measures the idle memory after the first session has ended.
    fn start(redis: &Redis) -> Self {
        Self::start_sharing(redis, "auto")
    }

    fn start_sharing(redis: &Redis, sharing: &str) -> Self {
        let redoubt = Redoubt::setup(redis).set_text("upstream.sharing", sharing).start();
        let mut session = redoubt.session();
        assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
        drop(session);
        let idle = redoubt.rss();
        Self { redoubt, idle }
    }

    #[track_caller]
    fn check(&self, what: &str) {
        // Redis itself keeps the values, so its memory would grow.
        if !target_is_redis() {
            let grown = self.redoubt.peak_rss().saturating_sub(self.idle);
            assert!(grown < GROWTH, "{what}: {} MiB above idle", grown >> 20);
        }
    }
}

/// Returns the `index`th mebibyte of a value; no two are equal, or equal after a shift.
fn block(index: usize) -> Vec<u8> {
    let mut state = index as u64 + 1;
    let mut out = Vec::with_capacity(MIB);
    while out.len() < MIB {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        out.extend_from_slice(&(state >> 16).to_le_bytes());
    }
    out
}

fn expect(mut stream: &TcpStream, wanted: &[u8], what: &str) {
    let mut got = vec![0; wanted.len()];
    stream.read_exact(&mut got).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(got == wanted, "{what} differs");
}

/// Sets `key` to a value of this many blocks and reads it back, block by block.
fn round_trip(watched: &Watched, key: &str, blocks: usize) {
    let session = watched.redoubt.session();
    let mut stream = session.stream();
    let length = blocks * MIB;
    let head = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${length}\r\n", key.len());
    stream.write_all(head.as_bytes()).unwrap();
    for index in 0..blocks {
        stream.write_all(&block(index)).expect("send a block");
        if index % 64 == 0 {
            watched.check("while a value goes up");
        }
    }
    // The next command follows the value in the same pipeline.
    let next = [b"\r\n".to_vec(), frame::request(&["GET", key]), frame::request(&["PING"])];
    stream.write_all(&next.concat()).unwrap();
    expect(stream, b"+OK\r\n", "the reply to SET");
    watched.check("after SET");

    expect(stream, format!("${length}\r\n").as_bytes(), "the length");
    for index in 0..blocks {
        expect(stream, &block(index), "a block");
        if index % 64 == 0 {
            watched.check("while a value comes down");
        }
    }
    expect(stream, b"\r\n+PONG\r\n", "the end and the next reply");
    watched.check("after GET");
}

#[test]
fn a_value_of_512_mib_streams_through() {
    let redis = Redis::start();
    let watched = Watched::start(&redis);
    round_trip(&watched, "huge", 512);
}

#[test]
fn values_of_32_mib_of_several_sessions_stream_through() {
    let redis = Redis::start();
    let watched = Watched::start(&redis);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let watched = &watched;
            scope.spawn(move || round_trip(watched, &format!("large:{number}"), 32));
        }
    });
}

#[test]
fn a_large_refused_command_is_discarded() {
    let redis = Redis::start();
    let watched = Watched::start(&redis);
    let session = watched.redoubt.session();
    let mut stream = session.stream();
    let length = 256 * MIB;
    stream
        .write_all(format!("*3\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n${length}\r\n").as_bytes())
        .unwrap();
    for _ in 0..256 {
        stream.write_all(&[b'x'; MIB]).expect("send a block");
    }
    stream.write_all(&[b"\r\n".to_vec(), frame::request(&["PING"])].concat()).unwrap();
    // Redis shows 128 bytes of all arguments together: 'SET', a space, and the rest of 128.
    let shown = "x".repeat(128 - "'SET' ".len());
    let wanted = format!(
        "-ERR unknown command 'CONFIG', with args beginning with: 'SET' '{shown}' \r\n+PONG\r\n"
    );
    expect(stream, wanted.as_bytes(), "the refusal");
    watched.check("after a large refused command");
}

#[test]
fn a_slow_reader_on_a_lease_gets_everything() {
    let redis = Redis::start();
    let watched = Watched::start_sharing(&redis, "off");
    let got = read_slowly(&watched);
    assert!(got.is_ok(), "closed after {got:?} bytes");
}

/// On a shared link other sessions would have to wait for it, so it may be closed, but only for that
/// reason, and the bytes that it got until then must be right.
#[test]
fn a_slow_reader_on_a_shared_link_is_served_or_closed() {
    let redis = Redis::start();
    let watched = Watched::start_sharing(&redis, "auto");
    if let Err(bytes) = read_slowly(&watched) {
        let given_up = |line: &str| lines::field(line, "reason") == Some("output_limit");
        assert!(watched.redoubt.log().wait(given_up).is_some(), "closed after {bytes} bytes");
    }
}

/// Requests far more than it reads, while another session works, then reads to the end. An error is the
/// number of bytes at which it was closed.
fn read_slowly(watched: &Watched) -> Result<(), usize> {
    const VALUES: usize = 8;
    const BLOCKS: usize = 32;
    round_trip(watched, "large", BLOCKS);

    let slow = watched.redoubt.session();
    let mut stream = slow.stream();
    stream.write_all(&frame::request(&["GET", "large"]).repeat(VALUES)).unwrap();
    // It reads the beginning, which shows that the replies are arriving, and then nothing.
    let head = format!("${}\r\n", BLOCKS * MIB);
    expect(stream, head.as_bytes(), "the first length");
    let mut other = watched.redoubt.session();
    for number in 0..2000 {
        let text = number.to_string();
        assert_eq!(other.command(&["ECHO", &text]), frame::bulk(text.as_bytes()));
    }
    watched.check("while a reader is slow");

    let mut taken = head.len();
    for value in 0..VALUES {
        if value > 0 {
            take(stream, head.as_bytes(), &mut taken)?;
        }
        for index in 0..BLOCKS {
            take(stream, &block(index), &mut taken)?;
        }
        take(stream, b"\r\n", &mut taken)?;
    }
    watched.check("after a slow reader");
    Ok(())
}

/// Reads as many bytes as `wanted` has, or as arrive before the close, and compares them.
fn take(stream: &TcpStream, wanted: &[u8], taken: &mut usize) -> Result<(), usize> {
    let mut got = Vec::with_capacity(wanted.len());
    let length = wanted.len() as u64;
    let read = stream.take(length).read_to_end(&mut got);
    assert!(wanted.starts_with(&got), "a reply differs after {taken} bytes");
    *taken += got.len();
    let whole = got.len() == wanted.len();
    if let Err(error) = read {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "after {taken} bytes");
    }
    if whole { Ok(()) } else { Err(*taken) }
}

#[test]
fn a_client_that_never_reads_costs_no_memory() {
    let redis = Redis::start();
    let watched = Watched::start(&redis);
    let mut session = watched.redoubt.session();
    assert_eq!(session.command(&["SET", "k", &"v".repeat(10_000)]), b"+OK\r\n");
    for request in [["GET", "k"], ["CONFIG", &"a".repeat(100)], ["AUTH", "wrong"]] {
        let writer = watched.redoubt.session();
        let mut stream = writer.stream();
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let requests = frame::request(&request).repeat(1000);
        // At most 100,000 requests are sent, with a gigabyte of replies; Redoubt stops reading before.
        let taken = (0..100).take_while(|_| stream.write_all(&requests).is_ok()).count();
        watched.check(&format!("a thousand times {taken} unread replies to {}", request[0]));
        assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    }
}

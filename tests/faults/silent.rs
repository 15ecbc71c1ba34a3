//! Redis's host vanishes: packets to it get no answer, not even a rejection. The host is a network
//! namespace of the test's own, in which Redoubt runs too; clients reach Redoubt by a Unix socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::{FAILED, says};
use support::{Deadline, Lines, Redis, Redoubt, TIME_LIMIT, frame, secret, signal};

/// The port of Redis in the namespace.
const PORT: u16 = 6379;
const PONG: &[u8] = b"+PONG\r\n";

/// A network namespace with a Redis in it, both of which end on drop.
struct Host {
    namespace: Child,
    redis: Child,
    dir: TempDir,
    password: String,
}

impl Host {
    fn start() -> Self {
        let setup = "ip link set lo up; nft add table inet t; \
                     nft 'add chain inet t i { type filter hook input priority 0; }'; \
                     echo ready; read end";
        let mut namespace = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "sh", "-ec", setup])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is missing: apt-get install -y util-linux");
        let mut line = String::new();
        let said = namespace.stdout.take().expect("standard output is piped");
        BufReader::new(said).read_line(&mut line).expect("read");
        assert_eq!(
            line, "ready\n",
            "this machine gives no user and network namespaces, or lacks ip and nft \
             (scripts/prerequisites.sh test installs them)"
        );
        let (dir, password) = (tempfile::tempdir().unwrap(), secret());
        let words = Self::into(namespace.id());
        let mut redis = Command::new(&words[0])
            .args(&words[1..])
            .args(["redis-server", "--port", &PORT.to_string(), "--save", ""])
            .args(["--requirepass", &password, "--dir", &dir.path().display().to_string()])
            .args(["--unixsocket", &dir.path().join("redis.sock").display().to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter is missing: apt-get install -y util-linux");
        let log = Lines::of(&mut redis);
        assert!(log.wait(|line| line.contains("Ready to accept")).is_some(), "{:?}", log.all());
        Self { namespace, redis, dir, password }
    }

    /// Returns the prefix that runs a program in the namespace.
    fn into(namespace: u32) -> Vec<String> {
        let target = namespace.to_string();
        ["nsenter", "--target", &target, "--user", "--net", "--preserve-credentials"]
            .map(str::to_owned)
            .into()
    }

    fn nft(&self, rule: &str) {
        let words = Self::into(self.namespace.id());
        let done = Command::new(&words[0]).args(&words[1..]).args(["nft", rule]).status();
        assert!(done.expect("run nft").success(), "{rule}");
    }

    /// Drops the packets of the connections that `which` matches, in both directions.
    fn vanish(&self, which: &str) {
        for side in ["dport", "sport"] {
            self.nft(&format!("add rule inet t i tcp {side} {which} drop"));
        }
    }

    fn come_back(&self) {
        self.nft("flush chain inet t i");
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("redoubt.sock")
    }

    fn redoubt(&self, guard: &str) -> Redoubt {
        let words = Self::into(self.namespace.id());
        Redoubt::setup_for(PORT, &self.password)
            .set_text("listen", &format!("unix://{}", self.socket().display()))
            .set_text("policy.guard", guard)
            .set_text("upstream.dead_after", "3s")
            .through(&words.iter().map(String::as_str).collect::<Vec<_>>())
            .start()
    }

    /// Returns a connection to Redis that bypasses Redoubt.
    fn direct(&self) -> Client {
        Client::connect(&self.dir.path().join("redis.sock"), &self.password)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for child in [&mut self.redis, &mut self.namespace] {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

struct Client(UnixStream);

impl Client {
    fn connect(socket: &Path, password: &str) -> Self {
        let stream = UnixStream::connect(socket).expect("connect");
        stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        let mut client = Self(stream);
        client.asks(&["AUTH", password], b"+OK\r\n");
        client
    }

    fn send(&mut self, words: &[&str]) {
        self.0.write_all(&frame::request(words)).expect("send");
    }

    #[track_caller]
    fn asks(&mut self, words: &[&str], reply: &[u8]) {
        self.send(words);
        let mut got = vec![0; reply.len()];
        self.0.read_exact(&mut got).expect("a reply");
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(reply));
    }

    /// Returns the reply to a request, as far as it arrives within a time limit.
    fn tries(&mut self, words: &[&str]) -> Vec<u8> {
        let mut got = vec![0; 1 << 16];
        if self.0.write_all(&frame::request(words)).is_err() {
            return Vec::new();
        }
        let len = self.0.read(&mut got).unwrap_or(0);
        got.truncate(len);
        got
    }

    /// Waits for the end of the connection. Panics if a byte arrives before.
    #[track_caller]
    fn is_closed(&mut self) {
        // A reset ends the connection as well.
        let got = self.0.read(&mut [0; 64]);
        assert!(!matches!(&got, Ok(1..)), "a reply of nobody");
        assert!(
            !got.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
            "not closed in {TIME_LIMIT:?}"
        );
    }
}

fn serves_again(host: &Host, redoubt: &Redoubt) {
    let serves = Deadline::standard()
        .poll(|| Client::connect(&host.socket(), redoubt.password()).tries(&["PING"]) == PONG);
    assert!(serves, "no session works");
}

fn silence_is_noticed(guard: &str) {
    let host = Host::start();
    let redoubt = host.redoubt(guard);
    serves_again(&host, &redoubt);
    let session = || Client::connect(&host.socket(), redoubt.password());
    let [mut idle, mut asking, mut blocked, mut listening] = [(); 4].map(|()| session());
    for client in [&mut idle, &mut asking, &mut blocked] {
        client.asks(&["SET", "k", "v"], b"+OK\r\n");
    }
    listening.asks(&["SUBSCRIBE", "c"], b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    blocked.send(&["BLPOP", "nothing", "0"]);
    let waits = Deadline::standard().poll(|| {
        let clients = host.direct().tries(&["INFO", "clients"]);
        String::from_utf8_lossy(&clients).contains("blocked_clients:1\r\n")
    });
    assert!(waits, "no client is blocked");
    host.vanish(&PORT.to_string());
    asking.send(&["GET", "k"]);
    for client in [&mut asking, &mut blocked, &mut listening] {
        client.is_closed();
    }
    says(&redoubt, "upstream is unavailable");
    host.come_back();
    serves_again(&host, &redoubt);
    idle.asks(&["GET", "k"], b"$1\r\nv\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_vanished_host_is_noticed_and_its_sessions_are_closed() {
    silence_is_noticed("auto");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_vanished_host_is_noticed_with_guard_off() {
    silence_is_noticed("off");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn one_dead_upstream_connection_is_closed_and_others_stay() {
    let host = Host::start();
    let redoubt = host.redoubt("off");
    serves_again(&host, &redoubt);
    let session = || Client::connect(&host.socket(), redoubt.password());
    let [mut asking, mut blocked, mut idle] = [(); 3].map(|()| session());
    idle.asks(&["SET", "k", "v"], b"+OK\r\n");
    blocked.send(&["BLPOP", "list", "0"]);
    asking.asks(&["GET", "k"], b"$1\r\nv\r\n");
    let list = String::from_utf8(host.direct().tries(&["CLIENT", "LIST"])).unwrap();
    let link = list.lines().find(|line| line.contains("cmd=get ")).expect("the shared link");
    let address = link.split(' ').find_map(|field| field.strip_prefix("addr=")).unwrap();
    host.vanish(address.rsplit(':').next().unwrap());
    asking.send(&["GET", "k"]);
    asking.is_closed();
    idle.asks(&["GET", "k"], b"$1\r\nv\r\n");
    host.direct().asks(&["RPUSH", "list", "v"], b":1\r\n");
    let mut popped = [0; 64];
    let len = blocked.0.read(&mut popped).expect("the popped value");
    assert_eq!(&popped[..len], b"*2\r\n$4\r\nlist\r\n$1\r\nv\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_stalled_server_keeps_its_links_whatever_waits_for_it() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("upstream.dead_after", "2s").start();
    redoubt.wait_until_it_serves();
    let (mut waiting, mut large, mut blocked) =
        (redoubt.session(), redoubt.session(), redoubt.session());
    assert_eq!(waiting.command(&["SET", "counter", "1"]), b"+OK\r\n");
    blocked.send(&frame::request(&["BLPOP", "list", "0"]));
    // WATCH gives the session a lease before the server stalls.
    assert_eq!(large.command(&["WATCH", "large"]), b"+OK\r\n");
    let failed = redoubt.metric(FAILED);
    signal(redis.pid(), "STOP");
    waiting.send(&frame::request(&["INCR", "counter"]));
    // The value is far larger than the server's TCP window, which stays closed until the server
    // continues.
    let value = "v".repeat(32 << 20);
    let request = frame::request(&["SET", "large", &value]);
    std::thread::scope(|scope| {
        scope.spawn(|| large.send(&request));
        waiting.set_time_limit(Duration::from_secs(8));
        assert_eq!(waiting.try_receive(), None, "the waiting client got bytes or was closed");
        signal(redis.pid(), "CONT");
    });
    large.expect(b"+OK\r\n");
    waiting.set_time_limit(TIME_LIMIT);
    waiting.expect(b":2\r\n");
    assert_eq!(redis.direct().command(&["RPUSH", "list", "v"]), b":1\r\n");
    blocked.expect(b"*2\r\n$4\r\nlist\r\n$1\r\nv\r\n");
    assert_eq!(redoubt.metric(FAILED), failed);
    redoubt.wait_until_ready();
}

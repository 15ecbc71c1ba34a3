//! The section `upstream`.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, io::Read as _};

use super::MAX_CLIENTS;
use support::certificates::Authority;
use support::redis::free_port;
use support::redoubt::Setup;
use support::{Deadline, Lines, Redis, Redoubt, Wire, frame, keepalive, now, secret, since};
use tempfile::TempDir;

fn has_client(redis: &Redis, text: &str) -> bool {
    let clients = redis.direct().command(&["CLIENT", "LIST"]);
    String::from_utf8_lossy(&clients).contains(text)
}

#[test]
fn url_takes_effect() {
    // The harness sets "upstream.url" to the port of one of the two servers.
    let (one, other) = (Redis::start(), Redis::setup().start());
    other.direct().command(&["SET", "who", "other"]);
    assert_eq!(Redoubt::start(&one).session().command(&["GET", "who"]), b"$-1\r\n");
    let redoubt = Redoubt::start(&other);
    assert_eq!(redoubt.session().command(&["GET", "who"]), b"$5\r\nother\r\n");
}

#[test]
fn user_takes_effect() {
    let (redis, password) = (Redis::start(), secret());
    let rule = format!(">{password}");
    redis.direct().command(&["ACL", "SETUSER", "proxy", "on", &rule, "~*", "&*", "+@all"]);
    let redoubt = Redoubt::setup_for(&redis, &password)
        .set_text("upstream.user", "proxy")
        .set_text("policy.guard", "off")
        .start();
    assert!(redoubt.serves());
    assert!(has_client(&redis, "user=proxy"));
}

#[test]
fn password_takes_effect() {
    let redis = Redis::start();
    assert!(Redoubt::setup(&redis).start().serves());
    let wrong = Redoubt::setup(&redis).set_text("upstream.password", &secret()).start();
    assert!(!wrong.serves());
}

#[test]
fn password_file_takes_effect() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let path = dir.path().join("password");
    fs::write(&path, redis.password()).unwrap();
    let setup = Redoubt::setup_for(&redis, &secret());
    let setup = setup.set_text("upstream.password_file", path.to_str().unwrap());
    assert!(setup.start().serves());
}

#[test]
fn connect_timeout_takes_effect() {
    // The upstream accepts the connection and sends nothing. The default is two seconds.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let setup = Redoubt::setup_for(port, &secret());
    let _redoubt = setup.set_text("upstream.connect_timeout", "50ms").start();
    // The fastest of three counts, because a busy machine may delay one.
    let quickest = (0..3).map(|_| {
        let (mut stream, _) = silent.accept().unwrap();
        let from = now();
        while stream.read(&mut [0; 1024]).is_ok_and(|got| got > 0) {}
        since(from)
    });
    let quickest = quickest.fold(f64::MAX, f64::min);
    assert!(quickest < 1.5, "{quickest} s");
}

#[test]
fn dead_after_takes_effect() {
    // The fault tests show the effect of the setting when a host vanishes.
    let redis = Redis::start();
    for (setting, range) in [("15s", 1..=5), ("3000s", 61..=1000)] {
        let redoubt = Redoubt::setup(&redis)
            .set_text("upstream.url", &format!("redis://{}", redis.address()))
            .set_text("upstream.dead_after", setting)
            .start();
        assert!(redoubt.serves());
        let to = |rows: &[keepalive::Row]| {
            rows.iter().any(|row| row.remote == redis.port() && range.contains(&row.seconds))
        };
        assert!(Deadline::standard().poll(|| to(&keepalive::rows())), "{setting}");
    }
}

#[test]
fn max_link_age_takes_effect() {
    let redis = Redis::start();
    for (setting, replaced) in [("0s", false), ("1s", true)] {
        let redoubt = Redoubt::setup(&redis).set_text("upstream.max_link_age", setting).start();
        let mut session = redoubt.session();
        let mut link = || {
            assert_eq!(session.command(&["GET", "k"]), b"$-1\r\n");
            let list = redis.direct().command(&["CLIENT", "LIST"]);
            let list = String::from_utf8_lossy(&list).into_owned();
            list.lines()
                .filter(|line| line.contains("cmd=get"))
                .map(|line| {
                    line.split(' ').find(|field| field.starts_with("addr=")).unwrap().to_owned()
                })
                .collect::<Vec<_>>()
        };
        let first = link();
        let wait = if replaced { support::TIME_LIMIT } else { Duration::from_secs(2) };
        assert_eq!(Deadline::after(wait).poll(|| link() != first), replaced, "{setting}");
    }
}

#[test]
fn sharing_takes_effect() {
    let redis = Redis::start();
    for (setting, shared) in [("auto", true), ("off", false)] {
        let redoubt = Redoubt::setup(&redis).set_text("upstream.sharing", setting).start();
        let before = redis.clients();
        let mut sessions: Vec<Wire> = (0..20).map(|_| redoubt.session()).collect();
        for session in &mut sessions {
            assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
        }
        let links = redis.clients() - before;
        assert_eq!(links < 10, shared, "{setting}: {links} connections");
    }
}

#[test]
fn max_links_takes_effect() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("upstream.max_links", 8).start();
    let mut holders = [(); 3].map(|()| redoubt.session());
    for holder in &mut holders {
        assert_eq!(holder.command(&["WATCH", "k"]), b"+OK\r\n");
    }
    let mut other = redoubt.session();
    other.set_time_limit(Duration::from_secs(20));
    other.send(&frame::request(&["WATCH", "k"]));
    assert_eq!(other.read_to_close(), MAX_CLIENTS);
}

#[test]
fn stall_timeout_takes_effect() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("upstream.stall_timeout", "1s").start();
    let (mut one, mut other) = (redoubt.session(), redoubt.session());
    assert_eq!(one.command(&["SET", "k", "v"]), b"+OK\r\n");
    assert_eq!(redis.direct().command(&["CLIENT", "PAUSE", "600000", "WRITE"]), b"+OK\r\n");
    one.set_time_limit(Duration::from_secs(60));
    one.send(&frame::request(&["SET", "k", "w"]));
    assert_eq!(one.read_to_close(), b"");
    assert_eq!(other.command(&["GET", "k"]), frame::bulk(b"v"));
}

/// A Sentinel of a Redis; killed on drop.
struct Sentinel {
    port: u16,
    child: Child,
    _dir: TempDir,
}

impl Sentinel {
    /// Starts one with these lines in its configuration, in which PORT is its port.
    fn start(redis: &Redis, lines: &str) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let file = dir.path().join("sentinel.conf");
        let text = format!(
            "dir {}\nbind 127.0.0.1\nsentinel monitor name 127.0.0.1 {} 1\n\
             sentinel auth-pass name {}\n{}\n",
            dir.path().display(),
            redis.port(),
            redis.password(),
            lines.replace("PORT", &port.to_string()),
        );
        fs::write(&file, text).unwrap();
        let mut child = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("redis-server is missing: apt-get install -y redis-server");
        let log = Lines::of(&mut child);
        assert!(log.wait(|line| line.contains("+monitor")).is_some(), "{:?}", log.all());
        Self { port, child, _dir: dir }
    }

    /// Returns the setup of a Redoubt that asks it.
    fn setup(&self, redis: &Redis) -> Setup {
        let url = format!("redis-sentinel://127.0.0.1:{}/name", self.port);
        Redoubt::setup_for(redis, redis.password()).set_text("upstream.url", &url)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns whether the log says that no Sentinel answers, before it says which server is the primary.
fn is_not_let_in(redoubt: &Redoubt) -> bool {
    let said = ["no Sentinel answers", "the primary is here"];
    let line = redoubt.log().wait(|line| said.iter().any(|said| line.contains(said)));
    line.expect("a line").contains(said[0])
}

#[test]
fn sentinel_password_takes_effect() {
    let (redis, password) = (Redis::start(), secret());
    let sentinel = Sentinel::start(&redis, &format!("port PORT\nrequirepass {password}"));
    assert!(is_not_let_in(&sentinel.setup(&redis).start()));
    let setup = sentinel.setup(&redis).set_text("upstream.sentinel_password", &password);
    assert!(setup.start().serves());
}

#[test]
fn sentinel_password_file_takes_effect() {
    let (redis, password, dir) = (Redis::start(), secret(), tempfile::tempdir().unwrap());
    let sentinel = Sentinel::start(&redis, &format!("port PORT\nrequirepass {password}"));
    let path = dir.path().join("password");
    fs::write(&path, &password).unwrap();
    let setup = sentinel.setup(&redis);
    let setup = setup.set_text("upstream.sentinel_password_file", path.to_str().unwrap());
    assert!(setup.start().serves());
}

#[test]
fn sentinel_user_takes_effect() {
    let (redis, password) = (Redis::start(), secret());
    let user = format!("port PORT\nuser default off\nuser probe on >{password} ~* &* +@all");
    let sentinel = Sentinel::start(&redis, &user);
    let setup = || sentinel.setup(&redis).set_text("upstream.sentinel_password", &password);
    assert!(is_not_let_in(&setup().start()));
    assert!(setup().set_text("upstream.sentinel_user", "probe").start().serves());
}

#[test]
fn sentinel_tls_takes_effect() {
    let (redis, authority) = (Redis::start(), Authority::new());
    let pair = authority.server("sentinel");
    let lines = format!(
        "port 0\ntls-port PORT\ntls-auth-clients no\ntls-cert-file {}\ntls-key-file {}\n\
         tls-ca-cert-file {}",
        pair.certificate.display(),
        pair.key.display(),
        authority.ca().display(),
    );
    let sentinel = Sentinel::start(&redis, &lines);
    assert!(is_not_let_in(&sentinel.setup(&redis).start()));
    let setup = sentinel.setup(&redis).set("upstream.sentinel_tls", true);
    let setup = setup.set_text("upstream.tls_ca", authority.ca().to_str().unwrap());
    assert!(setup.start().serves());
}

#[test]
fn failover_timeout_takes_effect() {
    let mut redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("upstream.failover_timeout", "0s").start();
    assert!(redoubt.serves());
    let mut session = redoubt.session();
    redis.kill();
    session.offer(&frame::request(&["INCR", "n"]));
    assert_eq!(session.read_to_close(), b"");
}

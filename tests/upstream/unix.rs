//! Redis that listens on a Unix socket and on no port.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use support::http::http_get;
use support::redoubt::Setup;
use support::{Deadline, Redis, Redoubt, Wire, frame, lines, servers, shown};

/// Returns the lines of a reply to `CLIENT LIST`.
fn listed(wire: &mut Wire) -> Vec<String> {
    let list = String::from_utf8(wire.command(&["CLIENT", "LIST"])).unwrap();
    list.lines().filter(|line| line.contains("addr=")).map(str::to_owned).collect()
}

/// Waits until `/readyz` gives this reason.
#[track_caller]
fn is_unready(redoubt: &Redoubt, reason: &str) {
    let mut last = String::new();
    let is_so = Deadline::standard().poll(|| {
        last = http_get(redoubt.admin(), "/readyz").2;
        last.trim_end() == reason
    });
    assert!(is_so, "expected {reason:?}, found {last:?}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn sessions_are_served_and_guarded_by_a_redis_without_a_port() {
    servers::on_each_or_chosen(&servers::ALL, |server| {
        let redis = Redis::setup().server(server).without_port().start();
        assert_eq!(redis.port(), 0);
        let redoubt = Redoubt::start(&redis);
        redoubt.wait_until_ready();
        let mut session = redoubt.session();
        assert_eq!(session.command(&["SET", "k", "v"]), b"+OK\r\n");
        assert!(session.command(&["FLUSHALL"]).starts_with(b"-ERR unknown command"));
        session.send(b"MULTI\r\nGET k\r\nEXEC\r\n");
        session.expect(b"+OK\r\n+QUEUED\r\n*1\r\n$1\r\nv\r\n");
        let reply = session.command(&["EVAL", "return redis.call('FLUSHALL')", "0"]);
        let reply = String::from_utf8_lossy(&reply);
        assert_eq!(servers::refusals(&reply), 1, "{server}: {reply}");
        let mut listener = redoubt.session();
        listener.command(&["SUBSCRIBE", "channel"]);
        let mut waiting = redoubt.session();
        waiting.send(b"BLPOP list 0\r\n");
        assert_eq!(session.command(&["PUBLISH", "channel", "hello"]), b":1\r\n");
        listener.expect(b"*3\r\n$7\r\nmessage\r\n$7\r\nchannel\r\n$5\r\nhello\r\n");
        session.command(&["RPUSH", "list", "x"]);
        waiting.expect(b"*2\r\n$4\r\nlist\r\n$1\r\nx\r\n");
        // All links are over the socket, and log in as the guard's user.
        let direct = listed(&mut redis.direct());
        assert!(direct.iter().all(|line| line.contains(" flags=") && line.contains(":0 laddr=")));
        assert!(direct.iter().any(|line| line.contains(" user=redoubt-")), "{direct:?}");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn large_values_pass_unchanged_in_both_directions() {
    let redis = Redis::setup().without_port().start();
    let redoubt = Redoubt::start(&redis);
    let value = support::random(8 << 20);
    let mut session = redoubt.session();
    assert_eq!(session.command(&[b"SET".as_slice(), b"k", &value]), b"+OK\r\n");
    assert!(session.command(&["GET", "k"]) == frame::bulk(&value));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_are_shown_no_connection_over_the_socket_and_can_end_none() {
    servers::on_each_or_chosen(&servers::ALL, |server| {
        let redis = Redis::setup().server(server).without_port().start();
        let setup = Redoubt::setup(&redis).set_text("policy.escapes", "allow").set("workers", 2);
        let redoubt = setup.start();
        redoubt.wait_until_it_knows_its_server();
        let mut direct = redis.direct();
        let (mut asking, mut other) = (redoubt.session(), redoubt.session());
        // With a lease, and the connection that a listener has.
        assert_eq!(other.command(&["WATCH", "k"]), b"+OK\r\n");
        let mut listener = redoubt.session();
        listener.command(&["SUBSCRIBE", "channel"]);
        // The test's own, the watch's, a lease and the listener's.
        let all = listed(&mut direct);
        assert!(all.len() >= 4, "{server}: {all:?}");
        let list = listed(&mut asking);
        assert_eq!(list.len(), 3, "{server}: {list:?}");
        assert!(list.iter().all(|line| line.contains(" addr=127.0.0.1:")), "{server}: {list:?}");
        // Valkey 9.1 shows the address in another form than the other servers.
        let line = listed(&mut direct).remove(0);
        let shown_as = line.split(' ').find_map(|field| field.strip_prefix("addr=")).unwrap();
        let path = format!("{}:0", redis.socket().display());
        for address in [shown_as, &path] {
            let kill = ["CLIENT", "KILL", "ADDR", address];
            assert_eq!(asking.command(&kill), b":0\r\n", "{server}: {address}");
            let kill = ["CLIENT", "KILL", address];
            assert_eq!(asking.command(&kill), b"-ERR No such client\r\n", "{server}: {address}");
            asking.send(b"MULTI\r\n");
            asking.send(&frame::request(&kill));
            asking.send(b"EXEC\r\n");
            asking.expect(b"+OK\r\n+QUEUED\r\n*1\r\n-ERR No such client\r\n");
        }
        assert_eq!(direct.command(&["PING"]), b"+PONG\r\n", "{server}: it has been ended");
        assert_eq!(other.command(&["GET", "k"]), b"$-1\r\n", "{server}");
        assert_eq!(other.command(&["UNWATCH"]), b"+OK\r\n", "{server}");
        direct.command(&["PUBLISH", "channel", "x"]);
        listener.expect(b"*3\r\n$7\r\nmessage\r\n$7\r\nchannel\r\n$1\r\nx\r\n");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_redis_that_replaces_its_socket_is_used_again() {
    let mut redis = Redis::setup().without_port().start();
    let redoubt = Redoubt::start(&redis);
    redoubt.wait_until_ready();
    let inode = |redis: &Redis| fs::metadata(redis.socket()).unwrap().ino();
    let (mut idle, mut waiting) = (redoubt.session(), redoubt.session());
    assert_eq!(idle.command(&["SET", "k", "v"]), b"+OK\r\n");
    for _ in 0..3 {
        let before = inode(&redis);
        let kept = redis.socket().with_extension("kept");
        // A second name keeps the number of the file from being used again.
        fs::hard_link(redis.socket(), &kept).unwrap();
        waiting.send(b"BLPOP none 0\r\n");
        redoubt.wait_for_metric("redoubt_upstream_up", 1.0);
        let blocked = || shown(&redis.direct().command(&["INFO", "clients"]));
        assert!(Deadline::standard().poll(|| blocked().contains("blocked_clients:1")));
        redis.kill();
        assert_eq!(waiting.read_to_close(), b"");
        is_unready(&redoubt, "upstream: nobody listens on its Unix socket");
        let from = redoubt.log().count();
        fs::remove_file(redis.socket()).unwrap();
        is_unready(&redoubt, "upstream: its Unix socket does not exist");
        redis.restart();
        let back = |line: &str| line.contains("upstream is available");
        assert!(redoubt.log().wait_from(from, back).is_some());
        redoubt.wait_until_ready();
        assert_ne!(inode(&redis), before);
        fs::remove_file(kept).unwrap();
        // A session with nothing due notices nothing.
        assert_eq!(idle.command(&["SET", "k", "v"]), b"+OK\r\n");
        waiting = redoubt.session();
    }
}

/// Returns a Redoubt that connects to `path`, and that may not override permissions, whoever runs the tests.
fn before(path: &Path) -> Setup {
    let setup = Redoubt::setup_for(1_u16, &support::secret())
        .set_text("upstream.url", &format!("unix://{}", path.display()));
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root { setup.through(&["setpriv", "--bounding-set=-all"]) } else { setup }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_socket_that_cannot_be_opened_is_explained_in_the_log_and_by_readyz() {
    let redis = Redis::setup().without_port().start();
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    fs::write(&plain, "not a socket").unwrap();
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let link = closed.join("redis.sock");
    std::os::unix::fs::symlink(redis.socket(), &link).unwrap();
    let permit = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    permit(&closed, 0o000);
    permit(redis.socket(), 0o000);
    let (missing, forbidden, unattended) = (
        "upstream: its Unix socket does not exist",
        "upstream: no permission to open its Unix socket",
        "upstream: nobody listens on its Unix socket",
    );
    for (path, reason, cause, advice) in [
        (&dir.path().join("none"), missing, "No such file", "as its unixsocket"),
        (&plain.join("below"), missing, "Not a directory", "as its unixsocket"),
        (&plain, unattended, "Connection refused", "a plain file"),
        (&link, forbidden, "Permission denied", "the group of the socket"),
        (&redis.socket().to_owned(), forbidden, "Permission denied", "unixsocketperm"),
    ] {
        let redoubt = before(path).start();
        let line = redoubt.log().wait(|line| line.contains("upstream is unavailable")).unwrap();
        let why = lines::field(&line, "reason").unwrap();
        let url = format!("cannot connect to unix://{}: {cause}", path.display());
        assert!(why.starts_with(&url) && why.contains(advice), "{line}");
        is_unready(&redoubt, reason);
        let mut refused = redoubt.connect();
        refused.offer(&frame::request(&["AUTH", redoubt.password()]));
        refused.offer(&frame::request(&["GET", "k"]));
        assert!(!shown(&refused.read_to_close()).contains("$-1"));
    }
    permit(&closed, 0o700);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_socket_that_is_permitted_later_is_used() {
    let redis = Redis::setup().without_port().start();
    let permit = |mode| {
        fs::set_permissions(redis.socket(), fs::Permissions::from_mode(mode)).unwrap();
    };
    permit(0o000);
    let redoubt = before(redis.socket()).set_text("upstream.password", redis.password()).start();
    is_unready(&redoubt, "upstream: no permission to open its Unix socket");
    permit(0o600);
    redoubt.wait_until_ready();
    assert_eq!(redoubt.session().command(&["GET", "k"]), b"$-1\r\n");
}

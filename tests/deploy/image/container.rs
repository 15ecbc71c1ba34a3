//! The running image: as UID 999, with a read-only root and no capabilities.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::dns;
use super::hardened::{Hardened, Secrets};
use super::runc::{Container, Setup, rootfs};
use super::{run, said, syscalls, target, text};
use support::{Deadline, Wire, lines, redis, secret, shown};

/// Most bytes of the whole image.
const MOST_BYTES: u64 = 20 << 20;

/// Returns the setup of the image with a Redis that it knows as `host`.
fn setup(redis: &Hardened, host: &str) -> Setup {
    with_secrets(&redis.secrets)
        .set("REDOUBT_UPSTREAM", format!("redis://{host}:{}", redis.port))
        .set("REDOUBT_LISTEN", "127.0.0.1:0")
        .set("REDOUBT_ADMIN_LISTEN", format!("127.0.0.1:{}", redis::free_port()))
}

fn with_secrets(secrets: &Secrets) -> Setup {
    let mut setup = Setup::default();
    for (variable, name) in
        [("REDIS_PASSWORD_FILE", "redis_password"), ("REDOUBT_PASSWORD_FILE", "redoubt_password")]
    {
        let place = format!("/run/secrets/{name}");
        setup = setup.set(variable, &place).mount(&secrets.file(name), &place);
    }
    setup
}

/// Returns the address that it listens on. Its log is JSON, by the configuration in the image.
fn address(container: &Container) -> SocketAddr {
    let listening = |line: &str| lines::field(line, "message") == Some("listening");
    let line = container.output().wait(listening);
    let line = line.unwrap_or_else(|| panic!("{}", container.output().all().join("\n")));
    lines::field(&line, "address").unwrap().parse().unwrap()
}

/// Returns a field of a process's status.
fn status(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.expect(field).trim().replace('\t', " ")
}

#[test]
fn the_container_serves_clients() {
    let redis = Hardened::start();
    let dir = tempfile::tempdir().unwrap();
    let hosts = dir.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 redis\n").unwrap();
    let container = setup(&redis, "redis").mount(&hosts, "/etc/hosts").start();
    let address = address(&container);
    let available = |line: &str| line.contains("upstream is available");
    assert!(container.output().wait(available).is_some(), "{:?}", container.output().all());

    // These checks decide whether it is secure.
    let mut unauthenticated = Wire::connect(address);
    assert!(unauthenticated.command(&["PING"]).starts_with(b"-NOAUTH"));
    assert!(unauthenticated.command(&["AUTH", "wrong"]).starts_with(b"-WRONGPASS"));
    let mut client = Wire::authenticated(address, &redis.secrets.redoubt);
    assert_eq!(shown(&client.command(&["PING"])), "+PONG\\r\\n");
    for command in ["FLUSHDB", "FLUSHALL", "CONFIG", "DEBUG"] {
        let reply = client.command(&[command]);
        assert!(reply.starts_with(b"-ERR unknown command"), "{command}: {}", shown(&reply));
    }
    assert_eq!(shown(&client.command(&["SET", "key", "value"])), "+OK\\r\\n");
    assert_eq!(shown(&client.command(&["GET", "key"])), "$5\\r\\nvalue\\r\\n");
    assert_eq!(shown(&client.command(&["DEL", "key"])), ":1\\r\\n");

    let healthy = container.exec(&["/usr/bin/redoubt", "healthcheck"]);
    assert!(healthy.status.success(), "{}", said(&healthy));
    let (url, direct) = (format!("redis://{address}"), format!("redis:{}", redis.port));
    let verified = container.exec(&["redoubt", "verify", &url, "--direct", &direct]);
    assert!(verified.status.success(), "{}", said(&verified));

    let pid = container.pid();
    for ids in ["Uid", "Gid"] {
        assert_eq!(status(pid, ids), "999 999 999 999");
    }
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status(pid, set), "0000000000000000", "{set}");
    }
    assert_eq!(status(pid, "NoNewPrivs"), "1");
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let root = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let root: Vec<_> = root.filter(|fields| fields[4] == "/").map(|fields| fields[5]).collect();
    assert!(root.iter().all(|options| options.split(',').any(|it| it == "ro")), "{root:?}");
    assert!(!root.is_empty());

    assert_eq!(container.stop().code(), Some(0));
}

#[test]
fn the_container_accepts_a_password_written_into_the_mounted_file() {
    let redis = Hardened::start();
    let container = setup(&redis, "127.0.0.1").start();
    let address = address(&container);
    let password = secret();
    fs::write(redis.secrets.file("redoubt_password"), &password).unwrap();
    let is_taken = Deadline::standard()
        .poll(|| Wire::connect(address).command(&["AUTH", &password]).starts_with(b"+OK"));
    assert!(is_taken, "{:?}", container.output().all());
    let reply = Wire::connect(address).command(&["AUTH", &redis.secrets.redoubt]);
    assert!(reply.starts_with(b"-WRONGPASS"), "{}", shown(&reply));
}

#[test]
fn the_container_resolves_names_by_dns() {
    let redis = Hardened::start();
    let dir = tempfile::tempdir().unwrap();
    let resolv = dir.path().join("resolv.conf");
    fs::write(&resolv, format!("nameserver {}\n", dns::start())).unwrap();
    let container = setup(&redis, dns::NAME).mount(&resolv, "/etc/resolv.conf").start();
    let mut client = Wire::authenticated(address(&container), &redis.secrets.redoubt);
    assert_eq!(shown(&client.command(&["PING"])), "+PONG\\r\\n");
}

#[test]
fn the_container_reports_that_redis_is_unavailable() {
    let redis = Hardened::start();
    let container = setup(&redis, "127.0.0.1").start();
    address(&container);
    drop(redis);
    let is_away = Deadline::standard()
        .poll(|| !container.exec(&["/usr/bin/redoubt", "healthcheck"]).status.success());
    assert!(is_away, "healthy without a Redis");
    let lives = container.exec(&["/usr/bin/redoubt", "healthcheck", "--live"]);
    assert!(lives.status.success(), "{}", said(&lives));
}

#[test]
fn the_container_does_not_start_with_an_unreadable_secret() {
    let secrets = Secrets::new();
    secrets.permit("redis_password", 0o400);
    let setup = with_secrets(&secrets).set("REDOUBT_UPSTREAM", "redis://127.0.0.1:1");
    let mut container = setup.start();
    assert_eq!(container.wait().code(), Some(2));
    container.output().wait_for_end();
    let all = container.output().all().join("\n");
    assert!(all.contains("REDIS_PASSWORD_FILE") && all.contains("permission denied"), "{all}");
}

#[test]
fn the_system_calls_that_the_unit_permits_suffice() {
    let redis = Hardened::start();
    let calls = syscalls::allowed(&text("config/systemd/redoubt.service"));
    assert!(calls.contains("epoll_wait") && !calls.contains("mount"), "{calls:?}");
    let container = setup(&redis, "127.0.0.1").confine(calls.clone()).start();
    let mut client = Wire::authenticated(address(&container), &redis.secrets.redoubt);
    assert_eq!(shown(&client.command(&["PING"])), "+PONG\\r\\n");
    assert!(client.command(&["EVAL", "return redis.call('FLUSHALL')", "0"]).starts_with(b"-ERR"));
    assert_eq!(status(container.pid(), "Seccomp"), "2");
    assert_eq!(container.stop().code(), Some(0));

    // Without a system call that it needs, it does not start.
    let fewer = calls.into_iter().filter(|call| call != "bind").collect();
    let mut container = setup(&redis, "127.0.0.1").confine(fewer).start();
    assert_eq!(container.wait().code(), Some(1));
}

#[test]
fn the_image_contains_only_the_needed_files() {
    let mut files = Vec::new();
    let mut bytes = 0;
    walk(&rootfs(), &mut |file, size| {
        files.push(format!("/{}", file.strip_prefix(rootfs()).unwrap().display()));
        bytes += size;
    });
    files.sort();
    let wanted = [
        "/etc/group",
        "/etc/nsswitch.conf",
        "/etc/passwd",
        "/etc/redoubt/redoubt.toml",
        "/etc/ssl/certs/ca-certificates.crt",
        "/usr/bin/redoubt",
        "/usr/share/doc/redoubt/LICENSE",
    ];
    assert_eq!(files, wanted);
    assert!(bytes < MOST_BYTES, "{bytes} bytes");
    let own = run(Command::new("ldd").arg(rootfs().join("usr/bin/redoubt")));
    assert!(said(&own).contains("statically linked"), "{}", said(&own));
}

/// A path of the build machine would give other bytes on each machine, so the build would not be
/// reproducible.
#[test]
fn the_binary_contains_no_path_of_the_build_machine() {
    let binary = fs::read(rootfs().join("usr/bin/redoubt")).unwrap();
    let names = |place: &[u8]| memchr::memmem::find(&binary, place).is_some();
    assert!(
        names(b"/cargo/registry/src/"),
        "panics name their places, and crates are below /cargo"
    );
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
    let home = std::env::var_os("CARGO_HOME").map_or_else(
        || Path::new(&std::env::var_os("HOME").expect("HOME")).join(".cargo"),
        PathBuf::from,
    );
    for place in [sources, home, target()] {
        assert!(!names(place.as_os_str().as_encoded_bytes()), "{} is in it", place.display());
    }
}

/// Calls `seen` for each file below `dir`, with its size. Fails if anybody but root may write there.
fn walk(dir: &Path, seen: &mut impl FnMut(&Path, u64)) {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        assert_eq!(meta.permissions().mode() & 0o7022, 0, "{}", entry.path().display());
        if meta.is_dir() {
            walk(&entry.path(), seen);
        } else {
            seen(&entry.path(), meta.len());
        }
    }
}

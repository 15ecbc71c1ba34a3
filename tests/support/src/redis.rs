//! Starts a real server for one test: redis-server, or another that `scripts/servers.sh` installs.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use super::certificates::Pair;
use super::servers;
use super::{Deadline, Lines, Wire, is_over_unix, random, secret};

/// The commands that Redoubt refuses by default, besides escapes.
const BLOCKED: [&str; 4] = ["FLUSHDB", "FLUSHALL", "CONFIG", "DEBUG"];

/// The log line of a Redis that accepts commands. Redis 7.0 begins it with a small letter if it has no port.
const READY: &str = "eady to accept";

/// The configuration of a [`Redis`].
#[derive(Default)]
pub struct Setup {
    server: Option<&'static str>,
    password: Option<String>,
    hidden: Vec<&'static str>,
    config: String,
    speaks_tls: bool,
    has_no_port: bool,
}

impl Setup {
    /// Selects another server than [`servers::tested`], from [`servers::WITH_MODULES`].
    pub fn server(mut self, name: &'static str) -> Self {
        self.server = Some(name);
        self
    }

    /// Adds a TLS port: with a certificate and its key, and with `auth` `yes`, `no` or `optional` for
    /// clients' certificates of `ca`.
    pub fn tls(mut self, pair: &Pair, ca: &Path, auth: &str) -> Self {
        self.speaks_tls = true;
        let (certificate, key) = (pair.certificate.display(), pair.key.display());
        self.config(&format!("tls-cert-file {certificate}\ntls-key-file {key}"))
            .config(&format!("tls-ca-cert-file {}\ntls-auth-clients {auth}", ca.display()))
    }

    /// Sets another password than a random one.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Renames the commands that Redoubt refuses, so that this Redis itself does not know them.
    /// Subcommands cannot be renamed.
    pub fn hide_refused(self) -> Self {
        let mut hiding = self.hide_blocked();
        hiding.hidden.extend(redoubt_core::policy::Escapes::rules());
        hiding
    }

    /// Does what [`Setup::hide_refused`] does, without the escapes.
    pub fn hide_blocked(mut self) -> Self {
        self.hidden.extend(BLOCKED);
        self
    }

    /// Adds a line of redis.conf.
    pub fn config(mut self, line: &str) -> Self {
        self.config += line;
        self.config.push('\n');
        self
    }

    /// Makes it listen on a Unix socket and on no port.
    pub fn without_port(mut self) -> Self {
        self.has_no_port = true;
        self
    }

    /// Starts it on a free port, or on a Unix socket.
    pub fn start(self) -> Redis {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let server = self.server.unwrap_or_else(servers::tested);
        let password = self.password.unwrap_or_else(secret);
        let mut config = self.config.clone();
        for module in servers::modules(server) {
            config += &format!("loadmodule {}\n", module.display());
        }
        config += "bind 127.0.0.1\nsave \"\"\nappendonly no\n";
        config += &format!("dir {}\nrequirepass {password}\n", dir.path().display());
        let socket = dir.path().join("redis.sock");
        if self.has_no_port || is_over_unix() {
            config += &format!("unixsocket {}\nunixsocketperm 700\n", socket.display());
        }
        let hidden = if self.hidden.is_empty() { String::new() } else { secret() };
        let commands = if self.hidden.is_empty() { Vec::new() } else { commands(server) };
        let has = |name: &&str| commands.contains(&name.to_ascii_lowercase());
        for name in self.hidden.into_iter().filter(has) {
            config += &format!("rename-command {name} {name}{hidden}\n");
        }
        for _ in 0..50 {
            let port = if self.has_no_port { 0 } else { free_port() };
            let tls_port = self.speaks_tls.then(free_port);
            let tls = tls_port.map_or_else(String::new, |port| format!("tls-port {port}\n"));
            let config = format!("{config}{tls}");
            if let Ok((child, output)) = launch(server, port, &config, READY) {
                return Redis {
                    server,
                    port,
                    tls_port,
                    socket,
                    password,
                    config,
                    hidden,
                    child,
                    output,
                    _dir: dir,
                };
            }
        }
        panic!("{server} does not start: {config}");
    }
}

/// A running redis-server; killed on drop.
pub struct Redis {
    server: &'static str,
    port: u16,
    tls_port: Option<u16>,
    /// The path of its Unix socket, if it has one.
    socket: PathBuf,
    password: String,
    config: String,
    /// The suffix of the renamed commands.
    hidden: String,
    child: Child,
    output: Lines,
    _dir: TempDir,
}

impl Redis {
    /// Starts an empty Redis with a random password, without persistence.
    pub fn start() -> Self {
        Self::setup().start()
    }

    pub fn setup() -> Setup {
        Setup::default()
    }

    /// Returns its name, as in [`servers::ALL`].
    pub fn server(&self) -> &'static str {
        self.server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns its TLS port.
    pub fn tls_port(&self) -> u16 {
        self.tls_port.expect("a port for TLS")
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the path of its Unix socket, which only a Redis [`Setup::without_port`] has, or every Redis if
    /// [`is_over_unix`].
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns the URL by which Redoubt connects to it.
    pub fn url(&self) -> String {
        if self.port == 0 || is_over_unix() {
            return format!("unix://{}", self.socket.display());
        }
        format!("redis://{}", self.address())
    }

    pub fn password(&self) -> &str {
        &self.password
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns an authenticated connection to it.
    pub fn direct(&self) -> Wire {
        if self.port > 0 {
            return Wire::authenticated(self.address(), &self.password);
        }
        let mut wire = Wire::connect_unix(&self.socket);
        assert_eq!(wire.command(&["AUTH", &self.password]), b"+OK\r\n");
        wire
    }

    /// Deletes all data and scripts.
    pub fn flush(&self) {
        let mut wire = self.direct();
        let flush = format!("FLUSHALL{}", self.hidden);
        assert_eq!(wire.command(&[flush.as_str(), "SYNC"]), b"+OK\r\n");
        assert_eq!(wire.command(&["SCRIPT", "FLUSH"]), b"+OK\r\n");
    }

    /// Returns how many clients are connected, without the test's own connection.
    pub fn clients(&self) -> usize {
        let list = self.direct().command(&["CLIENT", "LIST"]);
        list.windows(3).filter(|bytes| bytes == b"id=").count() - 1
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        self.child.wait().expect("the child's end");
        self.output.wait_for_end();
    }

    /// Adds a line of redis.conf, for [`Redis::restart`]. The last line of a kind applies.
    pub fn configure(&mut self, line: &str) {
        self.config += line;
        self.config.push('\n');
    }

    /// Starts it again on the same port after [`Redis::kill`].
    pub fn restart(&mut self) {
        self.restart_until(READY);
    }

    /// Starts it again, and returns as soon as it has logged `text`.
    pub fn restart_until(&mut self, text: &str) {
        let (server, port) = (self.server, self.port);
        let started = Deadline::standard().poll(|| {
            let launched = launch(server, port, &self.config, text);
            launched.is_ok_and(|(child, output)| {
                (self.child, self.output) = (child, output);
                true
            })
        });
        assert!(started, "{server} does not come back on port {port}");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the names of the commands that `server` has, without subcommands, and without the commands of
/// modules, which do not exist yet when the configuration is read.
fn commands(server: &'static str) -> Vec<String> {
    static KNOWN: Mutex<BTreeMap<&str, Vec<String>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().expect("no panic while it is locked");
    let list = || {
        let reply = Redis::setup().server(server).start().direct().command(&["COMMAND", "LIST"]);
        let text = String::from_utf8(reply).expect("names of commands");
        let names =
            text.lines().filter(|line| !line.starts_with(['*', '$']) && !line.contains(['|', '.']));
        names.map(str::to_ascii_lowercase).collect()
    };
    known.entry(server).or_insert_with(list).clone()
}

/// Returns a port on which nobody listens, outside the range that the system uses for outgoing
/// connections, so that a killed server can start on it again.
pub fn free_port() -> u16 {
    loop {
        let random = random(2);
        let port = 15_000 + u16::from_be_bytes([random[0], random[1]]) % 17_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn launch(server: &str, port: u16, config: &str, said: &str) -> Result<(Child, Lines), ()> {
    let mut child = Command::new(servers::program(server))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("redis-server is missing: apt-get install -y redis-server");
    let output = Lines::of(&mut child);
    let mut stdin = child.stdin.take().expect("stdin");
    let written = stdin.write_all(format!("port {port}\n{config}").as_bytes());
    drop(stdin);
    if written.is_ok() && output.wait(|line| line.contains(said)).is_some() {
        return Ok((child, output));
    }
    drop(child.kill());
    child.wait().expect("the child's end");
    Err(())
}

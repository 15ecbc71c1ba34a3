//! Redoubt as a process, or the plain Redis that stands in for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use super::bridge::bridge;
use super::certificates::Authority;
use super::{
    Deadline, Lines, Redis, Wire, is_bridged, lines, memory, program, secret, signal,
    target_is_redis,
};

type Keys = BTreeMap<String, BTreeMap<String, String>>;

/// What a Redoubt can stand in front of.
pub trait Upstream {
    /// Returns its URL.
    fn url(&self) -> String;
}

impl Upstream for &Redis {
    fn url(&self) -> String {
        Redis::url(self)
    }
}

/// A port of this machine.
impl Upstream for u16 {
    fn url(&self) -> String {
        format!("redis://127.0.0.1:{self}")
    }
}

/// The configuration of a [`Redoubt`].
pub struct Setup {
    upstream_url: String,
    client_password: String,
    /// The program that runs Redoubt, and that program's arguments.
    through: Vec<String>,
    /// Maps a section to its `key = value` lines; the empty section comes first in the file.
    keys: Keys,
}

impl Setup {
    /// Sets another client password than a random one.
    pub fn client_password(mut self, password: &str) -> Self {
        self.client_password = password.into();
        self
    }

    /// Sets a key such as `limits.max_sessions` to a value in TOML's form.
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        let (section, key) = key.rsplit_once('.').unwrap_or(("", key));
        let section = self.keys.entry(section.into()).or_default();
        section.insert(key.into(), value.to_string());
        self
    }

    /// Leaves a key that the harness sets at its default.
    pub fn unset(mut self, key: &str) -> Self {
        let (section, key) = key.rsplit_once('.').unwrap_or(("", key));
        self.keys.entry(section.into()).or_default().remove(key);
        self
    }

    /// Sets a key to a string.
    pub fn set_text(self, key: &str, text: &str) -> Self {
        self.set(key, format!("\"{text}\""))
    }

    /// Makes another program run it, which gets its command line after these `words`.
    pub fn through(mut self, words: &[&str]) -> Self {
        self.through = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    fn key(&self, section: &str, key: &str) -> Option<&str> {
        Some(self.keys.get(section)?.get(key)?.trim_matches('"'))
    }

    fn speaking(self, authority: &Authority) -> Self {
        let pair = authority.server("server");
        self.set_text("listen", "tls://127.0.0.1:0")
            .set_text("tls.certificate", &pair.certificate.display().to_string())
            .set_text("tls.key", &pair.key.display().to_string())
    }

    fn unless_set(self, key: &str, text: &str) -> Self {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        if self.key(section, name).is_some() { self } else { self.set_text(key, text) }
    }

    /// Starts it and waits until it listens.
    pub fn start(self) -> Redoubt {
        if target_is_redis() { self.stand_in() } else { self.real() }
    }

    fn stand_in(self) -> Redoubt {
        let mut redis = Redis::setup().password(&self.client_password);
        redis = match self.key("policy", "escapes") {
            Some("allow") => redis.hide_blocked(),
            _ => redis.hide_refused(),
        };
        if let Some(most) = self.key("limits", "max_sessions") {
            redis = redis.config(&format!("maxclients {most}"));
        }
        if let Some(idle) = self.key("limits", "idle_timeout") {
            redis = redis.config(&format!("timeout {}", idle.trim_end_matches('s')));
        }
        if let Some(size) = self.key("limits", "request_size") {
            redis = redis.config(&format!("client-query-buffer-limit {size}"));
        }
        let redis = redis.start();
        let (address, log) = (redis.address(), Lines::default());
        let program = Program::StandIn(redis);
        Redoubt { program, address, password: self.client_password, log }
    }

    fn real(self) -> Redoubt {
        let (url, password) = (self.upstream_url.clone(), self.client_password.clone());
        let authority = (is_bridged() && self.key("", "listen").is_none()).then(Authority::new);
        let mut setup = match &authority {
            Some(authority) => self.speaking(authority),
            None => self.unless_set("listen", "127.0.0.1:0"),
        };
        setup = setup
            .unless_set("upstream.url", &url)
            .set_text("log.format", "json")
            .set_text("client.password", &password);
        // A password that is in a file is not in the configuration.
        for (section, keys) in &mut setup.keys {
            if ["client", "upstream"].contains(&section.as_str())
                && keys.contains_key("password_file")
            {
                keys.remove("password");
            }
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("redoubt.toml");
        std::fs::write(&file, text(&setup.keys)).expect("write the configuration");
        setup.through.push(program().display().to_string());
        let mut child = Command::new(&setup.through[0])
            .args(&setup.through[1..])
            .args(["serve", "--config"])
            .arg(&file)
            .env_remove("REDIS_PASSWORD")
            .env_remove("REDOUBT_PASSWORD")
            .env_remove("REDOUBT_LISTEN")
            .env_remove("REDOUBT_UPSTREAM")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run redoubt");
        let log = Lines::of(&mut child);
        let program = Program::Redoubt { child, file, keys: setup.keys, _dir: dir };
        let mut redoubt = Redoubt {
            program,
            address: ([127, 0, 0, 1], 0).into(),
            password: setup.client_password,
            log,
        };
        let listening = |line: &str| lines::field(line, "message") == Some("listening");
        let line = redoubt.log.wait(listening).unwrap_or_else(|| {
            panic!("redoubt does not listen:\n{}", redoubt.log.all().join("\n"));
        });
        let address = lines::field(&line, "address").expect("an address");
        // A Unix socket has no port.
        if let Ok(address) = address.trim_start_matches("tls://").parse() {
            redoubt.address = address;
        }
        if let Some(authority) = authority {
            redoubt.address = bridge(redoubt.address, &authority);
        }
        redoubt
    }
}

/// Returns the keys as a configuration file.
fn text(keys: &Keys) -> String {
    let mut text = String::new();
    for (section, keys) in keys.iter().filter(|(_, keys)| !keys.is_empty()) {
        if !section.is_empty() {
            text += &format!("\n[{section}]\n");
        }
        for (key, value) in keys {
            text += &format!("{key} = {value}\n");
        }
    }
    text
}

enum Program {
    Redoubt { child: Child, file: PathBuf, keys: Keys, _dir: TempDir },
    StandIn(Redis),
}

/// A running Redoubt; killed on drop.
pub struct Redoubt {
    program: Program,
    address: SocketAddr,
    password: String,
    log: Lines,
}

impl Redoubt {
    /// Starts a Redoubt in front of `redis`, with a random client password and the default limits.
    pub fn start(redis: &Redis) -> Self {
        Self::setup(redis).start()
    }

    pub fn setup(redis: &Redis) -> Setup {
        Self::setup_for(redis, redis.password())
    }

    /// Returns the setup for an upstream that need not be running.
    pub fn setup_for(upstream: impl Upstream, upstream_password: &str) -> Setup {
        let (upstream_url, client_password) = (upstream.url(), secret());
        let setup =
            Setup { upstream_url, client_password, through: Vec::new(), keys: BTreeMap::new() };
        // Tests send wrong passwords too; tests about the throttle remove this exemption.
        let setup = setup.set("throttle.exempt", "[\"127.0.0.0/8\"]");
        // The addresses of this machine stand for those of other machines.
        let setup = setup.set("throttle.shared", "[]");
        let setup = setup.set_text("audit.output", "off").set_text("admin.listen", "127.0.0.1:0");
        setup.set_text("upstream.password", upstream_password)
    }

    /// Sets a key in its configuration file; `None` removes it.
    pub fn write(&mut self, key: &str, value: Option<&str>) {
        let Program::Redoubt { file, keys, .. } = &mut self.program else {
            panic!("a stand-in has no configuration");
        };
        let (section, key) = key.rsplit_once('.').unwrap_or(("", key));
        let section = keys.entry(section.into()).or_default();
        match value {
            Some(value) => drop(section.insert(key.into(), value.into())),
            None => drop(section.remove(key)),
        }
        std::fs::write(file, text(keys)).expect("write the configuration");
    }

    /// Makes it reload its configuration. Returns the log line with the result.
    pub fn reload(&self) -> String {
        let from = self.log.count();
        signal(self.pid(), "HUP");
        let reported = |line: &str| {
            let message = lines::field(line, "message").unwrap_or_default();
            ["configuration reloaded", "configuration not reloaded"]
                .iter()
                .any(|begin| message.starts_with(begin))
        };
        self.log.wait_from(from, reported).expect("a reload")
    }
    /// Returns the address of its first listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of its admin port.
    pub fn admin(&self) -> SocketAddr {
        let listening = |line: &str| lines::field(line, "message") == Some("admin listening");
        let line = self.log.wait(listening).expect("an admin port");
        lines::field(&line, "address").expect("an address").parse().expect("an address")
    }

    /// Returns the address of the listener whose address begins with `scheme` in the log.
    pub fn address_of(&self, scheme: &str) -> SocketAddr {
        let line = self.log.wait(|line| {
            let address = lines::field(line, "address").unwrap_or_default();
            lines::field(line, "message") == Some("listening") && address.starts_with(scheme)
        });
        let line = line.expect("a listener");
        let address = lines::field(&line, "address").expect("an address");
        address.trim_start_matches("tls://").parse().expect("an address")
    }

    /// Returns the password for clients.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns its log so far.
    pub fn log(&self) -> &Lines {
        &self.log
    }

    /// Opens a new connection.
    pub fn connect(&self) -> Wire {
        Wire::connect(self.address)
    }

    /// Opens a new authenticated connection.
    pub fn session(&self) -> Wire {
        Wire::authenticated(self.address, &self.password)
    }

    /// Waits until a new session works.
    #[track_caller]
    pub fn wait_until_it_serves(&self) {
        assert!(Deadline::standard().poll(|| self.serves()), "no session works");
    }

    /// Returns true if a new session gets a reply of the upstream. Without an upstream it is closed, before or after
    /// the reply to `AUTH`.
    pub fn serves(&self) -> bool {
        let mut wire = self.connect();
        wire.offer(&super::frame::request(&["AUTH", self.password()]));
        wire.offer(&super::frame::request(&["PING"]));
        wire.offer(&super::frame::request(&["QUIT"]));
        wire.read_to_close() == b"+OK\r\n+PONG\r\n+OK\r\n"
    }

    /// Waits until Redoubt knows its server: the version, the commands, and how links log in. Before, it
    /// answers in the server's place as the strictest server would.
    #[track_caller]
    pub fn wait_until_it_knows_its_server(&self) {
        let knows = self.stand_in().is_some()
            || self.log().wait(|line| line.contains("upstream is available")).is_some();
        assert!(knows, "the upstream is not available");
    }

    pub fn pid(&self) -> u32 {
        match &self.program {
            Program::Redoubt { child, .. } => child.id(),
            Program::StandIn(redis) => redis.pid(),
        }
    }

    /// Returns its resident memory now, in bytes.
    pub fn rss(&self) -> u64 {
        memory(self.pid(), "VmRSS")
    }

    /// Returns the highest resident memory that it ever had, in bytes.
    pub fn peak_rss(&self) -> u64 {
        memory(self.pid(), "VmHWM")
    }

    /// Returns the Redis that stands in for Redoubt, if any.
    pub fn stand_in(&self) -> Option<&Redis> {
        match &self.program {
            Program::Redoubt { .. } => None,
            Program::StandIn(redis) => Some(redis),
        }
    }

    /// Waits for its end, at most [`super::TIME_LIMIT`].
    pub fn wait(&mut self) -> ExitStatus {
        let Program::Redoubt { child, .. } = &mut self.program else {
            panic!("a stand-in does not end");
        };
        let mut status = None;
        Deadline::standard().poll(|| {
            status = child.try_wait().expect("the child's state");
            status.is_some()
        });
        status.expect("redoubt ends")
    }
}

impl Drop for Redoubt {
    fn drop(&mut self) {
        if let Program::Redoubt { child, .. } = &mut self.program {
            drop(child.kill());
            drop(child.wait());
        }
        if std::thread::panicking() {
            let lines = self.log.all();
            let tail = &lines[lines.len().saturating_sub(20)..];
            super::note(&format!("the last lines of the log:\n{}", tail.join("\n")));
        }
    }
}

//! A primary, replicas and Sentinels, all on this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use support::redis::free_port;
use support::servers::program;
use support::{Deadline, Lines, Redis, Redoubt, Wire, redoubt::Setup, secret};
use tempfile::TempDir;

/// The name that the Sentinels have for the primary.
pub(crate) const NAME: &str = "mymaster";

/// A primary and its replicas.
pub(crate) struct Group {
    pub(crate) servers: Vec<Redis>,
    pub(crate) sentinels: Vec<Sentinel>,
    pub(crate) password: String,
}

/// A running Sentinel; killed on drop.
pub(crate) struct Sentinel {
    pub(crate) port: u16,
    child: Child,
    log: Lines,
    password: String,
    server: &'static str,
    dir: TempDir,
}

impl Group {
    /// Starts a primary and `replicas`, without Sentinels.
    pub(crate) fn start(server: &'static str, replicas: usize) -> Self {
        let password = secret();
        let setup = || {
            let setup = Redis::setup().server(server).password(&password);
            setup.config(&format!("masterauth {password}\nrepl-diskless-sync-delay 0"))
        };
        let primary = setup().start();
        let of = format!("replicaof 127.0.0.1 {}", primary.port());
        let mut servers = vec![primary];
        servers.extend((0..replicas).map(|_| setup().config(&of).start()));
        let group = Self { servers, sentinels: Vec::new(), password };
        (1..=replicas).for_each(|index| group.wait_until_it_follows(index));
        group
    }

    /// Starts a primary with two replicas and three Sentinels.
    pub(crate) fn with_sentinels(server: &'static str) -> Self {
        let mut group = Self::start(server, 2);
        let password = secret();
        for _ in 0..3 {
            let sentinel = Sentinel::start(server, &group, &password);
            group.sentinels.push(sentinel);
        }
        for sentinel in &group.sentinels {
            let all = Deadline::standard().poll(|| {
                let primary = sentinel.ask(&["SENTINEL", "MASTER", NAME]);
                ["$19\r\nnum-other-sentinels\r\n$1\r\n2\r\n", "num-slaves\r\n$1\r\n2\r\n"]
                    .iter()
                    .all(|field| primary.contains(field))
            });
            assert!(all, "the Sentinels do not find each other and the replicas");
        }
        group
    }

    /// Waits until the server at `index` has its primary's data.
    pub(crate) fn wait_until_it_follows(&self, index: usize) {
        let follows =
            || self.info(index).is_some_and(|info| info.contains("master_link_status:up"));
        assert!(Deadline::standard().poll(follows), "server {index} does not follow");
    }

    fn info(&self, index: usize) -> Option<String> {
        let reply = self.servers[index].direct().command(&["INFO", "replication"]);
        String::from_utf8(reply).ok()
    }

    /// Returns the setup of a Redoubt that asks the Sentinels.
    pub(crate) fn behind_sentinels(&self) -> Setup {
        let ports = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port));
        let url = format!("redis-sentinel://{}/{NAME}", ports.collect::<Vec<_>>().join(","));
        let setup = Redoubt::setup_for(0, &self.password).set_text("upstream.url", &url);
        setup.set_text("upstream.sentinel_password", &self.sentinels[0].password)
    }

    /// Returns the arguments of a client program that asks the Sentinels.
    pub(crate) fn for_clients(&self) -> Vec<String> {
        let hosts = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port));
        let hosts = hosts.collect::<Vec<_>>().join(",");
        let own = self.sentinels[0].password.clone();
        ["sentinel".to_owned(), hosts, NAME.to_owned(), own, self.password.clone()].into()
    }

    /// Returns the setup of a Redoubt that has the addresses of all servers, in the order of `indexes`.
    pub(crate) fn behind_list(&self, indexes: &[usize]) -> Setup {
        let urls =
            indexes.iter().map(|index| format!("\"redis://{}\"", self.servers[*index].address()));
        let urls = urls.collect::<Vec<_>>().join(", ");
        Redoubt::setup_for(0, &self.password).set("upstream.url", format!("[{urls}]"))
    }

    /// Returns the index of the server that the Sentinels name.
    pub(crate) fn named(&self) -> Option<usize> {
        let answer = self.sentinels.iter().find_map(|sentinel| sentinel.named())?;
        self.servers.iter().position(|server| server.port() == answer)
    }

    /// Waits until all Sentinels that run name another server than `before`. Returns its index.
    pub(crate) fn wait_for_another(&self, before: usize) -> usize {
        let old = self.servers[before].port();
        let others = Deadline::standard().poll(|| {
            let mut named = self.sentinels.iter().filter_map(Sentinel::named);
            named.all(|port| port != old)
        });
        assert!(others, "there is no failover");
        self.named().expect("a primary")
    }

    /// Promotes a server by hand; all others follow it.
    pub(crate) fn promote(&self, index: usize) {
        let port = self.servers[index].port().to_string();
        let promoted = self.servers[index].direct().command(&["REPLICAOF", "NO", "ONE"]);
        assert_eq!(promoted, b"+OK\r\n");
        for (other, server) in self.servers.iter().enumerate() {
            if other != index {
                let follows = server.direct().command(&["REPLICAOF", "127.0.0.1", &port]);
                assert_eq!(follows, b"+OK\r\n");
            }
        }
    }
}

impl Sentinel {
    fn start(server: &'static str, group: &Group, password: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let primary = group.servers[0].port();
        let config = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nrequirepass {password}\n\
             sentinel sentinel-pass {password}\n\
             sentinel monitor {NAME} 127.0.0.1 {primary} 2\n\
             sentinel auth-pass {NAME} {}\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 3000\n",
            dir.path().display(),
            group.password
        );
        std::fs::write(dir.path().join("sentinel.conf"), config).expect("write");
        let (child, log) = launch(server, &dir);
        Self { port, child, log, password: password.to_owned(), server, dir }
    }

    /// Returns the text of its reply to a command.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let reply = Wire::authenticated(address, &self.password).command(words);
        String::from_utf8_lossy(&reply).into_owned()
    }

    /// Returns the port of the primary that it names; `None` if it does not run.
    fn named(&self) -> Option<u16> {
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        let reply = self.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
        reply.lines().last()?.parse().ok()
    }

    /// Makes it fail over, though nothing is wrong.
    pub(crate) fn fail_over(&self) {
        // A Sentinel that has just failed over, or knows of no good replica yet, says so.
        let begun =
            Deadline::standard().poll(|| self.ask(&["SENTINEL", "FAILOVER", NAME]) == "+OK\r\n");
        assert!(begun, "{}", self.ask(&["SENTINEL", "FAILOVER", NAME]));
    }

    pub(crate) fn kill(&mut self) {
        drop(self.child.kill());
        self.child.wait().expect("its end");
        self.log.wait_for_end();
    }

    pub(crate) fn restart(&mut self) {
        (self.child, self.log) = launch(self.server, &self.dir);
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.kill();
    }
}

fn launch(server: &str, dir: &TempDir) -> (Child, Lines) {
    let mut child = Command::new(program(server))
        .arg(dir.path().join("sentinel.conf"))
        .arg("--sentinel")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("redis-server is missing: apt-get install -y redis-server");
    let log = Lines::of(&mut child);
    assert!(log.wait(|line| line.contains("+monitor")).is_some(), "{:?}", log.all());
    (child, log)
}

//! Runs a redis-server, or another server of its family, for the demo: on a free port of 127.0.0.1, with
//! a password, without files of data.

use std::fs::{self, DirBuilder};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use secrecy::{ExposeSecret, SecretString};

/// How often another port is tried when another process takes the free port first.
const ATTEMPTS: u32 = 5;
/// The servers that are tried, in this order.
const PROGRAMS: [&str; 3] = ["redis-server", "valkey-server", "redict-server"];
/// The text that each of them logs when it serves.
const READY: &str = "Ready to accept connections";

/// The reason why there is no Redis.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedisError {
    #[error(
        "there is no redis-server, valkey-server or redict-server in the PATH; install one with \
         `apt-get install redis-server` (Debian, Ubuntu), `dnf install valkey` (Fedora), `apk add \
         redis` (Alpine) or `brew install redis` (macOS)"
    )]
    NotInstalled,
    #[error("the server cannot be started")]
    Start(#[source] io::Error),
    #[error("the server stopped at once; its last log lines: {0}")]
    Stopped(String),
}

/// A running redis-server. On drop, it is killed and its directory is removed.
#[derive(Debug)]
pub(super) struct Redis {
    child: Child,
    address: SocketAddr,
    version: String,
    dir: PathBuf,
}

impl Redis {
    /// Starts a server with `password`, and waits until it serves.
    pub(super) fn start(password: &SecretString) -> Result<Self, RedisError> {
        let (program, version) = installed()?;
        let mut attempt = 1;
        loop {
            let redis = Self::spawn(program, &version, password).map_err(RedisError::Start)?;
            match redis.wait_until_ready() {
                Err(RedisError::Stopped(_)) if attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its name and version, such as `Redis 7.0.15` or `Valkey 9.1.2`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    fn spawn(program: &str, version: &str, password: &SecretString) -> io::Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let dir = std::env::temp_dir().join(format!(
            "redoubt-demo-{}-{}",
            std::process::id(),
            address.port()
        ));
        DirBuilder::new().mode(0o700).create(&dir)?;
        let child = Command::new(program)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // In a process group of its own, Redis does not get the Ctrl-C: Redoubt ends its
            // sessions first.
            .process_group(0)
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) => {
                let _ = fs::remove_dir(&dir);
                return Err(error);
            }
        };
        let mut redis = Self { child, address, version: version.to_owned(), dir };
        if let Some(mut stdin) = redis.child.stdin.take() {
            stdin.write_all(config(address.port(), &redis.dir, password).as_bytes())?;
        }
        Ok(redis)
    }

    /// Reads the log until the server is ready; later lines are read and discarded.
    fn wait_until_ready(mut self) -> Result<Self, RedisError> {
        let Some(log) = self.child.stdout.take() else { return Ok(self) };
        let mut log = BufReader::new(log);
        let mut last = String::new();
        loop {
            let mut line = String::new();
            if log.read_line(&mut line).map_err(RedisError::Start)? == 0 {
                return Err(RedisError::Stopped(last));
            }
            if line.contains(READY) {
                break;
            }
            if !line.trim().is_empty() {
                line.trim().clone_into(&mut last);
            }
        }
        thread::Builder::new()
            .name("redis-log".to_owned())
            .spawn(move || io::copy(&mut log, &mut io::sink()))
            .map_err(RedisError::Start)?;
        Ok(self)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Returns the configuration. It is sent to standard input, since all users of the machine can see
/// a command line.
fn config(port: u16, dir: &Path, password: &SecretString) -> String {
    let password = password.expose_secret();
    let dir = dir.display();
    format!(
        "bind 127.0.0.1\nport {port}\ndir \"{dir}\"\nrequirepass {password}\nsave \"\"\n\
         appendonly no\nmaxmemory 256mb\nmaxmemory-policy allkeys-lru\nlogfile \"\"\n\
         loglevel notice\ndaemonize no\n"
    )
}

/// Returns the first of the servers that is installed, and its name and version.
fn installed() -> Result<(&'static str, String), RedisError> {
    for program in PROGRAMS {
        match Command::new(program).arg("--version").output() {
            Ok(output) => {
                return Ok((program, version(&String::from_utf8_lossy(&output.stdout))));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(RedisError::Start(error)),
        }
    }
    Err(RedisError::NotInstalled)
}

/// Returns the name and version from `text`, which a server prints for `--version`. The program's name does
/// not tell: a `redis-server` may be a link to a Valkey.
fn version(text: &str) -> String {
    let name = text.split_whitespace().next().unwrap_or("Redis");
    let number = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
    format!("{name} {}", number.unwrap_or("of an unknown version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_has_the_name_of_the_server() {
        assert_eq!(version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc"), "Redis 7.0.15");
        assert_eq!(version("Valkey server v=9.1.2 sha=00000000:0 bits=64"), "Valkey 9.1.2");
        assert_eq!(version("Redict server v=7.3.6 sha=00000000:0"), "Redict 7.3.6");
        assert_eq!(version(""), "Redis of an unknown version");
    }
}

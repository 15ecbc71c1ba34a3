//! A server of a test's own, on a Unix socket, so that two tests cannot use the same server.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::servers;

/// Only a failing test waits so long.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// A running server without persistence or password; killed on drop.
pub struct Server {
    child: Child,
    dir: TempDir,
}

impl Server {
    /// Starts a server with further command-line options, and returns when it accepts connections.
    pub fn start(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let server = servers::tested();
        let child = Command::new(servers::program(server))
            .args(servers::options(server))
            .args(["--port", "0", "--save", "", "--dir"])
            .arg(dir.path())
            .arg("--unixsocket")
            .arg(dir.path().join("socket"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{server}: {error}"));
        let mut started = Self { child, dir };
        let log = BufReader::new(started.child.stdout.take().expect("its log"));
        let mut seen = String::new();
        for line in log.lines() {
            let line = line.expect("a line of the log");
            // Redis 7.0 and later word it differently.
            if line.contains("ready to accept connections")
                || line.contains("Ready to accept connections")
            {
                return started;
            }
            seen += &line;
            seen.push('\n');
        }
        panic!("{server} does not start:\n{seen}");
    }

    /// Returns the path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// Opens a raw connection.
    pub fn connect(&self) -> Connection {
        let stream = UnixStream::connect(self.socket()).expect("a connection");
        stream.set_read_timeout(Some(TIME_LIMIT)).expect("a timeout");
        Connection { stream: BufReader::new(stream) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A connection that sends requests and reads replies of one line.
pub struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    /// Returns the reply to a request of `args`, with its line end.
    pub fn ask(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&request).expect("a request sent");
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).expect("a reply");
        line
    }
}

//! A real redis-server, started in several ways.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use support::servers;

/// A server that only this test uses.
pub(crate) struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    pub(crate) fn start(args: &[&str]) -> Self {
        for _ in 0..5 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let port = free.local_addr().expect("an address").port();
            drop(free);
            // The parser's own rules are those of Redis 7.0; `differential` compares it with other servers.
            let server = servers::REDIS_7_0;
            let mut child = Command::new(servers::program(server))
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
                .args(["--appendonly", "no", "--daemonize", "no"])
                .args(args)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap_or_else(|error| panic!("{server}: {error}"));
            let mut log = BufReader::new(child.stdout.take().expect("a pipe"));
            let mut line = String::new();
            while log.read_line(&mut line).expect("a log line") > 0 {
                if line.contains("Ready to accept connections") {
                    // The log is discarded, but reading it keeps the pipe from filling up.
                    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
                    return Self { child, port };
                }
                line.clear();
            }
            // Another process has taken the port.
            child.wait().expect("an exit status");
        }
        panic!("{} does not start", servers::REDIS_7_0);
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream
    }

    /// Returns all that Redis sends in reply to `input` and the end of the stream.
    pub(crate) fn answer(&self, input: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(input).expect("input is taken");
        // The call fails if Redis has closed already.
        let _ = stream.shutdown(Shutdown::Write);
        let mut output = vec![];
        stream.read_to_end(&mut output).expect("output to its end");
        output
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

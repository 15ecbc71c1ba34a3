//! The checks, made over real connections as any client would.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

/// How long a reply may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of a reply that are read.
const MAX_REPLY: u64 = 4096;

/// A check that was made.
#[derive(Debug)]
pub(super) struct Check {
    /// Its number among the four that decide whether a deployment is secure.
    pub(super) number: u8,
    /// What was done.
    pub(super) what: &'static str,
    /// What came back.
    pub(super) reply: String,
    /// Whether that is right.
    pub(super) holds: bool,
}

/// Makes the checks that one machine can make, with the server at `address`.
pub(super) fn run(address: SocketAddr, password: &SecretString) -> [Check; 3] {
    let password = Some(password);
    [
        check(1, "PING without a password", "-NOAUTH ", reply(address, None, "PING")),
        check(
            3,
            "FLUSHDB with the password",
            "-ERR unknown command ",
            reply(address, password, "FLUSHDB"),
        ),
        check(4, "PING with the password", "+PONG", reply(address, password, "PING")),
    ]
}

fn check(number: u8, what: &'static str, expected: &str, reply: io::Result<String>) -> Check {
    let (reply, holds) = match reply {
        Ok(reply) => {
            let holds = reply.starts_with(expected);
            (reply, holds)
        }
        Err(error) => (error.to_string(), false),
    };
    Check { number, what, reply, holds }
}

/// The first line of the reply to `command` on a connection of its own.
fn reply(
    address: SocketAddr,
    password: Option<&SecretString>,
    command: &str,
) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut replies = BufReader::new(stream.try_clone()?.take(MAX_REPLY));
    if let Some(password) = password {
        stream.write_all(&request(&["AUTH", password.expose_secret()]))?;
        let answer = line(&mut replies)?;
        if answer != "+OK" {
            return Ok(answer);
        }
    }
    stream.write_all(&request(&[command]))?;
    line(&mut replies)
}

fn line(replies: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if replies.read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed without a reply"));
    }
    Ok(line.trim_end().to_owned())
}

fn request(args: &[&str]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", args.len());
    for arg in args {
        request.push_str(&format!("${}\r\n{arg}\r\n", arg.len()));
    }
    request.into_bytes()
}

//! HTTP over a plain socket, for the admin port.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::TIME_LIMIT;

/// Requests `path`. Returns the status, the headers in lower case, a line each, and the body.
pub fn http_get(address: SocketAddr, path: &str) -> (u16, String, String) {
    http(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
}

/// Sends `request`, which asks the server to close the connection, and reads the answer.
pub fn http(address: SocketAddr, request: &str) -> (u16, String, String) {
    read_answer(TcpStream::connect_timeout(&address, TIME_LIMIT).expect("connect"), request)
}

/// Does what [`http`] does, over `stream`.
pub fn read_answer(mut stream: TcpStream, request: &str) -> (u16, String, String) {
    stream.set_read_timeout(Some(TIME_LIMIT)).expect("a read timeout");
    // A request that is rejected early may not be read to its end.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| {
        panic!("no answer: {answer:?}, {read:?}");
    });
    let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, headers.to_ascii_lowercase(), body.to_owned())
}

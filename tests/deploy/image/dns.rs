//! A name server that knows one name.

use std::net::{Ipv4Addr, UdpSocket};

use support::random;

/// The name that the server answers for.
pub(crate) const NAME: &str = "redis.backend.test";

/// Starts a name server that answers `127.0.0.1` for [`NAME`], on port 53 of a loopback address of its
/// own. It ends with the test's process.
pub(crate) fn start() -> Ipv4Addr {
    let (socket, address) = loop {
        let random = random(3);
        let address = Ipv4Addr::new(127, 1 + random[0] % 200, random[1], 1 + random[2] % 250);
        match UdpSocket::bind((address, 53)) {
            Ok(socket) => break (socket, address),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => panic!("cannot listen on port 53, which needs root: {error}"),
        }
    };
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..length]) {
                drop(socket.send_to(&answer, peer));
            }
        }
    });
    address
}

/// Turns a query of one question into its answer (RFC 1035): an address for type A, otherwise none.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    for label in NAME.split('.') {
        name.push(u8::try_from(label.len()).ok()?);
        name.extend_from_slice(label.as_bytes());
    }
    name.push(0);
    let question = query.get(12..12 + name.len() + 4)?;
    let (asked, kind) = question.split_at(name.len());
    let is_known = asked.eq_ignore_ascii_case(&name);
    let is_address = is_known && kind == [0, 1, 0, 1];
    let mut answer = query[..2].to_vec();
    answer.extend([0x84, if is_known { 0 } else { 3 }]);
    answer.extend([0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    answer.extend(question);
    if is_address {
        // The answer is the name again, type A, class IN, one minute, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}

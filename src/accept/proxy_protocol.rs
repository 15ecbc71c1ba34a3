//! The header of the PROXY protocol, version 2, in which a load balancer gives the address of its
//! client.
//!
//! The existing crates parse a buffer that was already read. This parser reads exactly the bytes of
//! the header, so that the next byte is the session's first. It is strict: version 1, a family or
//! protocol other than TCP over IPv4 or IPv6, and an overlong header are errors. Extensions (TLVs)
//! are read and ignored.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// The first bytes of every header.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2 with the command LOCAL: the balancer opened the connection for itself.
const LOCAL: u8 = 0x20;
/// Version 2 with the command PROXY: the connection is for a client.
const PROXY: u8 = 0x21;
const TCP_IPV4: u8 = 0x11;
const TCP_IPV6: u8 = 0x21;
/// Most bytes of a header: the most that the specification allows a sender that does not know the
/// network.
const MAX_SIZE: usize = 536;
/// Bytes of the fixed part of a header, up to and including the length of the rest.
const HEAD: usize = 16;

/// The reason why a header was rejected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("the connection does not begin with a PROXY header of version 2")]
    NoHeader,
    #[error("the PROXY header has an unknown command, family or protocol")]
    Unknown,
    #[error("the PROXY header is too long, or too short for its addresses")]
    Length,
    #[error("the connection ended within the PROXY header")]
    Read(#[from] io::Error),
}

/// Reads exactly the header. Returns the client's address, or `None` for a connection that the
/// balancer opened for itself. Has no time limit; the caller sets one. Not cancel safe: bytes that
/// were read are lost, so the connection must be closed.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<SocketAddr>, HeaderError> {
    let mut buffer = [0; MAX_SIZE];
    let (head, body) = buffer.split_at_mut(HEAD);
    // The signature is checked as its bytes come, so that other input is rejected without waiting
    // for more.
    let mut read = 0;
    while read < HEAD {
        read += match stream.read(&mut head[read..]).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            more => more,
        };
        let signed = read.min(SIGNATURE.len());
        if head[..signed] != SIGNATURE[..signed] {
            return Err(HeaderError::NoHeader);
        }
    }
    let &mut [.., command, family, high, low] = head else { return Err(HeaderError::Length) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let body = body.get_mut(..length).ok_or(HeaderError::Length)?;
    stream.read_exact(body).await?;
    match (command, family) {
        (LOCAL, _) => Ok(None),
        (PROXY, TCP_IPV4) => client::<4>(body).map(Some),
        (PROXY, TCP_IPV6) => client::<16>(body).map(Some),
        _ => Err(HeaderError::Unknown),
    }
}

/// Returns the source: the first of the two addresses in `body`, with the first of the two ports
/// after them.
fn client<const N: usize>(body: &[u8]) -> Result<SocketAddr, HeaderError>
where
    IpAddr: From<[u8; N]>,
{
    let (address, rest) = body.split_first_chunk::<N>().ok_or(HeaderError::Length)?;
    let (_, rest) = rest.split_first_chunk::<N>().ok_or(HeaderError::Length)?;
    let (ports, _) = rest.split_first_chunk::<4>().ok_or(HeaderError::Length)?;
    let [high, low, ..] = *ports;
    Ok(SocketAddr::new(IpAddr::from(*address), u16::from_be_bytes([high, low])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    /// Returns the result of reading `bytes`, and the bytes that were not read.
    fn take(mut bytes: &[u8]) -> (Result<Option<SocketAddr>, HeaderError>, &[u8]) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outcome = runtime.block_on(read(&mut bytes));
        (outcome, bytes)
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 127, 0, 0, 1, 0x12, 0x34, 0, 80];

    #[test]
    fn read_returns_the_source_and_leaves_the_next_bytes() {
        let bytes = [&header(PROXY, TCP_IPV4, &IPV4)[..], b"PING\r\n"].concat();
        let (client, rest) = take(&bytes);
        assert_eq!(client.unwrap(), Some("192.0.2.1:4660".parse().unwrap()));
        assert_eq!(rest, b"PING\r\n");
        let mut body = [0; 36];
        body[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        body[15] = 1;
        body[33] = 9;
        let bytes = header(PROXY, TCP_IPV6, &body);
        assert_eq!(take(&bytes).0.unwrap(), Some("[2001:db8::1]:9".parse().unwrap()));
    }

    #[test]
    fn extensions_and_addresses_of_local_are_ignored() {
        let extended = [&IPV4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        let bytes = [&header(PROXY, TCP_IPV4, &extended)[..], b"x"].concat();
        let (client, rest) = take(&bytes);
        assert!(client.unwrap().is_some());
        assert_eq!(rest, b"x");
        let bytes = [&header(LOCAL, 0, b"whatever")[..], b"x"].concat();
        let (client, rest) = take(&bytes);
        assert_eq!(client.unwrap(), None);
        assert_eq!(rest, b"x");
    }

    #[test]
    fn malformed_headers_are_rejected() {
        for bytes in
            [&b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 80\r\n"[..], b"PING\r\n", b"\r\n\r\n\r"]
        {
            assert!(matches!(take(bytes).0, Err(HeaderError::NoHeader)));
        }
        for (command, family) in
            [(PROXY, 0), (PROXY, 0x12), (PROXY, 0x31), (0x22, TCP_IPV4), (0x11, TCP_IPV4)]
        {
            let bytes = header(command, family, &IPV4);
            assert!(matches!(take(&bytes).0, Err(HeaderError::Unknown)));
        }
        for bytes in [
            header(PROXY, TCP_IPV4, &IPV4[..11]),
            header(PROXY, TCP_IPV6, &IPV4),
            header(PROXY, TCP_IPV4, &[0; 521]),
            header(LOCAL, 0, &[0; 600]),
        ] {
            assert!(matches!(take(&bytes).0, Err(HeaderError::Length)));
        }
        let bytes = header(PROXY, TCP_IPV4, &IPV4);
        for cut in 0..bytes.len() {
            assert!(matches!(take(&bytes[..cut]).0, Err(HeaderError::Read(_))));
        }
        assert!(take(&header(PROXY, TCP_IPV4, &[1; 520])).0.is_ok(), "536 bytes");
    }
}

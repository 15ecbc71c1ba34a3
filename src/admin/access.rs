//! Decides who may request more than health and metrics: only programs on this machine.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::header::{self, HeaderMap};

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

/// Returns the reason why a request is refused; `None` if it is allowed.
///
/// A browser sends `Origin` when a page of another site makes the request. A page whose own name
/// was made to resolve to this machine (DNS rebinding) sends that name in `Host`, so `Host` must be
/// an address or `localhost`.
pub(super) fn refusal(headers: &HeaderMap, ends: Ends) -> Option<&'static str> {
    let (peer, local) = (ends.peer.ip().to_canonical(), ends.local.ip().to_canonical());
    if !peer.is_loopback() && peer != local {
        return Some("only for programs on this machine\n");
    }
    if headers.contains_key(header::ORIGIN) {
        return Some("not for web pages\n");
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let is_local_host = host.is_some_and(is_local_host) && hosts.next().is_none();
    (!is_local_host).then_some("the Host header must hold an address or localhost\n")
}

/// Returns whether a `Host` header is exactly an address or `localhost`, with or without a port.
fn is_local_host(host: &str) -> bool {
    let is_port =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok();
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return false };
        let has_port = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return has_port && address.parse::<Ipv6Addr>().is_ok();
    }
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let is_here = name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok();
    is_here && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(peer: &str, local: &str, headers: &[(header::HeaderName, &'static str)]) -> bool {
        let ends = Ends { peer: peer.parse().unwrap(), local: local.parse().unwrap() };
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        refusal(&headers.collect(), ends).is_none()
    }

    #[test]
    fn only_this_machine_may_request_sessions() {
        let host = [(header::HOST, "127.0.0.1:6390")];
        for (peer, local, may) in [
            ("127.0.0.1:1", "127.0.0.1:2", true),
            ("127.0.0.9:1", "127.0.0.1:2", true),
            ("[::1]:1", "[::1]:2", true),
            ("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:2", true),
            ("10.0.0.5:1", "10.0.0.5:2", true),
            ("10.0.0.6:1", "10.0.0.5:2", false),
            ("10.0.0.6:1", "127.0.0.1:2", false),
            ("[2001:db8::1]:1", "[::1]:2", false),
        ] {
            assert_eq!(ask(peer, local, &host), may, "{peer} {local}");
        }
    }

    #[test]
    fn requests_of_web_pages_are_refused() {
        let here = |headers: &[_]| ask("127.0.0.1:1", "127.0.0.1:2", headers);
        for host in
            ["localhost", "LOCALHOST:6390", "127.0.0.1", "[::1]:6390", "[::1]", "10.0.0.5:1"]
        {
            assert!(here(&[(header::HOST, host)]), "{host}");
            let origin = (header::ORIGIN, "http://localhost:6390");
            assert!(!here(&[(header::HOST, host), origin]), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:6390",
            "127.0.0.1.evil.example",
            "localhost:x@evil",
            "localhost:6390@evil.example",
            "localhost:",
            "localhost:6390:1",
            "localhost:+1",
            "localhost:65536",
            "localhost/evil",
            "127.0.0.1:x@evil",
            "x@127.0.0.1",
            "[::1]x:1",
            "[::1]:1@evil",
            "[::1",
            "::1",
            "[127.0.0.1]",
        ] {
            assert!(!here(&[(header::HOST, host)]), "{host}");
        }
        let two = [(header::HOST, "localhost"), (header::HOST, "evil.example")];
        let ends =
            Ends { peer: "127.0.0.1:1".parse().unwrap(), local: "127.0.0.1:2".parse().unwrap() };
        let mut headers = HeaderMap::new();
        for (name, value) in two {
            headers.append(name, value.parse().unwrap());
        }
        assert!(refusal(&headers, ends).is_some(), "two hosts");
        assert!(!here(&[]), "no host");
    }
}

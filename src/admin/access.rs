//! Who may ask for more than health and metrics: programs on this machine.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{self, HeaderMap};

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

/// Why a request is refused, if it is.
///
/// A browser tells in `Origin` that another site's page asks. A page whose own name has been made to
/// lead here says that name in `Host`, so what is not an address must be `localhost`.
pub(super) fn refusal(headers: &HeaderMap, ends: Ends) -> Option<&'static str> {
    let (peer, local) = (ends.peer.ip().to_canonical(), ends.local.ip().to_canonical());
    if !peer.is_loopback() && peer != local {
        return Some("only for programs on this machine\n");
    }
    if headers.contains_key(header::ORIGIN) {
        return Some("not for web pages\n");
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let names_here = host.is_some_and(|host| {
        host.parse::<SocketAddr>().is_ok()
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || host.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case("localhost"))
    });
    (!names_here).then_some("the Host header must hold an address or localhost\n")
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
    fn this_machine_may_ask_and_no_other() {
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
    fn web_pages_may_not_ask() {
        let here = |headers: &[_]| ask("127.0.0.1:1", "127.0.0.1:2", headers);
        for host in
            ["localhost", "LOCALHOST:6390", "127.0.0.1", "[::1]:6390", "[::1]", "10.0.0.5:1"]
        {
            assert!(here(&[(header::HOST, host)]), "{host}");
            let origin = (header::ORIGIN, "http://localhost:6390");
            assert!(!here(&[(header::HOST, host), origin]), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example:6390", "127.0.0.1.evil.example"] {
            assert!(!here(&[(header::HOST, host)]), "{host}");
        }
        assert!(!here(&[]), "no host");
    }
}

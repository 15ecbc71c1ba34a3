//! `redis://[[user]:[password]@]host[:port]`, or `rediss://` for TLS.

use secrecy::SecretString;
use url::{Host, Url};

use super::error::UrlProblem;

/// Redis's own port, for a URL without one.
const DEFAULT_PORT: u16 = 6379;

/// The parts of an upstream's URL.
#[derive(Debug)]
pub(super) struct UpstreamUrl {
    /// Whether it is spoken to in TLS.
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: Option<String>,
    pub(super) password: Option<SecretString>,
}

impl UpstreamUrl {
    pub(super) fn parse(text: &str) -> Result<Self, UrlProblem> {
        let url = Url::parse(text).map_err(|_| UrlProblem::Form)?;
        let tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            _ => return Err(UrlProblem::Scheme),
        };
        if url.cannot_be_a_base() {
            return Err(UrlProblem::Form);
        }
        if !matches!(url.path(), "" | "/") {
            return Err(UrlProblem::Path);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(UrlProblem::Options);
        }
        let host = match url.host().ok_or(UrlProblem::Form)? {
            Host::Domain("") => return Err(UrlProblem::Form),
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        if !host.bytes().all(is_host_byte) {
            return Err(UrlProblem::Form);
        }
        let port = url.port().unwrap_or(DEFAULT_PORT);
        if port == 0 {
            return Err(UrlProblem::PortZero);
        }
        let user = Some(decode(url.username())?).filter(|user| !user.is_empty());
        let password = decode(url.password().unwrap_or_default())?;
        let password = (!password.is_empty()).then(|| SecretString::from(password));
        Ok(Self { tls, host, port, user, password })
    }
}

/// Whether a host name or address may hold `byte`.
pub(super) fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':')
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, UrlProblem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
                    return Err(UrlProblem::Form);
                };
                bytes.push(u8::try_from(high * 16 + low).map_err(|_| UrlProblem::Form)?);
                rest = tail;
            }
            (b'%', _) => return Err(UrlProblem::Form),
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| UrlProblem::NotUtf8)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn parts(text: &str) -> (String, u16, Option<String>, Option<String>) {
        let url = UpstreamUrl::parse(text).unwrap();
        let password = url.password.map(|password| password.expose_secret().to_owned());
        (url.host, url.port, url.user, password)
    }

    #[test]
    fn every_part_is_found_and_decoded() {
        assert_eq!(parts("redis://redis"), ("redis".into(), 6379, None, None));
        assert_eq!(parts("redis://127.0.0.1:7000/"), ("127.0.0.1".into(), 7000, None, None));
        assert_eq!(parts("redis://[::1]:7000"), ("::1".into(), 7000, None, None));
        assert_eq!(
            parts("redis://:p%40ss%2F^+%25@redis:1"),
            ("redis".into(), 1, None, Some("p@ss/^+%".into()))
        );
        assert_eq!(
            parts("redis://app:secret@redis"),
            ("redis".into(), 6379, Some("app".into()), Some("secret".into()))
        );
        assert_eq!(parts("redis://app@redis").2.as_deref(), Some("app"));
        assert_eq!(parts("redis://:@redis").3, None);
        assert!(UpstreamUrl::parse("rediss://redis").unwrap().tls);
        assert!(!UpstreamUrl::parse("redis://redis").unwrap().tls);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        use UrlProblem::{Form, NotUtf8, Options, Path, PortZero, Scheme};
        for (text, problem) in [
            ("", Form),
            ("redis", Form),
            ("127.0.0.1:6379", Form),
            ("redis:6379", Form),
            ("redis://", Form),
            ("redis://:6379", Form),
            ("redis://host:port", Form),
            ("redis://host:99999", Form),
            ("redis://ho st", Form),
            ("redis://:pa#ss@host", Form),
            ("redis://:12/34@host", Form),
            ("redis://user/34@host", Path),
            ("redis://:p%zz@host", Form),
            ("redis://:p%f@host", Form),
            ("redis://:p%ff@host", NotUtf8),
            ("redis://host/3", Path),
            ("redis://host?db=1", Options),
            ("redis://host:0", PortZero),
            ("http://host", Scheme),
            ("unix:///run/redis.sock", Scheme),
        ] {
            assert_eq!(UpstreamUrl::parse(text).err(), Some(problem), "{text}");
        }
    }
}

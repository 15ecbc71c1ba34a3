//! The URL of the upstream: `redis://[[user]:[password]@]host[:port]`, or `rediss://` for TLS.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::{Host, Url};

use super::super::error::UrlProblem;

/// Redis's own port, for a URL without one.
const DEFAULT_PORT: u16 = 6379;

/// The parts of an upstream's URL.
#[derive(Debug)]
pub struct UpstreamUrl {
    /// `true` for `rediss://`.
    pub tls: bool,
    /// A host name or an address, IPv6 without brackets.
    pub host: String,
    /// The TCP port, never 0.
    pub port: u16,
    /// The ACL user; `None` if the URL holds none.
    pub user: Option<String>,
    /// The password; `None` if the URL holds none.
    pub password: Option<SecretString>,
}

impl UpstreamUrl {
    /// Splits `text` into its parts. An error shows nothing of the text, which may hold a password.
    ///
    /// # Errors
    /// The part of the URL that is wrong.
    pub fn parse(text: &str) -> Result<Self, UrlProblem> {
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

/// Returns whether a host name or address may hold `byte`.
pub(crate) fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':')
}

/// Decodes percent-encoding. A `%` without two hexadecimal digits is an error.
fn decode(text: &str) -> Result<String, UrlProblem> {
    let is_encoded = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_encoded) {
        return Err(UrlProblem::Form);
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| UrlProblem::NotUtf8)?;
    Ok(decoded.into_owned())
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
    fn parse_finds_and_decodes_every_part() {
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
    fn parse_rejects_malformed_urls() {
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

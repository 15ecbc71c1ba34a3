//! The URL of the upstream, as client libraries write them.
//!
//! | form | where Redis is |
//! |---|---|
//! | `redis://[[user]:[password]@]host[:port]`, or `rediss://` for TLS | one server |
//! | `unix://[[user]:[password]@]/path`, also as `redis+unix://`; `?user=…&password=…` | one server, without a network |
//! | several of these in a list | the first of them that is a primary |
//! | `redis-sentinel://[[user]:[password]@]host[:port],…/name`, or `rediss-sentinel://` | the primary of that name |

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::super::error::UrlProblem;
use super::super::sections::{Endpoint, Node, Servers};

/// Redis's own port, for a URL without one.
const DEFAULT_PORT: u16 = 6379;
/// The port of a Sentinel.
const SENTINEL_PORT: u16 = 26379;
/// The schemes, and whether they mean TLS.
const SCHEMES: [(&str, Kind, bool); 6] = [
    ("redis", Kind::Tcp, false),
    ("rediss", Kind::Tcp, true),
    ("unix", Kind::Unix, false),
    ("redis+unix", Kind::Unix, false),
    ("redis-sentinel", Kind::Sentinel, false),
    ("rediss-sentinel", Kind::Sentinel, true),
];
/// Most servers, or Sentinels.
const MOST: usize = 16;

#[derive(Clone, Copy)]
enum Kind {
    Tcp,
    Unix,
    Sentinel,
}

/// The parts of an upstream's URL.
#[derive(Debug)]
pub struct UpstreamUrl {
    /// `true` for `rediss://` and `rediss-sentinel://`.
    pub tls: bool,
    /// Where Redis is.
    pub servers: Servers,
    /// The ACL user; `None` if the URL holds none.
    pub user: Option<String>,
    /// The password; `None` if the URL holds none.
    pub password: Option<SecretString>,
}

impl UpstreamUrl {
    /// Splits `text` into its parts: one URL, or several with commas between them. An error shows nothing of the
    /// text, which may hold a password.
    ///
    /// # Errors
    /// The part of the URL that is wrong.
    pub fn parse(text: &str) -> Result<Self, UrlProblem> {
        Self::of_list(&split(text))
    }

    /// As [`UpstreamUrl::parse`], for several URLs of single servers.
    ///
    /// # Errors
    /// The part of a URL that is wrong, or in what they differ.
    pub fn of_list(texts: &[&str]) -> Result<Self, UrlProblem> {
        let (first, others) = texts.split_first().ok_or(UrlProblem::Form)?;
        let mut whole = Self::of_one(first)?;
        for text in others {
            let next = Self::of_one(text)?;
            let (Servers::Nodes(nodes), Servers::Nodes(more)) = (&mut whole.servers, next.servers)
            else {
                return Err(UrlProblem::SentinelInList);
            };
            nodes.extend(more);
            let secret = |password: &Option<SecretString>| {
                password.as_ref().map(|password| password.expose_secret().to_owned())
            };
            let is_bare = next.user.is_none() && next.password.is_none();
            let is_same =
                whole.user == next.user && secret(&whole.password) == secret(&next.password);
            if whole.tls != next.tls || !(is_bare || is_same) || nodes.len() > MOST {
                return Err(UrlProblem::Differ);
            }
        }
        Ok(whole)
    }

    fn of_one(text: &str) -> Result<Self, UrlProblem> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlProblem::Form)?;
        let known = SCHEMES.iter().find(|(name, ..)| scheme.eq_ignore_ascii_case(name));
        match known.ok_or(UrlProblem::Scheme)? {
            (_, Kind::Tcp, tls) => Self::tcp(text, *tls),
            (_, Kind::Unix, _) => Self::unix(rest),
            (_, Kind::Sentinel, tls) => Self::sentinel(rest, *tls),
        }
    }

    fn tcp(text: &str, tls: bool) -> Result<Self, UrlProblem> {
        let url = Url::parse(text).map_err(|_| UrlProblem::Form)?;
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
        let servers = Servers::Nodes(vec![Node::Tcp(Endpoint { host, port })]);
        let password = url.password().unwrap_or_default();
        Self::with(tls, servers, decode(url.username())?, decode(password)?)
    }

    /// `rest` is what follows `://`.
    fn unix(rest: &str) -> Result<Self, UrlProblem> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let at = rest.find('/').ok_or(UrlProblem::SocketPath)?;
        let (authority, path) = rest.split_at(at);
        let (mut user, mut password) = match authority.strip_suffix('@') {
            Some(login) => split_login(login)?,
            None if authority.is_empty() => (String::new(), String::new()),
            None => return Err(UrlProblem::SocketPath),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(UrlProblem::Options)?;
            match name {
                "user" | "username" if user.is_empty() => user = decode(value)?,
                "pass" | "password" if password.is_empty() => password = decode(value)?,
                "db" if value == "0" => {}
                "db" => return Err(UrlProblem::Path),
                _ => return Err(UrlProblem::Options),
            }
        }
        let path = decode(path)?;
        // The length of `sun_path` in Linux.
        if path.contains('\0') || path.ends_with('/') || path.len() > 107 {
            return Err(UrlProblem::SocketPath);
        }
        let servers = Servers::Nodes(vec![Node::Unix(PathBuf::from(path))]);
        Self::with(false, servers, user, password)
    }

    /// `rest` is what follows `://`.
    fn sentinel(rest: &str, tls: bool) -> Result<Self, UrlProblem> {
        let (login, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (hosts, name) = rest.split_once('/').ok_or(UrlProblem::NoPrimaryName)?;
        let (user, password) = split_login(login)?;
        if name.contains(['/', '?', '#']) {
            return Err(UrlProblem::Options);
        }
        let name = decode(name)?;
        if name.is_empty() {
            return Err(UrlProblem::NoPrimaryName);
        }
        let sentinels = hosts.split(',').map(|host| sentinel(host).ok_or(UrlProblem::Form));
        let sentinels: Vec<_> = sentinels.collect::<Result<_, _>>()?;
        if sentinels.iter().any(|sentinel| sentinel.port == 0) {
            return Err(UrlProblem::PortZero);
        }
        if sentinels.len() > MOST {
            return Err(UrlProblem::Differ);
        }
        Self::with(tls, Servers::Sentinel { sentinels, name }, user, password)
    }

    fn with(
        tls: bool,
        servers: Servers,
        user: String,
        password: String,
    ) -> Result<Self, UrlProblem> {
        let user = Some(user).filter(|user| !user.is_empty());
        let password = (!password.is_empty()).then(|| SecretString::from(password));
        Ok(Self { tls, servers, user, password })
    }
}

/// Splits a list at the commas that a scheme follows: a password may hold others.
fn split(text: &str) -> Vec<&str> {
    let begins = |rest: &str| {
        let rest = rest.trim_start();
        SCHEMES.iter().any(|(scheme, ..)| {
            rest.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://"))
        })
    };
    let commas = text.match_indices(',').map(|(at, _)| at);
    let ends = commas.filter(|at| text.get(at.saturating_add(1)..).is_some_and(begins));
    let mut found = Vec::new();
    let mut begin = 0;
    for end in ends.chain([text.len()]) {
        found.extend(text.get(begin..end).map(str::trim));
        begin = end.saturating_add(1);
    }
    found
}

/// Splits `user:password`, both of which may be missing.
fn split_login(login: &str) -> Result<(String, String), UrlProblem> {
    if login.contains(['/', '?', '#', '@']) {
        return Err(UrlProblem::Form);
    }
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Ok((decode(user)?, decode(password)?))
}

/// Reads the address of a Sentinel, whose port may be missing.
fn sentinel(text: &str) -> Option<Endpoint> {
    let has_port =
        text.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    if has_port {
        return text.parse().ok();
    }
    format!("{text}:{SENTINEL_PORT}").parse().ok()
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
        match url.servers {
            Servers::Nodes(nodes) => match nodes.as_slice() {
                [Node::Tcp(at)] => (at.host.clone(), at.port, url.user, password),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn shown(text: &str) -> String {
        UpstreamUrl::parse(text).unwrap().servers.to_string()
    }

    #[test]
    fn sockets_are_named_as_client_libraries_name_them() {
        for text in ["unix:///run/redis.sock", "redis+unix:///run/redis.sock?db=0"] {
            assert_eq!(shown(text), "unix:///run/redis.sock");
        }
        for text in [
            "unix://app:s%40cret@/run/r.sock",
            "redis+unix:///run/r.sock?user=app&pass=s%40cret",
            "unix:///run/r.sock?username=app&db=0&password=s%40cret",
        ] {
            let url = UpstreamUrl::parse(text).unwrap();
            assert_eq!(url.user.as_deref(), Some("app"));
            assert_eq!(url.password.unwrap().expose_secret(), "s@cret");
        }
    }

    #[test]
    fn a_path_is_shown_as_a_url_that_is_read_as_the_same_path() {
        for path in ["/run/r.sock", "/a b/%41?#,redis://x", "/\u{e4}\n\"\u{1b}[1m"] {
            let node = Node::Unix(PathBuf::from(path));
            let text = node.to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
            let url = UpstreamUrl::parse(&text).unwrap();
            assert_eq!(url.servers.single(), Some(&node), "{text}");
        }
    }

    #[test]
    fn a_list_has_one_login_and_one_kind_of_connection() {
        assert_eq!(shown("redis://a,redis://b:7000"), "redis://a:6379,redis://b:7000");
        assert_eq!(shown("redis://:p,q@a, unix:///s"), "redis://a:6379,unix:///s");
        for (text, problem) in [
            ("redis://a,rediss://b", UrlProblem::Differ),
            ("redis://:one@a,redis://:two@b", UrlProblem::Differ),
            ("redis://a,redis-sentinel://b/name", UrlProblem::SentinelInList),
            ("redis://a,redis://", UrlProblem::Form),
        ] {
            assert_eq!(UpstreamUrl::parse(text).err(), Some(problem), "{text}");
        }
        assert!(UpstreamUrl::parse(&["redis://h"; 17].join(",")).is_err());
        assert!(UpstreamUrl::of_list(&[]).is_err());
    }

    #[test]
    fn sentinels_have_ports_of_their_own_and_the_name_of_a_primary() {
        let text = "redis-sentinel://app:se%2Fcret@one,two:7000,[::1],[::2]:1/my%20primary";
        let url = UpstreamUrl::parse(text).unwrap();
        assert_eq!(url.user.as_deref(), Some("app"));
        assert_eq!(url.password.unwrap().expose_secret(), "se/cret");
        let Servers::Sentinel { sentinels, name } = url.servers else { panic!() };
        let shown: Vec<_> = sentinels.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["one:26379", "two:7000", "[::1]:26379", "[::2]:1"]);
        assert_eq!(name, "my primary");
        assert!(UpstreamUrl::parse("rediss-sentinel://a/b").unwrap().tls);
        for (text, problem) in [
            ("redis-sentinel://a", UrlProblem::NoPrimaryName),
            ("redis-sentinel://a/", UrlProblem::NoPrimaryName),
            ("redis-sentinel://a/b/0", UrlProblem::Options),
            ("redis-sentinel:///b", UrlProblem::Form),
            ("redis-sentinel://a,,c/b", UrlProblem::Form),
            ("redis-sentinel://a:0/b", UrlProblem::PortZero),
            ("redis-sentinel://u:p/w@a/b", UrlProblem::Form),
        ] {
            assert_eq!(UpstreamUrl::parse(text).err(), Some(problem), "{text}");
        }
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
        use UrlProblem::{Form, NotUtf8, Options, Path, PortZero, Scheme, SocketPath};
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
            ("unix://run/redis.sock", SocketPath),
            ("unix:///", SocketPath),
            ("unix:///s?db=1", Path),
            ("unix:///s?timeout=1", Options),
        ] {
            assert_eq!(UpstreamUrl::parse(text).err(), Some(problem), "{text}");
        }
    }
}

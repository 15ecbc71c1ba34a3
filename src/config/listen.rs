//! `listen`: where clients connect, and in what.

use std::fmt;
use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::assemble::expected;
use super::endpoint;
use super::environment::{Environment, REDOUBT_ADMIN_LISTEN, REDOUBT_LISTEN};
use super::error::{ConfigError, Site};
use super::schema::{Given, Texts};
use super::settings::Endpoint;
use super::source::Source;

/// One place where clients connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listen {
    /// `host:port`.
    Tcp(Endpoint),
    /// `tls://host:port`.
    Tls(Endpoint),
    /// `unix:///path`, a socket in the file system.
    Unix(PathBuf),
}

impl Listen {
    /// Longest path of a socket that the kernel takes, in bytes.
    const MAX_PATH: usize = 107;

    pub(super) fn find(
        source: &Source<'_>,
        given: Given<Texts>,
        environment: &Environment,
    ) -> Result<Vec<Self>, ConfigError> {
        let key = "listen";
        let (site, texts) = match (environment.value(REDOUBT_LISTEN)?, given) {
            (Some(value), _) => {
                let texts = value.expose_secret().split(',').map(|text| text.trim().to_owned());
                (Site::Variable(REDOUBT_LISTEN), texts.collect())
            }
            (None, Some(listen)) => (source.site(key, listen.span()), listen.into_inner().0),
            (None, None) => (Site::Whole, vec!["127.0.0.1:6380".to_owned()]),
        };
        let found: Option<Vec<_>> = texts.iter().map(|text| Self::parse(text)).collect();
        found.filter(|found| !found.is_empty()).ok_or_else(|| expected(&site, key))
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("tls://") {
            return endpoint::parse(rest).map(Self::Tls);
        }
        let Some(path) = text.strip_prefix("unix://") else {
            return endpoint::parse(text).map(Self::Tcp);
        };
        let fits = path.starts_with('/')
            && !path.ends_with('/')
            && path.len() <= Self::MAX_PATH
            && !path.contains(|c: char| c.is_control());
        fits.then(|| Self::Unix(path.into()))
    }
}

/// The permissions of sockets in the file system.
pub(super) fn mode(source: &Source<'_>, given: Given<String>) -> Result<u32, ConfigError> {
    const DEFAULT: u32 = 0o660;
    let Some(given) = given else { return Ok(DEFAULT) };
    let digits = Some(given.get_ref()).filter(|text| text.len() == 3);
    let mode = digits.and_then(|text| u32::from_str_radix(text, 8).ok());
    mode.ok_or_else(|| expected(&source.site("unix_socket_mode", given.span()), "unix_socket_mode"))
}

/// Where the admin port is.
pub(super) fn admin(
    source: &Source<'_>,
    given: Given<String>,
    environment: &Environment,
) -> Result<Option<Endpoint>, ConfigError> {
    let key = "admin.listen";
    let (site, text) = match (environment.text(REDOUBT_ADMIN_LISTEN)?, given) {
        (Some(text), _) => (Site::Variable(REDOUBT_ADMIN_LISTEN), text),
        (None, Some(given)) => (source.site(key, given.span()), given.into_inner()),
        (None, None) => (Site::Whole, "127.0.0.1:6390".to_owned()),
    };
    if text == "off" {
        return Ok(None);
    }
    endpoint::parse(&text).map(Some).ok_or_else(|| expected(&site, key))
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(endpoint) => endpoint.fmt(f),
            Self::Tls(endpoint) => write!(f, "tls://{endpoint}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_read_back_and_nothing_else_is_one() {
        for text in ["127.0.0.1:6380", "tls://[::1]:6380", "tls://redis:0", "unix:///run/r.sock"] {
            assert_eq!(Listen::parse(text).map(|found| found.to_string()).as_deref(), Some(text));
        }
        let long = format!("unix:///{}", "x".repeat(107));
        for wrong in [
            "",
            "tls://",
            "tls://host",
            "tls:host:1",
            "unix://",
            "unix://run/r.sock",
            "unix:///run/",
            "unix:///a\nb",
            "/run/r.sock",
            "redis://host:1",
            &long,
        ] {
            assert_eq!(Listen::parse(wrong), None, "{wrong:?}");
        }
    }
}

//! The keys of `[upstream]` for a Redis that speaks TLS.

use std::path::PathBuf;

use super::super::declare::{Access, Form, file, flag, given, quoted};
use super::super::error::{ConfigError, Problem, Site};
use super::super::read::Reader;
use super::super::secrets::is_host_byte;
use super::tls::{pair, path};

/// How Redoubt connects to a `rediss://` upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// A PEM file of the trusted CAs; `None` trusts the CAs that the system trusts.
    pub ca: Option<PathBuf>,
    /// The PEM files of a certificate and its key, for an upstream that requires a client
    /// certificate.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the certificate must be for and that is sent as SNI; `None` uses the host.
    pub name: Option<String>,
    /// How the certificate is verified.
    pub verification: Verification,
}

/// How the upstream's certificate is verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Verification {
    /// The certificate must lead to a trusted CA, be for the right name, and be in date.
    #[default]
    Full,
    /// Any certificate is accepted, so an attacker in between can read and change everything.
    Dangerous,
}

given! {
    /// The keys, which are allowed only with a `rediss://` URL.
    struct UpstreamTlsKeys of UpstreamTls in "upstream" {
        /// For rediss://: a PEM file with the CAs that the certificate of Redis must lead to. Without it,
        /// the CAs that the system trusts.
        tls_ca: PathBuf = file().optional(r#""/etc/redoubt/redis-ca.crt""#),
            Access::of(|tls: &UpstreamTls| tls.ca.clone())
                .shown(|tls| Some(format!("tls_ca = {}", path(tls.ca.as_ref()?))));

        /// A PEM file with a certificate of Redoubt, for a Redis that requires client certificates.
        tls_certificate: PathBuf = file().optional(r#""/etc/redoubt/redis-client.crt""#),
            Access::of(|tls: &UpstreamTls| tls.identity.clone().map(|pair| pair.0))
                .shown(|tls| Some(format!("tls_certificate = {}", path(&tls.identity.as_ref()?.0))));

        /// A PEM file with the private key of `tls_certificate`.
        tls_key: PathBuf = file().optional(r#""/etc/redoubt/redis-client.key""#),
            Access::of(|tls: &UpstreamTls| tls.identity.clone().map(|pair| pair.1))
                .shown(|tls| Some(format!("tls_key = {}", path(&tls.identity.as_ref()?.1))));

        /// The name that Redoubt asks for (SNI) and that the certificate of Redis must be for. Without it,
        /// the host of `url`.
        tls_name: String = host().optional(r#""redis.internal""#),
            Access::of(|tls: &UpstreamTls| tls.name.clone())
                .shown(|tls| Some(format!("tls_name = {}", quoted(tls.name.as_ref()?))));

        /// With true, any certificate is accepted, so that an attacker between Redoubt and Redis can read and
        /// change everything.
        tls_dangerously_accept_any_certificate: bool = flag().optional("false"),
            Access::of(|tls: &UpstreamTls| tls.verification).shown(|tls| {
                let dangerous = tls.verification == Verification::Dangerous;
                Some(format!("tls_dangerously_accept_any_certificate = {dangerous}"))
            });
    }
}

impl UpstreamTls {
    /// `is_tls` is true for a `rediss://` URL; for other URLs, keys for TLS are an error.
    pub(crate) fn find(reader: &Reader<'_>, is_tls: bool) -> Result<Option<Self>, ConfigError> {
        let UpstreamTlsKeys {
            tls_ca,
            tls_certificate,
            tls_key,
            tls_name,
            tls_dangerously_accept_any_certificate,
        } = UpstreamTlsKeys::read(reader)?;
        let dangerous = tls_dangerously_accept_any_certificate.winner().filter(|given| given.1);
        if !is_tls {
            let places: [Option<&Site>; 5] = [
                tls_ca.file.as_ref().map(|given| &given.0),
                tls_certificate.file.as_ref().map(|given| &given.0),
                tls_key.file.as_ref().map(|given| &given.0),
                tls_name.file.as_ref().map(|given| &given.0),
                dangerous.as_ref().map(|given| &given.0),
            ];
            return match places.into_iter().flatten().next() {
                Some(site) => Err(site.error(Problem::NoTlsUpstream)),
                None => Ok(None),
            };
        }
        Ok(Some(Self {
            ca: tls_ca.winner().map(|(_, ca)| ca),
            identity: pair(tls_certificate, tls_key)?,
            name: tls_name.winner().map(|(_, name)| name),
            verification: match dangerous {
                Some(_) => Verification::Dangerous,
                None => Verification::Full,
            },
        }))
    }
}

fn host() -> Form<String> {
    let is_host = |name: &str| (1..=253).contains(&name.len()) && name.bytes().all(is_host_byte);
    let parse = move |text: &str| is_host(text).then(|| text.to_owned());
    Form::text("a host name or an address, in quotes", parse, String::clone)
}

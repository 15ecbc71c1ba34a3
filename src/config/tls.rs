//! `[tls]` and the TLS keys of `[upstream]`: which files hold certificates and keys, and what is
//! asked of the other side. The files are read when they are put to use.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::assemble::expected;
use super::error::{ConfigError, Problem, Site};
use super::listen::Listen;
use super::print::{named, path, quoted};
use super::schema::{self, Given};
use super::source::Source;

/// What clients of a `tls://` listener are shown, and what is asked of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// A PEM file of the certificate, and after it those that lead to the CA's.
    pub certificate: PathBuf,
    /// A PEM file of the certificate's private key.
    pub key: PathBuf,
    /// A PEM file of the CAs whose certificates clients may have; present unless
    /// `client_certificates` is [`ClientCertificates::None`].
    pub client_ca: Option<PathBuf>,
    /// Whether clients have certificates.
    pub client_certificates: ClientCertificates,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// Whether clients have certificates of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ClientCertificates {
    /// None is asked for.
    #[default]
    None,
    /// One is asked for, and if there is one it must be right.
    Optional,
    /// Nobody gets in without.
    Required,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// 1.2
    #[default]
    V12,
    /// 1.3
    V13,
}

/// How a `rediss://` upstream is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// A PEM file of the CAs that are trusted; `None` trusts those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The PEM files of a certificate and its key, for an upstream that asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the certificate must be for and that is asked for (SNI); `None`: the host.
    pub name: Option<String>,
    /// Whether the certificate is looked at.
    pub verification: Verification,
}

/// Whether the upstream's certificate is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Verification {
    /// It must lead to a CA that is trusted, be for the right name, and be in date.
    #[default]
    Full,
    /// Anybody's will do, so whoever is in between reads and changes all.
    Dangerous,
}

const CLIENT_CERTIFICATES: [(&str, ClientCertificates); 2] =
    [("optional", ClientCertificates::Optional), ("required", ClientCertificates::Required)];
const VERSIONS: [(&str, TlsVersion); 2] = [("1.2", TlsVersion::V12), ("1.3", TlsVersion::V13)];

impl TlsSettings {
    /// Present if the certificate and the key are given; they must be where a listener speaks TLS.
    pub(super) fn find(
        source: &Source<'_>,
        given: schema::Tls,
        listen: &[Listen],
    ) -> Result<Option<Self>, ConfigError> {
        let asked = given.client_certificates.clone();
        let client_certificates =
            source.one_of("tls.client_certificates", asked, &CLIENT_CERTIFICATES)?;
        let min_version = source.one_of("tls.min_version", given.min_version, &VERSIONS)?;
        let client_ca = file(source, "tls.client_ca", given.client_ca)?;
        if let (Some(asked), None) = (&given.client_certificates, &client_ca) {
            let site = source.site("tls.client_certificates", asked.span());
            return Err(site.error(Problem::NoClientCa));
        }
        let pair = pair(source, ["tls.certificate", "tls.key"], given.certificate, given.key)?;
        let Some((certificate, key)) = pair else {
            let speaks = listen.iter().any(|listen| matches!(listen, Listen::Tls(_)));
            return if speaks { Err(Site::Whole.error(Problem::NoCertificate)) } else { Ok(None) };
        };
        let default = match client_ca {
            Some(_) => ClientCertificates::Required,
            None => ClientCertificates::None,
        };
        Ok(Some(Self {
            certificate,
            key,
            client_ca,
            client_certificates: client_certificates.unwrap_or(default),
            min_version: min_version.unwrap_or_default(),
        }))
    }

    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "\n[tls]")?;
        writeln!(out, "certificate = {}", path(&self.certificate))?;
        writeln!(out, "key = {}", path(&self.key))?;
        if let Some(ca) = &self.client_ca {
            writeln!(out, "client_ca = {}", path(ca))?;
        }
        if self.client_certificates != ClientCertificates::None {
            let name = named(&CLIENT_CERTIFICATES, self.client_certificates);
            writeln!(out, "client_certificates = {name}")?;
        }
        writeln!(out, "min_version = {}", named(&VERSIONS, self.min_version))
    }
}

impl UpstreamTls {
    /// `spoken` says whether the URL is one of TLS; without, none of the keys may be given.
    pub(super) fn find(
        source: &Source<'_>,
        given: schema::UpstreamTls,
        spoken: bool,
    ) -> Result<Option<Self>, ConfigError> {
        let schema::UpstreamTls { ca, certificate, key, name, dangerous } = given;
        if !spoken {
            let places = [
                ca.as_ref().map(|given| ("upstream.tls_ca", given.span())),
                certificate.as_ref().map(|given| ("upstream.tls_certificate", given.span())),
                key.as_ref().map(|given| ("upstream.tls_key", given.span())),
                name.as_ref().map(|given| ("upstream.tls_name", given.span())),
                dangerous
                    .as_ref()
                    .filter(|given| *given.get_ref())
                    .map(|given| ("upstream.tls_dangerously_accept_any_certificate", given.span())),
            ];
            return match places.into_iter().flatten().next() {
                Some((key, span)) => Err(source.site(key, span).error(Problem::NoTlsUpstream)),
                None => Ok(None),
            };
        }
        let verification = match dangerous.map(Spanned::into_inner) {
            Some(true) => Verification::Dangerous,
            _ => Verification::Full,
        };
        let keys = ["upstream.tls_certificate", "upstream.tls_key"];
        Ok(Some(Self {
            ca: file(source, "upstream.tls_ca", ca)?,
            identity: pair(source, keys, certificate, key)?,
            name: match name {
                Some(name) if !is_host(name.get_ref()) => {
                    let key = "upstream.tls_name";
                    return Err(expected(&source.site(key, name.span()), key));
                }
                name => name.map(Spanned::into_inner),
            },
            verification,
        }))
    }

    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        if let Some(ca) = &self.ca {
            writeln!(out, "tls_ca = {}", path(ca))?;
        }
        if let Some((certificate, key)) = &self.identity {
            writeln!(out, "tls_certificate = {}", path(certificate))?;
            writeln!(out, "tls_key = {}", path(key))?;
        }
        if let Some(name) = &self.name {
            writeln!(out, "tls_name = {}", quoted(name))?;
        }
        let dangerous = self.verification == Verification::Dangerous;
        writeln!(out, "tls_dangerously_accept_any_certificate = {dangerous}")
    }
}

fn is_host(name: &str) -> bool {
    (1..=253).contains(&name.len()) && name.bytes().all(super::upstream_url::is_host_byte)
}

/// A path that is not empty.
pub(super) fn file(
    source: &Source<'_>,
    key: &'static str,
    given: Given<PathBuf>,
) -> Result<Option<PathBuf>, ConfigError> {
    match given {
        Some(given) if given.get_ref() == Path::new("") => {
            Err(expected(&source.site(key, given.span()), key))
        }
        given => Ok(given.map(Spanned::into_inner)),
    }
}

/// Two files that only make sense together.
fn pair(
    source: &Source<'_>,
    [first, second]: [&'static str; 2],
    one: Given<PathBuf>,
    other: Given<PathBuf>,
) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    let alone = match (&one, &other) {
        (Some(one), None) => Some((first, one.span(), second)),
        (None, Some(other)) => Some((second, other.span(), first)),
        _ => None,
    };
    if let Some((given, span, missing)) = alone {
        return Err(source.site(given, span).error(Problem::Needs(missing)));
    }
    Ok(file(source, first, one)?.zip(file(source, second, other)?))
}

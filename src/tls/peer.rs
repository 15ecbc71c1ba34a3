//! Reads certificates.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::CommonState;
use tokio_rustls::rustls::{ProtocolVersion, pki_types::CertificateDer};
use tracing::{info, warn};
use x509_cert::Certificate;
use x509_cert::der::oid::db::rfc4519::CN;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};

use crate::config::TlsVersion;
use crate::telemetry::metrics;
use redoubt_core::auth::CertificateName;

/// Most characters of a name; a longer name is cut.
const MAX_NAME: usize = 256;

/// Returns the version of TLS in use.
pub(super) fn version(state: &CommonState) -> Option<TlsVersion> {
    match state.protocol_version()? {
        ProtocolVersion::TLSv1_2 => Some(TlsVersion::V12),
        ProtocolVersion::TLSv1_3 => Some(TlsVersion::V13),
        _ => None,
    }
}

/// Returns when the peer's certificate ends.
pub(super) fn not_after(state: &CommonState) -> Option<SystemTime> {
    ends(state.peer_certificates()?.first()?)
}

/// Returns the name that the peer's certificate is for, if it has sent one: the first URI among the
/// alternative names, else the first DNS name, else the subject's common name, else the
/// certificate's digest. It is escaped, so that it can be logged.
pub(super) fn name(state: &CommonState) -> Option<Arc<str>> {
    let certificate = state.peer_certificates()?.first()?;
    let name = named(certificate).filter(|name| !name.is_empty());
    let name =
        name.unwrap_or_else(|| format!("sha256:{}", hex::encode(Sha256::digest(certificate))));
    Some(name.chars().flat_map(char::escape_debug).take(MAX_NAME).collect::<String>().into())
}

/// Returns all URIs and DNS names among the alternative names of the peer's certificate, which the handshake has
/// verified if a certificate was requested.
pub(super) fn alternative_names(state: &CommonState) -> Vec<CertificateName> {
    let certificate = state.peer_certificates().and_then(|all| all.first());
    let parsed = certificate.and_then(|certificate| Certificate::from_der(certificate).ok());
    let names = parsed.and_then(|parsed| parsed.tbs_certificate.get::<SubjectAltName>().ok()?);
    let names = names.map(|(_, names)| names.0).unwrap_or_default();
    let known = names.iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(CertificateName::uri(uri.as_str())),
        GeneralName::DnsName(name) => Some(CertificateName::dns(name.as_str())),
        _ => None,
    });
    known.collect()
}

fn named(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?.tbs_certificate;
    let names = certificate.get::<SubjectAltName>().ok().flatten();
    let names = names.map(|(_, names)| names.0).unwrap_or_default();
    let uri = names.iter().find_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        _ => None,
    });
    let dns = || {
        names.iter().find_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            _ => None,
        })
    };
    let common = || {
        let parts = certificate.subject.0.iter().flat_map(|part| part.0.iter());
        let common = parts
            .filter(|part| part.oid == CN)
            .find_map(|part| DirectoryString::from_der(&part.value.to_der().ok()?).ok())?;
        Some(match common {
            DirectoryString::PrintableString(text) => text.to_string(),
            DirectoryString::TeletexString(text) => text.to_string(),
            DirectoryString::Utf8String(text) => text,
        })
    };
    uri.or_else(dns).or_else(common)
}

fn ends(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate.validity.not_after.to_system_time())
}

/// Logs when a certificate of Redoubt itself ends; `file` is its file, which the configuration key
/// `key` names.
pub(super) fn tell(key: &'static str, file: &Path, certificate: &CertificateDer<'_>) {
    let Some(ends) = ends(certificate) else { return };
    metrics::certificate(key, ends);
    let time = humantime::format_rfc3339_seconds(ends);
    #[allow(clippy::disallowed_methods, reason = "certificates use the wall clock")]
    if ends < SystemTime::now() {
        warn!(?file, ended = %time, "certificate has expired");
    } else {
        info!(?file, ends = %time, "certificate in use");
    }
}

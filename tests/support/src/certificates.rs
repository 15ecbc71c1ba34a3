//! Certificates of an authority of the test's own, in files.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;

/// A certificate authority. Its files are removed when it is dropped.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The kind of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The certificate is valid for years.
    Good,
    /// The certificate has expired.
    Expired,
    /// The certificate is not yet valid.
    Future,
    /// The certificate is self-signed.
    SelfSigned,
    /// The certificate is self-signed and marked as an authority's, as `openssl req -x509` creates it.
    SelfSignedCa,
}

impl Authority {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut params = CertificateParams::default();
        // The authority has a name of its own.
        params.distinguished_name.push(DnType::CommonName, dir.path().to_str().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(dir.path().join("ca.crt"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    /// Returns the file with its own certificate.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    /// Returns the directory of its files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Issues a certificate for 127.0.0.1 and localhost.
    pub fn server(&self, file: &str) -> Pair {
        self.issue(file, &["127.0.0.1", "localhost"], Kind::Good)
    }

    /// Issues a certificate for names and addresses, whose common name is `file`.
    pub fn issue(&self, file: &str, names: &[&str], kind: Kind) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, file);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        match kind {
            Kind::Expired => params.not_after = rcgen::date_time_ymd(2020, 1, 1),
            Kind::Future => params.not_before = rcgen::date_time_ymd(2999, 1, 1),
            Kind::SelfSignedCa => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            Kind::Good | Kind::SelfSigned => {}
        }
        self.issue_as(file, params, kind)
    }

    /// Issues a certificate with `params`.
    pub fn issue_as(&self, file: &str, params: CertificateParams, kind: Kind) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = match kind {
            Kind::SelfSigned | Kind::SelfSignedCa => params.self_signed(&key),
            _ => params.signed_by(&key, &self.issuer),
        };
        let path = |ending: &str| self.dir.path().join(format!("{file}.{ending}"));
        let pair = Pair { certificate: path("crt"), key: path("key") };
        std::fs::write(&pair.certificate, certificate.unwrap().pem()).unwrap();
        std::fs::write(&pair.key, key.serialize_pem()).unwrap();
        pair
    }
}

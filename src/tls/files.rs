//! Reads PEM files of certificates and keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{self, InconsistentKeys, RootCertStore};
use zeroize::Zeroizing;

use super::peer;
use super::{FileProblem, TlsError, provider};

/// Most bytes of a file. The CAs that a system trusts take a quarter of a megabyte.
const MAX_SIZE: u64 = 4 << 20;

/// A file, and the configuration key that names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) key: &'static str,
    pub(super) path: &'a Path,
}

impl Named<'_> {
    /// Returns the CAs in the file. All of them must be usable, as an invalid CA would be noticed
    /// too late.
    pub(super) fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|source| self.unusable(source))?;
        }
        Ok(roots)
    }

    /// Adds the file's content to `digest`, or that it cannot be read.
    pub(super) fn digest(&self, digest: &mut Sha256) {
        match self.read() {
            Ok(text) => {
                digest.update([1]);
                digest.update(Sha256::digest(&*text));
            }
            Err(_) => digest.update([0]),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let text = self.read()?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match found {
            Ok(found) if found.is_empty() => Err(self.problem(FileProblem::NoCertificate)),
            found => found.map_err(|_| self.problem(FileProblem::Damaged)),
        }
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.read()?).map_err(|error| {
            self.problem(match error {
                pem::Error::NoItemsFound => FileProblem::NoKey,
                _ => FileProblem::Damaged,
            })
        })
    }

    fn read(&self) -> Result<Zeroizing<Vec<u8>>, TlsError> {
        let mut text = Zeroizing::new(Vec::new());
        let read = File::open(self.path).and_then(|file| {
            // The buffer has its full size from the start: if it grew, the old buffer with a key
            // would stay in memory.
            let size = file.metadata().map_or(0, |metadata| metadata.len()).min(MAX_SIZE);
            text.reserve_exact(usize::try_from(size).unwrap_or_default().saturating_add(1));
            file.take(MAX_SIZE + 1).read_to_end(&mut text)
        });
        match read {
            Ok(read) if read as u64 > MAX_SIZE => Err(self.problem(FileProblem::TooLarge)),
            Ok(_) => Ok(text),
            Err(source) => Err(self.cannot_read(source)),
        }
    }

    fn cannot_read(&self, source: io::Error) -> TlsError {
        TlsError::Read { key: self.key, path: self.path.to_owned(), source }
    }

    fn problem(&self, problem: FileProblem) -> TlsError {
        TlsError::File { key: self.key, path: self.path.to_owned(), problem }
    }

    fn unusable(&self, source: rustls::Error) -> TlsError {
        TlsError::Unusable { key: self.key, path: self.path.to_owned(), source }
    }
}

/// Returns a certificate and its key.
pub(super) fn identity(
    certificate: Named<'_>,
    key: Named<'_>,
) -> Result<Arc<SingleCertAndKey>, TlsError> {
    let chain = certificate.certificates()?;
    let first = chain.first().cloned();
    let signing = provider()
        .key_provider
        .load_private_key(key.private_key()?)
        .map_err(|source| key.unusable(source))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        // Some keys do not contain their public half; then a wrong key is noticed only in the first
        // handshake.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => return Err(key.problem(FileProblem::OtherKey)),
        Err(source) => return Err(certificate.unusable(source)),
    }
    if let Some(first) = first {
        peer::tell(certificate.key, certificate.path, &first);
    }
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}

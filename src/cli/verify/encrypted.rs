//! Checks that apply only to TLS.

use std::io;
use std::time::{Duration, SystemTime};

use redoubt::config::TlsVersion;
use redoubt::tls;

use super::outcome::{Check, Findings, Outcome, Section, shown};
use super::tls::Tls;
use super::wire::{Shown, Target, Wire};

const TITLE: &str = "In TLS";
/// A certificate with fewer days left than this should be replaced.
const DAYS: u64 = 14;
const DAY: u64 = 24 * 60 * 60;

/// Returns the result if no TLS connection can be opened; then no other check is run.
pub(super) fn broken(error: io::Error) -> Findings {
    let check = Check::new("tls", false, "handshake", shown(&Err(error)));
    Findings(vec![Section { title: TITLE, checks: vec![check] }])
}

/// Runs the checks.
pub(super) fn run(target: &Target, tls: &Tls) -> Section {
    let mut checks = match target.connect() {
        Ok(wire) => wire.tls().map_or_else(Vec::new, |shown| vec![version(shown), ends(shown)]),
        Err(error) => vec![Check::new("tls", false, "handshake", shown(&Err(error)))],
    };
    checks.push(old(target));
    checks.extend(tls.anonymous.as_ref().map(|client| without_certificate(target, client)));
    Section { title: TITLE, checks }
}

fn version(shown: &Shown) -> Check {
    let (holds, found) = match shown.version {
        Some(TlsVersion::V12) => (true, "TLS 1.2"),
        Some(TlsVersion::V13) => (true, "TLS 1.3"),
        None => (false, "an unknown version"),
    };
    Check::new("tls", holds, "version", found)
}

/// Checks how long the certificate is valid; the handshake has checked that it is valid now.
#[allow(clippy::disallowed_methods, reason = "certificates go by the wall clock")]
fn ends(shown: &Shown) -> Check {
    let (id, what) = ("certificate", "certificate");
    let Some(end) = shown.ends else {
        return Check::new(id, false, what, "its end cannot be read");
    };
    let left = end.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    let days = left.as_secs() / DAY;
    let outcome = if days < DAYS { Outcome::Warns } else { Outcome::Holds };
    let date = humantime::format_rfc3339_seconds(end).to_string();
    let date = date.split('T').next().unwrap_or_default();
    Check::with(id, outcome, what, format!("for {}, until {date}: {days} days left", shown.name))
}

/// Checks that the server rejects TLS 1.1, which is insecure. The TLS library does not support it,
/// so the first message is written here in the format of RFC 4346, and only the first bytes of the
/// answer are read.
fn old(target: &Target) -> Check {
    let reply = target.network.connect(&target.node).and_then(|mut wire| hello(&mut wire));
    let (outcome, found) = match reply {
        // A handshake record, in which ServerHello has the version.
        Ok([0x16, _, _, _, _, 0x02, _, _, _, 3, ..=2]) => {
            (Outcome::Fails, "is accepted".to_owned())
        }
        Ok([0x16, ..]) => (Outcome::Holds, "the server answers with a newer version".to_owned()),
        // An alert has fewer bytes, and the connection ends.
        Ok(_) => (Outcome::Holds, "refused".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            (Outcome::Warns, "not answered".to_owned())
        }
        Err(error) if is_closed(&error) => (Outcome::Holds, "refused".to_owned()),
        Err(error) => (Outcome::Fails, shown(&Err(error))),
    };
    Check::with("tls-old", outcome, "TLS 1.1", found)
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// Sends the first message of a client that supports at most TLS 1.1, and returns the beginning of
/// the answer.
fn hello(wire: &mut Wire) -> io::Result<[u8; 11]> {
    const CIPHERS: [u8; 14] =
        [0xc0, 0x14, 0xc0, 0x13, 0xc0, 0x0a, 0xc0, 0x09, 0, 0x35, 0, 0x2f, 0, 0xff];
    // The curves x25519, secp256r1 and secp384r1, and uncompressed points.
    const EXTENSIONS: [u8; 18] = [0, 10, 0, 8, 0, 6, 0, 0x1d, 0, 0x17, 0, 0x18, 0, 11, 0, 2, 1, 0];
    let mut body = vec![3, 2];
    body.extend([0x52; 32]);
    body.extend([0, 0, 14]);
    body.extend(CIPHERS);
    body.extend([1, 0, 0, 18]);
    body.extend(EXTENSIONS);
    let length = u8::try_from(body.len()).unwrap_or_default();
    let mut message = vec![0x16, 3, 1, 0, length.saturating_add(4), 1, 0, 0, length];
    message.extend(body);
    wire.exchange(&message)
}

/// Checks whether a client without a certificate can connect and gets as far as the password.
fn without_certificate(target: &Target, client: &tls::Client) -> Check {
    let asked = target.network.connect_tls(&target.node, client);
    let reply = asked.and_then(|shaken| shaken.and_then(|mut wire| wire.ask(&["PING"])));
    let (outcome, found) = match reply {
        Ok(_) => (Outcome::Warns, "can connect; client certificates are not required".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            (Outcome::Fails, shown(&Err(error)))
        }
        Err(_) => (Outcome::Holds, "refused".to_owned()),
    };
    Check::with("client-certificate", outcome, "a client without a certificate", found)
}

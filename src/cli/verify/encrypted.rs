//! What is told only where TLS is spoken.

use std::io;
use std::time::{Duration, SystemTime};

use redoubt::config::TlsVersion;
use redoubt::tls;

use super::outcome::{Check, Findings, Outcome, Section, told};
use super::tls::Tls;
use super::wire::{Shown, Target, Wire};

const TITLE: &str = "In TLS";
/// Fewer days than this before it ends, a certificate is to be replaced.
const DAYS: u64 = 14;
const DAY: u64 = 24 * 60 * 60;

/// Returns what there is to say when no connection in TLS comes about; nothing is asked then.
pub(super) fn broken(error: io::Error) -> Findings {
    let check = Check::new("tls", false, "handshake", told(&Err(error)));
    Findings(vec![Section { title: TITLE, checks: vec![check] }])
}

/// Makes the checks.
pub(super) fn run(target: &Target, tls: &Tls) -> Section {
    let mut checks = match target.connect() {
        Ok(wire) => wire.tls().map_or_else(Vec::new, |shown| vec![version(shown), ends(shown)]),
        Err(error) => vec![Check::new("tls", false, "handshake", told(&Err(error)))],
    };
    checks.push(old(target));
    checks.extend(tls.anonymous.as_ref().map(|client| without_certificate(target, client)));
    Section { title: TITLE, checks }
}

fn version(shown: &Shown) -> Check {
    let (holds, found) = match shown.version {
        Some(TlsVersion::V12) => (true, "TLS 1.2"),
        Some(TlsVersion::V13) => (true, "TLS 1.3"),
        None => (false, "none that is known"),
    };
    Check::new("tls", holds, "version", found)
}

/// Returns how long the certificate is good for; that it is good now was seen in the handshake.
#[allow(clippy::disallowed_methods, reason = "certificates go by the wall clock")]
fn ends(shown: &Shown) -> Check {
    let (id, what) = ("certificate", "certificate");
    let Some(end) = shown.ends else {
        return Check::new(id, false, what, "it does not say how long it is good for");
    };
    let left = end.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    let days = left.as_secs() / DAY;
    let outcome = if days < DAYS { Outcome::Warns } else { Outcome::Holds };
    let date = humantime::format_rfc3339_seconds(end).to_string();
    let date = date.split('T').next().unwrap_or_default();
    Check::with(id, outcome, what, format!("for {}, until {date}: {days} days left", shown.name))
}

/// That TLS 1.1, which has been broken, is not taken. Nothing here speaks it, so its first message is
/// sent as it stands in RFC 4346, and only the first bytes of the answer are looked at.
fn old(target: &Target) -> Check {
    let reply = target.network.connect(&target.endpoint).and_then(|mut wire| hello(&mut wire));
    let (outcome, found) = match reply {
        // A handshake, in which the server says hello with its version.
        Ok([0x16, _, _, _, _, 0x02, _, _, _, 3, ..=2]) => (Outcome::Fails, "is taken".to_owned()),
        Ok([0x16, ..]) => (Outcome::Holds, "a newer version is answered".to_owned()),
        // An alert has fewer bytes and the connection ends.
        Ok(_) => (Outcome::Holds, "refused".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            (Outcome::Warns, "not answered".to_owned())
        }
        Err(error) if is_closed(&error) => (Outcome::Holds, "refused".to_owned()),
        Err(error) => (Outcome::Fails, told(&Err(error))),
    };
    Check::with("tls-old", outcome, "TLS 1.1", found)
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// The beginning of the answer to a client that knows no better than TLS 1.1.
fn hello(wire: &mut Wire) -> io::Result<[u8; 11]> {
    const CIPHERS: [u8; 14] =
        [0xc0, 0x14, 0xc0, 0x13, 0xc0, 0x0a, 0xc0, 0x09, 0, 0x35, 0, 0x2f, 0, 0xff];
    // The curves x25519, secp256r1 and secp384r1, and points that are not compressed.
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

/// Returns whether somebody without a certificate gets as far as to be asked for a password.
fn without_certificate(target: &Target, client: &tls::Client) -> Check {
    let asked = target.network.connect_tls(&target.endpoint, client);
    let reply = asked.and_then(|shaken| shaken.and_then(|mut wire| wire.ask(&["PING"])));
    let (outcome, found) = match reply {
        Ok(_) => (Outcome::Warns, "gets through; certificates are not asked for".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            (Outcome::Fails, told(&Err(error)))
        }
        Err(_) => (Outcome::Holds, "refused".to_owned()),
    };
    Check::with("client-certificate", outcome, "a client without a certificate", found)
}

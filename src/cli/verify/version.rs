//! Finds out which server answers, and of which version it is.

use std::fmt;
use std::io;

use redoubt_core::resp::Reply;

use super::wire::Target;

/// A server, as its reply to `HELLO` describes it.
#[derive(Debug)]
pub(super) struct Server {
    /// Its name, such as `valkey`.
    pub(super) name: String,
    /// Its version, such as `9.1.2`.
    pub(super) version: String,
}

impl Server {
    /// The first version of Valkey that is known to check every payload of `RESTORE`.
    const CHECKING_VALKEY: [u32; 3] = [9, 1, 2];

    /// Returns the major, minor and patch number of its version; `None` if it has another form. A patch
    /// number that is missing, or has letters in it, counts as 0.
    pub(super) fn numbers(&self) -> Option<[u32; 3]> {
        let mut numbers = self.version.split('.').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some([next()?, next()?, next().unwrap_or(0)])
    }

    /// Returns whether it checks every payload of `RESTORE`, whatever its configuration is.
    pub(super) fn always_checks_payloads(&self) -> bool {
        let is_new = self.numbers().is_some_and(|numbers| numbers >= Self::CHECKING_VALKEY);
        self.name == "valkey" && is_new
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Returns the server behind the address, from its reply to `HELLO`.
pub(super) fn of(target: &Target) -> io::Result<Server> {
    let reply = target.login()?.ask_whole(&["HELLO", "2"])?;
    let Reply::Array(fields) = &reply else {
        return Err(io::Error::other("HELLO was not answered with an array"));
    };
    let (pairs, _) = fields.as_chunks::<2>();
    let field = |name: &[u8]| {
        pairs.iter().find_map(|[key, value]| match (key, value) {
            (Reply::BulkString(key), Reply::BulkString(value)) if key == name => {
                Some(String::from_utf8_lossy(value).into_owned())
            }
            _ => None,
        })
    };
    let server = field(b"server").zip(field(b"version"));
    let server = server.map(|(name, version)| Server { name, version });
    server.ok_or_else(|| io::Error::other("HELLO was answered without a version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valkey_that_is_known_to_check_payloads_counts_as_checking() {
        for (name, version, checks) in [
            ("valkey", "9.1.2", true),
            ("valkey", "10.0.0", true),
            ("valkey", "9.1.1", false),
            ("valkey", "8.1.9", false),
            ("valkey", "9.2", true),
            ("valkey", "9.1.2-rc1", false),
            ("valkey", "nonsense", false),
            ("redis", "10.0.0", false),
            ("redict", "9.9.9", false),
        ] {
            let server = Server { name: name.to_owned(), version: version.to_owned() };
            assert_eq!(server.always_checks_payloads(), checks, "{server}");
        }
    }
}

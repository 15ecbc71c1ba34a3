//! Requests that delete the keys below a prefix, in steps, and their answers.

use std::fmt;

use bytes::Bytes;

use super::guard::{Answer, Batch};
use crate::resp::reply;

/// A prefix of keys, which is literal text and not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPrefix(Bytes);

/// Writes the prefix as it is.
impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// One page of the keys of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Where the next page begins; zero after the last one.
    pub cursor: u64,
    /// The keys of the page that begin with the prefix.
    pub keys: Vec<Bytes>,
}

/// Why keys could not be listed or deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The server's own error.
    #[error("{0}")]
    Refused(String),
    /// An answer that does not fit its request.
    #[error("an answer of Redis makes no sense")]
    Nonsense,
    /// A page with as few keys as possible is longer than an answer may be.
    #[error("a key, or a few, are longer than an answer may be")]
    TooLong,
    /// More databases hold keys than are searched.
    #[error("more than {} databases hold keys", KeyPrefix::MOST_DATABASES)]
    TooManyDatabases,
}

impl PageError {
    /// Returns the error that the client gets. Errors that say in which state the server is are passed on
    /// unchanged; others could hold names of users.
    pub fn reply(&self) -> Bytes {
        let text = match self {
            Self::Refused(text) => match text.split(' ').next().unwrap_or_default() {
                "BUSY" | "LOADING" | "READONLY" | "MASTERDOWN" | "MISCONF" | "OOM"
                | "NOREPLICAS" | "TRYAGAIN" | "CLUSTERDOWN" => {
                    return reply::error(text.as_bytes());
                }
                "NOPERM" => {
                    "NOPERM the user that Redoubt logs in as may not run SCAN, UNLINK, SELECT or \
                     INFO, or not in this database or for these keys"
                }
                _ => "ERR Redis has refused to list or delete keys; the log of Redoubt says why",
            },
            Self::Nonsense => {
                "ERR Redis has not answered as a server does that lists or deletes keys"
            }
            Self::TooLong => "ERR a key below the prefix is too long for Redoubt to be listed",
            Self::TooManyDatabases => "ERR too many databases hold keys; empty one after the other",
        };
        reply::error(text.as_bytes())
    }
}

impl KeyPrefix {
    /// Elements of a database that the server looks at for a page, usually. It is busy for less than a millisecond
    /// with them, and then serves others.
    pub const PAGE: u32 = 250;
    /// Most keys that one request deletes, for the same reason.
    const MOST_AT_ONCE: usize = 250;
    /// Most databases of which a list is taken.
    pub const MOST_DATABASES: usize = 1024;

    /// Returns `None` if `prefix` is empty, since every key begins with that.
    pub fn new(prefix: impl Into<Bytes>) -> Option<Self> {
        Some(prefix.into()).filter(|prefix| !prefix.is_empty()).map(Self)
    }

    /// Returns the pattern that matches what begins with the prefix.
    fn pattern(&self) -> Vec<u8> {
        let mut pattern = Vec::with_capacity(self.0.len().saturating_add(8));
        for byte in &self.0 {
            if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\' | b'^' | b'-') {
                pattern.push(b'\\');
            }
            pattern.push(*byte);
        }
        pattern.push(b'*');
        pattern
    }

    /// Returns the request for the page of `database` that begins at `cursor`, for which the server looks at
    /// `count` elements or a few more. Another database may have been selected before.
    pub fn page(&self, database: u32, cursor: u64, count: u32) -> Batch {
        let [database, cursor, count] =
            [database.to_string(), cursor.to_string(), count.to_string()];
        let mut batch = Batch::of(&["SELECT", &database]);
        let pattern = self.pattern();
        let words: [&[u8]; 6] =
            [b"SCAN", cursor.as_bytes(), b"MATCH", &pattern, b"COUNT", count.as_bytes()];
        batch.add(&words);
        batch
    }

    /// Reads the answers to [`KeyPrefix::page`]. Each key is compared with the prefix, whatever the server takes
    /// the pattern for.
    ///
    /// # Errors
    /// [`PageError`]; the server may be in another database.
    pub fn read_page(&self, answers: &[Answer]) -> Result<Page, PageError> {
        let [selected, scanned] = answers else { return Err(PageError::Nonsense) };
        is_ok(selected)?;
        let (cursor, keys) = match scanned {
            Answer::Array(parts) => match &parts[..] {
                [Answer::BulkString(cursor), Answer::Array(keys)] => (cursor, keys),
                _ => return Err(PageError::Nonsense),
            },
            other => return Err(error_in(other)),
        };
        let cursor = std::str::from_utf8(cursor).ok().and_then(|cursor| cursor.parse().ok());
        let keys = keys.iter().map(|key| match key {
            Answer::BulkString(key) => Ok(Bytes::copy_from_slice(key)),
            _ => Err(PageError::Nonsense),
        });
        let mut keys = keys.collect::<Result<Vec<_>, _>>()?;
        keys.retain(|key| key.starts_with(&self.0));
        Ok(Page { cursor: cursor.ok_or(PageError::Nonsense)?, keys })
    }
}

impl Page {
    /// Returns the requests that delete the keys, in the database that was selected for the page.
    pub fn deletion(&self) -> Batch {
        let mut batch = Batch::default();
        for keys in self.keys.chunks(KeyPrefix::MOST_AT_ONCE) {
            let words: Vec<&[u8]> =
                std::iter::once(&b"UNLINK"[..]).chain(keys.iter().map(|key| &key[..])).collect();
            batch.add(&words);
        }
        batch
    }

    /// Reads the answers to [`Page::deletion`]: returns how many keys were deleted, and the first error.
    pub fn read_deletion(answers: &[Answer]) -> (u64, Result<(), PageError>) {
        let (mut deleted, mut outcome) = (0_u64, Ok(()));
        for answer in answers {
            match answer {
                Answer::Integer(count) => {
                    deleted = deleted.saturating_add(u64::try_from(*count).unwrap_or_default());
                }
                other => outcome = outcome.and_then(|()| Err(error_in(other))),
            }
        }
        (deleted, outcome)
    }
}

/// Returns the request for the list of databases that hold keys.
pub fn ask_for_databases() -> Batch {
    Batch::of(&["INFO", "keyspace"])
}

/// Reads the answers to [`ask_for_databases`].
///
/// # Errors
/// [`PageError`]
pub fn read_databases(answers: &[Answer]) -> Result<Vec<u32>, PageError> {
    let text = match answers {
        [Answer::BulkString(text)] => std::str::from_utf8(text).map_err(|_| PageError::Nonsense)?,
        [other] => return Err(error_in(other)),
        _ => return Err(PageError::Nonsense),
    };
    let mut databases = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("db")) {
        let number = line.split_once(':').and_then(|(number, _)| number.parse().ok());
        databases.push(number.ok_or(PageError::Nonsense)?);
        if databases.len() > KeyPrefix::MOST_DATABASES {
            return Err(PageError::TooManyDatabases);
        }
    }
    Ok(databases)
}

/// Returns requests that show whether all of `databases` can be selected.
pub fn try_databases(databases: &[u32]) -> Batch {
    let mut batch = Batch::default();
    databases.iter().for_each(|number| batch.add(&["SELECT", &number.to_string()]));
    batch
}

/// Reads the answers to [`try_databases`].
///
/// # Errors
/// [`PageError`]
pub fn read_tries(answers: &[Answer]) -> Result<(), PageError> {
    answers.iter().try_for_each(is_ok)
}

fn is_ok(answer: &Answer) -> Result<(), PageError> {
    match answer {
        Answer::SimpleString(text) if text == b"OK" => Ok(()),
        other => Err(error_in(other)),
    }
}

fn error_in(answer: &Answer) -> PageError {
    match answer {
        Answer::Error(text) => PageError::Refused(text.to_string()),
        _ => PageError::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &[u8]) -> Answer {
        Answer::BulkString(text.to_vec())
    }

    fn ok() -> Answer {
        Answer::SimpleString(b"OK".to_vec())
    }

    fn prefix(text: &'static str) -> KeyPrefix {
        KeyPrefix::new(text).unwrap()
    }

    #[test]
    fn a_prefix_is_literal_and_not_empty() {
        assert_eq!(KeyPrefix::new(""), None);
        assert_eq!(prefix("cache:").pattern(), b"cache:*");
        assert_eq!(
            prefix("a*b?[c]\\^-\u{e9}").pattern(),
            "a\\*b\\?\\[c\\]\\\\\\^\\-\u{e9}*".as_bytes()
        );
        let page = prefix("a*").page(7, u64::MAX, 250);
        assert_eq!(
            page.bytes(),
            b"*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n*6\r\n$4\r\nSCAN\r\n$20\r\n18446744073709551615\r\n\
              $5\r\nMATCH\r\n$4\r\na\\**\r\n$5\r\nCOUNT\r\n$3\r\n250\r\n"
        );
    }

    #[test]
    fn a_page_holds_only_keys_below_the_prefix() {
        let keys = [&b"cache:\xff\r\n"[..], b"cach", b"cache:", b"Cache:1", b"xcache:", b""];
        let scanned = Answer::Array(vec![bulk(b"17"), Answer::Array(keys.map(bulk).into())]);
        let page = prefix("cache:").read_page(&[ok(), scanned]).unwrap();
        assert_eq!(page.cursor, 17);
        assert_eq!(page.keys, [&b"cache:\xff\r\n"[..], b"cache:"]);
        assert_eq!(
            page.deletion().bytes(),
            b"*3\r\n$6\r\nUNLINK\r\n$9\r\ncache:\xff\r\n\r\n$6\r\ncache:\r\n"
        );
    }

    #[test]
    fn nothing_is_deleted_where_the_database_was_not_selected() {
        let scanned = || Answer::Array(vec![bulk(b"0"), Answer::Array(vec![bulk(b"cache:1")])]);
        let denied = Answer::Error("NOPERM No permissions to access database".into());
        let read = |answers: &[Answer]| prefix("cache:").read_page(answers);
        assert!(matches!(read(&[denied, scanned()]), Err(PageError::Refused(_))));
        assert_eq!(read(&[bulk(b"OK"), scanned()]), Err(PageError::Nonsense));
        assert_eq!(read(&[scanned()]), Err(PageError::Nonsense));
        let cursor = |text: &[u8]| Answer::Array(vec![bulk(text), Answer::Array(Vec::new())]);
        for wrong in [cursor(b"-1"), cursor(b"x"), cursor(b""), Answer::Null, Answer::Integer(1)] {
            assert_eq!(read(&[ok(), wrong]), Err(PageError::Nonsense));
        }
    }

    #[test]
    fn many_keys_are_deleted_by_several_requests() {
        let keys = (0..600).map(|number| Bytes::from(format!("cache:{number}"))).collect();
        assert_eq!(Page { cursor: 0, keys }.deletion().len(), 3);
        assert!(Page { cursor: 0, keys: Vec::new() }.deletion().is_empty());
        let readonly =
            || Answer::Error("READONLY You can't write against a read only replica.".into());
        let (deleted, outcome) =
            Page::read_deletion(&[Answer::Integer(250), readonly(), Answer::Integer(3)]);
        assert_eq!(deleted, 253);
        assert_eq!(
            outcome.unwrap_err().reply(),
            "-READONLY You can't write against a read only replica.\r\n"
        );
    }

    #[test]
    fn databases_with_keys_are_listed() {
        let text = b"# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\ndb15:keys=2,expires=0\r\n";
        assert_eq!(read_databases(&[bulk(text)]), Ok(vec![0, 15]));
        assert_eq!(read_databases(&[bulk(b"# Keyspace\r\n")]), Ok(Vec::new()));
        assert_eq!(read_databases(&[bulk(b"dbx:keys=1\r\n")]), Err(PageError::Nonsense));
        let many: String = (0..2000).map(|number| format!("db{number}:keys=1\r\n")).collect();
        assert_eq!(read_databases(&[bulk(many.as_bytes())]), Err(PageError::TooManyDatabases));
        assert_eq!(try_databases(&[1, 2]).len(), 2);
        assert_eq!(read_tries(&[ok(), ok()]), Ok(()));
        assert_eq!(read_tries(&[ok(), Answer::Null]), Err(PageError::Nonsense));
    }

    #[test]
    fn errors_that_could_name_users_are_not_passed_on() {
        let reply = |text: &str| PageError::Refused(text.to_owned()).reply();
        for passed in ["BUSY Redis is busy", "LOADING Redis is loading", "MISCONF disk"] {
            assert_eq!(reply(passed), format!("-{passed}\r\n"));
        }
        for hidden in ["NOPERM User admin has no permissions", "ERR unknown command admin"] {
            let reply = String::from_utf8(reply(hidden).to_vec()).unwrap();
            assert!(reply.starts_with(&format!("-{} ", hidden.split(' ').next().unwrap())));
            assert!(!reply.contains("admin"), "{reply}");
        }
    }
}

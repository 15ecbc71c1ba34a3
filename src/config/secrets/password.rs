//! Reads passwords from their source and checks whether they may be used.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::super::error::{ConfigError, PasswordProblem, Problem, Site};
use super::super::read::Given;
use super::origin::Origin;

/// Fewest characters of a password that is accepted without `allow_weak_passwords`.
pub(crate) const STRONG_PASSWORD: usize = 32;
/// Most bytes of a password.
pub(crate) const MAX_PASSWORD: usize = 4096;

/// Printed in place of a secret. It is too short to be accepted as a password when the output is
/// read back.
pub(crate) const MASK: &str = "********";

/// A password that was given, not yet read or checked.
pub(crate) struct Candidate {
    pub(crate) site: Site,
    origin: Origin,
    value: Value,
}

/// A password, or the file that holds it.
enum Value {
    Text(SecretString),
    File(PathBuf),
}

/// A password that may be used.
pub(crate) struct Password {
    pub(crate) secret: SecretString,
    pub(crate) origin: Origin,
    /// The password is shorter than [`STRONG_PASSWORD`].
    pub(crate) weak: bool,
}

/// The passwords that were given for one purpose. A password in the environment wins over one in
/// the file. Two passwords on the same level are an error, even if the other level wins.
pub(crate) struct Candidates {
    environment: Vec<Candidate>,
    file: Vec<Candidate>,
}

impl Candidates {
    /// The candidates of a key for the password itself and of a key for its file.
    pub(crate) fn new(text: Given<SecretString>, path: Given<PathBuf>) -> Self {
        let (text_key, path_key) = (text.key, path.key);
        let texts = [text.environment, text.file].map(|given| {
            let (site, secret) = given?;
            Some(Candidate::text(site.clone(), Origin::of(&site, text_key.clone()), secret))
        });
        let paths = [path.environment, path.file].map(|given| {
            let (site, path) = given?;
            Some(Candidate::file(
                site.clone(),
                Origin::of_file(&site, path_key.clone(), path.clone()),
                path,
            ))
        });
        let ([outer, inner], [outer_file, inner_file]) = (texts, paths);
        Self {
            environment: outer.into_iter().chain(outer_file).collect(),
            file: inner.into_iter().chain(inner_file).collect(),
        }
    }

    /// Adds a password that was found within the value of `key`.
    pub(crate) fn add(&mut self, site: &Site, key: Cow<'static, str>, secret: SecretString) {
        let level = match site {
            Site::Variable(_) => &mut self.environment,
            Site::File { .. } | Site::Whole => &mut self.file,
        };
        level.push(Candidate::text(site.clone(), Origin::of(site, key), secret));
    }

    /// Returns the password of the environment, else the password of the file, if `counts` accepts
    /// it.
    pub(crate) fn only(
        self,
        counts: impl Fn(&Origin) -> bool,
    ) -> Result<Option<Candidate>, ConfigError> {
        let [outer, inner] = [only(self.environment), only(self.file)];
        Ok(outer?.or(inner?.filter(|found| counts(&found.origin))))
    }
}

/// Returns the only password of a level, if there is one.
fn only(candidates: Vec<Candidate>) -> Result<Option<Candidate>, ConfigError> {
    let mut candidates = candidates.into_iter();
    let only = candidates.next();
    match (&only, candidates.next()) {
        (Some(first), Some(second)) => Err(second.site.error(Problem::Twice(first.site.name()))),
        _ => Ok(only),
    }
}

impl Candidate {
    fn text(site: Site, origin: Origin, text: SecretString) -> Self {
        Self { site, origin, value: Value::Text(text) }
    }

    fn file(site: Site, origin: Origin, path: PathBuf) -> Self {
        Self { site, origin, value: Value::File(path) }
    }

    /// Reads the password and checks that it may be used.
    pub(crate) fn resolve(self, allow_weak: bool) -> Result<Password, ConfigError> {
        let Self { site, origin, value } = self;
        let secret = match value {
            Value::Text(secret) if secret.expose_secret().is_empty() => {
                return Err(site.error(Problem::Empty));
            }
            Value::Text(secret) => secret,
            Value::File(path) => read(&path).map_err(|problem| site.error(problem))?,
        };
        let weak = check(secret.expose_secret()).map_err(|problem| site.error(problem))?;
        if weak && !allow_weak {
            return Err(site.error(PasswordProblem::Weak));
        }
        Ok(Password { secret, origin, weak })
    }
}

/// Returns whether `password` is weak; an error if it cannot be used.
fn check(password: &str) -> Result<bool, PasswordProblem> {
    if password.len() > MAX_PASSWORD {
        return Err(PasswordProblem::TooLong);
    }
    if password.chars().any(char::is_control) {
        return Err(PasswordProblem::Control);
    }
    Ok(password.chars().count() < STRONG_PASSWORD)
}

/// Reads the password in the file at `path`, under the rules of the configuration; with
/// `allow_weak`, a weak password is accepted. Only a regular file is read, as another kind, such as
/// a pipe, may block the reader.
///
/// # Errors
/// Returns a [`PasswordProblem`]; it shows nothing of the file's content.
pub fn read_password(path: &Path, allow_weak: bool) -> Result<SecretString, PasswordProblem> {
    let unreadable = |error: io::Error| PasswordProblem::Unreadable(error.kind());
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(PasswordProblem::Unreadable(io::ErrorKind::InvalidInput));
    }
    let secret = read(path)?;
    if check(secret.expose_secret())? && !allow_weak {
        return Err(PasswordProblem::Weak);
    }
    Ok(secret)
}

/// Some editors begin a UTF-8 file with this.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads the password that `path` holds, without a byte-order mark and without the line break that
/// most tools put at the end of a file.
fn read(path: &Path) -> Result<SecretString, PasswordProblem> {
    let most = BYTE_ORDER_MARK.len_utf8() + MAX_PASSWORD + "\r\n".len();
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    let unreadable = |error: io::Error| PasswordProblem::Unreadable(error.kind());
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > most {
        return Err(PasswordProblem::TooLong);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| PasswordProblem::NotUtf8)?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err(PasswordProblem::EmptyFile);
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(content: &[u8]) -> Result<String, PasswordProblem> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, content).unwrap();
        read(&path).map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn read_removes_exactly_one_line_break() {
        assert_eq!(read_back(b"secret").as_deref(), Ok("secret"));
        assert_eq!(read_back(b"secret\n").as_deref(), Ok("secret"));
        assert_eq!(read_back(b"secret\r\n").as_deref(), Ok("secret"));
        assert_eq!(read_back(b" secret \n\n").as_deref(), Ok(" secret \n"));
        assert_eq!(read_back(b"\n"), Err(PasswordProblem::EmptyFile));
        assert_eq!(read_back(b"\xff\n"), Err(PasswordProblem::NotUtf8));
        let mut longest = vec![b'a'; MAX_PASSWORD];
        longest.extend_from_slice(b"\r\n");
        assert_eq!(read_back(&longest).map(|text| text.len()), Ok(MAX_PASSWORD));
        longest.extend_from_slice(b"aaaa");
        assert_eq!(read_back(&longest), Err(PasswordProblem::TooLong));
        longest.truncate(MAX_PASSWORD);
        longest.push(b'a');
        let too_long = read_back(&longest).and_then(|text| check(&text));
        assert_eq!(too_long, Err(PasswordProblem::TooLong));
        let missing = read(Path::new("/nonexistent/password")).map(drop);
        assert_eq!(missing, Err(PasswordProblem::Unreadable(io::ErrorKind::NotFound)));
    }

    #[test]
    fn read_removes_the_byte_order_mark() {
        assert_eq!(read_back(b"\xef\xbb\xbfsecret\r\n").as_deref(), Ok("secret"));
        assert_eq!(read_back(b"\xef\xbb\xbf\n"), Err(PasswordProblem::EmptyFile));
        assert_eq!(read_back("a\u{feff}b".as_bytes()).as_deref(), Ok("a\u{feff}b"));
        let mut longest = b"\xef\xbb\xbf".to_vec();
        longest.extend(vec![b'a'; MAX_PASSWORD]);
        longest.extend_from_slice(b"\r\n");
        assert_eq!(read_back(&longest).map(|text| text.len()), Ok(MAX_PASSWORD));
        // Some Windows tools write UTF-16, which is not UTF-8.
        assert_eq!(read_back(b"\xff\xfes\0e\0"), Err(PasswordProblem::NotUtf8));
    }

    #[test]
    fn strength_counts_characters_and_length_counts_bytes() {
        assert_eq!(check(&"é".repeat(32)), Ok(false));
        assert_eq!(check(&"é".repeat(31)), Ok(true));
        assert_eq!(check(&"a".repeat(4096)), Ok(false));
        assert_eq!(check(&"a".repeat(4097)), Err(PasswordProblem::TooLong));
        assert_eq!(check(&"é".repeat(2049)), Err(PasswordProblem::TooLong));
        assert_eq!(check("two\nlines"), Err(PasswordProblem::Control));
    }
}

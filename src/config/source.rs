//! The text of a configuration file, and which key stands where in it.
//!
//! The messages of the TOML and serde libraries may quote values, so nothing of serde's message is
//! used: an error is its place, and the key found at that place says what was expected there.

use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, DeValue, Error};
use zeroize::Zeroizing;

use super::error::{ConfigError, Problem, Site};
use super::key::{Key, is_table, suggest, tables};
use super::schema::File;

/// Most bytes of a configuration file.
const MAX_FILE: usize = 1024 * 1024;
/// Most characters of an unknown key that an error repeats: shorter than a strong password.
const MAX_KEY: usize = 31;

/// A configuration file's text and its name.
pub(super) struct Source<'a> {
    path: &'a Path,
    text: Zeroizing<String>,
}

impl<'a> Source<'a> {
    /// Reads the file at `path`.
    pub(super) fn read(path: &'a Path) -> Result<Self, ConfigError> {
        let site = Site::File { path: path.to_owned(), line: None, key: None };
        let unreadable = |error: std::io::Error| site.error(Problem::Unreadable(error.to_string()));
        let mut bytes = Zeroizing::new(Vec::new());
        fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() > MAX_FILE {
            return Err(site.error(Problem::TooLarge(MAX_FILE)));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| site.error(Problem::NotUtf8))?;
        Ok(Self::new(path, text))
    }

    /// A file named `path` that holds `text`.
    pub(super) fn new(path: &'a Path, text: &str) -> Self {
        Self { path, text: Zeroizing::new(text.to_owned()) }
    }

    /// Its keys and values.
    pub(super) fn file(&self) -> Result<File, ConfigError> {
        let document = DeTable::parse(&self.text).map_err(|error| self.syntax(&error))?;
        let deserializer = toml::de::Deserializer::from(document.clone());
        File::deserialize(deserializer).map_err(|error| self.misfit(document.get_ref(), &error))
    }

    /// The place of `span`, where the value of `key` stands.
    pub(super) fn site(&self, key: &'static str, span: Range<usize>) -> Site {
        self.place(span.start, Some(key.to_owned()))
    }

    fn place(&self, offset: usize, key: Option<String>) -> Site {
        Site::File { path: self.path.to_owned(), line: Some(self.line(offset)), key }
    }

    /// The number, from 1, of the line at `offset`; of the last line with text for the end.
    fn line(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.trim_end().len());
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Text that is not TOML. The parser's message is made of fixed words.
    fn syntax(&self, error: &Error) -> ConfigError {
        let offset = error.span().map_or(0, |span| span.start);
        let problem = error.message().to_owned();
        let key = self.key_on_line(self.line(offset));
        let site = self.place(offset, key.map(|key| key.path.to_owned()));
        site.error(match key {
            Some(key) => {
                Problem::SyntaxOfKey { problem, write: format!("{} = {}", key.name(), key.example) }
            }
            None => Problem::Syntax(problem),
        })
    }

    /// The known key that line `number` seems to set, judged without parsing.
    fn key_on_line(&self, number: usize) -> Option<&'static Key> {
        let line = self.text.lines().nth(number.checked_sub(1)?)?;
        let name = line.split(['=', ' ', '\t', '"', '\'']).find(|word| !word.is_empty())?;
        let table = self
            .text
            .lines()
            .take(number)
            .filter_map(|line| line.trim().strip_prefix('['))
            .filter_map(|line| tables().find(|table| line.split(']').next() == Some(table)))
            .last();
        table.and_then(|table| Key::find(&format!("{table}.{name}"))).or_else(|| Key::find(name))
    }

    /// TOML that does not fit the schema: an unknown key, or a value of the wrong type.
    fn misfit(&self, document: &DeTable<'_>, error: &Error) -> ConfigError {
        let span = error.span().unwrap_or_default();
        let path = path_at(document, &span).unwrap_or_default().join(".");
        if let Some(key) = Key::find(&path) {
            return self.place(span.start, Some(path)).expected(key);
        }
        let shown = path.split('.').all(is_plain).then(|| path.clone());
        let site = self.place(span.start, shown);
        if is_table(&path) {
            return site.error(Problem::ExpectedTable(path));
        }
        site.error(Problem::UnknownKey(suggest(&path)))
    }
}

/// Whether a part of an unknown key may be repeated in an error.
fn is_plain(name: &str) -> bool {
    (1..=MAX_KEY).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The names that lead to the key or value at `span`.
fn path_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<Vec<String>> {
    let holds = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    table.iter().find_map(|(key, value)| {
        // The span of a table is that of its header, so look inside whatever the span says.
        let inner = match value.get_ref() {
            DeValue::Table(table) => path_at(table, span),
            _ => None,
        };
        let mut path = match inner {
            Some(path) => path,
            None if holds(key.span()) || holds(value.span()) => Vec::new(),
            None => return None,
        };
        path.insert(0, key.get_ref().to_string());
        Some(path)
    })
}

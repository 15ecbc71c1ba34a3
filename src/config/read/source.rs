//! The text of a configuration file, and which line is where in it.

use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use zeroize::Zeroizing;

use super::super::error::{ConfigError, Problem, Site};

/// Most bytes of a configuration file.
const MAX_FILE: usize = 1024 * 1024;

/// A configuration file's text and its name.
pub(crate) struct Source<'a> {
    path: &'a Path,
    text: Zeroizing<String>,
}

impl<'a> Source<'a> {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &'a Path) -> Result<Self, ConfigError> {
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
    pub(crate) fn new(path: &'a Path, text: &str) -> Self {
        Self { path, text: Zeroizing::new(text.to_owned()) }
    }

    /// The place of `span`, where the value of `key` stands.
    pub(super) fn site(&self, key: &str, span: Range<usize>) -> Site {
        self.place(span.start, Some(key.to_owned()))
    }

    /// The place of `offset` in the text, at fault for `key`.
    pub(super) fn place(&self, offset: usize, key: Option<String>) -> Site {
        Site::File { path: self.path.to_owned(), line: Some(self.line(offset)), key }
    }

    /// The text itself.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The number, from 1, of the line at `offset`; of the last line with text for the end.
    pub(super) fn line(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.trim_end().len());
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

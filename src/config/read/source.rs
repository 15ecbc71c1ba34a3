//! The text of a configuration file, with the line numbers of places in it.

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

    /// Makes a configuration file named `path` that holds `text`.
    pub(crate) fn new(path: &'a Path, text: &str) -> Self {
        Self { path, text: Zeroizing::new(text.to_owned()) }
    }

    /// Returns the place `span` of the value of `key`.
    pub(super) fn site(&self, key: &str, span: Range<usize>) -> Site {
        self.place(span.start, Some(key.to_owned()))
    }

    /// Returns the place at `offset` in the text, for an error about `key`.
    pub(super) fn place(&self, offset: usize, key: Option<String>) -> Site {
        Site::File { path: self.path.to_owned(), line: Some(self.line(offset)), key }
    }

    /// Returns the text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the number, from 1, of the line at `offset`; at the end of the file, the number of
    /// the last line with text.
    pub(super) fn line(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.trim_end().len());
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

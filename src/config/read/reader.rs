//! Reads the values that the file and the environment give for keys.

use std::borrow::Cow;
use std::rc::Rc;

use secrecy::ExposeSecret;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Error};

use super::super::declare::{Declared, Key, Node, Wrong};
use super::super::error::{ConfigError, Problem, Site};
use super::environment::Environment;
use super::names::{self, Names};
use super::source::Source;

/// Most characters of an unknown key that an error repeats: shorter than a strong password.
const MAX_KEY: usize = 31;

/// The values that were given for a key, with their places: in the environment, in the file, or in
/// both.
pub(crate) struct Given<T> {
    /// The full name of the key.
    pub(crate) key: Cow<'static, str>,
    pub(crate) environment: Option<(Site, T)>,
    pub(crate) file: Option<(Site, T)>,
}

impl<T> Given<T> {
    /// Returns the value in effect: a value in the environment wins over one in the file.
    pub(crate) fn winner(self) -> Option<(Site, T)> {
        self.environment.or(self.file)
    }
}

/// The environment and a file whose names are all known.
pub(crate) struct Reader<'a> {
    source: &'a Source<'a>,
    document: Rc<DeTable<'a>>,
    environment: &'a Environment,
    /// The identity whose table stands for the table of [`names::IDENTITY`].
    identity: Option<Rc<str>>,
}

impl<'a> Reader<'a> {
    /// # Errors
    /// The text is not TOML, or holds a name that is not in `names`.
    pub(crate) fn new(
        source: &'a Source<'a>,
        environment: &'a Environment,
        names: Names<'_>,
    ) -> Result<Self, ConfigError> {
        let document = DeTable::parse(source.text()).map_err(|error| syntax(source, names, &error));
        let document = document?.into_inner();
        check_names(source, ("", &document), names)?;
        Ok(Self { source, document: Rc::new(document), environment, identity: None })
    }

    /// Returns the names of the identities that the file gives, in their order, each with its place.
    pub(crate) fn identities(&self) -> Vec<(String, Site)> {
        let all = self.document.get(names::IDENTITIES).and_then(|all| all.get_ref().as_table());
        let all = all.map(in_order).unwrap_or_default().into_iter();
        all.map(|(name, _)| {
            let text = name.get_ref().to_string();
            let place = self.source.place(name.span().start, Some(names::of_identity(&text)));
            (text, place)
        })
        .collect()
    }

    /// Returns a reader for which the keys of [`names::IDENTITY`] are those of the identity called `name`.
    pub(crate) fn of_identity(&self, name: &str) -> Self {
        let document = Rc::clone(&self.document);
        Self { document, identity: Some(name.into()), ..*self }
    }

    /// Returns the name in the file of the key that is declared as `name`.
    fn actual<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let key = name.strip_prefix(names::IDENTITY).and_then(|rest| rest.strip_prefix('.'));
        match (key, &self.identity) {
            (Some(key), Some(identity)) => format!("{}.{key}", names::of_identity(identity)).into(),
            _ => name.into(),
        }
    }

    /// Returns the environment variable that is declared as `name`; `None` if the identity has none.
    fn variable(&self, name: &'static str) -> Option<Cow<'static, str>> {
        let Some((before, _)) = name.split_once(names::VARIABLE_NAME) else {
            return Some(name.into());
        };
        let identity = self.identity.as_ref()?;
        let upper = identity.replace('-', "_").to_ascii_uppercase();
        // It would be REDOUBT_PASSWORD_FILE, which is another's.
        (upper != "FILE").then(|| format!("{before}{upper}").into())
    }

    /// Returns the value of the key `name`, or else its default.
    pub(crate) fn value<T: 'static>(
        &self,
        name: &str,
        declared: Declared<T>,
    ) -> Result<T, ConfigError> {
        let name = declared.name.unwrap_or(name);
        if let Some((_, value)) = self.in_environment(name, &declared)? {
            return Ok(value);
        }
        let found = self.in_file(name, &declared)?;
        Ok(found.map_or(declared.default, |(_, value)| value))
    }

    /// Returns the values of the key `name` in the environment and in the file; both are checked.
    pub(crate) fn given<T: 'static>(
        &self,
        name: &'static str,
        declared: &Declared<Option<T>>,
    ) -> Result<Given<T>, ConfigError> {
        let present = |(site, value): (Site, Option<T>)| value.map(|value| (site, value));
        Ok(Given {
            key: self.actual(name),
            environment: self.in_environment(name, declared)?.and_then(present),
            file: self.in_file(name, declared)?.and_then(present),
        })
    }

    /// Returns the place of the key `name` in the file, if the file gives it.
    pub(crate) fn site(&self, name: &str) -> Option<Site> {
        let name = self.actual(name);
        Some(self.source.site(&name, self.node(&name)?.span()))
    }

    fn in_environment<T: 'static>(
        &self,
        name: &str,
        declared: &Declared<T>,
    ) -> Result<Option<(Site, T)>, ConfigError> {
        let Some(variable) = declared.variable else { return Ok(None) };
        let Some(actual) = self.variable(variable.name) else { return Ok(None) };
        let Some(text) = self.environment.value(&actual)? else { return Ok(None) };
        let text = text.expose_secret();
        let word = |word| DeValue::String(Cow::Borrowed(word));
        let node = if variable.is_list {
            let words = text.split(',').map(|text| Spanned::new(0..0, word(text.trim())));
            DeValue::Array(words.collect())
        } else {
            word(text)
        };
        let site = Site::Variable(actual);
        match declared.form.read(&Spanned::new(0..0, node)) {
            Ok(value) => Ok(Some((site, value))),
            Err(wrong) => Err(error(&site, name, declared, wrong)),
        }
    }

    fn in_file<T: 'static>(
        &self,
        name: &str,
        declared: &Declared<T>,
    ) -> Result<Option<(Site, T)>, ConfigError> {
        let name = self.actual(name);
        let Some(node) = self.node(&name) else { return Ok(None) };
        match declared.form.read(node) {
            Ok(value) => Ok(Some((self.source.site(&name, node.span()), value))),
            Err(wrong) => {
                let site = self.source.site(&name, wrong.at.clone());
                Err(error(&site, &name, declared, wrong))
            }
        }
    }

    fn node(&self, name: &str) -> Option<&Node<'a>> {
        let mut table = &*self.document;
        let mut rest = name;
        while let Some((outer, inner)) = rest.split_once('.') {
            table = table.get(outer)?.get_ref().as_table()?;
            rest = inner;
        }
        table.get(rest)
    }
}

fn error<T: 'static>(site: &Site, name: &str, declared: &Declared<T>, wrong: Wrong) -> ConfigError {
    match wrong.problem {
        Some(problem) => site.error(problem),
        None => site.expected(name.rsplit('.').next().unwrap_or(name), declared.help()),
    }
}

/// Fails at the first name in a table that is neither a key nor a table. The name of the document is empty; a
/// table within a table has both names with a dot between them, and no name has another dot in it.
fn check_names(
    source: &Source<'_>,
    (table, inner): (&str, &DeTable<'_>),
    names: Names<'_>,
) -> Result<(), ConfigError> {
    let unknown = |name: &Spanned<DeString<'_>>, path: &str| {
        let shown = path.split('.').all(is_plain).then(|| path.to_owned());
        let site = source.place(name.span().start, shown);
        site.error(Problem::UnknownKey(names.suggestion(path)))
    };
    for (name, value) in in_order(inner) {
        let path = match table {
            "" => name.get_ref().to_string(),
            table => format!("{table}.{}", name.get_ref()),
        };
        if table == names::IDENTITIES && !names::is_identity(name.get_ref()) {
            let site = source.place(name.span().start, Some(table.to_owned()));
            return Err(site.error(Problem::IdentityName));
        }
        if names.key(&names::declared(&path)).is_some() {
            continue;
        }
        if names.table(&names::declared(&path)).is_none() {
            return Err(unknown(name, &path));
        }
        let Some(inner) = value.get_ref().as_table() else {
            let site = source.place(value.span().start, Some(path.clone()));
            return Err(site.error(Problem::ExpectedTable(path)));
        };
        check_names(source, (&path, inner), names)?;
    }
    Ok(())
}

/// Returns the entries of a table in the order of the text.
fn in_order<'t, 'a>(table: &'t DeTable<'a>) -> Vec<(&'t Spanned<DeString<'a>>, &'t Node<'a>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

/// Returns whether a part of an unknown key may be repeated in an error: a key with other
/// characters could be a secret.
fn is_plain(name: &str) -> bool {
    (1..=MAX_KEY).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Returns the error for text that is not TOML. The parser's messages are fixed texts and repeat
/// nothing of the file.
fn syntax(source: &Source<'_>, names: Names<'_>, error: &Error) -> ConfigError {
    let offset = error.span().map_or(0, |span| span.start);
    let problem = error.message().to_owned();
    let key = key_on_line(source, names, source.line(offset));
    let site = source.place(offset, key.map(|key| key.name.to_owned()));
    site.error(match key {
        Some(key) => {
            let write = format!("{} = {}", key.short(), key.example);
            Problem::SyntaxOfKey { problem, write }
        }
        None => Problem::Syntax(problem),
    })
}

/// Returns the known key that line `number` seems to set. The line is searched as text, since it
/// cannot be parsed.
fn key_on_line<'n>(source: &Source<'_>, names: Names<'n>, number: usize) -> Option<&'n Key> {
    let line = source.text().lines().nth(number.checked_sub(1)?)?;
    let name = line.split(['=', ' ', '\t', '"', '\'']).find(|word| !word.is_empty())?;
    let table = source
        .text()
        .lines()
        .take(number)
        .filter_map(|line| line.trim().strip_prefix('['))
        .filter_map(|line| names.table(line.split(']').next().unwrap_or(line)))
        .last();
    table.and_then(|table| names.key(&format!("{table}.{name}"))).or_else(|| names.key(name))
}

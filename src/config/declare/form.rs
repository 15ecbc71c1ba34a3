//! The form of a key's value: what is accepted, what an error states as expected, and how a value
//! is printed.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use toml::Spanned;
use toml::de::DeValue;

use super::super::error::Problem;
use super::{duration, size};

/// A value with its place in the text.
pub(crate) type Node<'a> = Spanned<DeValue<'a>>;

type Read<T> = dyn Fn(&Node<'_>) -> Result<T, Wrong> + Send + Sync;
type Write<T> = dyn Fn(&T) -> Option<String> + Send + Sync;

/// How a value of type `T` is written in TOML.
pub(crate) struct Form<T> {
    expects: String,
    read: Box<Read<T>>,
    write: Box<Write<T>>,
}

/// The error for a value that a form does not accept. It holds nothing of the value, which may be a
/// secret.
pub(crate) struct Wrong {
    /// The place of the value in the text.
    pub(crate) at: Range<usize>,
    /// The problem, if a more precise one is known than "expected …".
    pub(crate) problem: Option<Problem>,
}

impl<T: 'static> Form<T> {
    /// Makes a form. `expects` follows "expected" in an error. `write` returns `None` for a value
    /// that stands for a missing key.
    pub(crate) fn new(
        expects: impl Into<String>,
        read: impl Fn(&Node<'_>) -> Result<T, Wrong> + Send + Sync + 'static,
        write: impl Fn(&T) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { expects: expects.into(), read: Box::new(read), write: Box::new(write) }
    }

    /// Makes a form for a text in quotes.
    pub(crate) fn text(
        expects: impl Into<String>,
        parse: impl Fn(&str) -> Option<T> + Send + Sync + 'static,
        format: impl Fn(&T) -> String + Send + Sync + 'static,
    ) -> Self {
        let read = move |node: &Node<'_>| {
            node.get_ref().as_str().and_then(&parse).ok_or_else(|| Wrong::at(node))
        };
        Self::new(expects, read, move |value| Some(quoted(&format(value))))
    }

    /// Returns what the value must be, as it follows "expected".
    pub(super) fn expects(&self) -> &str {
        &self.expects
    }

    pub(crate) fn read(&self, node: &Node<'_>) -> Result<T, Wrong> {
        (self.read)(node)
    }

    /// Returns the value in TOML; `None` if the value stands for a missing key.
    pub(crate) fn write(&self, value: &T) -> Option<String> {
        (self.write)(value)
    }

    /// Converts the values to another type; a value for which `to` returns `None` is rejected.
    pub(crate) fn map<U: 'static>(
        self,
        to: impl Fn(T) -> Option<U> + Send + Sync + 'static,
        from: impl Fn(&U) -> T + Send + Sync + 'static,
    ) -> Form<U> {
        let Self { expects, read, write } = self;
        let read = move |node: &Node<'_>| to(read(node)?).ok_or_else(|| Wrong::at(node));
        Form::new(expects, read, move |value| write(&from(value)))
    }

    /// Makes the value optional.
    pub(super) fn or_missing(self) -> Form<Option<T>> {
        let Self { expects, read, write } = self;
        let write = move |value: &Option<T>| write(value.as_ref()?);
        Form::new(expects, move |node| read(node).map(Some), write)
    }

    /// Accepts `word` in place of a value, and reads it as `None`.
    pub(crate) fn or_word(self, word: &'static str) -> Form<Option<T>> {
        let Self { expects, read, write } = self;
        let read = move |node: &Node<'_>| match node.get_ref().as_str() {
            Some(text) if text == word => Ok(None),
            _ => read(node).map(Some),
        };
        Form::new(format!("{expects}, or \"{word}\""), read, move |value| match value {
            Some(value) => write(value),
            None => Some(quoted(word)),
        })
    }
}

impl<N> Form<N>
where
    N: TryFrom<i64> + Display + 'static,
{
    /// Accepts 0 in place of a number, and reads it as `None`; `meaning` says in errors what 0
    /// means.
    pub(crate) fn or_zero(self, meaning: &str) -> Form<Option<N>> {
        let Self { expects, read, write } = self;
        let read = move |node: &Node<'_>| match integer(node) {
            Some(0) => Ok(None),
            _ => read(node).map(Some),
        };
        Form::new(format!("{expects}, or 0 for {meaning}"), read, move |value| match value {
            Some(value) => write(value),
            None => Some("0".to_owned()),
        })
    }
}

impl Form<Duration> {
    /// Reads `"0s"` as `None`.
    pub(crate) fn zero_is_none(self) -> Form<Option<Duration>> {
        let some = |duration: Duration| Some(Some(duration).filter(|some| !some.is_zero()));
        self.map(some, |value| value.unwrap_or_default())
    }
}

/// `true` or `false`.
pub(crate) fn flag() -> Form<bool> {
    let read = |node: &Node<'_>| node.get_ref().as_bool().ok_or_else(|| Wrong::at(node));
    Form::new("true or false, without quotes", read, |value| Some(value.to_string()))
}

/// A whole number within `bounds`.
pub(crate) fn whole<N>(bounds: RangeInclusive<i64>) -> Form<N>
where
    N: TryFrom<i64> + Display + 'static,
{
    let expects = match bounds.clone().into_inner() {
        (0, most) => format!("a whole number up to {most}"),
        (least, most) => format!("a whole number from {least} to {most}"),
    };
    let read = move |node: &Node<'_>| {
        let number = integer(node).filter(|number| bounds.contains(number));
        number.and_then(|number| N::try_from(number).ok()).ok_or_else(|| Wrong::at(node))
    };
    Form::new(expects, read, |value: &N| Some(value.to_string()))
}

/// A duration, which may be zero.
pub(crate) fn time() -> Form<Duration> {
    let expects = "a duration as a whole number and ms, s, m, h or d, at most 365d";
    Form::text(expects, duration::parse, |value| duration::format(*value))
}

/// A duration above zero.
pub(crate) fn time_above_zero() -> Form<Duration> {
    let expects = "a duration above zero as a whole number and ms, s, m, h or d";
    let parse = |text: &str| duration::parse(text).filter(|value| !value.is_zero());
    Form::text(expects, parse, |value| duration::format(*value))
}

/// The time until the kernel probes a silent connection (`TCP_KEEPIDLE`); `None` means never.
pub(crate) fn keepalive() -> Form<Option<Duration>> {
    /// The largest value that Linux accepts, in seconds.
    const MOST: u64 = 32_767;
    let expects = "whole seconds from \"1s\" to \"32767s\", or \"0s\" for none";
    let fits = |value: &Duration| value.subsec_nanos() == 0 && value.as_secs() <= MOST;
    let parse = move |text: &str| duration::parse(text).filter(fits);
    Form::text(expects, parse, |value| format!("{}s", value.as_secs())).zero_is_none()
}

/// A size in bytes within `bounds`.
pub(crate) fn bytes<N>(bounds: RangeInclusive<u64>) -> Form<N>
where
    N: TryFrom<u64> + TryInto<u64> + Copy + 'static,
{
    let [least, most] = [bounds.start(), bounds.end()].map(|bound| size::format(*bound));
    let parse = move |text: &str| {
        let size = size::parse(text).filter(|size| bounds.contains(size))?;
        N::try_from(size).ok()
    };
    let format = |value: &N| size::format((*value).try_into().unwrap_or(u64::MAX));
    Form::text(format!("a size from \"{least}\" to \"{most}\""), parse, format)
}

/// One of a fixed set of words.
pub(crate) fn choice<T, const N: usize>(choices: [(&'static str, T); N]) -> Form<T>
where
    T: Copy + PartialEq + Send + Sync + 'static,
{
    let names = choices.map(|(name, _)| quoted(name));
    let expects = match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.concat(),
    };
    let read = move |node: &Node<'_>| {
        let text = node.get_ref().as_str();
        let found = choices.iter().find(|(name, _)| Some(*name) == text);
        found.map(|(_, choice)| *choice).ok_or_else(|| Wrong::at(node))
    };
    Form::new(expects, read, move |value| {
        let found = choices.iter().find(|(_, choice)| choice == value);
        found.map(|(name, _)| quoted(name))
    })
}

/// The path of a file, not empty.
pub(crate) fn file() -> Form<PathBuf> {
    let parse = |text: &str| Some(PathBuf::from(text)).filter(|_| !text.is_empty());
    Form::text("the path of a file in quotes", parse, |path| path.display().to_string())
}

/// A text that is never printed.
pub(crate) fn secret(expects: &'static str) -> Form<SecretString> {
    let read = |node: &Node<'_>| {
        let text = node.get_ref().as_str().map(|text| SecretString::from(text.to_owned()));
        text.ok_or_else(|| Wrong::at(node))
    };
    Form::new(expects, read, |_| None)
}

/// A list of at most `most` texts, each in quotes; an error has the place of the item that `parse`
/// rejects.
pub(crate) fn list<T: 'static>(
    expects: impl Into<String>,
    most: usize,
    parse: impl Fn(&str) -> Result<T, Option<Problem>> + Send + Sync + 'static,
    format: impl Fn(&T) -> String + Send + Sync + 'static,
) -> Form<Vec<T>> {
    let read = move |node: &Node<'_>| {
        let items = node.get_ref().as_array().filter(|items| items.len() <= most);
        let items = items.ok_or_else(|| Wrong::at(node))?.iter().map(|item| {
            let text = item.get_ref().as_str().ok_or_else(|| Wrong::at(item))?;
            parse(text).map_err(|problem| Wrong { at: item.span(), problem })
        });
        items.collect()
    };
    Form::new(expects, read, move |values: &Vec<T>| Some(quoted_list(values.iter().map(&format))))
}

impl Wrong {
    pub(crate) fn at(node: &Node<'_>) -> Self {
        Self { at: node.span(), problem: None }
    }
}

fn integer(node: &Node<'_>) -> Option<i64> {
    let number = node.get_ref().as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Returns `text` as a TOML string.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Returns `texts` as a TOML list.
pub(crate) fn quoted_list(texts: impl Iterator<Item = String>) -> String {
    toml::Value::from(texts.collect::<Vec<_>>()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: 'static>(form: &Form<T>, text: &str) -> Option<T> {
        form.read(&DeValue::parse(text).unwrap()).ok()
    }

    #[test]
    fn bounds_are_both_enforced_and_named_in_the_error() {
        let form = whole::<usize>(8..=10);
        assert_eq!(form.expects(), "a whole number from 8 to 10");
        assert_eq!(
            ["7", "8", "10", "11", "\"8\""].map(|text| read(&form, text)),
            [None, Some(8), Some(10), None, None]
        );
        let form = bytes::<u64>(1 << 10..=1 << 20);
        assert_eq!(form.expects(), "a size from \"1kb\" to \"1mb\"");
        assert_eq!(
            ["\"1023b\"", "\"1mb\"", "\"2mb\""].map(|text| read(&form, text)),
            [None, Some(1 << 20), None]
        );
    }

    #[test]
    fn zero_and_words_for_none_are_printed_again() {
        let zero = whole::<usize>(8..=10).or_zero("no limit");
        let auto = bytes::<u64>(1..=10).or_word("auto");
        assert_eq!(zero.expects(), "a whole number from 8 to 10, or 0 for no limit");
        assert_eq!(auto.expects(), "a size from \"1b\" to \"10b\", or \"auto\"");
        assert_eq!((read(&zero, "0"), read(&zero, "9")), (Some(None), Some(Some(9))));
        assert_eq!(read(&auto, "\"auto\""), Some(None));
        assert_eq!(zero.write(&None).as_deref(), Some("0"));
        assert_eq!(auto.write(&None).as_deref(), Some("\"auto\""));
        assert_eq!(keepalive().write(&None).as_deref(), Some("\"0s\""));
        assert_eq!(file().or_missing().write(&None), None);
    }

    #[test]
    fn an_error_in_a_list_is_at_its_item() {
        let parse = |text: &str| if text == "b" { Err(None) } else { Ok(text.to_owned()) };
        let form = list("a list", 3, parse, String::clone);
        let error =
            |text: &str| form.read(&DeValue::parse(text).unwrap()).err().map(|e| e.at.start);
        assert_eq!(error("['a', 'b']"), Some(6));
        assert_eq!(error("['a', 1]"), Some(6));
        assert_eq!(error("['a', 'a', 'a', 'a']"), Some(0));
        assert_eq!(error("['a']"), None);
    }
}

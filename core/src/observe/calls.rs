//! Which commands the text of a script names: `redis.call("GET", …)`.
//!
//! This is not what the script does. A command whose name is computed is not found, and one behind a condition
//! is found whether it runs or not.

use crate::command::{self, Spec};

/// The commands that a script or a library names.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls {
    /// The commands of the table, without duplicates, in the order of their names.
    pub(super) commands: Vec<&'static Spec>,
    /// True if a call has a name that is computed, or that the table does not have, or if the text is too long.
    pub(super) computes: bool,
    /// The functions that the text registers, in lower case.
    pub(super) functions: Vec<Vec<u8>>,
}

/// Most bytes of a script that are read.
const LONGEST: usize = 256 << 10;
/// Most commands and functions of a script that are kept.
const MOST: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// A name with its fields, such as `redis.call`.
    Name(&'a [u8]),
    /// A string, without its quotes. Escapes are left as they are.
    Text(&'a [u8]),
    /// Any other character.
    Mark(u8),
}

impl Calls {
    /// Reads the text of a script or library.
    pub(super) fn of(text: &[u8]) -> Self {
        let kept = text.get(..LONGEST).unwrap_or(text);
        let tokens: Vec<_> = Tokens(kept).collect();
        let mut calls = Self { computes: kept.len() < text.len(), ..Self::default() };
        let mut callers: Vec<&[u8]> =
            vec![b"redis.call", b"redis.pcall", b"server.call", b"server.pcall"];
        for at in 0..tokens.len() {
            let token = |offset: usize| tokens.get(at.saturating_add(offset)).copied();
            let Some(Token::Name(name)) = token(0) else { continue };
            if name.ends_with(b".register_function") {
                calls.add_function(tokens.get(at..).unwrap_or_default());
            }
            if !callers.contains(&name) {
                // `local rcall = redis.call`
                if token(1) == Some(Token::Mark(b'='))
                    && let Some(Token::Name(other)) = token(2)
                    && callers.contains(&other)
                    && token(3) != Some(Token::Mark(b'('))
                    && callers.len() < MOST
                {
                    callers.push(name);
                }
                continue;
            }
            match (token(1), token(2)) {
                // `pcall(redis.call, "GET", …)`
                (Some(Token::Mark(b'(' | b',')), Some(Token::Text(word))) => {
                    let second = match (token(3), token(4)) {
                        (Some(Token::Mark(b',')), Some(Token::Text(second))) => Some(second),
                        _ => None,
                    };
                    calls.add(word, second);
                }
                (Some(Token::Text(word)), _) => calls.add(word, None),
                (Some(Token::Mark(b'(')), _) => calls.computes = true,
                _ => {}
            }
        }
        calls.commands.sort_by_key(|spec| spec.name);
        calls.commands.dedup_by_key(|spec| spec.id);
        calls
    }

    fn add(&mut self, name: &[u8], word: Option<&[u8]>) {
        let spec = command::lookup(name);
        let found = match spec {
            Some(spec) if spec.is_container() => word.and_then(|word| spec.subcommand(word)),
            other => other,
        };
        match found.filter(|_| self.commands.len() < MOST) {
            Some(spec) if self.commands.iter().all(|other| other.id != spec.id) => {
                self.commands.push(spec);
            }
            Some(_) => {}
            None => self.computes = true,
        }
    }

    /// Reads `redis.register_function("name", …)` or `redis.register_function{function_name = "name", …}`.
    fn add_function(&mut self, tokens: &[Token<'_>]) {
        let is_field = |pair: &[Token<'_>]| {
            matches!(pair, [Token::Name(b"function_name"), Token::Mark(b'='), Token::Text(_)])
        };
        let name = match tokens {
            [_, Token::Mark(b'('), Token::Text(name), ..] => Some(*name),
            _ => {
                let end = tokens.iter().position(|token| *token == Token::Mark(b'}'));
                let fields = tokens.get(..end.unwrap_or(tokens.len())).unwrap_or_default();
                fields.windows(3).find(|three| is_field(three)).and_then(|three| match three {
                    [_, _, Token::Text(name)] => Some(*name),
                    _ => None,
                })
            }
        };
        match name.filter(|_| self.functions.len() < MOST) {
            Some(name) => self.functions.push(name.to_ascii_lowercase()),
            None => self.computes = true,
        }
    }
}

/// The tokens of Lua, as far as calls need them. Comments and blanks are skipped.
struct Tokens<'a>(&'a [u8]);

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.0 = self.0.trim_ascii_start();
            let (first, rest) = self.0.split_first()?;
            if let Some(comment) = self.0.strip_prefix(b"--") {
                self.0 = match long_text(comment) {
                    Some((_, after)) => after,
                    None => {
                        let end = memchr::memchr(b'\n', comment).unwrap_or(comment.len());
                        comment.get(end..).unwrap_or_default()
                    }
                };
                continue;
            }
            if let Some((text, after)) = long_text(self.0) {
                self.0 = after;
                return Some(Token::Text(text));
            }
            let (token, after) = match first {
                b'\'' | b'"' => {
                    let end = end_of_text(rest, *first);
                    let after = rest.get(end.saturating_add(1)..).unwrap_or_default();
                    (Token::Text(rest.get(..end).unwrap_or(rest)), after)
                }
                byte if is_name(*byte) => {
                    let len = self.0.iter().position(|byte| !is_name(*byte) && *byte != b'.');
                    let (name, after) = self.0.split_at(len.unwrap_or(self.0.len()));
                    (Token::Name(name), after)
                }
                other => (Token::Mark(*other), rest),
            };
            self.0 = after;
            return Some(token);
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Returns the length of the text up to `quote`.
fn end_of_text(text: &[u8], quote: u8) -> usize {
    let mut is_escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == quote && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    end.unwrap_or(text.len())
}

/// Splits a text in long brackets, such as `[[text]]` or `[==[text]==]`, off.
fn long_text(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = text.strip_prefix(b"[")?;
    let level = inner.iter().take_while(|byte| **byte == b'=').count();
    let body = inner.get(level..)?.strip_prefix(b"[")?;
    let end = [b"]".as_slice(), &b"=".repeat(level), b"]"].concat();
    match memchr::memmem::find(body, &end) {
        Some(at) => {
            let (text, after) = body.split_at(at);
            Some((text, after.get(end.len()..).unwrap_or_default()))
        }
        None => Some((body, &[])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> String {
        let calls = Calls::of(text.as_bytes());
        let mut names: Vec<_> = calls.commands.iter().map(|spec| spec.name).collect();
        names.extend(calls.computes.then_some("computed"));
        names.join(" ")
    }

    #[test]
    fn literal_names_of_calls_are_found() {
        for (text, expected) in [
            ("return redis.call('GET', KEYS[1])", "get"),
            ("redis.pcall(\"set\", KEYS[1], 1) redis.call('set', KEYS[2], 2)", "set"),
            ("redis.call( \n [[incr]] , KEYS[1])", "incr"),
            ("redis.call('ping') redis.call'ping'", "ping"),
            ("redis.call('config', 'get', 'x')", "config|get"),
            ("server.call('hget', KEYS[1], 'f')", "hget"),
            // BullMQ
            ("local rcall = redis.call\nrcall(\"LPUSH\", KEYS[1], ARGV[1])", "lpush"),
            ("local ok = pcall(redis.call, 'del', KEYS[1])", "del"),
            ("-- redis.call('flushall')\n--[[ redis.call('flushdb') ]] return 1", ""),
            ("return 'redis.call(\"flushall\")'", ""),
            ("return \"it's\" .. redis.call('get', 'it\\'s')", "get"),
            ("redis.call(ARGV[1], KEYS[1])", "computed"),
            ("redis.call('nonsense')", "computed"),
            ("local x = redis.call('get', KEYS[1]) x('del')", "get"),
            ("redis.call(", "computed"),
            ("", ""),
        ] {
            assert_eq!(named(text), expected, "{text}");
        }
        let long = format!("{}redis.call('get', 'x')", " ".repeat(LONGEST));
        assert_eq!(named(&long), "computed");
    }

    #[test]
    fn functions_of_a_library_are_found() {
        let text = b"#!lua name=mylib\n\
            redis.register_function('One', function(keys) return redis.call('GET', keys[1]) end)\n\
            redis.register_function{function_name='two', callback=f, flags={'no-writes'}}";
        let calls = Calls::of(text);
        assert_eq!(calls.functions, [b"one".to_vec(), b"two".to_vec()]);
        assert_eq!(calls.commands.iter().map(|spec| spec.name).collect::<Vec<_>>(), ["get"]);
    }
}

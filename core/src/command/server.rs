//! The commands that the upstream has, by its own reply to `COMMAND`.
//!
//! The built-in table describes commands of several servers; which of them this upstream has, and which
//! others, only the upstream knows: modules bring commands, and newer versions do.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::id_set::IdSet;
use super::spec::arity_holds;
use super::{Access, Keys, Spec, lookup_whole};
use crate::resp::Reply;

/// The upstream's own list of its commands. It never changes; a new list replaces it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ServerCommands {
    /// Commands and subcommands of the built-in table that the upstream has.
    present: IdSet,
    /// The other commands and subcommands, by their names in lower case (`ft.search`, `client|later`).
    others: HashMap<Arc<str>, ServerCommand>,
    /// The names of all commands and subcommands as the upstream writes them, in its order, a container
    /// before its subcommands.
    names: Vec<Arc<str>>,
    /// True if the reply lists subcommands, as Redis does from 7.0 on.
    lists_subcommands: bool,
    /// Commands, in lower case, that the upstream has under another name than the reply lists them, so that a
    /// name which is not listed may exist; `None` if that is not known.
    renamed: Option<BTreeSet<String>>,
}

/// A command that only the upstream knows: the built-in table does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCommand {
    /// The name in lower case; a subcommand's name has its container's before it and a `|` between.
    pub name: Arc<str>,
    /// Number of arguments, as [`Spec::arity`].
    pub arity: i16,
    /// What the command may do, by the upstream's flags and categories.
    pub kind: ServerKind,
    /// The positions of its keys.
    pub keys: Keys,
    /// What it may do with its keys, by the upstream's flags.
    pub access: Access,
}

/// The kinds of commands that the built-in table does not have, by the upstream's flags and categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// It reads or writes keys, answers in turn, and leaves nothing on its connection.
    Plain,
    /// The same, but it comes from a module, which may answer it late from a thread of its own.
    Module,
    /// It may leave state on its connection, wait without limit, or not be what its flags say.
    Stateful,
    /// It administers the server, or the upstream calls it dangerous.
    Administrative,
}

impl ServerCommand {
    /// Returns true if the upstream accepts the command with `argc` arguments, name included.
    pub fn arity_holds(&self, argc: usize) -> bool {
        arity_holds(self.arity, argc)
    }
}

impl ServerCommands {
    /// Most commands and subcommands that are kept besides the table's. A server with more is treated
    /// as one that does not say which commands it has.
    pub const MOST_OTHERS: usize = 8192;
    /// Fields of a command in every version of the reply: name, arity, flags, first key, last key, step.
    const FIELDS: usize = 6;
    /// Bytes of the longest name that is kept. A server with a longer name is treated likewise.
    const LONGEST: usize = 128;

    /// Reads the reply to `COMMAND`; `None` if it is no list of commands, or a bound is exceeded.
    pub fn of(reply: &Reply) -> Option<Self> {
        let Reply::Array(commands) = reply else { return None };
        let mut found = Self::default();
        for command in commands {
            found.add(None, command)?;
        }
        // A server with no command at all has not understood the question.
        (!commands.is_empty()).then_some(found)
    }

    /// Takes the reply to `COMMAND INFO` with the names of [`ServerCommands::commands`]: a name that it does not
    /// find shows that the upstream has a command under another name.
    #[must_use]
    pub fn take_info(mut self, info: &Reply) -> Self {
        let is_missing = |info: &Reply| !matches!(info, Reply::Array(fields) if !fields.is_empty());
        self.renamed = match info {
            Reply::Array(infos) if infos.len() == self.commands().count() => {
                let pairs = self.commands().zip(infos).filter(|(_, info)| is_missing(info));
                Some(pairs.map(|(name, _)| name.to_ascii_lowercase()).collect())
            }
            _ => None,
        };
        self
    }

    /// Returns true if the upstream has the command `name`, in lower case, under another name; `None` if
    /// it does not report that.
    pub fn is_renamed(&self, name: &str) -> Option<bool> {
        self.renamed.as_ref().map(|renamed| renamed.contains(name))
    }

    /// Returns the names of all commands, without subcommands, as the upstream writes them, in its order.
    /// `COMMAND COUNT` reports their number.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name).filter(|name| !name.contains('|'))
    }

    /// Returns the names of all commands and subcommands as the upstream writes them, in its order; `None` if it
    /// lists no subcommands, as before Redis 7.0.
    pub fn listed(&self) -> Option<impl Iterator<Item = &str>> {
        self.lists_subcommands.then(|| self.names.iter().map(|name| &**name))
    }

    /// Returns true if the upstream has the command of the built-in table. Subcommands count as present if
    /// the upstream does not list any.
    pub fn has(&self, spec: &Spec) -> bool {
        self.present.contains(spec) || (spec.command() != spec.name && !self.lists_subcommands)
    }

    /// Returns the command, or the subcommand `word` of it, that only the upstream knows.
    pub fn find(&self, name: &[u8], word: Option<&[u8]>) -> Option<&ServerCommand> {
        if self.others.is_empty() {
            return None;
        }
        let mut whole = lower(name)?;
        if let Some(word) = word {
            let word = lower(word)?;
            whole.push('|');
            whole.push_str(&word);
        }
        self.others.get(whole.as_str())
    }

    /// Returns true if a command or subcommand that neither table has does not exist at the upstream for
    /// certain; `word` is present for a subcommand.
    pub fn is_complete(&self, word: Option<&[u8]>) -> bool {
        self.renamed.as_ref().is_some_and(BTreeSet::is_empty)
            && (word.is_none() || self.lists_subcommands)
    }

    /// Returns the commands and subcommands that only the upstream knows, in no order.
    pub fn others(&self) -> impl Iterator<Item = &ServerCommand> {
        self.others.values()
    }

    /// Adds a command, or a subcommand of `container`, with its subcommands.
    fn add(&mut self, container: Option<&str>, command: &Reply) -> Option<()> {
        let Reply::Array(fields) = command else { return None };
        if fields.len() < Self::FIELDS {
            return None;
        }
        let listed = fields.first().and_then(text)?;
        let name = lower(listed)?;
        // Redis before 7.0 lists no subcommands; from 7.0 on their names have the container's before them.
        let name: Arc<str> = match container {
            Some(container) if !name.contains('|') => format!("{container}|{name}").into(),
            _ => name.into(),
        };
        if name.len() > Self::LONGEST {
            return None;
        }
        // Redis 8.0 lists VISMEMBER in upper case.
        let listed = std::str::from_utf8(listed).ok()?;
        self.names.push(match container {
            Some(_) => Arc::clone(&name),
            None => listed.into(),
        });
        match lookup_whole(name.as_bytes()) {
            Some(spec) => self.present.insert(spec),
            None => {
                if self.others.len() >= Self::MOST_OTHERS {
                    return None;
                }
                let arity = match fields.get(1) {
                    Some(Reply::Integer(arity)) => i16::try_from(*arity).ok()?,
                    _ => return None,
                };
                let (kind, name) = (ServerKind::of(fields), Arc::clone(&name));
                let (keys, access) = (keys(fields), access(fields));
                let command = ServerCommand { name, arity, kind, keys, access };
                self.others.insert(Arc::clone(&command.name), command);
            }
        }
        if let Some(Reply::Array(subcommands)) = fields.get(9) {
            self.lists_subcommands |= !subcommands.is_empty();
            if container.is_none() {
                for subcommand in subcommands {
                    self.add(Some(&name), subcommand)?;
                }
            }
        }
        Some(())
    }
}

impl ServerKind {
    /// Reads the fields of one command in the reply to `COMMAND`: name, arity, flags, first key, last key,
    /// step, and from Redis 6.0 on ACL categories.
    fn of(fields: &[Reply]) -> Self {
        let (flags, categories) = (words(fields, 2), words(fields, 6));
        let is = |name: &[u8]| flags.contains(&name);
        let among = |name: &[u8]| categories.contains(&name);
        if is(b"admin") || among(b"@admin") || among(b"@dangerous") {
            return Self::Administrative;
        }
        let stateful: [&[u8]; 5] = [b"blocking", b"pubsub", b"noscript", b"no_multi", b"no_auth"];
        let in_category: [&[u8]; 4] = [b"@blocking", b"@connection", b"@pubsub", b"@transaction"];
        let is_known = is(b"readonly") || is(b"write");
        if !is_known || stateful.into_iter().any(is) || in_category.into_iter().any(among) {
            return Self::Stateful;
        }
        if is(b"module") { Self::Module } else { Self::Plain }
    }
}

/// Returns the words of a field of a command.
fn words(fields: &[Reply], place: usize) -> Vec<&[u8]> {
    match fields.get(place) {
        Some(Reply::Array(words)) => words.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

/// Returns the positions of a command's keys.
fn keys(fields: &[Reply]) -> Keys {
    let number = |place: usize| match fields.get(place) {
        Some(Reply::Integer(number)) => i16::try_from(*number).unwrap_or(0),
        _ => 0,
    };
    let movable = words(fields, 2).contains(&b"movablekeys".as_slice());
    Keys { first: number(3), last: number(4), step: number(5), movable }
}

/// Returns what a command may do with its keys, by its flags.
fn access(fields: &[Reply]) -> Access {
    let reads_only = words(fields, 2).contains(&b"readonly".as_slice());
    if reads_only { Access::READ } else { Access::BOTH }
}

fn text(reply: &Reply) -> Option<&[u8]> {
    match reply {
        Reply::BulkString(text) | Reply::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// Returns the name in lower case; `None` if it is too long or no UTF-8, as no command's name is.
fn lower(name: &[u8]) -> Option<String> {
    let name = name.get(..).filter(|name| name.len() <= ServerCommands::LONGEST)?;
    std::str::from_utf8(name).ok().map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Reply {
        Reply::BulkString(text.into())
    }

    fn row(name: &str, flags: &[&str], categories: &[&str], subcommands: Vec<Reply>) -> Reply {
        let status = |word: &&str| Reply::SimpleString((*word).into());
        let list = |words: &[&str]| Reply::Array(words.iter().map(status).collect());
        Reply::Array(vec![
            bulk(name),
            Reply::Integer(-2),
            list(flags),
            Reply::Integer(1),
            Reply::Integer(1),
            Reply::Integer(1),
            list(categories),
            Reply::Array(Vec::new()),
            Reply::Array(Vec::new()),
            Reply::Array(subcommands),
        ])
    }

    #[test]
    fn rows_of_the_table_are_present_and_other_commands_are_kept_with_their_kind() {
        let later = row("client|later", &["noscript"], &["@connection"], Vec::new());
        let id = row("client|id", &[], &[], Vec::new());
        let reply = Reply::Array(vec![
            row("GET", &["readonly", "fast"], &["@read"], Vec::new()),
            row("client", &[], &[], vec![id, later]),
            row("zz.read", &["readonly", "module"], &["@read"], Vec::new()),
            row("zzget", &["readonly"], &["@read"], Vec::new()),
            row("zzblock", &["write", "blocking"], &["@blocking"], Vec::new()),
            row("zzadmin", &["readonly"], &["@dangerous"], Vec::new()),
            row("zznothing", &[], &[], Vec::new()),
        ]);
        let server = ServerCommands::of(&reply).unwrap();
        let has = |name: &str| server.has(lookup_whole(name.as_bytes()).unwrap());
        assert!(has("get") && has("client") && has("client|id"));
        assert!(!has("set") && !has("client|kill"));
        let kind = |name: &str, word: Option<&str>| {
            server.find(name.as_bytes(), word.map(str::as_bytes)).map(|found| found.kind)
        };
        assert_eq!(kind("Client", Some("LATER")), Some(ServerKind::Stateful));
        assert_eq!(kind("ZZ.read", None), Some(ServerKind::Module));
        assert_eq!(kind("zzget", None), Some(ServerKind::Plain));
        assert_eq!(kind("zzblock", None), Some(ServerKind::Stateful));
        assert_eq!(kind("zzadmin", None), Some(ServerKind::Administrative));
        assert_eq!(kind("zznothing", None), Some(ServerKind::Stateful));
        assert_eq!(kind("get", None), None);
        assert_eq!(server.others().count(), 6);
        let found: Vec<_> =
            server.commands().map(bulk).map(|name| Reply::Array(vec![name])).collect();
        let server = server.take_info(&Reply::Array(found));
        assert!(server.is_complete(None) && server.is_complete(Some(b"x")));
    }

    #[test]
    fn a_renamed_command_leaves_open_which_other_names_exist() {
        let get = || row("get", &["readonly"], &["@read"], Vec::new());
        let reply = Reply::Array(vec![get()]);
        let server = || ServerCommands::of(&reply).unwrap();
        assert_eq!(server().commands().collect::<Vec<_>>(), ["get"]);
        assert!(server().take_info(&Reply::Array(vec![get()])).is_complete(None));
        assert_eq!(server().take_info(&Reply::Array(vec![get()])).is_renamed("get"), Some(false));
        let renamed = server().take_info(&Reply::Array(vec![Reply::Null]));
        assert!(!renamed.is_complete(None));
        assert_eq!(
            (renamed.is_renamed("get"), renamed.is_renamed("set")),
            (Some(true), Some(false))
        );
        for info in [Reply::Error("NOPERM".into()), Reply::Array(Vec::new())] {
            let unknown = server().take_info(&info);
            assert!(!unknown.is_complete(None) && unknown.is_renamed("get").is_none());
        }
        // Redis before 7.0 lists no subcommands.
        assert!(!server().is_complete(Some(b"id")));
        assert!(server().has(lookup_whole(b"client|id").unwrap()));
    }

    #[test]
    fn a_reply_that_is_no_list_of_commands_is_not_read() {
        let too_long = row(&"z".repeat(129), &["readonly"], &[], Vec::new());
        let many = |count: usize| {
            let name = |number| row(&format!("zz{number}"), &["readonly"], &[], Vec::new());
            Reply::Array((0..count).map(name).collect())
        };
        for reply in [
            Reply::Error("NOPERM".into()),
            Reply::Array(Vec::new()),
            Reply::Array(vec![Reply::Integer(1)]),
            Reply::Array(vec![Reply::Array(vec![bulk("get")])]),
            Reply::Array(vec![too_long]),
            many(ServerCommands::MOST_OTHERS + 1),
        ] {
            assert!(ServerCommands::of(&reply).is_none());
        }
        assert!(ServerCommands::of(&many(ServerCommands::MOST_OTHERS)).is_some());
    }
}

//! The rights of an identity, as far as Redoubt has to know them.
//!
//! Redis checks the rights of an identity itself, since links log in as a user that has no others. Redoubt has
//! to know them only where it answers in Redis's place, and where Redis has no rule: which databases the
//! identity may use. A new session is in database 0 whether its identity may use that or not.

use std::sync::Arc;

use bytes::Bytes;

use crate::command::{IdSet, Spec};
use crate::resp::reply;
use crate::upstream::Dialect;

/// Valkey's error for a database that the user may not use, from 9.1 on. It names neither.
pub(super) static NO_DATABASE: Bytes =
    Bytes::from_static(b"-NOPERM No permissions to access database\r\n");

/// The rights of an identity. The default may do everything.
#[derive(Clone, Default)]
pub struct Rights {
    /// Commands and subcommands that the identity may not run.
    refused: IdSet,
    /// The databases that it may use; `None` for all.
    databases: Option<Arc<[u32]>>,
}

impl Rights {
    /// Returns the same rights without those to run `commands`.
    ///
    /// Only the commands of [`answered`](super::answered) have to be known, since Redis refuses all others itself.
    #[must_use]
    pub fn without(mut self, commands: impl IntoIterator<Item = &'static Spec>) -> Self {
        commands.into_iter().for_each(|spec| self.refused.insert(spec));
        self
    }

    /// Returns the same rights, limited to `databases`; `None` for all.
    #[must_use]
    pub fn only_in(mut self, databases: Option<Arc<[u32]>>) -> Self {
        self.databases = databases;
        self
    }

    /// Returns true if the identity may run the command or subcommand, as far as is known.
    pub fn may_run(&self, spec: &Spec) -> bool {
        !self.refused.contains(spec)
    }

    /// Returns true if the identity may use this database.
    #[inline]
    pub fn may_use(&self, database: u32) -> bool {
        self.databases.as_deref().is_none_or(|databases| databases.contains(&database))
    }

    /// Returns true if the identity may use all databases.
    pub fn may_use_all(&self) -> bool {
        self.databases.is_none()
    }
}

/// Returns the server's error for a command that `user` may not run.
pub(super) fn may_not_run(spec: &Spec, user: &str, dialect: Dialect) -> Bytes {
    let who =
        if dialect.names_refused_users { format!("User {user}") } else { "this user".to_owned() };
    let text = format!("NOPERM {who} has no permissions to run the '{}' command", spec.name);
    reply::error(text.as_bytes())
}

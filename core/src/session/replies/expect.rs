//! What a reply that a link brings is for.

use std::fmt;

use bytes::Bytes;

use super::pubsub::Confirmations;
use crate::resp::Protocol;

/// What is done with a reply that a link brings, and what is learnt from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// What the client sees.
    pub show: Show,
    /// What it tells Redoubt.
    pub learn: Learn,
}

/// What the client sees of a remote reply.
#[derive(Clone, PartialEq, Eq)]
pub enum Show {
    /// The bytes as they come.
    Reply,
    /// Nothing: the client switched replies off, or Redoubt asked for itself.
    Nothing,
    /// These bytes in its place.
    Instead(Bytes),
    /// The bytes as they come, with another number in the place of the link's: the reply to `HELLO`
    /// over a shared link.
    Greeting,
    /// The bytes as they come, but these in the place of a `NOPERM` error: it is the guard's, and the
    /// command is one that does not exist for the client.
    Unless(Bytes),
}

impl Show {
    /// Returns whether the client sees the bytes as they come, as far as is known before they do.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Reply | Self::Greeting | Self::Unless(_))
    }
}

impl fmt::Debug for Show {
    /// Without the bytes, which repeat what the client sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reply => "Reply",
            Self::Nothing => "Nothing",
            Self::Greeting => "Greeting",
            Self::Instead(_) => "Instead",
            Self::Unless(_) => "Unless",
        })
    }
}

/// What a remote reply tells of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learn {
    /// Nothing.
    Nothing,
    /// It ends a command that may block for long, so a client that leaves meanwhile takes the link
    /// with it.
    Unblocked,
    /// Unless it is an error, the connection speaks this protocol from here on.
    Protocol(Protocol),
    /// Unless it is an error, this database is selected.
    Database(u32),
    /// A `(P|S)(UN)SUBSCRIBE`: one confirmation for each channel, or one error.
    Confirmed(Confirmations),
    /// `MULTI`.
    Multi,
    /// `EXEC`, of a transaction in which a `HELLO` asked for this protocol.
    Exec(Option<Protocol>),
    /// `DISCARD`.
    Discard,
    /// `WATCH`.
    Watch,
    /// `UNWATCH`.
    Unwatch,
    /// `CLIENT SETNAME`: an error means that the link does not have the name that the session has.
    Name,
    /// `CLIENT ID`: the number of the link, which the client may name from here on.
    Id,
    /// A subcommand that the table does not know, of a command that it does. Unless Redis does not
    /// have it either, the connection may have any state from here on.
    Subcommand,
    /// An error means that the link is not in the state that the session needs: it must be closed.
    Required,
    /// A `HELLO` that has moved the session to the link of another protocol; an error moves it back to
    /// this one.
    Moved(Protocol),
}

impl Expect {
    /// A reply that goes to the client and tells nothing.
    pub const PLAIN: Self = Self { show: Show::Reply, learn: Learn::Nothing };
    /// A reply that is dropped and tells nothing.
    pub const DROPPED: Self = Self { show: Show::Nothing, learn: Learn::Nothing };
}

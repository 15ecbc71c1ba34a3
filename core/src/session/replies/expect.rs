//! How replies from links are handled.

use std::fmt;

use bytes::Bytes;

use super::pubsub::Confirmations;
use crate::resp::Protocol;
use crate::session::clients::ids::Renumbered;
use crate::session::clients::list::Tracked;

/// How a reply from a link is handled: the bytes that the client gets, and the facts that Redoubt
/// learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// The bytes that the client gets.
    pub show: Show,
    /// The facts that Redoubt learns.
    pub learn: Learn,
}

/// The bytes that the client gets for a reply from a link.
#[derive(Clone, PartialEq, Eq)]
pub enum Show {
    /// The client gets the reply unchanged.
    Reply,
    /// The client gets nothing: it turned replies off, or the request was Redoubt's own.
    Nothing,
    /// The client gets these bytes in its place.
    Instead(Bytes),
    /// The client gets the reply with another number in the place of a link's. An error is unchanged.
    Edited(Box<Edit>),
    /// The client gets the reply unchanged, unless it is a `NOPERM` error, which is replaced by these
    /// bytes: the error is about the guard, and the command does not exist for the client.
    Unless(Bytes),
}

/// What is changed in a reply before the client gets it. The reply is held until it is complete.
#[derive(Clone, PartialEq, Eq)]
pub enum Edit {
    /// The reply to a `HELLO`: the number of the connection becomes the session's.
    Greeting,
    /// The reply to `CLIENT LIST`: this text takes the place of Redoubt's own connections.
    Clients(Bytes),
    /// The reply to `CLIENT GETREDIR` or `TRACKINGINFO`: the lease becomes its session.
    Redirection(Renumbered),
}

impl Show {
    /// Returns true if the client gets the reply unchanged, as far as this is known before it arrives.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Reply | Self::Edited(_) | Self::Unless(_))
    }
}

impl fmt::Debug for Show {
    /// Leaves the bytes out, because they repeat what the client sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reply => "Reply",
            Self::Nothing => "Nothing",
            Self::Edited(_) => "Edited",
            Self::Instead(_) => "Instead",
            Self::Unless(_) => "Unless",
        })
    }
}

/// The facts about the session that Redoubt learns from a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learn {
    /// The reply does not change the session's state.
    Nothing,
    /// The reply ends a command that may block. If the client disconnects before, its link is closed
    /// too.
    Unblocked,
    /// The connection has this protocol from now on, unless the reply is an error.
    Protocol(Protocol),
    /// This database is selected, unless the reply is an error.
    Database(u32),
    /// The reply to a `(P|S)(UN)SUBSCRIBE`: one confirmation for each channel, or one error.
    Confirmed(Confirmations),
    /// The reply to `MULTI`.
    Multi,
    /// The reply to `EXEC`, in a transaction in which a `HELLO` selected this protocol.
    Exec(Option<Protocol>),
    /// The reply to `DISCARD`.
    Discard,
    /// The reply to `WATCH`.
    Watch,
    /// The reply to `UNWATCH`.
    Unwatch,
    /// The reply to `CLIENT SETNAME`: an error means that the link does not have the session's name.
    Name,
    /// The reply to `CLIENT ID`: the id of the link, which clients may name from now on.
    Id,
    /// The reply to a subcommand that the table does not have, of a command that it has. Unless Redis
    /// does not have it either, the connection may have any state from now on.
    Subcommand,
    /// The reply to `CLIENT TRACKING`, which sets this unless it is an error.
    Tracking {
        /// Whether the server tracks what the session reads.
        tracked: Tracked,
        /// True if invalidations are redirected to another session.
        redirects: bool,
    },
    /// The reply to a request that prepares the link. After an error the link must be closed.
    Required,
    /// The reply to a `HELLO` that has moved the session to the link of another protocol; an error
    /// moves it back to this protocol.
    Moved(Protocol),
}

impl Expect {
    /// Returns true if the reply will hold descriptions of many clients.
    pub fn lists_clients(&self) -> bool {
        matches!(&self.show, Show::Edited(edit) if matches!(**edit, Edit::Clients(_)))
    }

    /// The client gets the reply, and the session's state does not change.
    pub const PLAIN: Self = Self { show: Show::Reply, learn: Learn::Nothing };
    /// The reply is dropped, and the session's state does not change.
    pub const DROPPED: Self = Self { show: Show::Nothing, learn: Learn::Nothing };
}

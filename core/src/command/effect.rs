//! What a command does to the connection it runs on.
//!
//! Redis does not tell this in `COMMAND`, so it is written here, by name.

use super::plain::{is_plain, is_plain_without_options};

/// Which of Redis's three subscription tables a command speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelKind {
    /// `SUBSCRIBE`, `UNSUBSCRIBE`.
    Channel,
    /// `PSUBSCRIBE`, `PUNSUBSCRIBE`.
    Pattern,
    /// `SSUBSCRIBE`, `SUNSUBSCRIBE`.
    Shard,
}

/// What a command does to the connection it runs on, beyond being answered once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing, and its reply cannot be taken for several: it may run on any link of the right
    /// database and protocol.
    None,
    /// Nothing, but its reply may repeat text of a client or a script, and so be taken for several:
    /// where sessions share a link, a barrier has to close what each sends.
    Fenced,
    /// Nothing; with more arguments than it needs it is as [`Effect::Fenced`], else as
    /// [`Effect::None`].
    FencedOptions,
    /// `AUTH`, answered by Redoubt itself.
    Auth,
    /// `HELLO`, answered by Redoubt itself.
    Hello,
    /// `QUIT`, answered by Redoubt itself.
    Quit,
    /// `RESET`, answered by Redoubt itself: it would end the link's authentication.
    Reset,
    /// `SELECT`: changes the database.
    Select,
    /// `MULTI`: opens a transaction.
    Multi,
    /// `EXEC`: ends a transaction and the watches.
    Exec,
    /// `DISCARD`: ends a transaction and the watches.
    Discard,
    /// `WATCH`: the next transaction depends on these keys.
    Watch,
    /// `UNWATCH`: ends the watches.
    Unwatch,
    /// `SUBSCRIBE` and its kind: one confirmation for each channel, then messages at any time.
    Subscribe(ChannelKind),
    /// `UNSUBSCRIBE` and its kind: one confirmation for each channel, or for all there are.
    Unsubscribe(ChannelKind),
    /// May wait long for its reply (flag `blocking`).
    Blocks,
    /// `XREAD` and `XREADGROUP`: may wait if they have the option `BLOCK`.
    BlocksOnOption,
    /// `WAIT` and `WAITAOF`: wait for the replication of what this connection last wrote.
    Wait,
    /// Runs a script or function. While it overruns, Redis reads no more from its connection.
    Script,
    /// `CLIENT REPLY`: switches replies off and on.
    ClientReply,
    /// `CLIENT SETNAME`, `GETNAME` and `SETINFO`: what the connection calls itself.
    ClientName,
    /// Sets or shows something that belongs to this one connection for the rest of its life.
    Pins,
    /// `MONITOR`, `SYNC`, `PSYNC`, `REPLCONF`: afterwards the connection carries a stream, or no
    /// longer answers every request.
    Streams,
}

impl Effect {
    /// That of the command called `name` (`client|reply` for a subcommand).
    pub(super) const fn of(name: &str) -> Self {
        match name.as_bytes() {
            _ if is_plain_without_options(name) => Self::FencedOptions,
            b"auth" => Self::Auth,
            b"hello" => Self::Hello,
            b"quit" => Self::Quit,
            b"reset" => Self::Reset,
            b"select" => Self::Select,
            b"multi" => Self::Multi,
            b"exec" => Self::Exec,
            b"discard" => Self::Discard,
            b"watch" => Self::Watch,
            b"unwatch" => Self::Unwatch,
            b"subscribe" => Self::Subscribe(ChannelKind::Channel),
            b"psubscribe" => Self::Subscribe(ChannelKind::Pattern),
            b"ssubscribe" => Self::Subscribe(ChannelKind::Shard),
            b"unsubscribe" => Self::Unsubscribe(ChannelKind::Channel),
            b"punsubscribe" => Self::Unsubscribe(ChannelKind::Pattern),
            b"sunsubscribe" => Self::Unsubscribe(ChannelKind::Shard),
            b"blmove" | b"blmpop" | b"blpop" | b"brpop" | b"brpoplpush" => Self::Blocks,
            b"bzmpop" | b"bzpopmax" | b"bzpopmin" => Self::Blocks,
            b"xread" | b"xreadgroup" => Self::BlocksOnOption,
            b"wait" | b"waitaof" => Self::Wait,
            b"eval" | b"eval_ro" | b"evalsha" | b"evalsha_ro" => Self::Script,
            b"fcall" | b"fcall_ro" => Self::Script,
            b"client|reply" => Self::ClientReply,
            b"client|getname" | b"client|setname" | b"client|setinfo" => Self::ClientName,
            b"client|tracking" | b"client|trackinginfo" | b"client|caching" => Self::Pins,
            b"client|getredir" | b"client|id" | b"client|info" | b"client|unblock" => Self::Pins,
            b"client|no-evict" | b"client|no-touch" => Self::Pins,
            b"asking" | b"readonly" | b"readwrite" | b"script|debug" => Self::Pins,
            b"monitor" | b"sync" | b"psync" | b"replconf" => Self::Streams,
            _ if is_plain(name) => Self::None,
            _ => Self::Fenced,
        }
    }
}

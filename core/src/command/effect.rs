//! The effects that commands have on the connection that they run on.
//!
//! Redis's `COMMAND` does not report this, so it is written here, by name.

use super::plain::{is_plain, is_plain_without_options};

/// Which of Redis's three kinds of subscriptions a command changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelKind {
    /// `SUBSCRIBE`, `UNSUBSCRIBE`.
    Channel,
    /// `PSUBSCRIBE`, `PUNSUBSCRIBE`.
    Pattern,
    /// `SSUBSCRIBE`, `SUNSUBSCRIBE`.
    Shard,
}

/// The effect of a command on the connection that it runs on, besides its one reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// No effect, and its reply cannot be read as several replies: it may run on any link with the
    /// right database and protocol.
    None,
    /// No effect, but its reply may repeat text of a client or a script, and so be read as several
    /// replies. On a shared link, a barrier has to close each session's run of such requests.
    Fenced,
    /// No effect. With more arguments than the required ones it counts as [`Effect::Fenced`], otherwise
    /// as [`Effect::None`].
    FencedOptions,
    /// `AUTH`; Redoubt answers it.
    Auth,
    /// `HELLO`; Redoubt answers it.
    Hello,
    /// `QUIT`; Redoubt answers it.
    Quit,
    /// `RESET`; Redoubt answers it, because Redis would log the link out.
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
    /// `SUBSCRIBE` and its kind: Redis sends one confirmation for each channel, then messages at any
    /// time.
    Subscribe(ChannelKind),
    /// `UNSUBSCRIBE` and its kind: Redis sends one confirmation for each channel given, or for each
    /// subscribed channel if none is given.
    Unsubscribe(ChannelKind),
    /// The command may wait for its reply without limit (flag `blocking`).
    Blocks,
    /// `XREAD` and `XREADGROUP`: they may wait if they have the option `BLOCK`.
    BlocksOnOption,
    /// `WAIT` and `WAITAOF`: wait for the replication of what this connection last wrote.
    Wait,
    /// The command runs a script or function. While a script overruns its time limit, Redis reads no
    /// more from its connection.
    Script,
    /// No effect, but the server answers it from a thread of its own and until then reads nothing more
    /// from the connection, while it serves other connections: `VSIM`, and searches where the server has
    /// workers for them.
    Late,
    /// `VADD`: answered from a thread if it has the option `CAS`.
    LateOnOption,
    /// `CLIENT REPLY`: turns replies off and on.
    ClientReply,
    /// `CLIENT SETNAME`, `GETNAME` and `SETINFO`: set or show the connection's name and library.
    ClientName,
    /// `CLIENT ID`: Redoubt answers it with the session's number.
    ClientId,
    /// `CLIENT INFO`: Redoubt describes the session.
    ClientInfo,
    /// `CLIENT LIST`: Redoubt describes its sessions in the place of its connections.
    ClientList,
    /// `CLIENT KILL`: Redoubt ends sessions in the place of its connections.
    ClientKill,
    /// `ACL WHOAMI`: Redoubt answers it with the name that the client has logged in with.
    WhoAmI,
    /// `CLIENT TRACKING`: the server tracks what the connection reads, and may send invalidations to another.
    Tracking,
    /// `CLIENT GETREDIR` and `TRACKINGINFO`: show to which connection invalidations are sent.
    Redirection,
    /// `CLIENT UNBLOCK`: ends the wait of another connection.
    Unblock,
    /// The command sets or shows something that belongs to its connection until the connection closes.
    Pins,
    /// `MONITOR`, `SYNC`, `PSYNC`, `REPLCONF`: afterwards the connection carries a stream, or does not
    /// answer every request.
    Streams,
}

impl Effect {
    /// Returns the effect of the command called `name` (`client|reply` for a subcommand).
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
            b"vsim" => Self::Late,
            b"vadd" => Self::LateOnOption,
            // They are late if search-workers (WORKERS in older versions) is not 0.
            b"ft.search" | b"ft.aggregate" | b"ft.hybrid" => Self::Late,
            b"ft.cursor" | b"ft.profile" => Self::Late,
            b"client|reply" => Self::ClientReply,
            b"client|getname" | b"client|setname" | b"client|setinfo" => Self::ClientName,
            b"acl|whoami" => Self::WhoAmI,
            b"client|id" => Self::ClientId,
            b"client|tracking" => Self::Tracking,
            b"client|trackinginfo" | b"client|getredir" => Self::Redirection,
            b"client|unblock" => Self::Unblock,
            b"client|info" => Self::ClientInfo,
            b"client|list" => Self::ClientList,
            b"client|kill" => Self::ClientKill,
            b"client|caching" => Self::Pins,
            b"client|no-evict" | b"client|no-touch" => Self::Pins,
            // Valkey has the first two, and Redis the third.
            b"client|capa" | b"client|import-source" | b"client|maint_notifications" => Self::Pins,
            b"asking" | b"readonly" | b"readwrite" | b"script|debug" => Self::Pins,
            b"monitor" | b"sync" | b"psync" | b"replconf" => Self::Streams,
            _ if is_plain(name) => Self::None,
            _ => Self::Fenced,
        }
    }
}

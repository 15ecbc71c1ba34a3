//! `[limits]`: bounds on sessions.

use std::time::Duration;

use redoubt_core::session::Rate;

use super::super::declare::{bytes, keepalive, settings, time, time_above_zero, whole};

settings! {
    /// Bounds on sessions. `None` means that there is no bound, unless the key's documentation says
    /// otherwise.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct LimitSettings in "limits" {
        /// Most sessions at one time, over all workers, 1 to 1000000. A client beyond it gets Redis's
        /// error for too many clients and is closed.
        max_sessions: usize = whole(1..=1_000_000).default(10_000).live();

        /// Most sessions at one time from one client address (IPv6: from one /64). A client beyond it is
        /// closed as at `max_sessions`. 0 sets no limit.
        sessions_per_address: Option<usize> =
            whole(1..=1_000_000).or_zero("no limit").default(None).example("100").live();

        /// Most authenticated sessions at one time of one identity. A client beyond it is closed as at
        /// `max_sessions`, once it has authenticated. 0 sets no limit.
        sessions_per_identity: Option<usize> =
            whole(1..=1_000_000).or_zero("no limit").default(None).example("1000").live();

        /// Most sessions at one time that have not authenticated, over all workers, 1 to 1000000. One
        /// address may have at most seven eighths of them, so that it cannot keep others out. A client
        /// beyond it is closed as at `max_sessions`.
        unauthenticated_sessions: usize =
            whole(1..=1_000_000).default(2000).example("1000").live();

        /// Most bytes that all sessions which have not authenticated hold together, "1mb" to
        /// "1024gb": incomplete requests, replies that the clients have not read, names. A session
        /// that needs more than is left is closed, unless it holds less than 1kb. Each such session
        /// takes another 4kb, and more with TLS.
        unauthenticated_memory: u64 = bytes(1 << 20..=1 << 40).default(16 << 20).live();

        /// Most bytes that all other sessions hold together, "8mb" to "1024gb": data that waits for
        /// clients or for Redis, and records of requests and of pending replies. "auto" is three
        /// quarters of the memory that the container may use, or "192mb" where that is unknown.
        /// From three quarters of this bound on, Redoubt does not read from sessions that hold 64kb
        /// until they hold less. At the bound, it closes the session that holds most.
        memory: Option<u64> = bytes(8 << 20..=1 << 40).or_word("auto").default(None).live();

        /// How long a session may take to authenticate before it is closed; above zero.
        auth_timeout: Duration = time_above_zero().default(Duration::from_secs(10)).live();

        /// How many commands of a session may be refused before it authenticates, 1 to 1000000; one
        /// more closes it. Sixteen blank lines, empty requests or RESET count as one command. A
        /// session that sends 256kb without authenticating is closed too.
        auth_attempts: u32 = whole(1..=1_000_000).default(10).live();

        /// A session that has been silent for this long is closed, unless it is subscribed or a
        /// reply is pending. "0s" never closes a silent session.
        idle_timeout: Option<Duration> = time().zero_is_none().default(None).live();

        /// When a client has been silent for this long, the kernel probes whether it still exists;
        /// in whole seconds up to "32767s". "0s" never probes.
        tcp_keepalive: Option<Duration> =
            keepalive().default(Some(Duration::from_secs(300))).live();

        /// Most bytes of one request, "1kb" to "1024gb". A session that sends more is closed
        /// without a reply, as Redis does at its client-query-buffer-limit. An argument of more
        /// than 512mb is always a protocol error.
        request_size: u64 = bytes(1 << 10..=1 << 40).default(1 << 30).live();

        /// Most arguments of one request, 1 to 2147483647, including the command's name. More is a
        /// protocol error: the session gets Redis's reply to a protocol error and is closed.
        request_args: u32 =
            whole(1..=i32::MAX.into()).default(i32::MAX as u32).example("1000000").live();

        /// Most requests of a session that wait for replies, 1 to 1000000000. At this bound,
        /// Redoubt does not read from the session until some replies have come. It should be more
        /// than what clients send before they begin to read.
        in_flight: usize = whole(1..=1_000_000_000).default(1_000_000).live();

        /// Most bytes that wait for a client which does not read them, "1mb" to "1024gb". On a shared
        /// connection to Redis, a session beyond it is closed, since the replies of other sessions come
        /// after. On a lease, Redoubt stops reading from Redis once 256kb wait. Redis then keeps what the
        /// client does not read, and closes the lease, and with it the session, at its own
        /// client-output-buffer-limit; by default that counts pub/sub messages (32mb, or 8mb for a
        /// minute) and not replies.
        output_buffer: usize = bytes(1 << 20..=1 << 40).default(32 << 20).live();

        /// Most channels and patterns that a session is subscribed to, 1 to 100000000. The session is
        /// closed when Redis confirms one more. Each that is asked for inside MULTI counts for as long as
        /// the session lasts.
        subscriptions: usize = whole(1..=100_000_000).default(100_000).live();

        /// Most commands of a session per second, on average, 1 to 10000000. Up to a second's worth
        /// runs at once; then Redoubt does not read from the session until enough time has passed.
        /// 0 sets no limit.
        commands_per_second: Option<u32> = whole(1..=Rate::MAX_PER_SECOND.into())
            .or_zero("no limit")
            .default(None)
            .example("1000")
            .live();
    }
}

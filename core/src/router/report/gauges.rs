//! What a worker holds at one moment, for metrics.

/// Gauges of one worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Number of links by kind; each link is of one kind.
    pub links: LinkGauges,
    /// Pending replies of sessions, from Redis or behind such replies.
    pub replies_due: usize,
    /// Sessions that are not read because of `limits.in_flight`.
    pub paused_in_flight: usize,
    /// Sessions that are not read because of `limits.commands_per_second`.
    pub paused_rate: usize,
    /// Sessions that are not read because of `limits.memory`.
    pub paused_memory: usize,
    /// Sessions that are not read until a link or the client takes more.
    pub paused_room: usize,
    /// Bytes from clients that are not whole requests yet, or that wait.
    pub client_input: usize,
    /// Bytes that wait for clients to read them.
    pub client_output: usize,
    /// Bytes that wait for Redis to read them.
    pub upstream_output: usize,
}

/// How many links there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkGauges {
    /// Links that are logged in and that many sessions share.
    pub shared: usize,
    /// Links that are logged in and lent to one session each.
    pub leased: usize,
    /// Links that are logged in, clean and lent to no session.
    pub pooled: usize,
    /// Links that are not logged in yet.
    pub opening: usize,
}

/// Adds to a gauge, without overflow.
pub(in crate::router) fn add(gauge: &mut usize, more: usize) {
    *gauge = gauge.saturating_add(more);
}

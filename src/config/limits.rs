//! `[limits]`: bounds on sessions.

use std::fmt::{self, Write};
use std::time::Duration;

use super::assemble::MILLISECOND;
use super::error::ConfigError;
use super::print::quoted;
use super::schema::Given;
use super::source::Source;
use super::{duration, schema, size};

/// Most that `limits.commands_per_second` may be.
const MAX_COMMANDS_PER_SECOND: u32 = redoubt_core::session::Rate::MAX_PER_SECOND;

/// Bounds on sessions. Where a bound is an `Option`, `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Most sessions at one time, over all workers; above zero.
    pub max_sessions: usize,
    /// Most sessions at one time from one client address (IPv6: from one /64).
    pub sessions_per_address: Option<usize>,
    /// Most authenticated sessions at one time of one identity.
    pub sessions_per_identity: Option<usize>,
    /// Most sessions at one time that have not authenticated, over all workers; above zero.
    pub unauthenticated_sessions: usize,
    /// Most bytes that all sessions which have not authenticated may hold together.
    pub unauthenticated_memory: u64,
    /// Most bytes that all other sessions may hold together; `None` takes a share of the memory that
    /// the process may use.
    pub memory: Option<u64>,
    /// How long a session may take to authenticate; above zero.
    pub auth_timeout: Duration,
    /// Refused commands after which a session that has not authenticated is closed; above zero.
    pub auth_attempts: u32,
    /// Silence after which a session is closed; `None` never closes one for it.
    pub idle_timeout: Option<Duration>,
    /// Silence after which the kernel probes a client, in whole seconds; `None` never does.
    pub tcp_keepalive: Option<Duration>,
    /// Most bytes of one request.
    pub request_size: u64,
    /// Most arguments of one request, its name included.
    pub request_args: u32,
    /// Most requests of a session whose replies are due.
    pub in_flight: usize,
    /// Most bytes that wait for a client which does not read them.
    pub output_buffer: usize,
    /// Most channels and patterns that a session is subscribed to.
    pub subscriptions: usize,
    /// Most commands of a session a second, on average.
    pub commands_per_second: Option<u32>,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            max_sessions: 10_000,
            sessions_per_address: None,
            sessions_per_identity: None,
            unauthenticated_sessions: 2000,
            unauthenticated_memory: 16 << 20,
            memory: None,
            auth_timeout: Duration::from_secs(10),
            auth_attempts: 10,
            idle_timeout: None,
            tcp_keepalive: Some(Duration::from_secs(300)),
            request_size: 1 << 30,
            request_args: i32::MAX as u32,
            in_flight: 1_000_000,
            output_buffer: 32 << 20,
            subscriptions: 100_000,
            commands_per_second: None,
        }
    }
}

impl LimitSettings {
    pub(super) fn find(source: &Source<'_>, given: schema::Limits) -> Result<Self, ConfigError> {
        let default = Self::default();
        let idle = source.duration("limits.idle_timeout", given.idle_timeout, Duration::ZERO)?;
        let optional = |number: usize| Some(number).filter(|number| *number > 0);
        let output_buffer = source.size(
            "limits.output_buffer",
            given.output_buffer,
            default.output_buffer as u64,
            1 << 20..=1 << 40,
        )?;
        Ok(Self {
            max_sessions: source.number(
                "limits.max_sessions",
                given.max_sessions,
                default.max_sessions,
                1..=1_000_000,
            )?,
            sessions_per_address: optional(source.number(
                "limits.sessions_per_address",
                given.sessions_per_address,
                0,
                0..=1_000_000,
            )?),
            sessions_per_identity: optional(source.number(
                "limits.sessions_per_identity",
                given.sessions_per_identity,
                0,
                0..=1_000_000,
            )?),
            unauthenticated_sessions: source.number(
                "limits.unauthenticated_sessions",
                given.unauthenticated_sessions,
                default.unauthenticated_sessions,
                1..=1_000_000,
            )?,
            unauthenticated_memory: source.size(
                "limits.unauthenticated_memory",
                given.unauthenticated_memory,
                default.unauthenticated_memory,
                1 << 20..=1 << 40,
            )?,
            memory: memory(source, given.memory)?,
            auth_timeout: source
                .duration("limits.auth_timeout", given.auth_timeout, MILLISECOND)?
                .unwrap_or(default.auth_timeout),
            auth_attempts: source.number(
                "limits.auth_attempts",
                given.auth_attempts,
                default.auth_attempts,
                1..=1_000_000,
            )?,
            idle_timeout: idle
                .map_or(default.idle_timeout, |idle| Some(idle).filter(|i| !i.is_zero())),
            tcp_keepalive: source.keepalive(
                "limits.tcp_keepalive",
                given.tcp_keepalive,
                default.tcp_keepalive.unwrap_or_default(),
            )?,
            request_size: source.size(
                "limits.request_size",
                given.request_size,
                default.request_size,
                1 << 10..=1 << 40,
            )?,
            request_args: source.number(
                "limits.request_args",
                given.request_args,
                default.request_args,
                1..=i64::from(i32::MAX),
            )?,
            in_flight: source.number(
                "limits.in_flight",
                given.in_flight,
                default.in_flight,
                1..=1_000_000_000,
            )?,
            output_buffer: usize::try_from(output_buffer).unwrap_or(usize::MAX),
            subscriptions: source.number(
                "limits.subscriptions",
                given.subscriptions,
                default.subscriptions,
                1..=100_000_000,
            )?,
            commands_per_second: source
                .number(
                    "limits.commands_per_second",
                    given.commands_per_second,
                    0,
                    0..=i64::from(MAX_COMMANDS_PER_SECOND),
                )
                .map(|number: u32| Some(number).filter(|number| *number > 0))?,
        })
    }

    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        let time = |time: Option<Duration>| quoted(&duration::format(time.unwrap_or_default()));
        let bytes = |bytes: u64| quoted(&size::format(bytes));
        writeln!(out, "\n[limits]")?;
        writeln!(out, "max_sessions = {}", self.max_sessions)?;
        let per_address = self.sessions_per_address.unwrap_or_default();
        writeln!(out, "sessions_per_address = {per_address}")?;
        let per_identity = self.sessions_per_identity.unwrap_or_default();
        writeln!(out, "sessions_per_identity = {per_identity}")?;
        writeln!(out, "unauthenticated_sessions = {}", self.unauthenticated_sessions)?;
        writeln!(out, "unauthenticated_memory = {}", bytes(self.unauthenticated_memory))?;
        let memory = self.memory.map_or_else(|| quoted("auto"), bytes);
        writeln!(out, "memory = {memory}")?;
        writeln!(out, "auth_timeout = {}", time(Some(self.auth_timeout)))?;
        writeln!(out, "auth_attempts = {}", self.auth_attempts)?;
        writeln!(out, "idle_timeout = {}", time(self.idle_timeout))?;
        writeln!(out, "tcp_keepalive = {}", time(self.tcp_keepalive))?;
        writeln!(out, "request_size = {}", bytes(self.request_size))?;
        writeln!(out, "request_args = {}", self.request_args)?;
        writeln!(out, "in_flight = {}", self.in_flight)?;
        writeln!(out, "output_buffer = {}", bytes(self.output_buffer as u64))?;
        writeln!(out, "subscriptions = {}", self.subscriptions)?;
        let commands = self.commands_per_second.unwrap_or_default();
        writeln!(out, "commands_per_second = {commands}")
    }
}

/// `None` for `"auto"`.
fn memory(source: &Source<'_>, given: Given<String>) -> Result<Option<u64>, ConfigError> {
    let given = given.filter(|given| given.get_ref() != "auto");
    let size = source.size("limits.memory", given.clone(), 0, 8 << 20..=1 << 40)?;
    Ok(given.map(|_| size))
}

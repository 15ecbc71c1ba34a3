//! `[throttle]`: what becomes of an address from which wrong passwords come.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use super::error::ConfigError;
use super::print::{list, quoted};
use super::source::Source;
use super::{duration, schema};

/// What becomes of an address from which wrong passwords come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottleSettings {
    /// Wrong passwords from one address (IPv6: one /64) before it is locked out; above zero. From
    /// half of them on, answers slow down.
    pub failures: u32,
    /// How long the first lock-out lasts; each one after it twice as long. Zero locks nobody out.
    pub lockout: Duration,
    /// The longest lock-out, and how long an address must be quiet to be forgotten.
    pub max_lockout: Duration,
    /// Addresses that are never slowed down nor locked out.
    pub exempt: Vec<IpNet>,
    /// Addresses that honest clients and others have in common: slowed down, never locked out.
    pub shared: Vec<IpNet>,
}

/// This machine's own addresses: all its processes have them.
fn loopback() -> Vec<IpNet> {
    let v4 = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    vec![v4.into(), IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST))]
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self {
            failures: 10,
            lockout: Duration::from_secs(1),
            max_lockout: Duration::from_secs(15 * 60),
            exempt: Vec::new(),
            shared: loopback(),
        }
    }
}

impl ThrottleSettings {
    pub(super) fn find(source: &Source<'_>, given: schema::Throttle) -> Result<Self, ConfigError> {
        let default = Self::default();
        let time = |key, given, default| {
            Ok(source.duration(key, given, Duration::ZERO)?.unwrap_or(default))
        };
        Ok(Self {
            failures: source.number(
                "throttle.failures",
                given.failures,
                default.failures,
                1..=1_000_000,
            )?,
            lockout: time("throttle.lockout", given.lockout, default.lockout)?,
            max_lockout: time("throttle.max_lockout", given.max_lockout, default.max_lockout)?,
            exempt: source.networks("throttle.exempt", given.exempt)?,
            shared: match given.shared {
                None => default.shared,
                given => source.networks("throttle.shared", given)?,
            },
        })
    }

    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        let texts = |networks: &[IpNet]| networks.iter().map(IpNet::to_string).collect::<Vec<_>>();
        writeln!(out, "\n[throttle]")?;
        writeln!(out, "failures = {}", self.failures)?;
        writeln!(out, "lockout = {}", quoted(&duration::format(self.lockout)))?;
        writeln!(out, "max_lockout = {}", quoted(&duration::format(self.max_lockout)))?;
        writeln!(out, "exempt = {}", list(&texts(&self.exempt)))?;
        writeln!(out, "shared = {}", list(&texts(&self.shared)))
    }
}

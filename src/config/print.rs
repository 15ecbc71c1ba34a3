//! The settings in effect, written as a configuration file with its secrets masked.

use std::fmt::{self, Write};
use std::path::Path;

use ipnet::IpNet;

use super::duration;
use super::listen::Listen;
use super::settings::{Endpoint, Settings};

/// What stands for a secret; too short to be taken for one if it is read back.
pub(super) const MASK: &str = "********";

impl Settings {
    /// A configuration file that says what these settings say. No secret is in it: passwords are
    /// masked, with a note of where they come from.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let listen: Vec<_> = self.listen.iter().map(Listen::to_string).collect();
        writeln!(out, "listen = {}", list(&listen))?;
        writeln!(
            out,
            "allow = {}",
            list(&self.allow.iter().map(IpNet::to_string).collect::<Vec<_>>())
        )?;
        let from: Vec<_> = self.proxy_protocol_from.iter().map(IpNet::to_string).collect();
        writeln!(out, "proxy_protocol_from = {}", list(&from))?;
        writeln!(out, "unix_socket_mode = \"{:o}\"", self.unix_socket_mode)?;
        writeln!(out, "reuse_port = {}", self.reuse_port)?;
        writeln!(out, "workers = {}", self.workers)?;
        writeln!(out, "drain_delay = {}", quoted(&duration::format(self.drain_delay)))?;
        writeln!(out, "shutdown_timeout = {}", quoted(&duration::format(self.shutdown_timeout)))?;
        writeln!(out, "allow_weak_passwords = {}", self.allow_weak_passwords)?;

        if let Some(tls) = &self.tls {
            tls.write(out)?;
        }

        writeln!(out, "\n[client]")?;
        user(out, self.client.user.as_deref())?;
        writeln!(out, "password = {} # {}", quoted(MASK), self.client.password_origin)?;
        if let Some(previous) = &self.client.previous {
            previous.write(out)?;
        }

        let upstream = &self.upstream;
        let address = Endpoint { host: upstream.host.clone(), port: upstream.port };
        let scheme = if upstream.tls.is_some() { "rediss" } else { "redis" };
        writeln!(out, "\n[upstream]")?;
        writeln!(out, "url = {}", quoted(&format!("{scheme}://{address}")))?;
        user(out, upstream.user.as_deref())?;
        match &upstream.password_origin {
            Some(origin) => writeln!(out, "password = {} # {origin}", quoted(MASK))?,
            None => writeln!(out, "# no password")?,
        }
        let connect_timeout = duration::format(upstream.connect_timeout);
        writeln!(out, "connect_timeout = {}", quoted(&connect_timeout))?;
        let dead_after = duration::format(upstream.dead_after.unwrap_or_default());
        writeln!(out, "dead_after = {}", quoted(&dead_after))?;
        let max_link_age = duration::format(upstream.max_link_age);
        writeln!(out, "max_link_age = {}", quoted(&max_link_age))?;
        writeln!(out, "sharing = {}", quoted(upstream.sharing.as_str()))?;
        writeln!(out, "max_links = {}", upstream.max_links.unwrap_or_default())?;
        let stall_timeout = duration::format(upstream.stall_timeout.unwrap_or_default());
        writeln!(out, "stall_timeout = {}", quoted(&stall_timeout))?;
        if let Some(tls) = &upstream.tls {
            tls.write(out)?;
        }

        self.policy.write(out)?;
        self.limits.write(out)?;
        self.throttle.write(out)?;

        let admin = self.admin.as_ref().map_or_else(|| "off".to_owned(), Endpoint::to_string);
        writeln!(out, "\n[admin]\nlisten = {}", quoted(&admin))?;
        writeln!(out, "\n[metrics]\nenabled = {}", self.metrics)?;
        self.audit.write(out)?;

        writeln!(out, "\n[log]")?;
        writeln!(out, "format = {}", quoted(self.log.format.as_str()))?;
        writeln!(out, "level = {}", quoted(&self.log.level))
    }
}

fn user(out: &mut String, user: Option<&str>) -> fmt::Result {
    match user {
        Some(user) => writeln!(out, "user = {}", quoted(user)),
        None => writeln!(out, "# no user name"),
    }
}

/// A path, as far as TOML can hold it.
pub(super) fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// The name of `choice`.
pub(super) fn named<T: PartialEq>(choices: &[(&str, T)], choice: T) -> String {
    let found = choices.iter().find(|(_, other)| *other == choice);
    quoted(found.map_or("", |(name, _)| name))
}

pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

pub(super) fn list(texts: &[String]) -> String {
    toml::Value::from(texts.to_vec()).to_string()
}

//! Which keys a reload puts in force, and which need a restart.

use super::passwords::{self, client, previous, upstream};
use crate::config::{self, Settings, UpstreamTls};

/// A key whose new value a reload puts in force.
#[derive(Debug)]
pub struct LiveKey {
    /// Its full name.
    pub name: &'static str,
    differs: fn(&Settings, &Settings) -> bool,
}

/// A key whose new value waits for a restart.
#[derive(Debug)]
pub struct RestartKey {
    /// Its full name.
    pub name: &'static str,
    differs: fn(&Settings, &Settings) -> bool,
    keep: fn(&mut Settings, &Settings),
}

/// The keys that have changed, in the order of the documentation.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Those that a reload puts in force.
    pub changed: Vec<&'static str>,
    /// Those that wait for a restart.
    pub needs_restart: Vec<&'static str>,
}

impl Difference {
    /// How `new` differs from `old`; and the new settings with the old values of the keys that need a
    /// restart. Values are compared, passwords too; none is shown.
    pub fn take(old: &Settings, mut new: Settings) -> (Self, Settings) {
        let mut found = Self::default();
        for key in config::keys() {
            let live = LIVE.iter().find(|live| live.name == key);
            if live.is_some_and(|live| (live.differs)(old, &new)) {
                found.changed.push(key);
            }
            let restart = RESTART.iter().find(|restart| restart.name == key);
            if restart.is_some_and(|restart| (restart.differs)(old, &new)) {
                found.needs_restart.push(key);
            }
        }
        RESTART.iter().for_each(|key| (key.keep)(&mut new, old));
        (found, new)
    }
}

/// A key that is a field of its own.
macro_rules! live {
    ($name:literal, $($field:ident).+) => {
        LiveKey { name: $name, differs: |old, new| old.$($field).+ != new.$($field).+ }
    };
}

macro_rules! restart {
    ($name:literal, $($field:ident).+) => {
        RestartKey {
            name: $name,
            differs: |old, new| old.$($field).+ != new.$($field).+,
            keep: |new, old| new.$($field).+.clone_from(&old.$($field).+),
        }
    };
}

/// A key of `[tls]`, all of which are kept together.
macro_rules! tls {
    ($name:literal, $field:ident) => {
        RestartKey {
            name: $name,
            differs: |old, new| {
                old.tls.as_ref().map(|tls| &tls.$field) != new.tls.as_ref().map(|tls| &tls.$field)
            },
            keep: |new, old| new.tls.clone_from(&old.tls),
        }
    };
}

/// One of the keys of TLS to the upstream, all of which are kept together.
macro_rules! upstream_tls {
    ($name:literal, $part:expr) => {
        RestartKey {
            name: $name,
            differs: |old, new| {
                let part: fn(&UpstreamTls) -> _ = $part;
                old.upstream.tls.as_ref().map(part) != new.upstream.tls.as_ref().map(part)
            },
            keep: |new, old| new.upstream.tls.clone_from(&old.upstream.tls),
        }
    };
}

/// The keys that a reload puts in force. A user or password in `upstream.url` counts as
/// `upstream.user` or `upstream.password`.
pub const LIVE: [LiveKey; 47] = [
    live!("allow", allow),
    live!("proxy_protocol_from", proxy_protocol_from),
    live!("drain_delay", drain_delay),
    live!("shutdown_timeout", shutdown_timeout),
    live!("allow_weak_passwords", allow_weak_passwords),
    live!("client.user", client.user),
    LiveKey {
        name: "client.password",
        differs: |old, new| passwords::is_in_text(&client(old), &client(new)),
    },
    LiveKey {
        name: "client.password_file",
        differs: |old, new| passwords::is_in_file(&client(old), &client(new)),
    },
    LiveKey {
        name: "client.previous_password",
        differs: |old, new| passwords::is_in_text(&previous(old), &previous(new)),
    },
    LiveKey {
        name: "client.previous_password_file",
        differs: |old, new| passwords::is_in_file(&previous(old), &previous(new)),
    },
    LiveKey {
        name: "client.previous_until",
        differs: |old, new| {
            let until = |of: &Settings| of.client.previous.as_ref().map(|given| given.until);
            until(old) != until(new)
        },
    },
    live!("upstream.user", upstream.user),
    LiveKey {
        name: "upstream.password",
        differs: |old, new| passwords::is_in_text(&upstream(old), &upstream(new)),
    },
    LiveKey {
        name: "upstream.password_file",
        differs: |old, new| passwords::is_in_file(&upstream(old), &upstream(new)),
    },
    live!("upstream.connect_timeout", upstream.connect_timeout),
    live!("upstream.dead_after", upstream.dead_after),
    live!("upstream.max_link_age", upstream.max_link_age),
    live!("upstream.max_links", upstream.max_links),
    live!("upstream.stall_timeout", upstream.stall_timeout),
    live!("policy.blocked", policy.blocked),
    live!("policy.escapes", policy.escapes),
    live!("policy.scripts", policy.scripts),
    live!("policy.pinned_scripts", policy.pinned_scripts),
    live!("policy.pinned_libraries", policy.pinned_libraries),
    live!("limits.max_sessions", limits.max_sessions),
    live!("limits.sessions_per_address", limits.sessions_per_address),
    live!("limits.sessions_per_identity", limits.sessions_per_identity),
    live!("limits.unauthenticated_sessions", limits.unauthenticated_sessions),
    live!("limits.unauthenticated_memory", limits.unauthenticated_memory),
    live!("limits.memory", limits.memory),
    live!("limits.auth_timeout", limits.auth_timeout),
    live!("limits.auth_attempts", limits.auth_attempts),
    live!("limits.idle_timeout", limits.idle_timeout),
    live!("limits.tcp_keepalive", limits.tcp_keepalive),
    live!("limits.request_size", limits.request_size),
    live!("limits.request_args", limits.request_args),
    live!("limits.in_flight", limits.in_flight),
    live!("limits.output_buffer", limits.output_buffer),
    live!("limits.subscriptions", limits.subscriptions),
    live!("limits.commands_per_second", limits.commands_per_second),
    live!("throttle.failures", throttle.failures),
    live!("throttle.lockout", throttle.lockout),
    live!("throttle.max_lockout", throttle.max_lockout),
    live!("throttle.exempt", throttle.exempt),
    live!("throttle.shared", throttle.shared),
    live!("audit.keys", audit.keys),
    live!("log.level", log.level),
];

/// The keys that need a restart.
pub const RESTART: [RestartKey; 28] = [
    restart!("listen", listen),
    restart!("unix_socket_mode", unix_socket_mode),
    restart!("reuse_port", reuse_port),
    restart!("workers", workers),
    tls!("tls.certificate", certificate),
    tls!("tls.key", key),
    tls!("tls.client_ca", client_ca),
    tls!("tls.client_certificates", client_certificates),
    tls!("tls.min_version", min_version),
    RestartKey {
        name: "upstream.url",
        differs: |old, new| {
            let [(host, port, tls), new] = [old, new]
                .map(|of| (&of.upstream.host, of.upstream.port, of.upstream.tls.is_some()));
            (host, port, tls) != new
        },
        keep: |new, old| {
            new.upstream.host.clone_from(&old.upstream.host);
            new.upstream.port = old.upstream.port;
            new.upstream.tls.clone_from(&old.upstream.tls);
        },
    },
    restart!("upstream.sharing", upstream.sharing),
    upstream_tls!("upstream.tls_ca", |tls| tls.ca.clone()),
    upstream_tls!("upstream.tls_certificate", |tls| tls.identity.clone().map(|pair| pair.0)),
    upstream_tls!("upstream.tls_key", |tls| tls.identity.clone().map(|pair| pair.1)),
    upstream_tls!("upstream.tls_name", |tls| tls.name.clone()),
    upstream_tls!("upstream.tls_dangerously_accept_any_certificate", |tls| tls.verification),
    restart!("policy.guard", policy.guard),
    restart!("admin.listen", admin),
    restart!("metrics.enabled", metrics),
    restart!("audit.output", audit.output),
    restart!("audit.file", audit.file),
    restart!("audit.syslog_socket", audit.syslog_socket),
    restart!("audit.max_size", audit.max_size),
    restart!("audit.max_files", audit.max_files),
    restart!("audit.on_full", audit.on_full),
    restart!("audit.queue", audit.queue),
    restart!("audit.hash_chain", audit.hash_chain),
    restart!("log.format", log.format),
];

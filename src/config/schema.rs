//! The shape of the file. Every value is optional here and keeps its place in the text; what it
//! must be is checked when the settings are assembled.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use toml::Spanned;

/// A value and its place in the text, if it was given.
pub(super) type Given<T> = Option<Spanned<T>>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) listen: Given<Texts>,
    pub(super) allow: Given<Vec<Spanned<String>>>,
    pub(super) proxy_protocol_from: Given<Vec<Spanned<String>>>,
    pub(super) unix_socket_mode: Given<String>,
    pub(super) reuse_port: Given<bool>,
    pub(super) workers: Given<i64>,
    pub(super) drain_delay: Given<String>,
    pub(super) shutdown_timeout: Given<String>,
    pub(super) allow_weak_passwords: Given<bool>,
    pub(super) client: Client,
    pub(super) upstream: Upstream,
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) throttle: Throttle,
    pub(super) tls: Tls,
    pub(super) admin: Admin,
    pub(super) metrics: Metrics,
    pub(super) audit: Audit,
    pub(super) log: Log,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Client {
    pub(super) user: Given<String>,
    pub(super) password: Given<SecretString>,
    pub(super) password_file: Given<PathBuf>,
    pub(super) previous_password: Given<SecretString>,
    pub(super) previous_password_file: Given<PathBuf>,
    pub(super) previous_until: Given<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Upstream {
    /// Secret, as it may hold a password.
    pub(super) url: Given<SecretString>,
    pub(super) user: Given<String>,
    pub(super) password: Given<SecretString>,
    pub(super) password_file: Given<PathBuf>,
    pub(super) connect_timeout: Given<String>,
    pub(super) dead_after: Given<String>,
    pub(super) max_link_age: Given<String>,
    pub(super) sharing: Given<String>,
    pub(super) max_links: Given<i64>,
    pub(super) stall_timeout: Given<String>,
    pub(super) tls_ca: Given<PathBuf>,
    pub(super) tls_certificate: Given<PathBuf>,
    pub(super) tls_key: Given<PathBuf>,
    pub(super) tls_name: Given<String>,
    pub(super) tls_dangerously_accept_any_certificate: Given<bool>,
}

/// The keys of [`Upstream`] that are about TLS.
pub(super) struct UpstreamTls {
    pub(super) ca: Given<PathBuf>,
    pub(super) certificate: Given<PathBuf>,
    pub(super) key: Given<PathBuf>,
    pub(super) name: Given<String>,
    pub(super) dangerous: Given<bool>,
}

impl Upstream {
    /// Takes out what is about TLS.
    pub(super) fn take_tls(&mut self) -> UpstreamTls {
        UpstreamTls {
            ca: self.tls_ca.take(),
            certificate: self.tls_certificate.take(),
            key: self.tls_key.take(),
            name: self.tls_name.take(),
            dangerous: self.tls_dangerously_accept_any_certificate.take(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Policy {
    pub(super) blocked: Given<Vec<Spanned<String>>>,
    pub(super) escapes: Given<String>,
    pub(super) guard: Given<String>,
    pub(super) scripts: Given<String>,
    pub(super) pinned_scripts: Given<Vec<Spanned<String>>>,
    pub(super) pinned_libraries: Given<Vec<Spanned<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) max_sessions: Given<i64>,
    pub(super) sessions_per_address: Given<i64>,
    pub(super) sessions_per_identity: Given<i64>,
    pub(super) unauthenticated_sessions: Given<i64>,
    pub(super) unauthenticated_memory: Given<String>,
    pub(super) memory: Given<String>,
    pub(super) auth_timeout: Given<String>,
    pub(super) auth_attempts: Given<i64>,
    pub(super) idle_timeout: Given<String>,
    pub(super) tcp_keepalive: Given<String>,
    pub(super) request_size: Given<String>,
    pub(super) request_args: Given<i64>,
    pub(super) in_flight: Given<i64>,
    pub(super) output_buffer: Given<String>,
    pub(super) subscriptions: Given<i64>,
    pub(super) commands_per_second: Given<i64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Throttle {
    pub(super) failures: Given<i64>,
    pub(super) lockout: Given<String>,
    pub(super) max_lockout: Given<String>,
    pub(super) exempt: Given<Vec<Spanned<String>>>,
    pub(super) shared: Given<Vec<Spanned<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) certificate: Given<PathBuf>,
    pub(super) key: Given<PathBuf>,
    pub(super) client_ca: Given<PathBuf>,
    pub(super) client_certificates: Given<String>,
    pub(super) min_version: Given<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Admin {
    pub(super) listen: Given<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Metrics {
    pub(super) enabled: Given<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Audit {
    pub(super) output: Given<String>,
    pub(super) file: Given<PathBuf>,
    pub(super) syslog_socket: Given<PathBuf>,
    pub(super) max_size: Given<String>,
    pub(super) max_files: Given<i64>,
    pub(super) keys: Given<String>,
    pub(super) on_full: Given<String>,
    pub(super) queue: Given<i64>,
    pub(super) hash_chain: Given<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) format: Given<String>,
    pub(super) level: Given<String>,
}

/// One string or a list of them.
pub(super) struct Texts(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;

        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }

        deserializer.deserialize_any(TextsVisitor)
    }
}

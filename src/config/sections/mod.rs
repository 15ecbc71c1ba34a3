//! The tables of the configuration file: each declares its keys and checks how they depend on each
//! other.

mod audit;
mod client;
mod compat;
mod endpoint;
mod identity;
mod limits;
mod listen;
mod log;
mod policy;
mod throttle;
mod tls;
mod upstream;
mod upstream_tls;
mod values;

pub use audit::{AuditKeys, AuditOutput, AuditSettings, LearnSettings, OnFull, Recording};
pub use client::ClientSettings;
pub(crate) use client::{ClientKeys, ClientParts, ClientPasswords};
pub use compat::{CompatSettings, FlushSettings};
pub use endpoint::{Endpoint, Node, Servers, WrongEndpoint};
pub(crate) use identity::{Identities, IdentityGiven};
pub use identity::{IdentityLimits, IdentityMode, IdentitySettings, UpstreamAccount};
pub use limits::LimitSettings;
pub use listen::Listen;
pub use log::{LogFormat, LogSettings};
pub use policy::{GuardMode, PolicySettings, ScriptMode};
pub use throttle::ThrottleSettings;
pub(crate) use tls::TlsFiles;
pub use tls::{ClientCertificates, TlsSettings, TlsVersion};
pub(crate) use upstream::{SentinelLogin, UpstreamKeys, UpstreamLogin, UpstreamParts};
pub use upstream::{SentinelSettings, Sharing, UpstreamSettings};
pub(crate) use upstream_tls::UpstreamTlsKeys;
pub use upstream_tls::{UpstreamTls, Verification};
pub(crate) use values::{endpoint, listen, networks, octal_mode};

//! The configuration file and the environment, validated into [`Settings`].
//!
//! Owns: the names, defaults and bounds of every setting, where secrets come from, and what an
//! operator is told when a setting is wrong. Leaves to others: acting on any of it.
//!
//! Invariants: whatever is missing, unknown or contradictory is an error and never a guess; no
//! error, warning or `Debug` output shows a secret or the text of a line that may hold one.

mod assemble;
mod audit;
mod credentials;
mod duration;
mod endpoint;
mod environment;
mod error;
mod key;
mod limits;
mod listen;
mod password;
mod policy;
mod previous;
mod print;
mod schema;
mod settings;
mod size;
mod source;
mod throttle;
mod tls;
mod upstream_url;

pub use audit::{AuditKeys, AuditOutput, AuditSettings, OnFull};
pub use endpoint::WrongEndpoint;
pub use environment::Environment;
pub use error::{ConfigError, PasswordProblem, UrlProblem};
pub use key::keys;
pub use limits::LimitSettings;
pub use listen::Listen;
pub use password::read_password;
pub use policy::{GuardMode, PolicySettings, ScriptGate};
pub use previous::PreviousPassword;
pub(crate) use previous::wall_clock;
pub use settings::{
    ClientSettings, Endpoint, LogFormat, LogSettings, Origin, Settings, Sharing, UpstreamSettings,
    Warning,
};
pub use throttle::ThrottleSettings;
pub use tls::{ClientCertificates, TlsSettings, TlsVersion, UpstreamTls, Verification};
pub use upstream_url::UpstreamUrl;

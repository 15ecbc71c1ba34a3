//! Validates the configuration file and the environment into [`Settings`].
//!
//! Owns: the names, defaults, bounds and documentation of every setting (`declare` shows how a
//! setting is declared), the sources of secrets, and the errors about wrong settings. Leaves to
//! others: acting on settings.
//!
//! Invariants: a missing, unknown or contradictory key is an error and never a guess; no error,
//! warning or `Debug` output shows a secret or the text of a line that may hold one.
//!
//! | file or folder | what is in it |
//! |---|---|
//! | `declare` | the macros and types that declare a key |
//! | `settings`, `sections` | the declarations, and the settings that they make |
//! | `table` | all keys in one list |
//! | `read` | the text and the environment, and the values in them |
//! | `secrets`, `credentials` | passwords, user names and the logins that they belong to |
//! | `load`, `print` | loading settings from a file, and printing them |

mod credentials;
mod declare;
mod error;
mod load;
mod print;
mod read;
mod secrets;
mod sections;
mod settings;
mod table;
mod warning;

pub use declare::{Field, Key, Reload};
pub use error::{ConfigError, PasswordProblem, UrlProblem};
pub use read::Environment;
pub(crate) use read::{IDENTITY, of_identity};
pub use secrets::{Origin, PreviousPassword, UpstreamUrl, read_password};
pub(crate) use secrets::{milliseconds, seconds, wall_clock};
pub use sections::{
    AuditKeys, AuditOutput, AuditSettings, ClientCertificates, ClientSettings, CompatSettings,
    Endpoint, FlushSettings, GuardMode, IdentityLimits, IdentityMode, IdentitySettings,
    LearnSettings, LimitSettings, Listen, LogFormat, LogSettings, Node, OnFull, PolicySettings,
    Recording, ScriptMode, SentinelSettings, Servers, Sharing, ThrottleSettings, TlsSettings,
    TlsVersion, UpstreamAccount, UpstreamSettings, UpstreamTls, Verification, WrongEndpoint,
};
pub use settings::Settings;
pub(crate) use table::identity_fields;
pub use table::{TABLES, Table, fields, keys};
pub use warning::Warning;

//! The configuration: its file, its errors, and the effect of each setting.
//!
//! | module | what it tests |
//! |---|---|
//! | `errors` | the errors for a wrong configuration |
//! | `file` | `config/redoubt.toml` and the code agree |
//! | `identities` | `[identities.NAME]`: every key, and the errors |
//! | `secrets` | where passwords come from, which source wins, and that no message shows a password |
//! | `settings` | the effect of each setting |
//! | `tls` | what keys of TLS, the audit log and the admin port require of each other |
//! | `tls_files` | which certificates and keys are accepted, and the errors for others |

mod errors;
mod file;
mod identities;
mod secrets;
mod settings;
mod tls;
mod tls_files;

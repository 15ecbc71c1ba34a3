//! The configuration: its file, its errors, and what each setting does.
//!
//! | module | what it tests |
//! |---|---|
//! | `errors` | what an operator is told about a wrong configuration |
//! | `file` | `config/redoubt.toml` and the code agree |
//! | `secrets` | where passwords come from, which source wins, and that no message shows one |
//! | `settings` | each setting changed, and what comes of it |
//! | `tls` | what keys of TLS, the audit log and the admin port require of each other |
//! | `tls_files` | which certificates and keys are accepted, and the errors for others |

mod errors;
mod file;
mod secrets;
mod settings;
mod tls;
mod tls_files;

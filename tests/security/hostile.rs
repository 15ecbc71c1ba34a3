//! Clients that know the password and try to run refused commands, in every way.
//!
//! Each case is a fresh session with a real Redis whose data, configuration, users and counters of
//! executed commands are checked over a direct connection after it. Each theme runs in every mode of
//! `policy.guard`. Where nothing restricts scripts (`off`), the scripts that other modes block must
//! succeed: a check that cannot fail proves nothing.

mod arena;
mod case;
mod state;

/// Defines a test for each mode of the guard.
macro_rules! in_every_mode {
    ($name:ident) => {
        mod $name {
            use crate::hostile::arena::{Mode, run};

            #[test]
            #[cfg_attr(
                feature = "redis-stands-in",
                ignore = "tests a feature that only Redoubt has"
            )]
            fn auto() {
                run(Mode::Auto, super::cases());
            }

            #[test]
            #[cfg_attr(
                feature = "redis-stands-in",
                ignore = "tests a feature that only Redoubt has"
            )]
            fn require() {
                run(Mode::Require, super::cases());
            }

            #[test]
            #[cfg_attr(
                feature = "redis-stands-in",
                ignore = "tests a feature that only Redoubt has"
            )]
            fn audit_of_the_default_user() {
                run(Mode::Audit, super::cases());
            }

            #[test]
            #[cfg_attr(
                feature = "redis-stands-in",
                ignore = "tests a feature that only Redoubt has"
            )]
            fn audit_of_a_restricted_user() {
                run(Mode::AuditRestricted, super::cases());
            }

            #[test]
            #[cfg_attr(
                feature = "redis-stands-in",
                ignore = "tests a feature that only Redoubt has"
            )]
            fn off() {
                run(Mode::Off, super::cases());
            }
        }
    };
}
use in_every_mode;
mod before_auth;
mod disguised;
mod framing;
mod functions;
mod look_alike;
mod mode_changes;
mod plain;
mod scripts;

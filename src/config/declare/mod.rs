//! How the keys of the configuration file are declared.
//!
//! A key is declared once, as a field of [`settings!`] or [`given!`]:
//!
//! ```text
//! /// Most sessions at one time, 1 to 1000000. A client beyond it gets Redis's error and is closed.
//! max_sessions: usize = whole(1..=1_000_000).default(10_000).live();
//! ```
//!
//! - The comment is its documentation, also in `config/redoubt.toml` and `docs/configuration.md`.
//!   Write it for operators.
//! - The [`Form`] (`whole`, `time`, `bytes`, `choice`, …) defines type and bounds, states in errors
//!   what was expected, and prints the value.
//! - `.default(…)` sets the default; `.optional(…)` sets an example for a key without a default.
//! - `.live()` means that a reload puts a new value in force; otherwise that needs a restart.
//! - `.variable("REDOUBT_…")` names an environment variable that wins over the file.
//!
//! The schema, the defaults, the printed configuration, the sample file, the page and the
//! differences that a reload finds all come from these declarations. Nothing else lists keys.

mod duration;
mod form;
mod key;
mod size;

pub(crate) use form::{
    Form, Node, Wrong, bytes, choice, file, flag, keepalive, list, quoted, quoted_list, secret,
    time, time_above_zero, whole,
};
pub(crate) use key::{Access, Declared};
pub use key::{Field, Key, Reload};

/// Declares a struct of settings in which each field is the value of a key. Fields after `with` are
/// not keys; in that form, the keys are read into the struct named after `from`, whose method
/// `with` adds the other fields.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident in $table:tt {
            $( $(#[doc = $doc:literal])* $field:ident: $type:ty = $declared:expr; )*
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $declared.default, )* }
            }
        }

        impl $name {
            pub(crate) fn read(
                reader: &$crate::config::read::Reader<'_>,
            ) -> Result<Self, $crate::config::ConfigError> {
                Ok(Self {
                    $(
                        $field: reader
                            .value($crate::config::declare::name!($table, $field), $declared)?,
                    )*
                })
            }
        }

        $crate::config::declare::fields!($name in $table { $( [$($doc),*] $field = $declared; )* });
    };
    (
        $(#[$meta:meta])*
        pub struct $name:ident in $table:tt {
            $( $(#[doc = $doc:literal])* $field:ident: $type:ty = $declared:expr; )*
        }
        from $keys:ident with $parts:ident {
            $( $(#[$part_meta:meta])* $part:ident: $part_type:ty, )*
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $type, )*
            $( $(#[$part_meta])* pub $part: $part_type, )*
        }

        /// The fields that are keys.
        pub(crate) struct $keys {
            $( pub(crate) $field: $type, )*
        }

        /// The fields that are not keys.
        pub(crate) struct $parts {
            $( pub(crate) $part: $part_type, )*
        }

        impl $keys {
            pub(crate) fn read(
                reader: &$crate::config::read::Reader<'_>,
            ) -> Result<Self, $crate::config::ConfigError> {
                Ok(Self {
                    $(
                        $field: reader
                            .value($crate::config::declare::name!($table, $field), $declared)?,
                    )*
                })
            }

            pub(crate) fn with(self, parts: $parts) -> $name {
                $name { $( $field: self.$field, )* $( $part: parts.$part, )* }
            }
        }

        $crate::config::declare::fields!($name in $table { $( [$($doc),*] $field = $declared; )* });
    };
}

/// Declares a struct of the values that a configuration gives for keys, each with its place. It is
/// for settings of type `$of` that are computed from several keys. Each key declares how its value
/// is found in these settings.
macro_rules! given {
    (
        $(#[$meta:meta])*
        struct $name:ident of $of:ident in $table:tt {
            $(
                $(#[doc = $doc:literal])*
                $field:ident: $type:ty = $declared:expr, $access:expr;
            )*
        }
    ) => {
        $(#[$meta])*
        pub(crate) struct $name {
            $( pub(crate) $field: $crate::config::read::Given<$type>, )*
        }

        impl $name {
            pub(crate) fn read(
                reader: &$crate::config::read::Reader<'_>,
            ) -> Result<Self, $crate::config::ConfigError> {
                Ok(Self {
                    $(
                        $field: reader
                            .given($crate::config::declare::name!($table, $field), &$declared)?,
                    )*
                })
            }

            /// Returns the keys, and how their values are found in the settings.
            pub(crate) fn fields() -> Vec<$crate::config::declare::Field<$of>> {
                vec![$(
                    $crate::config::declare::Field::indirect(
                        &$declared,
                        $crate::config::declare::name!($table, $field),
                        &[$($doc),*],
                        $access,
                    ),
                )*]
            }
        }
    };
}

/// Generates the list of a struct's keys, with access to their values.
macro_rules! fields {
    ($name:ident in $table:tt { $( [$($doc:literal),*] $field:ident = $declared:expr; )* }) => {
        impl $name {
            /// Returns the keys, and how their values are found in the struct.
            pub(crate) fn fields() -> Vec<$crate::config::declare::Field<Self>> {
                vec![$(
                    $crate::config::declare::Field::direct(
                        $declared,
                        $crate::config::declare::name!($table, $field),
                        &[$($doc),*],
                        |of: &Self| &of.$field,
                        |of: &mut Self| &mut of.$field,
                    ),
                )*]
            }
        }
    };
}

/// Expands to the full name of a key.
macro_rules! name {
    ("", $field:ident) => {
        stringify!($field)
    };
    ($table:tt, $field:ident) => {
        concat!($table, ".", stringify!($field))
    };
}

pub(crate) use {fields, given, name, settings};

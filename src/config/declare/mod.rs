//! How the keys of the configuration file are declared.
//!
//! A key is declared once, as a field of [`settings!`] or [`given!`]:
//!
//! ```text
//! /// Most sessions at one time, 1 to 1000000. A client beyond it gets Redis's error and is closed.
//! max_sessions: usize = whole(1..=1_000_000).default(10_000).live();
//! ```
//!
//! - The comment is its documentation, in `config/redoubt.toml` and `docs/configuration.md` too. It is
//!   written for operators.
//! - The [`Form`] (`whole`, `time`, `bytes`, `choice`, …) has its type and bounds, says in errors what was
//!   expected, and prints the value.
//! - `.default(…)`, or `.optional(…)` with an example for a key without a default.
//! - `.live()` if a reload puts a new value in force; otherwise that needs a restart.
//! - `.variable("REDOUBT_…")` for an environment variable that wins over the file.
//!
//! The schema, the defaults, the printed configuration, the sample file, the page and the differences
//! that a reload finds all come from this. Nothing else lists keys.

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

/// Declares a struct of settings, each field of which is the value of a key. Fields after `with` are no
/// keys; then the keys are read into the struct named after `from`, whose `with` adds the others.
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

        /// The fields that are not.
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

/// Declares a struct of the values that a configuration gives for keys, each with its place, where
/// settings of type `$of` are made from several of them. Each key says itself how its value is found in
/// those settings.
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

            /// Its keys, and how their values are found in the settings.
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

/// The keys of a struct, and how their values are found in it.
macro_rules! fields {
    ($name:ident in $table:tt { $( [$($doc:literal),*] $field:ident = $declared:expr; )* }) => {
        impl $name {
            /// Its keys, and how their values are found in it.
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

/// The full name of a key.
macro_rules! name {
    ("", $field:ident) => {
        stringify!($field)
    };
    ($table:tt, $field:ident) => {
        concat!($table, ".", stringify!($field))
    };
}

pub(crate) use {fields, given, name, settings};

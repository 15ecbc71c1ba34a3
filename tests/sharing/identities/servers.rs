//! The same replies as from real servers, to users with the same rights.
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]

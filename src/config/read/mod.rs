//! Reads the file and the environment, and records the place of each value.
//!
//! No error shows a value, or the text of a line that may hold a secret: an error shows its place,
//! the key at that place, and what was expected there.

mod environment;
mod names;
mod reader;
mod source;

pub use environment::Environment;
pub(crate) use names::{IDENTITY, Names, of_identity};
pub(crate) use reader::{Given, Reader};
pub(crate) use source::Source;

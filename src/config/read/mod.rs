//! The text of the file and the environment, and where in them the value of a key stands.
//!
//! No error shows a value, or the text of a line that may hold a secret: an error is its place and the
//! key at that place, which says what was expected there.

mod environment;
mod names;
mod reader;
mod source;

pub use environment::Environment;
pub(crate) use names::Names;
pub(crate) use reader::{Given, Reader};
pub(crate) use source::Source;

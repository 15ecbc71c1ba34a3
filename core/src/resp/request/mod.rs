//! Requests: where one ends and what its arguments are, multibulk or inline.

mod header;
mod inline;
mod line;
mod parser;
mod view;

pub use parser::{Parsed, RequestParser, Streamed};
pub use view::Request;

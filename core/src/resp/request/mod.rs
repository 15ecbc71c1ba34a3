//! Requests, multibulk and inline: where a request ends and what its arguments are.

mod header;
mod inline;
mod line;
mod parser;
mod view;

pub use parser::{Parsed, RequestParser, Streamed};
pub use view::Request;

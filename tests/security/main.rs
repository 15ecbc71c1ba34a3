//! Malicious clients, authenticated or not, and limits on their cost.
//!
//! | module | what it tests |
//! |---|---|
//! | `bad_input` | bytes that no client library sends |
//! | `bounds` | limits on what all sessions take together: links, memory, and time of a link |
//! | `fuzz_corpus` | the corpora of the fuzz targets in `tests/fuzz_checks`, replayed |
//! | `hostile` | clients that know the password and try to run refused commands |
//! | `limits` | limits on a single client, and what happens to a client that exceeds them |
//! | `page` | `SECURITY.md` names tests that exist |
//! | `resp_corpus` | the corpora of the parser and the scanner, replayed |
//! | `secrecy` | the log at trace level holds no password and no argument |

mod bad_input;
mod bounds;
mod fuzz_corpus;
mod hostile;
mod limits;
mod page;
mod resp_corpus;
mod secrecy;

//! Logging: turns the core's events into log lines.
//!
//! Owns: the format of the log, its messages and field names, which are an interface that operators
//! build searches and alerts on. Leaves to others: deciding what happened.
//!
//! Invariants: no line holds a password or an argument's value; what a client chose (the user name
//! it claims, its own name and library) is escaped and short; each line is written with one call; if nothing reads the log,
//! lines are lost and no session waits.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `connections refused` | warn | `reason`, `count` (since the last such line, 10 s or more ago), `total` |
//! | `session opened` | info | `session`, `peer` |
//! | `authenticated` | info | `session`, `peer`, `user` |
//! | `AUTH failed` | warn | `session`, `peer`, `user` (as claimed) |
//! | `address locked out` | warn | `session`, `peer`, `duration_ms` |
//! | `command refused` | warn | `session`, `peer`, `name` and `library` (as by `CLIENT SETNAME` and `SETINFO`), `command`, `rule` (that refused it), `opened_by` (the key that would change it); once per session and command |
//! | `keys deleted in place of a refused command, as policy.compat.flush says` | info | `session`, `peer`, `command`, `databases`, `keys` (how many), `succeeded` |
//! | `session closed` | info; error for `internal` | `session`, `peer`, `reason`, `duration_ms`, `commands`, `bytes_in`, `bytes_out` |
//! | `sessions closed at once` | warn | `reason` (`upstream_unavailable`), `count` (since the last such line, 10 s or more ago) |
//!
//! While the upstream is unavailable, only the first session that ends within a second has lines of
//! its own. The others are counted in `sessions closed at once`. The lines of sessions that last
//! longer come up to a second late then.
//!
//! All are under the target [`SESSION`].

mod events;
pub mod metrics;
mod output;

pub use events::{SESSION, keys_deleted, opened, refused, report, unserved};
pub use output::{Flush, LogError, MAX_WAITING_LINES, dispatch, init, say, set_level};

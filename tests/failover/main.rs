//! Several servers, of which one is the primary: Redoubt follows it, and sessions with nothing due notice nothing.
//!
//! | module | what it tests |
//! |---|---|
//! | `group` | starts a primary, replicas and Sentinels |
//! | `held` | one server: requests wait while it restarts, and no longer than they may |
//! | `list` | the first of a list that is a primary is used |
//! | `names` | a name whose addresses change |
//! | `rounds` | failovers under the load of real client libraries |
//! | `sentinels` | failovers by Sentinels, and Sentinels that lie, hang or are gone |

mod group;
mod held;
mod list;
mod names;
mod rounds;
mod sentinels;

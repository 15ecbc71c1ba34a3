//! Who may connect, and the cost of wrong passwords and of too many sessions.
//!
//! | module | what it tests |
//! |---|---|
//! | `core` | wrong passwords and too many sessions without sockets, on a clock that the tests move |
//! | `limiter` | the connection limiter, with addresses and a clock that the tests choose |
//! | `network` | where connections may come from, and load balancers that name their clients |
//! | `sockets` | who is delayed, locked out or rejected, over sockets |
//! | `throttle` | the throttle on a clock that the tests move |

mod core;
mod limiter;
mod network;
mod sockets;
mod throttle;

//! Who may connect, and what wrong passwords and too many sessions cost.
//!
//! | module | what it tests |
//! |---|---|
//! | `core` | wrong passwords and too many sessions without sockets, on a clock that the tests move |
//! | `gate` | the gate on addresses and a clock of the tests' own |
//! | `network` | where connections may come from, and load balancers that name their clients |
//! | `sockets` | who is slowed down, locked out or rejected, over sockets |
//! | `throttle` | the throttle on a clock that the tests move |

mod core;
mod gate;
mod network;
mod sockets;
mod throttle;

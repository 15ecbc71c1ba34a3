//! Sessions that share links to Redis, and their separation.
//!
//! | module | what it tests |
//! |---|---|
//! | `clients` | clients know each other by the numbers of their sessions |
//! | `cross_session` | attacks on other sessions' replies and state, while those sessions check every reply |
//! | `identities` | sessions of several identities, which share nothing |
//! | `router` | the router without sockets: order, bounds, time and ends |
//! | `invariants` | the invariants of `docs/design.md`, each attacked over sockets |
//! | `late` | searches that the server answers from a thread, beside other sessions' requests |
//! | `limits` | the limits of a session without sockets, at the limit and just below it |
//! | `links` | the limits on links and memory over all workers, and links that stall |
//! | `places` | (a router that reports which link a request used; the three above and `shared` use it) |
//! | `shared` | shared links and leases, a test for each rule of the design |
//! | `simulation` | many sessions against a model of Redis, in random schedules from a seed |

mod clients;
mod cross_session;
mod identities;
mod invariants;
mod late;
mod limits;
mod links;
mod places;
mod router;
mod shared;
mod simulation;

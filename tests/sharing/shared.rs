//! Shared links and leases without sockets: which session uses which link when, and how links end.
//!
//! The simulation tests the same at random; here each rule of the design has a test of its own.

mod busy;
mod cap;
mod ends;
mod heavy;
mod leases;
mod names;
mod pool;
mod replaced;
mod room;
mod rotation;

//! Shared links and leases by hand: who uses which link when, and what becomes of it.
//!
//! The simulation does the same at random; here each rule of the design has a test of its own.

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

//! Shared links and leases by hand: who uses which link when, and what becomes of it.
//!
//! The simulation does the same at random; here each rule of the design has a test of its own.

#[path = "core_shared/busy.rs"]
mod busy;
#[path = "core_shared/cap.rs"]
mod cap;
#[path = "core_shared/ends.rs"]
mod ends;
#[path = "core_shared/heavy.rs"]
mod heavy;
#[path = "core_shared/leases.rs"]
mod leases;
#[path = "core_shared/names.rs"]
mod names;
#[path = "core_shared/places.rs"]
mod places;
#[path = "core_shared/pool.rs"]
mod pool;
#[path = "core_shared/replaced.rs"]
mod replaced;
#[path = "core_shared/room.rs"]
mod room;
#[path = "core_shared/rotation.rs"]
mod rotation;

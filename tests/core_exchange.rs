//! The exchange by hand: order, bounds, time and ends. The simulation does the same at random.

#[path = "core_exchange/bounds.rs"]
mod bounds;
#[path = "core_exchange/ends.rs"]
mod ends;
#[path = "core_exchange/large.rs"]
mod large;
#[path = "core_exchange/login.rs"]
mod login;
#[path = "core_exchange/order.rs"]
mod order;
#[path = "core_exchange/time.rs"]
mod time;
#[path = "core_exchange/turns.rs"]
mod turns;

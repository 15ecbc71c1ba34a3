//! The router by hand: order, bounds, time and ends. The simulation does the same at random.

mod bounds;
mod ends;
mod large;
mod login;
mod order;
mod time;
mod turns;

//! The router without sockets: order, limits, time and ends. The simulation tests the same at random.

mod bounds;
mod ends;
mod flush;
mod large;
mod login;
mod maintenance;
mod order;
mod time;
mod turns;

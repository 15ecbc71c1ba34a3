//! The `redoubt` program.

fn main() {}

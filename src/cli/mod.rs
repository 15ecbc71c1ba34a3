//! The commands of the `redoubt` program and their arguments.

pub(crate) mod args;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod insight;
pub(crate) mod pages;
mod paint;
pub(crate) mod serve;
mod signals;
pub(crate) mod verify;

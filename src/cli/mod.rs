//! The commands of the `redoubt` program: what they are called with, and what each does.

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

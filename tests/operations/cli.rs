//! The program's commands and `redoubt serve`, as processes that a person starts.

mod check;
mod demo;
mod open_files;
mod pages;
mod process;
mod serve;

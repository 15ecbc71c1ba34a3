//! The documentation is right.
//!
//! | module | what it tests |
//! |---|---|
//! | `clients` | the tables of programs in `docs/clients.md` are made from the lists of the tests |
//! | `code` | examples of changes fit the code; the files of a request's way exist and are few |
//! | `commands` | the commands on the pages work as written |
//! | `configuration` | `docs/configuration.md` and `config/redoubt.toml` are made from the declarations |
//! | `servers` | `docs/servers.md` is made from the lists of the tests |
//! | `pages` | links lead somewhere; alerts, keys and metrics on the pages exist |

mod clients;
mod code;
mod commands;
mod configuration;
mod pages;
mod servers;

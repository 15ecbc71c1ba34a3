//! The documentation is right.
//!
//! | module | what it tests |
//! |---|---|
//! | `commands` | the commands on the pages work as written |
//! | `configuration` | `docs/configuration.md` and `config/redoubt.toml` are made from the declarations |
//! | `servers` | `docs/servers.md` is made from the lists of the tests |
//! | `pages` | links lead somewhere; alerts, keys and metrics on the pages exist |

mod commands;
mod configuration;
mod pages;
mod servers;

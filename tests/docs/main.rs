//! The pages of the documentation say what is true.
//!
//! | module | what it tests |
//! |---|---|
//! | `commands` | the commands on the pages work as written |
//! | `configuration` | `docs/configuration.md` is made from `config/redoubt.toml` |
//! | `pages` | links lead somewhere; alerts, keys and metrics on the pages exist |

mod commands;
mod configuration;
mod pages;

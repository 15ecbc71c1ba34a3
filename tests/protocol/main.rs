//! The protocol between clients and Redis: the parsers, the command table, and the bytes of every
//! reply, compared with those of real servers.
//!
//! | module | what it tests |
//! |---|---|
//! | `against_redis` | the request parser, the reply scanner and synthetic replies against a real Redis |
//! | `blocking` | which `XREAD` and `XREADGROUP` block, compared with real servers |
//! | `command_table` | the command table, compared with a real Redis's description of its commands |
//! | `conventions` | a rule of the sources: sessions compare words as Redis does |
//! | `differential` | the same bytes to Redis and to Redoubt, and the same back; tables in `differential/*.cases` |
//! | `large` | large values stream through, and slow readers cost no memory |
//! | `plain_commands` | commands of shared links put no text of a client outside a bulk string |
//! | `properties` | parser and scanner against any input in any segments |
//! | `replies` | replies, by the public interface of the scanner |
//! | `requests` | requests, by the public interface of the parser |
//! | `session` | which requests a session forwards and which it answers, without sockets |

mod against_redis;
mod blocking;
mod command_table;
mod conventions;
mod differential;
mod large;
mod plain_commands;
mod properties;
mod replies;
mod requests;
mod session;

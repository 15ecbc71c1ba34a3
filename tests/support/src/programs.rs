//! The programs that `tests/clients/programs.rs` runs directly and through Redoubt: the one list of what works
//! and what differs. The table in `docs/clients.md` is made from it.

/// A program, and what its test demands.
pub struct Program {
    /// Its name, as its makers write it.
    pub name: &'static str,
    /// What the test has it do.
    pub does: &'static str,
    /// Which servers the test kills and starts again meanwhile.
    pub restarts: Restarts,
    /// Commands that it sends and Redoubt refuses by default.
    pub refused: &'static [&'static str],
    /// The steps whose results differ from those without Redoubt, with the default configuration.
    pub differs: &'static [&'static str],
    /// A key of the configuration and its value, with which no step differs.
    pub key: Option<(&'static str, &'static str)>,
    /// What a user should know besides, such as what differs. It is a sentence, or empty.
    pub note: &'static str,
}

/// Which servers the test of a program restarts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Restarts {
    /// Redis, and then Redoubt.
    Both,
    /// Redoubt. The program does not survive a restart of Redis without Redoubt either.
    Redoubt,
    /// None.
    None,
}

impl Program {
    /// Says whether the program works.
    pub fn verdict(&self) -> String {
        match self.key {
            _ if self.differs.is_empty() => "works".to_owned(),
            Some((key, value)) => format!("works with `{key} = {value}`"),
            None => "works in part".to_owned(),
        }
    }

    /// Says what is refused, and what a user should know besides, as sentences.
    pub fn remarks(&self) -> String {
        let mut remarks = Vec::new();
        let list = |names: &[&str]| {
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        if !self.refused.is_empty() {
            remarks.push(format!("Refused by default: {}.", list(self.refused)));
        }
        if !self.note.is_empty() {
            remarks.push(self.note.to_owned());
        }
        remarks.join(" ")
    }
}

/// Returns the program of that name.
///
/// # Panics
///
/// Panics if the list has no such program.
#[track_caller]
pub fn program(name: &str) -> &'static Program {
    ALL.iter().find(|program| program.name == name).unwrap_or_else(|| panic!("no program {name}"))
}

const WORKS: Program = Program {
    name: "",
    does: "",
    restarts: Restarts::Both,
    refused: &[],
    differs: &[],
    key: None,
    note: "",
};

/// All programs, in the order of the table.
pub const ALL: &[Program] = &[
    Program {
        name: "RQ",
        does: "worker with scheduler; dependent, scheduled and failing jobs",
        note: "The test starts its worker anew after each restart: a worker may hang when its connections break, \
               with or without Redoubt.",
        ..WORKS
    },
    Program {
        name: "Celery",
        does: "worker; groups, chords, retries, countdowns, remote control, revoked tasks",
        ..WORKS
    },
    Program { name: "dramatiq", does: "worker; results, groups, delays, failures", ..WORKS },
    Program {
        name: "Huey",
        does: "consumer; results, delays, a pipeline, failures, a lock",
        ..WORKS
    },
    Program {
        name: "BullMQ",
        does: "worker; delays, retries, flows, a scheduler, events, the list of workers",
        note: "`getWorkers` lists the worker while it waits and while it is busy.",
        ..WORKS
    },
    Program {
        name: "Bee-Queue",
        does: "worker; delays, retries, events, failures",
        restarts: Restarts::Redoubt,
        note: "It needs its scripts in Redis, so it does not survive a restart of Redis, with or without Redoubt.",
        ..WORKS
    },
    Program {
        name: "socket.io, `@socket.io/redis-adapter`",
        does: "two nodes; rooms, remote sockets, questions between nodes",
        ..WORKS
    },
    Program {
        name: "socket.io, `@socket.io/redis-streams-adapter`",
        does: "two nodes; rooms, remote sockets, questions between nodes",
        ..WORKS
    },
    Program {
        name: "Django: cache, `django-redis`, sessions, `channels_redis`",
        does: "cache, cached pages, locks, sessions; groups of both channel layers",
        refused: &["FLUSHDB"],
        differs: &["default: cleared", "default: after it", "extra: cleared", "extra: after it"],
        key: Some(("policy.compat.flush", r#"{ prefix = "site:" }"#)),
        note: "By default `cache.clear()` raises the error for an unknown command; `delete_pattern` of `django-redis` works. \
               With the key it deletes the site's keys, whose `KEY_PREFIX` is `site`.",
        ..WORKS
    },
    Program {
        name: "PHP sessions and phpredis",
        does: "sessions with locks under PHP's web server; pipelines, transactions, scripts, `SCAN`",
        refused: &["FLUSHDB"],
        differs: &["flushDB", "after flushDB"],
        key: Some(("policy.compat.flush", r#"{ prefix = "site:" }"#)),
        note: "By default `flushDB()` returns false and raises nothing. With the key it deletes the keys that begin with \
               the prefix.",
        ..WORKS
    },
    Program {
        name: "Sidekiq",
        does: "worker process; delayed, retried and dead jobs, statistics",
        ..WORKS
    },
    Program {
        name: "redigo",
        does: "a reliable queue, optimistic transactions, a script, subscribers",
        ..WORKS
    },
];

/// A library that cannot run in the tests, and what it sends when it connects, as its sources have it.
pub struct Connect {
    /// Its name.
    pub name: &'static str,
    /// The requests of each of its connections. It writes those of a batch at once, and waits for all replies.
    pub connections: &'static [&'static [&'static [&'static [&'static str]]]],
    /// The requests that Redoubt refuses by default, which the library goes on without.
    pub refused: &'static [&'static str],
    /// What a user should know besides. It is a sentence, or empty.
    pub note: &'static str,
}

/// A word of a request in whose place the password is sent.
pub const PASSWORD: &str = "PASSWORD";

/// The keys with which Redoubt refuses nothing of these, if the server has the events that are asked for.
pub const CONNECT_KEYS: [&str; 2] =
    ["policy.compat.config_get", "policy.compat.notify_keyspace_events"];

/// The libraries whose connect sequences are replayed, in the order of the table.
pub const CONNECTS: &[Connect] = &[
    Connect {
        name: "StackExchange.Redis",
        connections: &[
            &[
                &[
                    &["AUTH", PASSWORD],
                    &["CLIENT", "SETNAME", "web1(SE.Redis-v2.8.58.38000)"],
                    &["CLIENT", "SETINFO", "lib-name", "SE.Redis"],
                    &["CLIENT", "SETINFO", "lib-ver", "2.8.58.38000"],
                    &["CLIENT", "ID"],
                    &["CONFIG", "GET", "timeout"],
                    &["CONFIG", "GET", "replica-read-only"],
                    &["CONFIG", "GET", "databases"],
                    &["SENTINEL", "MASTERS"],
                    &["INFO", "replication"],
                    &["INFO", "server"],
                    &["CLUSTER", "NODES"],
                    &["ECHO", "\u{1}\u{7f}\r\n0123456789ab"],
                ],
                &[&["GET", "__Booksleeve_TieBreak"], &["PING"]],
            ],
            &[
                &[
                    &["AUTH", PASSWORD],
                    &["CLIENT", "SETNAME", "web1(SE.Redis-v2.8.58.38000)"],
                    &["CLIENT", "SETINFO", "lib-name", "SE.Redis"],
                    &["CLIENT", "SETINFO", "lib-ver", "2.8.58.38000"],
                    &["CLIENT", "ID"],
                    &["ECHO", "\u{1}\u{7f}\r\n0123456789ab"],
                    &["SUBSCRIBE", "__Booksleeve_MasterChanged"],
                ],
                // What it sends to keep the connection alive.
                &[&["PING"]],
            ],
        ],
        refused: &["CONFIG GET timeout", "CONFIG GET replica-read-only", "CONFIG GET databases"],
        note: "Without the replies to `CONFIG GET` it takes defaults of its own.",
    },
    Connect {
        name: "StackExchange.Redis, RESP3",
        connections: &[&[
            &[
                &[
                    "HELLO",
                    "3",
                    "AUTH",
                    "default",
                    PASSWORD,
                    "SETNAME",
                    "web1(SE.Redis-v2.8.58.38000)",
                ],
                &["CLIENT", "SETINFO", "lib-name", "SE.Redis"],
                &["CLIENT", "SETINFO", "lib-ver", "2.8.58.38000"],
                &["CLIENT", "ID"],
                &["CONFIG", "GET", "timeout"],
                &["CONFIG", "GET", "replica-read-only"],
                &["CONFIG", "GET", "databases"],
                &["SENTINEL", "MASTERS"],
                &["INFO", "replication"],
                &["INFO", "server"],
                &["CLUSTER", "NODES"],
                &["ECHO", "\u{1}\u{7f}\r\n0123456789ab"],
            ],
            &[
                &["SUBSCRIBE", "__Booksleeve_MasterChanged"],
                &["GET", "__Booksleeve_TieBreak"],
                &["PING"],
            ],
        ]],
        refused: &["CONFIG GET timeout", "CONFIG GET replica-read-only", "CONFIG GET databases"],
        note: "It uses one connection for commands and messages.",
    },
    Connect {
        name: "Lettuce",
        connections: &[
            &[
                &[&["HELLO", "3", "AUTH", "default", PASSWORD, "SETNAME", "web1"]],
                &[&["SELECT", "2"]],
                &[
                    &["CLIENT", "SETINFO", "lib-name", "Lettuce"],
                    &["CLIENT", "SETINFO", "lib-ver", "7.2.0.RELEASE/abcdef0"],
                ],
                &[&["CLIENT", "MAINT_NOTIFICATIONS", "on", "moving-endpoint-type", "internal-ip"]],
                &[&["PING"]],
            ],
            // With ProtocolVersion.RESP2.
            &[
                &[&["AUTH", "default", PASSWORD]],
                &[&["SELECT", "2"]],
                &[
                    &["CLIENT", "SETNAME", "web1"],
                    &["CLIENT", "SETINFO", "lib-name", "Lettuce"],
                    &["CLIENT", "SETINFO", "lib-ver", "7.2.0.RELEASE/abcdef0"],
                ],
                &[&["PING"]],
            ],
        ],
        refused: &[],
        note: "",
    },
    Connect {
        name: "Spring Data Redis and Spring Session, with Lettuce",
        connections: &[
            &[
                &[&["HELLO", "3", "AUTH", "default", PASSWORD]],
                &[
                    &["CLIENT", "SETINFO", "lib-name", "Lettuce"],
                    &["CLIENT", "SETINFO", "lib-ver", "7.2.0.RELEASE/abcdef0"],
                ],
                &[&["CONFIG", "GET", "notify-keyspace-events"]],
                &[&["CONFIG", "SET", "notify-keyspace-events", "Exg"]],
                // The health check.
                &[&["INFO", "server"]],
            ],
            &[
                &[&["HELLO", "3", "AUTH", "default", PASSWORD]],
                &[
                    &["CLIENT", "SETINFO", "lib-name", "Lettuce"],
                    &["CLIENT", "SETINFO", "lib-ver", "7.2.0.RELEASE/abcdef0"],
                ],
                &[&["PSUBSCRIBE", "__keyevent@*:expired"]],
                &[&["SUBSCRIBE", "__keyevent@0__:del"]],
            ],
        ],
        refused: &["CONFIG GET notify-keyspace-events", "CONFIG SET notify-keyspace-events Exg"],
        note: "By default, repositories with keyspace events and indexed sessions fail at start.",
    },
];

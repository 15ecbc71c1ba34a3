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
    /// Keys of the configuration and their values, with which no step differs; none if there are no such keys.
    pub keys: &'static [(&'static str, &'static str)],
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
        match self.keys {
            _ if self.differs.is_empty() => "works".to_owned(),
            [] => "works in part".to_owned(),
            keys => {
                let keys: Vec<_> =
                    keys.iter().map(|(key, value)| format!("`{key} = {value}`")).collect();
                format!("works with {}", keys.join(" and "))
            }
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
    keys: &[],
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
        name: "arq",
        does: "worker; results, delays, retries, failures, unique jobs",
        note: "The test starts its worker anew after each restart: a worker ends when its connection breaks, with or \
               without Redoubt.",
        ..WORKS
    },
    Program {
        name: "BullMQ",
        does: "worker; delays, retries, flows, a scheduler, events, the list of workers",
        note: "`getWorkers` lists the worker while it waits and while it is busy.",
        ..WORKS
    },
    Program {
        name: "Bull",
        does: "worker; delays, retries, repeated jobs, failures, the list of workers",
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
        keys: &[("policy.compat.flush", r#"{ prefix = "site:" }"#)],
        note: "By default `cache.clear()` raises the error for an unknown command; `delete_pattern` of `django-redis` works. \
               With the key it deletes the site's keys, whose `KEY_PREFIX` is `site`.",
        ..WORKS
    },
    Program {
        name: "Express with `express-session` and `connect-redis`, over node-redis",
        does: "sessions, their expiry, and the lists of them",
        ..WORKS
    },
    Program {
        name: "Flask-Session and Flask-Caching",
        does: "sessions; cached pages and values",
        refused: &["FLUSHDB"],
        differs: &["cleared without a prefix", "after it, without a prefix"],
        keys: &[EMPTIES],
        note: "`cache.clear()` works as Flask-Caching sends it, with a prefix of keys. With an empty `CACHE_KEY_PREFIX` \
               it raises the error for an unknown command by default. The key lets every client empty its database.",
        ..WORKS
    },
    Program {
        name: "aiocache",
        does: "values, counters, locks, a decorator",
        refused: &["FLUSHDB"],
        differs: &["cleared", "after it"],
        keys: &[EMPTIES],
        note: "By default `clear()` raises the error for an unknown command; with a namespace as its argument it works. \
               The key lets every client empty its database.",
        ..WORKS
    },
    Program {
        name: "redis-om, models in hashes",
        does: "models without an index, expiry, a pipeline",
        ..WORKS
    },
    Program {
        name: "`rate-limiter-flexible`, over ioredis and node-redis",
        does: "limits, blocks, rewards, a queue",
        ..WORKS
    },
    Program {
        name: "Redlock, over ioredis",
        does: "locks of one key and of several, extension, contention",
        ..WORKS
    },
    Program {
        name: "PHP sessions and phpredis",
        does: "sessions with locks under PHP's web server; pipelines, transactions, scripts, `SCAN`",
        refused: &["FLUSHDB"],
        differs: &["flushDB", "after flushDB"],
        keys: &[("policy.compat.flush", r#"{ prefix = "site:" }"#)],
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
    Program {
        name: "go-redis",
        does: "values, pipelines, optimistic transactions, a script, scans, subscribers",
        note: "Its version 5, which Debian has.",
        ..WORKS
    },
    Program {
        name: "redis-rb",
        does: "values, pipelines, optimistic transactions, scripts, streams, a reliable queue, a subscriber",
        ..WORKS
    },
    Program {
        name: "Predis",
        does: "values, pipelines, optimistic transactions, a script, scans, a subscriber",
        ..WORKS
    },
    Program {
        name: "Perl's Redis",
        does: "values, pipelines, optimistic transactions, scripts, tied hashes and lists, subscribers",
        ..WORKS
    },
    Program {
        name: "`redis_exporter`",
        does: "the names of its metrics, those of keys and clients",
        restarts: Restarts::None,
        refused: &["CONFIG", "SLOWLOG|GET"],
        differs: &["metrics by CONFIG GET", "metrics by SLOWLOG GET"],
        keys: &[("policy.compat.config_get", "true"), ("policy.allow", r#"["SLOWLOG|GET"]"#)],
        note: "By default `redis_config_io_threads`, `redis_config_maxclients`, `redis_config_maxmemory`, \
               `redis_slowlog_last_id` and `redis_last_slow_execution_duration_seconds` are missing. The second key \
               shows every client the arguments of slow commands.",
    },
];

/// Lets every client empty its database.
const EMPTIES: (&str, &str) = ("policy.blocked", r#"["CONFIG", "DEBUG", "FLUSHALL"]"#);

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

//! Programs on top of client libraries: job queues, socket servers, sites, sessions.
//!
//! A program prints what each of its steps gives, and must print the same through Redoubt as directly, with
//! the default configuration, except for what [`support::programs`] says of it. It may ask by a line that
//! Redis or Redoubt is killed and started again.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use support::programs::{self, Program, Restarts};
use support::redis::free_port;
use support::{Deadline, Redis, Redoubt, TIME_LIMIT, lines, signal};

use super::learned::{Identity, denied};
use super::{installed_by, sources, start, url};

mod learned;

/// Lines of redis.conf with which Redis keeps all data when it is killed.
const DURABLE: &str = "appendonly yes\nappendfsync always";

/// What a program runs against.
struct Servers {
    redis: Redis,
    redoubt: Option<Redoubt>,
    port: u16,
    keys: &'static [(&'static str, &'static str)],
    /// Who the program is, if it has an identity of its own.
    identity: Option<Identity>,
}

impl Servers {
    fn direct() -> Self {
        let mut redis = Redis::start();
        redis.configure(DURABLE);
        redis.kill();
        redis.restart();
        Self { redis, redoubt: None, port: 0, keys: &[], identity: None }
    }

    fn behind_redoubt(keys: &'static [(&'static str, &'static str)]) -> Self {
        let mut servers = Self { keys, port: free_port(), ..Self::direct() };
        let redoubt = servers.start_redoubt(&support::secret());
        servers.redoubt = Some(redoubt);
        servers
    }

    fn start_redoubt(&self, password: &str) -> Redoubt {
        let mut setup = Redoubt::setup(&self.redis)
            .client_password(password)
            .set_text("listen", &format!("127.0.0.1:{}", self.port));
        for (key, value) in self.keys {
            setup = setup.set(key, value);
        }
        if let Some(identity) = &self.identity {
            setup = identity.set(setup);
        }
        let redoubt = setup.start();
        redoubt.wait_until_it_serves();
        redoubt
    }

    fn url(&self) -> String {
        match (&self.redoubt, &self.identity) {
            (Some(redoubt), Some(identity)) => identity.url(redoubt),
            (Some(redoubt), None) => url(redoubt),
            (None, _) => format!("redis://:{}@{}/", self.redis.password(), self.redis.address()),
        }
    }

    /// Kills a server and starts it again. Without Redoubt, a restart of it is the end of all connections.
    fn restart(&mut self, which: &str, outcome: &mut Outcome) {
        match (which, self.redoubt.take()) {
            ("redis", redoubt) => {
                outcome.denied.extend(denied(&self.redis));
                self.redis.kill();
                self.redis.restart();
                self.redoubt = redoubt;
            }
            ("redoubt", Some(mut redoubt)) => {
                let password = redoubt.password().to_owned();
                outcome.refused.extend(refusals(&redoubt));
                if self.identity.is_some() {
                    // What it has learned is written when it ends.
                    signal(redoubt.pid(), "TERM");
                    redoubt.wait();
                }
                drop(redoubt);
                self.redoubt = Some(self.start_redoubt(&password));
            }
            ("redoubt", None) => {
                let mut wire = self.redis.direct();
                for kind in ["normal", "pubsub"] {
                    wire.command(&["CLIENT", "KILL", "TYPE", kind]);
                }
            }
            _ => panic!("the program asks for a restart of {which}"),
        }
    }
}

/// Returns the commands that Redoubt has refused, as its log names them.
fn refusals(redoubt: &Redoubt) -> Vec<String> {
    let log = redoubt.log().all();
    let refused = log.iter().filter(|line| line.contains("\"message\":\"command refused\""));
    refused.filter_map(|line| lines::field(line, "rule").map(str::to_uppercase)).collect()
}

/// What a run of a program has shown.
#[derive(Default)]
struct Outcome {
    /// The names and results of its steps.
    steps: Vec<(String, String)>,
    /// The servers that it had restarted.
    restarts: Vec<String>,
    /// The commands that Redoubt refused.
    refused: Vec<String>,
    /// What Redis refused by its ACL.
    denied: Vec<String>,
}

/// Runs the program to its end. Panics if it fails.
#[track_caller]
fn run(mut program: Command, servers: &mut Servers) -> Outcome {
    program.arg(servers.url()).process_group(0);
    let (mut child, mut stdin, output) = start(&mut program);
    let mut outcome = Outcome::default();
    let mut seen = 0;
    let mut status = None;
    let ended = Deadline::after(TIME_LIMIT * 6).poll(|| {
        status = child.try_wait().expect("the program's state");
        let all = output.all();
        for line in &all[seen..] {
            if let Some(which) = line.strip_prefix("restart ") {
                servers.restart(which, &mut outcome);
                outcome.restarts.push(which.to_owned());
                drop(stdin.write_all(b"restarted\n"));
            }
        }
        seen = all.len();
        status.is_some()
    });
    if !ended {
        // Its workers are in its process group, and would look for their servers for ever.
        let group = format!("-{}", child.id());
        drop(Command::new("/bin/kill").args(["-KILL", "--", &group]).status());
        child.wait().expect("the program's end");
    }
    // Workers that are left have the streams open, so their end is not waited for.
    let all = output.all();
    assert!(status.is_some_and(|status| status.success()), "{status:?}: {}", all.join("\n"));
    let steps = all.iter().filter_map(|line| line.strip_prefix("step ")?.split_once(" => "));
    outcome.steps = steps.map(|(name, result)| (name.to_owned(), result.to_owned())).collect();
    outcome.refused.extend(servers.redoubt.iter().flat_map(refusals));
    outcome.refused.sort();
    outcome.refused.dedup();
    outcome.denied.extend(denied(&servers.redis));
    outcome
}

/// Runs a program directly and through Redoubt, and demands what its row of the list says.
#[track_caller]
fn as_listed(name: &str, command: impl Fn() -> Command) {
    let listed: &Program = programs::program(name);
    let direct = run(command(), &mut Servers::direct());
    assert!(direct.steps.len() > 3, "{:?}", direct.steps);
    let restarts: &[&str] = match listed.restarts {
        Restarts::Both => &["redis", "redoubt"],
        Restarts::Redoubt => &["redoubt"],
        Restarts::None => &[],
    };
    assert_eq!(direct.restarts, restarts);

    let through = run(command(), &mut Servers::behind_redoubt(&[]));
    assert_eq!(through.steps.len(), direct.steps.len(), "{:?}", through.steps);
    let mut differing = Vec::new();
    for (got, wanted) in through.steps.iter().zip(&direct.steps) {
        if listed.differs.contains(&wanted.0.as_str()) {
            assert_ne!(got, wanted, "the list says that it differs");
            differing.push(wanted.0.as_str());
        } else {
            assert_eq!(got, wanted);
        }
    }
    assert_eq!(differing, listed.differs);
    assert_eq!(through.refused, listed.refused);

    if !listed.keys.is_empty() {
        let through = run(command(), &mut Servers::behind_redoubt(listed.keys));
        assert_eq!(through.steps, direct.steps, "with {:?}", listed.keys);
    }
}

/// Returns a Python program, which runs with the packages that are installed for most of them.
fn python(program: &str) -> Command {
    python_with("programs-python", program)
}

/// Returns a Python program, which runs with the packages that are installed in the environment `name`.
fn python_with(name: &str, program: &str) -> Command {
    let mut python = Command::new(installed_by(name, "programs").join("bin/python"));
    // Otherwise Python writes its cache among the sources.
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    python.arg(source("python", program));
    python
}

/// Returns a Node program, which gets `words` and then the URL.
fn node(program: &str, words: &[&str]) -> Command {
    let mut node = Command::new("node");
    node.env("NODE_PATH", installed_by("programs-node", "programs").join("node_modules"));
    node.arg(source("node", program)).args(words);
    node
}

/// Returns a program in Go, which `scripts/clients.sh` builds.
fn go(program: &str) -> Command {
    Command::new(installed_by("programs-go", "programs").join(program))
}

/// Returns a program that runs with Debian's packages, which `scripts/clients.sh` records as installed.
fn of_debian(interpreter: &str, language: &str, program: &str) -> Command {
    installed_by(&format!("programs-{language}"), "programs");
    let mut command = Command::new(interpreter);
    command.arg(source(language, program));
    command
}

fn exporter() -> Command {
    installed_by("programs-exporter", "programs");
    python("exporter.py")
}

fn source(language: &str, program: &str) -> PathBuf {
    sources().join("programs").join(language).join(program)
}

/// Declares a test for each program, and the list of their names.
macro_rules! tests {
    ($($test:ident: $name:literal, $command:expr;)*) => {
        const TESTED: &[&str] = &[$($name),*];
        $(
            #[test]
            #[ignore = "needs programs of other people: `make test-programs` installs and runs them"]
            fn $test() {
                as_listed($name, || $command);
            }
        )*
    };
}

tests! {
    rq_works: "RQ", python("rq_queue.py");
    celery_works: "Celery", python("celery_queue.py");
    dramatiq_works: "dramatiq", python("dramatiq_queue.py");
    huey_works: "Huey", python("huey_queue.py");
    arq_works: "arq", python_with("programs-arq", "arq_queue.py");
    bullmq_works: "BullMQ", node("bullmq.cjs", &[]);
    bull_works: "Bull", node("bull.cjs", &[]);
    bee_queue_works: "Bee-Queue", node("bee_queue.cjs", &[]);
    socket_io_works: "socket.io, `@socket.io/redis-adapter`", node("socketio.cjs", &["pubsub"]);
    socket_io_works_over_streams:
        "socket.io, `@socket.io/redis-streams-adapter`", node("socketio.cjs", &["streams"]);
    a_django_site_works:
        "Django: cache, `django-redis`, sessions, `channels_redis`", python("django_site.py");
    express_sessions_work:
        "Express with `express-session` and `connect-redis`, over node-redis",
        node("express_sessions.cjs", &[]);
    a_flask_site_works: "Flask-Session and Flask-Caching", python("flask_site.py");
    aiocache_works: "aiocache", python("aiocache_cache.py");
    redis_om_works: "redis-om, models in hashes", python("redis_om_hashes.py");
    rate_limiter_works:
        "`rate-limiter-flexible`, over ioredis and node-redis", node("rate_limiter.cjs", &[]);
    redlock_works: "Redlock, over ioredis", node("redlock.cjs", &[]);
    php_sessions_work: "PHP sessions and phpredis", of_debian("php", "php", "session.php");
    sidekiq_works: "Sidekiq", of_debian("ruby", "ruby", "sidekiq_queue.rb");
    redigo_works: "redigo", go("queue");
    go_redis_works: "go-redis", go("values");
    redis_rb_works: "redis-rb", of_debian("ruby", "ruby", "redis_rb.rb");
    predis_works: "Predis", of_debian("php", "php", "predis.php");
    perls_redis_works: "Perl's Redis", of_debian("perl", "perl", "redis.pl");
    redis_exporter_works: "`redis_exporter`", exporter();
}

#[test]
fn each_listed_program_has_a_test() {
    let listed: Vec<_> = programs::ALL.iter().map(|program| program.name).collect();
    assert_eq!(listed, TESTED);
}

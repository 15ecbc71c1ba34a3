//! Failovers under the load of real client libraries in their default settings, each through Redoubt and with the
//! library's own support for Sentinel: what was lost, what was mixed up, and how long nothing could be written.
//!
//! `REDOUBT_FAILOVER_ROUNDS` is the number of rounds, 1 if it is not set. `make test-failover` runs ten.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use support::servers::REDIS_7_0;
use support::{Deadline, Lines, Redoubt, Wire, note, now, signal};

use crate::group::Group;

/// How the primary is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Command,
    Killed,
    Stopped,
    /// No packet reaches it or leaves it.
    Partitioned,
}

/// What one writer did.
struct Written {
    name: String,
    count: u64,
    failed: HashSet<u64>,
    crossed: u64,
    gap: f64,
}

/// A program that writes.
enum Load {
    Program { child: Child, stdin: ChildStdin, output: Lines },
    Threads { stop: Arc<AtomicBool>, writers: Vec<JoinHandle<Written>> },
}

/// The libraries, and whether they can ask Sentinels themselves here.
const LIBRARIES: [(&str, bool); 3] = [("redis-py", true), ("ioredis", true), ("redis-rs", false)];

fn program(library: &str) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/failover/clients");
    let installed = |language: &str| {
        let dir = target.join("clients").join(language);
        assert!(dir.join("installed").exists(), "{library} is missing: run scripts/clients.sh");
        dir
    };
    if library == "redis-py" {
        let mut python = Command::new(installed("python").join("bin/python"));
        python.env("PYTHONDONTWRITEBYTECODE", "1").arg(sources.join("load.py"));
        return python;
    }
    let mut node = Command::new("node");
    node.env("NODE_PATH", installed("node").join("node_modules")).arg(sources.join("load.cjs"));
    node
}

impl Load {
    /// Starts four writers whose keys begin with `id`.
    fn start(library: &str, id: &str, how: &[String]) -> Self {
        if library == "redis-rs" {
            let stop = Arc::new(AtomicBool::new(false));
            let writers = (0..4).map(|index| {
                let (url, name, stop) =
                    (how[0].clone(), format!("{id}-{index}"), Arc::clone(&stop));
                std::thread::spawn(move || write(&url, name, &stop))
            });
            return Self::Threads { writers: writers.collect(), stop };
        }
        let mut child = program(library)
            .arg(id)
            .args(how)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run the client");
        let stdin = child.stdin.take().expect("it is piped");
        let output = Lines::of(&mut child);
        assert!(output.wait(|line| line == "writing").is_some(), "{:?}", output.all());
        Self::Program { child, stdin, output }
    }

    /// Ends the writers, and returns what they did.
    fn stop(self) -> Vec<Written> {
        match self {
            Self::Threads { stop, writers } => {
                stop.store(true, Ordering::Relaxed);
                writers.into_iter().map(|writer| writer.join().expect("no panic")).collect()
            }
            Self::Program { mut child, mut stdin, output } => {
                writeln!(stdin, "stop").expect("it runs");
                let line = output.wait(|line| line.starts_with('['));
                let line = line.unwrap_or_else(|| panic!("{:?}", output.all()));
                drop(child.kill());
                child.wait().expect("its end");
                let found: Vec<Value> = serde_json::from_str(&line).expect("JSON");
                found.iter().map(Written::of).collect()
            }
        }
    }
}

impl Written {
    fn of(found: &Value) -> Self {
        let number = |key: &str| found[key].as_u64().expect("a number");
        let failed = found["failed"].as_array().expect("a list").iter();
        Self {
            name: found["name"].as_str().expect("a name").to_owned(),
            count: number("count"),
            failed: failed.filter_map(Value::as_u64).collect(),
            crossed: number("crossed"),
            gap: found["gap"].as_f64().expect("a number"),
        }
    }
}

/// Writes with redis-rs; a connection that fails is replaced, as its users do.
fn write(url: &str, name: String, stop: &AtomicBool) -> Written {
    let client = redis::Client::open(url).expect("a URL");
    let mut written = Written { name, count: 0, failed: HashSet::new(), crossed: 0, gap: 0.0 };
    let mut connection = None;
    let mut last = now();
    while !stop.load(Ordering::Relaxed) {
        let number = written.count;
        let key = format!("w:{}:{number}", written.name);
        written.count += 1;
        let Some(mut open) = connection.take().or_else(|| client.get_connection().ok()) else {
            written.failed.insert(number);
            continue;
        };
        match redis::cmd("SET").arg(&key).arg(&key).query::<String>(&mut open) {
            Ok(reply) => {
                written.crossed += u64::from(reply != "OK");
                written.gap = written.gap.max(last.elapsed().as_secs_f64());
                last = now();
            }
            Err(_) => {
                written.failed.insert(number);
                continue;
            }
        }
        if let Ok(value) = redis::cmd("GET").arg(&key).query::<Option<String>>(&mut open) {
            written.crossed += u64::from(value.is_some_and(|value| value != key));
            connection = Some(open);
        }
    }
    written
}

/// What became of the writes of a load.
#[derive(Default)]
struct Outcome {
    acknowledged: u64,
    failed: u64,
    lost: u64,
    crossed: u64,
    /// The longest time between two acknowledged writes of one writer, of each round.
    gaps: Vec<f64>,
}

impl Outcome {
    /// Adds what was written, as it is at the server of `direct` now.
    fn add(&mut self, written: &[Written], mut direct: Wire) {
        let mut longest = 0.0_f64;
        for writer in written {
            longest = longest.max(writer.gap);
            self.crossed += writer.crossed;
            self.failed += writer.failed.len() as u64;
            let acknowledged: Vec<_> =
                (0..writer.count).filter(|number| !writer.failed.contains(number)).collect();
            self.acknowledged += acknowledged.len() as u64;
            for numbers in acknowledged.chunks(500) {
                let keys = numbers.iter().map(|number| format!("w:{}:{number}", writer.name));
                let words: Vec<_> = std::iter::once("EXISTS".to_owned()).chain(keys).collect();
                let reply = direct.command(&words);
                let found = String::from_utf8(reply).expect("a number");
                let found: u64 = found.trim_matches([':', '\r', '\n']).parse().expect("a number");
                self.lost += numbers.len() as u64 - found;
            }
        }
        self.gaps.push(longest);
    }

    fn row(&mut self) -> String {
        self.gaps.sort_by(f64::total_cmp);
        let [first, middle, last] =
            [0, self.gaps.len() / 2, self.gaps.len() - 1].map(|at| self.gaps[at]);
        let Self { acknowledged, failed, lost, crossed, .. } = self;
        format!(
            "{acknowledged} | {failed} | {lost} | {crossed} | {middle:.1} s ({first:.1} to {last:.1})"
        )
    }
}

/// Runs rounds with one library. Returns a line of the table for each way.
fn rounds(library: &str, asks: bool, fault: Fault) -> String {
    let wanted = std::env::var("REDOUBT_FAILOVER_ROUNDS").ok();
    let wanted: usize = wanted.map_or(1, |text| text.parse().expect("a number of rounds"));
    let mut outcomes = [Outcome::default(), Outcome::default()];
    for _ in 0..wanted {
        let group = Group::with_sentinels(REDIS_7_0);
        // The libraries have time limits of their own.
        let redoubt = group.behind_sentinels().start();
        redoubt.wait_until_it_serves();
        let idle: Vec<_> = (0..20).map(|_| redoubt.session()).collect();
        let url = format!("redis://:{}@{}/", redoubt.password(), redoubt.address());
        let mut loads = vec![Load::start(library, "through", &[url])];
        if asks {
            loads.push(Load::start(library, "own", &group.for_clients()));
        }
        let after = lose(&redoubt, &group, fault);
        let written: Vec<_> = loads.into_iter().map(Load::stop).collect();
        for (outcome, written) in outcomes.iter_mut().zip(&written) {
            outcome.add(written, group.servers[after].direct());
        }
        for mut wire in idle {
            assert_eq!(wire.command(&["PING"]), b"+PONG\r\n", "a session with nothing due");
        }
    }
    let [through, own] = &mut outcomes;
    assert_eq!((through.crossed, own.crossed), (0, 0), "replies are mixed up");
    let mut rows = format!("| {fault:?} | {library} through Redoubt | {} |", through.row());
    if asks {
        let _ = write!(rows, "\n| {fault:?} | {library} with Sentinels | {} |", own.row());
    }
    rows
}

/// Loses the primary, and waits until both sides have written for a while at the next one. Returns its index.
fn lose(redoubt: &Redoubt, group: &Group, fault: Fault) -> usize {
    let before = group.named().expect("a primary");
    let served = now();
    let mut probe = redoubt.session();
    while served.elapsed() < Duration::from_secs(1) {
        assert_eq!(probe.command(&["INCR", "probe"]).first(), Some(&b':'));
    }
    match fault {
        Fault::Command => group.sentinels[0].fail_over(),
        Fault::Killed => signal(group.servers[before].pid(), "KILL"),
        Fault::Stopped => signal(group.servers[before].pid(), "STOP"),
        Fault::Partitioned => {
            let port = group.servers[before].port();
            for side in ["dport", "sport"] {
                nft(&format!("add rule inet t i tcp {side} {port} drop"));
            }
        }
    }
    let after = group.wait_for_another(before);
    let found = format!("\"node\":\"{}\"", group.servers[after].address());
    let is_seen = |line: &str| line.contains("the primary is here") && line.contains(&found);
    assert!(redoubt.log().wait(is_seen).is_some(), "{:?}", redoubt.log().all());
    match fault {
        Fault::Stopped => signal(group.servers[before].pid(), "CONT"),
        Fault::Partitioned => nft("flush chain inet t i"),
        Fault::Command | Fault::Killed => {}
    }
    // The former primary follows the new one, if it still runs; what is written goes on for a second more.
    let counts = |wire: &mut Wire| {
        let text = String::from_utf8(wire.command(&["DBSIZE"])).expect("a number");
        text.trim_matches([':', '\r', '\n']).parse::<u64>().expect("a number")
    };
    let mut direct = group.servers[after].direct();
    let begun = counts(&mut direct);
    assert!(Deadline::standard().poll(|| counts(&mut direct) > begun + 2000), "nothing is written");
    after
}

fn nft(rule: &str) {
    let done = Command::new("nft").arg(rule).status();
    assert!(done.expect("nft is missing: scripts/prerequisites.sh test").success(), "{rule}");
}

/// Set in the test that runs in a network namespace of its own.
const INSIDE: &str = "REDOUBT_TEST_NAMESPACE";

/// Runs the test called `name` again, in a network namespace, where packets can be dropped.
fn in_namespace(name: &str) {
    const SETUP: &str = "ip link set lo up; nft add table inet t; \
                         nft 'add chain inet t i { type filter hook input priority 0; }'; \
                         exec \"$0\" --exact \"$1\" --nocapture";
    let program = std::env::current_exe().expect("this program");
    let run = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "sh", "-ec", SETUP])
        .arg(program)
        .arg(name)
        .env(INSIDE, "1")
        .output()
        .expect("unshare is missing: apt-get install -y util-linux");
    let said =
        format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
    note(&said);
}

fn table(fault: Fault) {
    let mut text = String::from(
        "| fault | client | acknowledged | failed | lost | mixed up | nothing written for |",
    );
    for (library, asks) in LIBRARIES {
        let _ = write!(text, "\n{}", rounds(library, asks, fault));
    }
    note(&text);
}

#[test]
fn clients_write_on_after_a_failover_by_command() {
    table(Fault::Command);
}

#[test]
fn clients_write_on_after_the_death_of_the_primary() {
    table(Fault::Killed);
}

#[test]
fn clients_write_on_after_the_primary_has_hung() {
    table(Fault::Stopped);
}

#[test]
fn clients_write_on_after_a_partition() {
    if std::env::var_os(INSIDE).is_some() {
        table(Fault::Partitioned);
    } else {
        in_namespace("rounds::clients_write_on_after_a_partition");
    }
}

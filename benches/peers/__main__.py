"""Measures Redoubt against plain Redis and other proxies: `make bench`, or see benches/README.md."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from chart import chart
from latency import measure_latency
from loads import LOADS
from machine import description
from report import details, document, summary
from scaling import WORKERS, measure_idle, measure_sessions
from scrapes import Scrapes, measure_scrapes
from syscalls import count_calls
from targets import FEATURES, PEERS, ROOT, TLS, UNIX, VARIANTS, Bench, other_redoubts, versions
from throughput import Throughput

PHASES = ["loads", "calls", "latency", "scrapes", "sessions", "idle"]


@dataclass
class Results:
    """The result of each phase; empty for a phase that was left out."""

    throughput: Throughput
    calls: dict = field(default_factory=dict)
    rate: float = 0
    latency: dict = field(default_factory=dict)
    scrapes: Scrapes | None = None
    sessions: dict = field(default_factory=dict)
    workers: dict = field(default_factory=dict)
    idle: dict = field(default_factory=dict)


def setting(name, default):
    return os.environ.get(f"BENCH_{name}", default)


def chosen(name, default):
    return [word for word in setting(name, ",".join(default)).split(",") if word]


def say(text):
    print(f"[{time.monotonic() - STARTED:5.0f} s] {text}", file=sys.stderr, flush=True)


def raise_open_files():
    """Raises the limit as far as permitted, for this process and those it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def load_program():
    """Builds the load generator; returns its path."""
    command = ["cargo", "bench", "--locked", "-q", "--bench", "load", "--no-run",
               "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in built.splitlines()]
    return next(message["executable"] for message in messages if message.get("executable")
                and message["target"]["name"] == "load")


def work_directory():
    """Creates the directory for configurations and logs; BENCH_KEEP names one that is kept."""
    kept = setting("KEEP", "")
    if not kept:
        return tempfile.TemporaryDirectory()
    Path(kept).mkdir(parents=True, exist_ok=True)
    return contextlib.nullcontext(kept)


def measure(bench, names, loads, phases, quick):
    """Runs the phases in order."""
    rounds, seconds = int(setting("ROUNDS", 2 if quick else 5)), float(setting("SECONDS", 1))
    targets = [bench.start(name) for name in names]
    say(f"running: {', '.join(names)}")
    # Where features do not matter, their rows are left out.
    main_targets = [target for target in targets if target.name not in {*VARIANTS, *TLS, *UNIX}
                    or target.name == "redoubt"]
    results = Results(Throughput(loads, names))
    if "loads" in phases:
        results.throughput.measure(bench, targets, rounds, seconds, say)
    if "calls" in phases:
        # Features change none of them, and with TLS the connections cannot be told apart.
        for target in (target for target in targets if target.name not in FEATURES):
            results.calls[target.name] = count_calls(target, bench, 20_000)
        say("system calls: done")
    if "latency" in phases:
        results.rate, results.latency = measure_latency(bench, main_targets, 3, 3 * seconds, say)
    if "scrapes" in phases:
        scraped = next(target for target in targets if target.admin)
        results.scrapes = measure_scrapes(bench, scraped, rounds, 5 * seconds, say)
    if "sessions" in phases:
        results.sessions = measure_sessions(bench, main_targets, 3, seconds / 2, say)
        workers = [bench.start(f"redoubt-{count}-workers", {"workers": str(count)})
                   for count in WORKERS]
        results.workers = measure_sessions(bench, workers, 3, seconds / 2, say)
    if "idle" in phases:
        results.idle = measure_idle(bench, [target.name for target in main_targets], say)
    return results


def main():
    quick = bool(setting("QUICK", ""))
    peers = chosen("PEERS", ["haproxy", "twemproxy"] if quick else PEERS)
    variants = chosen("VARIANTS", ["redoubt"] if quick else list(VARIANTS))
    direct = ["direct"]
    direct += ["direct-tls"] if "redoubt-tls" in variants else []
    direct += ["direct-unix"] if "redoubt-unix" in variants else []
    names = [*direct, *peers, *dict.fromkeys([*variants, *other_redoubts()])]
    loads = [load for load in LOADS if load.key in chosen("LOADS", [load.key for load in LOADS])]
    phases = chosen("PHASES", ["loads"] if quick else PHASES)
    raise_open_files()
    # Ending this process also ends the processes that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    say("building")
    if "redoubt" not in other_redoubts():
        subprocess.run(["cargo", "build", "--release", "--locked", "-q"], cwd=ROOT, check=True)
    program = load_program()
    with work_directory() as directory, Bench(directory) as bench:
        bench.load = program
        results = measure(bench, names, loads, phases, quick)
    text = "\n".join(document(results, description(), versions(names)))
    print("\n".join([*summary(results.throughput), *details(results.throughput)])
          if phases == ["loads"] else text)
    out = setting("OUT", "" if quick else str(ROOT / "docs"))
    if out:
        Path(out).mkdir(parents=True, exist_ok=True)
        (Path(out) / "benchmarks.md").write_text(text)
        (Path(out) / "benchmarks.svg").write_text("\n".join(chart(results.throughput)) + "\n")
        say(f"written: {out}/benchmarks.md and {out}/benchmarks.svg")


STARTED = time.monotonic()
if __name__ == "__main__":
    main()

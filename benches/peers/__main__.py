"""Measures Redoubt against plain Redis and other proxies: `make bench`, or see benches/README.md."""

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

from loads import LOADS
from report import details, summary
from targets import PEERS, ROOT, VARIANTS, Bench, other_redoubts
from throughput import Throughput


def setting(name, default):
    return os.environ.get(f"BENCH_{name}") or default


def chosen(name, default):
    return [word for word in setting(name, ",".join(default)).split(",") if word]


def say(text):
    print(f"[{time.monotonic() - STARTED:5.0f} s] {text}", file=sys.stderr, flush=True)


def raise_open_files():
    """As far as may be, for this process and those it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def load_program():
    """Builds the load generator; its path."""
    command = ["cargo", "bench", "--locked", "-q", "--bench", "load", "--no-run",
               "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in built.splitlines()]
    return next(message["executable"] for message in messages if message.get("executable")
                and message["target"]["name"] == "load")


def work_directory():
    """Configurations and logs; BENCH_KEEP names a place where they stay."""
    kept = setting("KEEP", "")
    return contextlib.nullcontext(kept) if kept else tempfile.TemporaryDirectory()


def main():
    quick = bool(setting("QUICK", ""))
    peers = chosen("PEERS", ["haproxy", "twemproxy"] if quick else PEERS)
    variants = list(dict.fromkeys(
        [*chosen("VARIANTS", ["redoubt"] if quick else list(VARIANTS)), *other_redoubts()]))
    names = ["direct", *peers, *variants]
    loads = [load for load in LOADS if load.key in chosen("LOADS", [load.key for load in LOADS])]
    raise_open_files()
    if not other_redoubts():
        say("building")
        subprocess.run(["cargo", "build", "--release", "--locked", "-q"], cwd=ROOT, check=True)
    with work_directory() as directory, Bench(directory) as bench:
        bench.load = load_program()
        targets = [bench.start(name) for name in names]
        say(f"running: {', '.join(names)}")
        throughput = Throughput(loads, names)
        rounds, seconds = int(setting("ROUNDS", 2 if quick else 5)), float(setting("SECONDS", 1))
        throughput.measure(bench, targets, rounds, seconds, say)
        print("\n".join([*summary(throughput), *details(throughput)]))


STARTED = time.monotonic()
if __name__ == "__main__":
    main()

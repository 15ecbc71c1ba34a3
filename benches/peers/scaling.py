"""Scaling: throughput over the number of sessions and of workers, and the cost of an idle session."""

import json
import subprocess
from dataclasses import dataclass
from statistics import median

from loads import ask_load
from machine import resident
from targets import OPEN_FILES

SESSIONS = [1, 10, 100, 1000, 10_000]
WORKERS = [1, 2, 4]
IDLE = 10_000
# Proxies that have a connection to Redis for each of their clients.
SOCKETS = {"haproxy": 2, "redoubt-unshared": 2}


@dataclass
class Idle:
    """The cost of idle sessions: bytes of resident memory, and sessions opened per second."""

    before: int
    after: int
    rate: float

    @property
    def each(self):
        return (self.after - self.before) / IDLE


def holds(name, sessions):
    """Returns true if the limit of open files permits the target this many sessions."""
    return sessions * SOCKETS.get(name, 1) + 200 <= OPEN_FILES


def measure_sessions(bench, targets, rounds, seconds, say):
    """Returns `rates[name][sessions]`: requests per second of GET, unpipelined."""
    samples = {target.name: {count: [] for count in SESSIONS} for target in targets}
    for _ in range(rounds):
        for sessions in SESSIONS:
            args = ["closed", "--mix", "get", "--clients", str(sessions), "--count"]
            rate = ask_load([*args, str(max(5000, sessions))], bench.redis, bench)["rate"]
            count = str(int(max(rate * seconds, sessions)))
            for target in targets:
                if holds(target.name, sessions):
                    found = ask_load([*args, count], target, bench)["rate"]
                    samples[target.name][sessions].append(found)
        say("scaling: a round done")
    return {name: {count: median(rates) if rates else None for count, rates in by_count.items()}
            for name, by_count in samples.items()}


def measure_idle(bench, names, say):
    """Measures new targets with only idle sessions."""
    found = {}
    for name in names:
        if not holds(name, IDLE):
            continue
        target = bench.start(name)
        # Redis is not restarted: the difference still shows the cost of its sessions.
        before = resident(target.pid)
        command = [bench.load, "idle", "--address", target.address,
                   "--sessions", str(IDLE)]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True, env={"LOAD_PASSWORD": bench.password})
        opened = json.loads(holder.stdout.readline() or '{"opened": 0, "rate": 0}')
        if opened["opened"] == IDLE:
            found[name] = Idle(before, resident(target.pid), opened["rate"])
        holder.stdin.close()
        holder.wait()
        if target is not bench.redis:
            bench.stop(target)
    say("idle sessions: done")
    return found

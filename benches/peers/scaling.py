"""Scaling: throughput over the number of sessions and of workers, and what an idle session costs."""

import json
import subprocess
from dataclasses import dataclass
from statistics import median

from loads import ask_load
from machine import resident
from targets import HOST, OPEN_FILES

SESSIONS = [1, 10, 100, 1000, 10_000]
WORKERS = [1, 2, 4]
IDLE = 10_000
# Proxies that have a connection to Redis for each of their clients.
SOCKETS = {"haproxy": 2, "redoubt-unshared": 2}


@dataclass
class Idle:
    """What idle sessions cost: bytes of resident memory, and sessions opened a second."""

    before: int
    after: int
    rate: float

    @property
    def each(self):
        return (self.after - self.before) / IDLE


def holds(name, sessions):
    """Whether the limit of open files lets the target have so many sessions."""
    return sessions * SOCKETS.get(name, 1) + 200 <= OPEN_FILES


def measure_sessions(bench, targets, rounds, seconds, say):
    """`rates[name][sessions]`: requests a second of GET, unpipelined."""
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
    """Fresh targets with nothing but idle sessions."""
    found = {}
    for name in names:
        if not holds(name, IDLE):
            continue
        target = bench.start(name)
        # Redis is not restarted: the difference still shows the cost of its sessions.
        before = resident(target.pid)
        command = [bench.load, "idle", "--address", f"{HOST}:{target.port}",
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

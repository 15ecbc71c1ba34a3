"""The loads, and the measurement of one run of a load on a target.

Each load answers with a Sample. Those of redis-benchmark are its own closed loops; the others come
from the `load` program beside this folder.
"""

import json
import re
import subprocess
from dataclasses import dataclass

from machine import cpu_seconds, resident
from targets import Client


@dataclass
class Sample:
    """The result of a run. Times in milliseconds, CPU in microseconds per request, memory in bytes."""

    rate: float
    p50: float
    p99: float
    p999: float
    proxy_cpu: float | None = None
    redis_cpu: float | None = None
    memory: int | None = None


@dataclass(frozen=True)
class Load:
    """A load: the arguments of redis-benchmark, or of the `load` program."""

    key: str
    title: str
    args: tuple
    tool: str = "redis-benchmark"
    needs: str = ""
    # The goals for Redoubt: a ratio to direct where there is one, and the predixy column.
    of_direct: float | None = None
    predixy: float | None = None
    # True if rows for a feature are measured with this load.
    shows_features: bool = False
    # True if rows with Unix sockets are measured with this load, besides those that show features.
    shows_sockets: bool = False
    # The goal for Redoubt with Unix sockets on both sides: a ratio to direct over TCP.
    unix_of_direct: float | None = None


LOADS = [
    Load("get", "GET, 50 clients", ("-t", "get", "-c", "50"), of_direct=1.15, predixy=0.93,
         shows_features=True, unix_of_direct=1.3),
    Load("set1k", "SET 1 KiB, 500 clients", ("-t", "set", "-c", "500", "-d", "1024"),
         of_direct=1.15, predixy=1.29),
    Load("pipeline", "GET, 50 clients, pipeline 16", ("-t", "get", "-c", "50", "-P", "16"),
         of_direct=0.80, predixy=0.61, shows_features=True),
    Load("single", "GET, 1 client", ("-t", "get", "-c", "1"), of_direct=0.90, predixy=0.86,
         shows_sockets=True, unix_of_direct=0.95),
    Load("set100k", "SET 100 KB, 20 clients", ("-t", "set", "-c", "20", "-d", "100000"),
         of_direct=0.60, predixy=0.43),
    Load("mixed", "mixed reads and writes, 50 clients",
         ("closed", "--mix", "mixed", "--clients", "50"), tool="load", shows_sockets=True),
    Load("multi", "MULTI, SET, INCR, EXEC, 50 clients",
         ("closed", "--mix", "transaction", "--clients", "50"), tool="load", needs="multi"),
    Load("fanout", "pub/sub, 1 publisher, 50 subscribers",
         ("fanout", "--subscribers", "50"), tool="load", needs="pubsub"),
]


def run(load, target, bench, count):
    """Runs `count` requests of `load` against `target`."""
    pids = [bench.redis.pid] + ([target.pid] if target.pid != bench.redis.pid else [])
    before = [cpu_seconds(pid) for pid in pids]
    if load.tool == "redis-benchmark":
        sample, count = redis_benchmark(load, target, bench, count), count
    else:
        sample, count = own_load(load, target, bench, count)
    used = [(cpu_seconds(pid) - start) * 1e6 / count for pid, start in zip(pids, before)]
    sample.redis_cpu = used[0]
    sample.proxy_cpu = used[1] if len(used) > 1 else None
    sample.memory = resident(pids[-1])
    return sample


def small_value(bench):
    """Sets the key that a GET of redis-benchmark reads, which its last SET may have left with 100 KB."""
    with Client(bench.redis.port, bench.password) as client:
        client.ask("SET", "key:__rand_int__", "xxx")


def redis_benchmark(load, target, bench, count):
    small_value(bench)
    command = ["redis-benchmark", *target.options, "-a", bench.password,
               "--precision", "3", "-n", str(count), *load.args]
    if target.speaks_tls:
        command += ["--tls", "--cacert", str(bench.certificate)]
    # The program tries for ever to reconnect to a server that has gone.
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    text = done.stdout
    rate = re.search(r"throughput summary: ([\d.]+) requests", text)
    if done.returncode or not rate:
        raise RuntimeError(f"{load.key} on {target.name}: {text[-500:]}{done.stderr[-500:]}")
    spectrum = [(float(share), float(time)) for share, time in
                re.findall(r"([\d.]+)% <= ([\d.]+) milliseconds \(cum", text.partition("Cumul")[0])]

    def percentile(share):
        return next(time for reached, time in spectrum if reached >= share)

    summary = re.search(r"avg +min +p50 +p95 +p99 +max\n +(.*)", text).group(1).split()
    return Sample(float(rate.group(1)), float(summary[2]), float(summary[4]), percentile(99.9))


def own_load(load, target, bench, count):
    result = ask_load([*load.args, "--count", str(count)], target, bench)
    return Sample(result["rate"], *(result[key] for key in ("p50", "p99", "p999"))), result["count"]


def ask_load(args, target, bench, timeout=60):
    """Runs the `load` program to its end; returns its results."""
    command = [bench.load, args[0], "--address", target.address, *args[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout,
                          env={"LOAD_PASSWORD": bench.password})
    if done.returncode:
        raise RuntimeError(f"{' '.join(args)} on {target.name}: {done.stderr[-500:]}")
    return json.loads(done.stdout)

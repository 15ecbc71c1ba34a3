"""System calls of a proxy for each request, by what they are for.

strace lists every call of the process in a run of its own. Its file descriptor tells the side: the
kernel says which sockets are clients' and which lead to Redis. strace slows the proxy down by
itself, so more is ready whenever it looks; what is batched is batched better than in a run without.
"""

import os
import re
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from loads import small_value
from targets import HOST

CLIENTS = 50
CALL = re.compile(r"\d+ +(\w+)\((\d+)?")


@dataclass
class Calls:
    """Returns the calls per request, with CLIENTS unpipelined clients."""

    client: float
    upstream: float
    loop: float
    names: list

    @property
    def sides(self):
        return self.client + self.upstream

    @property
    def all(self):
        return self.sides + self.loop


def count_calls(target, bench, requests):
    """Runs `requests` GETs through `target` under strace."""
    small_value(bench)
    listing = bench.directory / f"{target.name}.strace"
    command = ["strace", "-f", "-q", "-s", "0", "-e", "signal=none", "-o", str(listing),
               "-p", str(target.pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until(lambda: all(traced(target.pid)), "strace does not attach")
    load = subprocess.Popen(
        ["redis-benchmark", "-h", HOST, "-p", str(target.port), "-a", bench.password, "-q",
         "-t", "get", "-c", str(CLIENTS), "-n", str(requests)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sides = {}
    while load.poll() is None:
        # Descriptors are reused when a connection ends; those observed last belong to the run.
        sides |= sockets(target, bench)
        time.sleep(0.05)
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    counted, names = Counter(), Counter()
    with open(listing) as lines:
        for line in lines:
            if call := CALL.match(line):
                name, descriptor = call.groups()
                # The first argument of these is an epoll descriptor, which is no socket.
                side = sides.get(descriptor and int(descriptor), "loop")
                counted[side] += 1
                names[side, name] += 1
    listing.unlink()
    each = {side: counted[side] / requests for side in ("client", "upstream", "loop")}
    most = [(side, name, number / requests) for (side, name), number in names.most_common(9)]
    return Calls(**each, names=[row for row in most if row[2] >= 0.01])


def sockets(target, bench):
    """Returns the side of each of the target's sockets, by descriptor."""
    sides = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(address.partition(":")[2], 16) for address in fields[1:3])
        if local == target.port:
            sides[fields[9]] = "client"
        elif remote == bench.redis.port:
            sides[fields[9]] = "upstream"
    found = {}
    for entry in Path(f"/proc/{target.pid}/fd").iterdir():
        try:
            inode = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry))
        except OSError:
            continue
        if inode and inode.group(1) in sides:
            found[int(entry.name)] = sides[inode.group(1)]
    return found


def traced(pid):
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield re.search(r"TracerPid:\s+[1-9]", (task / "status").read_text())


def until(holds, complaint):
    deadline = time.monotonic() + 10
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(complaint)
        time.sleep(0.02)

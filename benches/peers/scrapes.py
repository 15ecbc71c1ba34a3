"""The cost of a scrape each second to the clients of a Redoubt, and its duration under load."""

import re
import socket
import threading
import time
import urllib.request
from dataclasses import dataclass
from statistics import median

from loads import ask_load
from targets import HOST, ROOT

CLIENTS = 50
EVERY = 1.0
# Sessions that are open meanwhile and do nothing.
IDLE = 200


@dataclass
class Scrapes:
    """Times in milliseconds; `ratio` is that of p99 with scrapes to p99 without, of one round."""

    took: float
    slowest: float
    without: float
    scraped: float
    ratio: float


def measure_scrapes(bench, target, rounds, seconds, say):
    """Alternates runs with scrapes and without, at half the rate that the target can serve. The
    scrapes contain every possible series by command."""
    idle = [session(target, bench) for _ in range(IDLE)]
    fill(target, bench)
    mix = ["--mix", "mixed", "--clients", str(CLIENTS)]
    fastest = [ask_load(["closed", *mix, "--count", "50000"], target, bench)["rate"]
               for _ in range(3)]
    rate = median(fastest) / 2
    took, pairs = [], []
    for turn in range(rounds):
        found = {}
        for scraped in [False, True] if turn % 2 else [True, False]:
            done = threading.Event()
            scraper = threading.Thread(target=scrape, args=(target.admin, done, took))
            if scraped:
                scraper.start()
            args = ["open", *mix, "--rate", f"{rate:.0f}", "--seconds", str(seconds)]
            try:
                found[scraped] = ask_load(args, target, bench)["p99"]
            finally:
                done.set()
            if scraped:
                scraper.join()
        pairs.append((found[False], found[True]))
        say(f"scrapes: round {turn + 1} of {rounds} done")
    for stream in idle:
        stream.close()
    without, scraped = (median(column) for column in zip(*pairs))
    ratio = median(with_them / alone for alone, with_them in pairs)
    return Scrapes(median(took), max(took), without, scraped, ratio)


def session(target, bench):
    """Returns an authenticated connection."""
    stream = socket.create_connection((HOST, target.port), timeout=10)
    stream.sendall(f"AUTH {bench.password}\r\n".encode())
    if stream.recv(64) != b"+OK\r\n":
        raise RuntimeError(f"{target.name} takes no AUTH")
    return stream


def fill(target, bench):
    """Sends each command of Redoubt's table once; some close the connection. SHUTDOWN
    is left out, as it would end a Redis behind a Redoubt that refuses nothing."""
    table = (ROOT / "core/src/command/generated.rs").read_text()
    for name in set(re.findall(r'"([a-z_.|-]+)"', table)) - {"shutdown"}:
        with session(target, bench) as stream:
            stream.sendall(" ".join(name.split("|")).encode() + b"\r\n")
            stream.shutdown(socket.SHUT_WR)
            while stream.recv(4096):
                pass


def scrape(port, done, took):
    """Scrapes once a second until `done`, and appends the duration of each scrape to `took`."""
    while not done.wait(EVERY):
        start = time.monotonic()
        with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as answer:
            answer.read()
        took.append((time.monotonic() - start) * 1000)

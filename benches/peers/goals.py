"""The performance goals of Redoubt, and whether the results meet them."""

from dataclasses import dataclass

from targets import PEERS

KIB, MIB = 1 << 10, 1 << 20


@dataclass
class Goal:
    """A goal; `value` is None if it was not measured."""

    text: str
    value: float | None
    limit: float
    at_least: bool
    unit: str = ""
    scale: float = 1

    @property
    def met(self):
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def wanted(self):
        return ("≥ " if self.at_least else "≤ ") + self.shown(self.limit)

    def shown(self, value):
        return "–" if value is None else f"{value / self.scale:,.2f}{self.unit}"


def goals(results):
    """Returns all goals, with the measured values."""
    yield from throughput_goals(results.throughput)
    calls, latency, idle = (found.get("redoubt") for found in
                            (results.calls, results.latency, results.idle))
    yield Goal("system calls a request, 50 clients", calls and calls.sides, 2.1, False)
    yield Goal("with the event loop's", calls and calls.all, 2.5, False)
    added = latency and latency["added p99"]
    yield Goal("added p99 at half load", added, 0.1, False, " ms")
    rivals = [results.latency[peer]["added p99"] for peer in PEERS if peer in results.latency]
    if rivals:
        yield Goal("added p99 below every peer's", added, min(rivals), False, " ms")
    scrapes = results.scrapes
    yield Goal("p99 with a scrape each second, of that without", scrapes and scrapes.ratio, 1.1, False)
    yield Goal("a scrape under load", scrapes and scrapes.took, 50, False, " ms")
    yield Goal("memory of an idle session", idle and idle.each, 4 * KIB, False, " KiB", KIB)
    yield Goal("resident with 10,000 of them", idle and idle.after, 60 * MIB, False, " MiB", MIB)


def throughput_goals(throughput):
    for load in throughput.loads:
        if load.of_direct is None:
            continue
        direct = throughput.ratio(load, "redoubt", "direct")
        yield Goal(f"{load.title}: of direct", direct, load.of_direct, True)
        yield Goal(f"{load.title}: of best peer", throughput.to_best_peer(load, "redoubt")[0], 1.1,
                   True)
        over = direct and direct / load.predixy
        yield Goal(f"{load.title}: of predixy's recorded ratio to direct", over, 1.1, True)
        cpu = throughput.ratio(load, "redoubt", "haproxy", "proxy_cpu")
        yield Goal(f"{load.title}: CPU of HAProxy's", cpu, 0.55, False)
    for load in throughput.loads:
        if load.unix_of_direct is not None:
            direct = throughput.ratio(load, "redoubt-unix", "direct")
            yield Goal(f"{load.title}, Unix sockets on both sides: of direct over TCP", direct,
                       load.unix_of_direct, True)
    for load in throughput.loads:
        if load.key == "get":
            alone, proxy, redis = (throughput.median(load, name, field) for name, field in (
                ("direct", "redis_cpu"), ("redoubt", "proxy_cpu"), ("redoubt", "redis_cpu")))
            both = (proxy + redis) / alone if alone and proxy and redis else None
            yield Goal(f"{load.title}: CPU with Redis's, of Redis alone", both, 1.2, False)

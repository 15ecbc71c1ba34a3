"""Results as Markdown."""

from goals import goals
from scaling import IDLE, SESSIONS
from targets import title

FIELDS = "target | requests/s | of direct | of best peer | proxy CPU | Redis CPU | p50 | p99 | p99.9 | memory"


def number(value, digits=2, scale=1, suffix=""):
    return "–" if value is None else f"{value / scale:,.{digits}f}{suffix}"


def table(heading, rows):
    """Returns a Markdown table; the first column is text, the others numbers."""
    yield "| " + " | ".join(heading) + " |"
    yield "|---" + "|--:" * (len(heading) - 1) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def summary(throughput):
    """Returns a table of ratios to direct, with a row per target and a column per load."""
    rows = [[title(name), *(number(throughput.ratio(load, name, "direct"))
                            for load in throughput.loads)] for name in throughput.names]
    yield from table(["requests/s, of direct", *(load.title for load in throughput.loads)], rows)


def details(throughput):
    """Returns a table for each load."""
    for load in throughput.loads:
        yield f"\n### {load.title}\n"
        rows = []
        for name in throughput.names:
            if not throughput.samples[load.key][name]:
                continue
            value = lambda field: throughput.median(load, name, field)  # noqa: E731
            peers = None if name == "direct" else throughput.to_best_peer(load, name)[0]
            rows.append([
                title(name), number(value("rate"), 0),
                number(throughput.ratio(load, name, "direct")), number(peers),
                number(value("proxy_cpu"), 1), number(value("redis_cpu"), 1),
                *(number(value(field), 3) for field in ("p50", "p99", "p999")),
                number(value("memory"), 1, 1 << 20),
            ])
        yield from table(FIELDS.split(" | "), rows)


def calls_table(calls):
    heading = ["system calls a request", "client side", "upstream side", "event loop", "all",
               "the most frequent"]
    rows = []
    for name, found in calls.items():
        names = ", ".join(f"{call} {each:.2f} ({side})" for side, call, each in found.names[:5])
        rows.append([title(name), number(found.client), number(found.upstream),
                     number(found.loop), number(found.all), names])
    yield from table(heading, rows)


def latency_table(rows):
    heading = ["ms", "p50", "p99", "p99.9", "added p50", "added p99", "added p99.9", "rate kept"]
    keys = ["p50", "p99", "p999", "added p50", "added p99", "added p999"]
    yield from table(heading, [[title(name), *(number(row[key], 3) for key in keys),
                                f"{row['kept']:.0%}"] for name, row in rows.items()])


def sessions_table(rates):
    heading = ["requests/s at so many sessions", *(f"{count:,}" for count in SESSIONS)]
    yield from table(heading, [[title(name), *(number(by_count[count], 0) for count in SESSIONS)]
                               for name, by_count in rates.items()])


def idle_table(found):
    heading = [f"{IDLE:,} idle sessions", "KiB each", "MiB resident in all", "opened a second"]
    yield from table(heading, [[title(name), number(idle.each, 2, 1 << 10),
                                number(idle.after, 1, 1 << 20), number(idle.rate, 0)]
                               for name, idle in found.items()])


def goals_table(results):
    rows = [[goal.text, goal.shown(goal.value), goal.wanted,
             "–" if goal.met is None else "yes" if goal.met else "**no**"]
            for goal in goals(results)]
    yield from table(["goal", "measured", "wanted", "met"], rows)


def document(results, machine, versions):
    """Returns the whole report."""
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield from [
        "# Benchmarks", "",
        "Made by `make bench`; for the method see [benches/README.md](../benches/README.md).",
        "", f"Machine: {machine}. Everything on loopback, one worker thread each. {made}.", "",
        "![requests a second, relative to direct](benchmarks.svg)", "",
        "Ratios are medians over the rounds; the best peer is the fastest of the other proxies. CPU "
        "is in µs a request, latency in ms, memory in MiB (of Redis, for direct).", "",
        "## Summary", "", *summary(results.throughput), "", "## Goals", "", *goals_table(results), "",
        "## Loads", *details(results.throughput),
    ]
    if results.calls:
        yield from ["", "## System calls", "",
                    "GET, 50 clients, no pipeline, under strace, which makes batches larger than "
                    "they are without.", "", *calls_table(results.calls)]
    if results.latency:
        yield from ["", "## Latency at a fixed rate", "",
                    f"{results.rate:,.0f} GET a second, half of what direct can do, evenly over 50 "
                    "clients. A latency counts from when its request was to leave.", "",
                    *latency_table(results.latency)]
    if results.scrapes:
        found = results.scrapes
        yield from ["", "## Scrapes", "",
                    "Mixed reads and writes at half the rate that Redoubt can do, with a scrape of "
                    "its metrics each second and without, in turn.", "",
                    *table(["ms", "p99 without", "p99 with", "ratio", "a scrape, median",
                            "the slowest"],
                           [["Redoubt", *map(number, (found.without, found.scraped, found.ratio,
                                                      found.took, found.slowest))]])]
    if results.sessions:
        yield from ["", "## Sessions", "", *sessions_table(results.sessions)]
    if results.workers:
        yield from ["", "### Workers", "", *sessions_table(results.workers)]
    if results.idle:
        yield from ["", "### Idle sessions", "", *idle_table(results.idle)]
    yield ""

"""Results as Markdown."""

from targets import title

FIELDS = "target | requests/s | of direct | of best peer | proxy CPU | Redis CPU | p50 | p99 | p99.9 | memory"


def number(value, digits=2, scale=1, suffix=""):
    return "–" if value is None else f"{value / scale:,.{digits}f}{suffix}"


def table(heading, rows):
    """A Markdown table; the first column is text, the others numbers."""
    yield "| " + " | ".join(heading) + " |"
    yield "|---" + "|--:" * (len(heading) - 1) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def summary(throughput):
    """One row a target, one column a load: ratios to direct."""
    rows = [[title(name), *(number(throughput.ratio(load, name, "direct"))
                            for load in throughput.loads)] for name in throughput.names]
    yield from table(["requests/s, of direct", *(load.title for load in throughput.loads)], rows)


def details(throughput):
    """A table for each load."""
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

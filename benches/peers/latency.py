"""Open-loop latency: the time that a proxy adds at a rate that every target can serve."""

from statistics import median

from loads import ask_load

CLIENTS = 50
PERCENTILES = ["p50", "p99", "p999"]


def measure_latency(bench, targets, rounds, seconds, say):
    """Returns the rate, and for each target the median over the rounds of each percentile (in ms),
    with the difference to direct's in the same round."""
    arguments = ["--mix", "get", "--clients", str(CLIENTS)]
    fastest = [ask_load(["closed", *arguments, "--count", "50000"], bench.redis, bench)["rate"]
               for _ in range(3)]
    rate = median(fastest) / 2
    found = {target.name: [] for target in targets}
    for turn in range(rounds):
        start = turn % len(targets)
        for target in targets[start:] + targets[:start]:
            args = ["open", *arguments, "--rate", f"{rate:.0f}", "--seconds", str(seconds)]
            found[target.name].append(ask_load(args, target, bench))
        say(f"latency: round {turn + 1} of {rounds} done")
    rows = {}
    for name, runs in found.items():
        rows[name] = {key: median(run[key] for run in runs) for key in PERCENTILES}
        rows[name]["kept"] = median(run["rate"] for run in runs) / rate
        for key in PERCENTILES:
            added = [run[key] - direct[key] for run, direct in zip(runs, found["direct"])]
            rows[name]["added " + key] = median(added)
    return rate, rows

"""Closed-loop loads: every load on every target, interleaved, several rounds, medians.

Ratios are taken between runs of one round, then their median: what drifts from round to round on
the machine cancels.
"""

from statistics import median

from loads import Sample, run
from targets import PEERS


class Throughput:
    """All samples: `samples[load key][target name]`, one a round."""

    def __init__(self, loads, names):
        self.loads, self.names = loads, names
        self.samples = {load.key: {name: [] for name in names} for load in loads}

    def measure(self, bench, targets, rounds, seconds, say):
        """`seconds` is how long a run takes that is as fast as direct."""
        counts = {load.key: self._count(load, bench, seconds) for load in self.loads}
        for turn in range(rounds):
            for load in self.loads:
                able = [target for target in targets if target.can_run(load)]
                start = turn % len(able)
                for target in able[start:] + able[:start]:
                    sample = run(load, target, bench, counts[load.key])
                    self.samples[load.key][target.name].append(sample)
            say(f"round {turn + 1} of {rounds} done")

    def _count(self, load, bench, seconds):
        """How many requests direct answers in `seconds`."""
        run(load, bench.redis, bench, 1000)
        probe = run(load, bench.redis, bench, 2000 if "100k" in load.key else 20000)
        return max(1000, int(probe.rate * seconds))

    def median(self, load, name, field):
        """The median of a field of Sample over the rounds; None where there is nothing."""
        values = [getattr(sample, field) for sample in self.samples[load.key][name]]
        values = [value for value in values if value is not None]
        return median(values) if values else None

    def ratio(self, load, name, other, field="rate"):
        """The median over the rounds of name's field to other's."""
        if name not in self.names or other not in self.names:
            return None
        pairs = zip(self.samples[load.key][name], self.samples[load.key][other])
        pairs = [(getattr(a, field), getattr(b, field)) for a, b in pairs]
        pairs = [a / b for a, b in pairs if a is not None and b]
        return median(pairs) if pairs else None

    def to_best_peer(self, load, name):
        """The smallest ratio to a peer, and which peer that is."""
        ratios = [(self.ratio(load, name, peer), peer) for peer in PEERS if peer != name]
        ratios = [found for found in ratios if found[0] is not None]
        return min(ratios) if ratios else (None, None)

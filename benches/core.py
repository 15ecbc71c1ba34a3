#!/usr/bin/env python3
"""Compares the core's instruction counts with benches/core.baseline, and fails where one has grown.

  benches/core.py            count, compare, fail on more than 5 % growth
  benches/core.py --record   count, and make the counts the baseline

Counts depend on the compiler, so the baseline says which one made it. With another, growth is shown
and does not fail.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASELINE = ROOT / "benches" / "core.baseline"
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
SUMMARIES = TARGET / "gungraun" / "redoubt" / "core"
# The same number as in benches/core.rs.
REQUESTS = 1600
LIMIT = 0.05


def counts():
    """Runs the benchmarks; returns their instructions by name."""
    for old in SUMMARIES.rglob("summary.json"):
        old.unlink()
    command = ["cargo", "bench", "--locked", "--bench", "core", "--", "--save-summary=json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    found = {}
    for path in sorted(SUMMARIES.rglob("summary.json")):
        summary = json.loads(path.read_text())
        metrics = summary["profiles"][0]["data"]["parts"][0]["metrics"]
        name = f"{summary['function_name']}.{summary['id']}"
        found[name] = metrics["Ir"]["values"]["new"]
    return found


def compiler():
    return subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()


def record(found):
    lines = [f"compiler {compiler()}", *(f"{name} {count}" for name, count in found.items())]
    BASELINE.write_text("\n".join(lines) + "\n")
    print(f"recorded {len(found)} counts in {BASELINE.relative_to(ROOT)}")


def compare(found):
    lines = BASELINE.read_text().splitlines() if BASELINE.exists() else ["compiler none"]
    maker = lines[0].removeprefix("compiler ")
    recorded = {name: int(count) for name, count in (line.split() for line in lines[1:])}
    grown, width = [], max(map(len, found))
    print(f"{'instructions for one request or reply':{width}}      now  baseline  change")
    for name, count in found.items():
        before = recorded.get(name)
        change = f"{count / before - 1:+.1%}" if before else "new"
        shown = f"{before / REQUESTS:.1f}" if before else "–"
        print(f"{name:{width}} {count / REQUESTS:8.1f} {shown:>9} {change:>7}")
        if before and count > before * (1 + LIMIT):
            grown.append(name)
    gone = recorded.keys() - found.keys()
    if gone:
        print(f"not measured any more: {', '.join(sorted(gone))}")
    if maker != compiler():
        print(f"\nThe baseline was made by another compiler ({maker}; this is {compiler()}): its "
              "counts do not bind here. Record it anew with benches/core.py --record.")
    elif grown:
        sys.exit(f"\nmore than {LIMIT:.0%} over the baseline: {', '.join(grown)}\nIf that is meant, "
                 "record it with benches/core.py --record.")
    else:
        print(f"\nnothing is more than {LIMIT:.0%} over the baseline")


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--record"]):
        sys.exit(__doc__)
    (record if sys.argv[1:] else compare)(counts())

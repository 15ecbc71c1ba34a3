"""The features that each proxy supports, tested on the real ones: a table in Markdown.

  scripts/prerequisites.sh bench && cargo build --release && python3 benches/peers/features.py
"""

import tempfile

from targets import Bench, PEERS, title


def hasty(bench, target):
    """Returns a client that waits three seconds: some proxies never answer unknown commands."""
    client = bench.client(target)
    client.socket.settimeout(3)
    return client


def refuses(*words):
    """Returns true if the command is refused and does not change the only key."""

    def probe(bench, target):
        with bench.client(bench.redis) as redis:
            redis.ask("SET", "key", "value")
            with hasty(bench, target) as client:
                first = client.ask(*words)
            return first[:1] in (b"-", b"") and redis.ask("DBSIZE") == b":1"

    return probe


def answers(*requests, wanted):
    """Returns true if the last of these commands gets this reply."""

    def probe(bench, target):
        with hasty(bench, target) as client:
            for words in requests:
                reply = client.ask(*words)
            return reply.startswith(wanted)

    return probe


def transaction(bench, target):
    with hasty(bench, target) as client:
        asked = [client.ask("MULTI"), client.ask("SET", "key", "a"), client.ask("INCR", "count")]
        return asked == [b"+OK", b"+QUEUED", b"+QUEUED"] and client.ask("EXEC") == b"*2"


def blocking(bench, target):
    """Waits in BLPOP until another client pushes."""
    with hasty(bench, target) as client, bench.client(bench.redis) as redis:
        client.socket.sendall(b"*3\r\n$5\r\nBLPOP\r\n$5\r\nqueue\r\n$1\r\n2\r\n")
        redis.ask("RPUSH", "queue", "value")
        return client.stream.readline().startswith(b"*2")


PROBES = {
    "`FLUSHALL` is refused": refuses("FLUSHALL"),
    "`CONFIG` is refused": refuses("CONFIG", "GET", "maxmemory"),
    "`EVAL \"redis.call('FLUSHALL')\"` is refused": refuses(
        "EVAL", "return redis.call('FLUSHALL')", "1", "key"),
    "scripts run": answers(("EVAL", "return 7", "1", "key"), wanted=b":7"),
    "`MULTI`, `EXEC`": transaction,
    "`SUBSCRIBE`": answers(("SUBSCRIBE", "channel"), wanted=b"*3"),
    "`BLPOP`": blocking,
    "`HELLO 3` (RESP3)": answers(("HELLO", "3"), wanted=b"%"),
    "`SELECT`": answers(("SELECT", "1"), wanted=b"+OK"),
    "`SCAN`": answers(("SCAN", "0"), wanted=b"*2"),
}


def tried(probe, bench, target):
    try:
        return "yes" if probe(bench, target) else "no"
    except OSError:
        return "no"


def main():
    names = [*PEERS, "redoubt"]
    with tempfile.TemporaryDirectory() as directory, Bench(directory) as bench:
        targets = [bench.start(name) for name in names]
        print("| |", " | ".join(title(name) for name in names), "|")
        print("|---|" + ":-:|" * len(names))
        for what, probe in PROBES.items():
            cells = []
            for target in targets:
                with bench.client(bench.redis) as redis:
                    redis.ask("FLUSHALL")
                cells.append(tried(probe, bench, target))
            print("|", " | ".join([what, *cells]), "|")


if __name__ == "__main__":
    main()

"""dramatiq: results, groups, delays and failures; both servers are restarted."""

import os

from harness import URL, Process, eventually, restart, step

os.environ["REDIS_URL"] = URL
import dramatiq  # noqa: E402
from dramatiq.results.errors import ResultFailure  # noqa: E402
from dramatiq_app import broker, fail, square  # noqa: E402


def round_of_messages(what):
    sent = [square.send(number) for number in range(20)]
    wanted = [number * number for number in range(20)]
    step(f"{what}: results", eventually(lambda: [one.get_result(block=True) for one in sent], wanted))


def main():
    with Process("dramatiq", "dramatiq_app", "--processes", "1", "--threads", "4"):
        round_of_messages("at first")
        group = dramatiq.group([square.message(number) for number in range(5)]).run()
        step("group", sorted(group.get_results(block=True, timeout=30_000)))
        delayed = square.send_with_options(args=(7,), delay=1000)
        step("delayed", delayed.get_result(block=True, timeout=30_000))
        try:
            step("failed", fail.send().get_result(block=True, timeout=30_000))
        except ResultFailure as error:
            step("failed", error)
        for server in ("redis", "redoubt"):
            restart(server)
            step("ping", eventually(broker.client.ping, True))
            round_of_messages(f"after {server}")
    broker.join("default")
    step("queue is empty", broker.client.hlen("dramatiq:default.msgs"))


main()

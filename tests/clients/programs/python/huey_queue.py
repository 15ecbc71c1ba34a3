"""Huey: results, delays, a pipeline, failures and a lock; both servers are restarted."""

import os

from harness import URL, Process, eventually, restart, step

os.environ["REDIS_URL"] = URL
from huey.exceptions import TaskException  # noqa: E402
from huey_app import fail, huey, square  # noqa: E402


def round_of_tasks(what):
    sent = [square(number) for number in range(20)]
    wanted = [number * number for number in range(20)]
    step(f"{what}: results", eventually(lambda: [one.get(preserve=True) for one in sent], wanted))


def main():
    # It ends at once with an interrupt.
    with Process("huey_consumer", "huey_app.huey", "-w", "4", "-s", "1", "-q"):
        round_of_tasks("at first")
        step("delayed", square.schedule((7,), delay=1).get(blocking=True, timeout=30))
        results = huey.enqueue(square.s(2).then(square).then(square))
        step("pipeline", results.get(blocking=True, timeout=30))
        try:
            step("failed", fail().get(blocking=True, timeout=30))
        except TaskException as error:
            step("failed", error)
        with huey.lock_task("lock"):
            step("locked", huey.is_locked("lock"))
        step("unlocked", huey.is_locked("lock"))
        for server in ("redis", "redoubt"):
            restart(server)
            step("ping", eventually(huey.storage.conn.ping, True))
            round_of_tasks(f"after {server}")
    step("queue is empty", len(huey))


main()

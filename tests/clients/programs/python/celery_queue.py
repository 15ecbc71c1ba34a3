"""Celery: tasks, groups, chords, retries, a countdown and remote control; both servers are restarted."""

import os

from harness import URL, Process, eventually, restart, step
from redis import Redis

os.environ["REDIS_URL"] = URL
from celery import group  # noqa: E402
from celery_app import app, fail, square, sum_of_squares, works_at_third_try  # noqa: E402


def round_of_tasks(what):
    sent = [square.delay(number) for number in range(20)]
    wanted = [number * number for number in range(20)]
    step(f"{what}: results", eventually(lambda: [one.get(timeout=30) for one in sent], wanted))
    # A worker ends, directly too, when its connection breaks while it acknowledges a task.
    step(f"{what}: not acknowledged", eventually(lambda: Redis.from_url(URL).hlen("unacked"), 0))


def attempt(action):
    try:
        return action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main():
    # The pool of threads starts fastest.
    words = ["-A", "celery_app", "worker", "-P", "threads", "-c", "4", "-n", "w1@here", "-l", "warning"]
    with Process("celery", *words):
        step("ping", eventually(lambda: app.control.ping(timeout=1), [{"w1@here": {"ok": "pong"}}]))
        round_of_tasks("at first")
        step("group", sorted(group(square.s(number) for number in range(5))().get(timeout=30)))
        step("chord", sum_of_squares(range(5))().get(timeout=30))
        step("retry", works_at_third_try.delay().get(timeout=30))
        step("failed", attempt(lambda: fail.delay().get(timeout=30)))
        step("countdown", square.apply_async((7,), countdown=1).get(timeout=30))
        registered = app.control.inspect(timeout=5).registered() or {}
        step("inspect", {name: [one for one in tasks if "square" in one] for name, tasks in registered.items()})
        restart("redis")
        step("ping", eventually(lambda: app.control.ping(timeout=1), [{"w1@here": {"ok": "pong"}}]))
        round_of_tasks("after Redis")
        restart("redoubt")
        step("ping", eventually(lambda: app.control.ping(timeout=1), [{"w1@here": {"ok": "pong"}}]))
        round_of_tasks("after Redoubt")
        step("revoked", attempt(lambda: revoked()))


def revoked():
    task = square.apply_async((8,), countdown=3600)
    app.control.revoke(task.id)
    return eventually(lambda: app.control.inspect(timeout=1).revoked() == {"w1@here": [task.id]}, True)


main()

"""arq: results, delays, retries, failures and unique jobs; both servers are restarted."""

import asyncio
import os
from datetime import timedelta

from harness import URL, Process, restart, step

os.environ["REDIS_URL"] = URL
from arq import create_pool  # noqa: E402
from arq.connections import RedisSettings  # noqa: E402
from redis.exceptions import RedisError  # noqa: E402

NUMBERS = range(20)
SQUARES = [number * number for number in NUMBERS]


async def finished(action):
    """Awaits what `action` gives, repeatedly if the connection breaks meanwhile."""
    for _ in range(600):
        try:
            return await action()
        except RedisError:
            await asyncio.sleep(0.1)
    return None


async def result(job):
    try:
        return await finished(lambda: job.result(timeout=30, poll_delay=0.05))
    except ValueError as error:
        return str(error)


async def results(sent):
    return await asyncio.gather(*(result(job) for job in sent))


def worker():
    return Process("arq", "arq_app.WorkerSettings")


async def main():
    pool = await create_pool(RedisSettings.from_dsn(URL + "0"))

    async def enqueue(name, *args, **options):
        return await pool.enqueue_job(name, *args, **options)

    async def squares():
        return [await enqueue("square", number) for number in NUMBERS]

    with worker():
        step("at first: results", await results(await squares()) == SQUARES)
        step("delayed", await result(await enqueue("square", 7, _defer_by=timedelta(seconds=1))))
        step("third try", await result(await enqueue("third_try")))
        step("failed", await result(await enqueue("fail")))
        first = await enqueue("square", 8, _job_id="once")
        step("unique", [first is not None, await enqueue("square", 8, _job_id="once")])
        step("its result", await result(first))
        step("its status", await first.status())
    for server in ("redis", "redoubt"):
        waiting = await squares()
        later = await enqueue("square", 9, _defer_by=timedelta(seconds=2))
        # A worker ends when its connection breaks, directly too, so it is started again.
        restart(server)
        step(f"after {server}: ping", await finished(pool.ping))
        with worker():
            step(f"before {server}: results", await results(waiting) == SQUARES)
            step(f"after {server}: results", await results(await squares()) == SQUARES)
            step(f"delayed before {server}", await result(later))
    step("queue is empty", len(await pool.queued_jobs()))


asyncio.run(main())

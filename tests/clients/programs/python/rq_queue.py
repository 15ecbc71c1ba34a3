"""RQ: a worker of its own runs jobs, scheduled jobs and jobs that fail; both servers are restarted."""

from datetime import timedelta

from harness import URL, Process, eventually, restart, step
from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.registry import FailedJobRegistry

import jobs


def results(queue, started):
    """Returns the results of the jobs; None for each that has none yet."""
    return [Job.fetch(one.id, connection=queue.connection).return_value() for one in started]


NUMBERS = range(10)
SQUARES = [number * number for number in NUMBERS]


def enqueue(queue):
    return [queue.enqueue(jobs.square, number) for number in NUMBERS]


def round_of_jobs(queue, what, started):
    step(f"{what}: results", eventually(lambda: results(queue, started), SQUARES))


def worker():
    return Process("rq", "worker", "--url", URL, "--name", "w1", "--with-scheduler", "work")


def main():
    connection = Redis.from_url(URL)
    queue = Queue("work", connection=connection)
    with worker():
        step("workers", eventually(lambda: [one.name for one in Worker.all(connection)], ["w1"]))
        round_of_jobs(queue, "at first", enqueue(queue))
        address = Worker.all(connection)[0].ip_address
        step("worker's address is known", address not in (None, "unknown"))
        failed = queue.enqueue(jobs.fail)
        registry = FailedJobRegistry(queue=queue)
        step("failed", eventually(lambda: registry.get_job_ids() == [failed.id], True))
        first = queue.enqueue(jobs.square, 5)
        second = queue.enqueue(jobs.square, 6, depends_on=first)
        step("dependent", eventually(lambda: results(queue, [first, second]), [25, 36]))
        later = queue.enqueue_in(timedelta(seconds=1), jobs.square, 7)
        step("scheduled", eventually(lambda: results(queue, [later]), [49]))
    for server in ("redis", "redoubt"):
        waiting = enqueue(queue)
        later = queue.enqueue_in(timedelta(seconds=2), jobs.square, 8)
        # A worker may hang when its connections break, directly too, so it is started again.
        restart(server)
        step("ping", eventually(connection.ping, True))
        with worker():
            round_of_jobs(queue, f"before {server}", waiting)
            round_of_jobs(queue, f"after {server}", enqueue(queue))
            step(f"scheduled before {server}", eventually(lambda: results(queue, [later]), [64]))
    step("queue is empty", eventually(lambda: len(queue), 0))


main()

"""The tasks of celery_queue.py."""

import os

from celery import Celery, chord, group

app = Celery("app", broker=os.environ["REDIS_URL"] + "0", backend=os.environ["REDIS_URL"] + "1")
app.conf.update(broker_connection_retry_on_startup=True)


@app.task
def square(number):
    return number * number


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=3)
def works_at_third_try(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task
def fail():
    raise ValueError("this task always fails")


def sum_of_squares(numbers):
    return chord(group(square.s(number) for number in numbers), total.s())

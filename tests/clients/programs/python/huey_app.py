"""The tasks of huey_queue.py."""

import os

from huey import RedisHuey

huey = RedisHuey("app", url=os.environ["REDIS_URL"])


@huey.task()
def square(number):
    return number * number


@huey.task()
def fail():
    raise ValueError("this task always fails")

"""The jobs of the arq program, and its worker's settings."""

import os

from arq import Retry
from arq.connections import RedisSettings


async def square(_, number):
    return number * number


async def third_try(context):
    if context["job_try"] < 3:
        raise Retry(defer=0.1)
    return context["job_try"]


async def fail(_):
    raise ValueError("this job always fails")


class WorkerSettings:
    functions = [square, third_try, fail]
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"] + "0")
    poll_delay = 0.1
    health_check_interval = 1

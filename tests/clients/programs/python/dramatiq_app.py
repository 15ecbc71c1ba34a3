"""The actors of dramatiq_queue.py."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

broker = RedisBroker(url=os.environ["REDIS_URL"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["REDIS_URL"])))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def square(number):
    return number * number


@dramatiq.actor(store_results=True, max_retries=0)
def fail():
    raise ValueError("this actor always fails")

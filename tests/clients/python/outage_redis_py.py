"""redis-py while Redis is down."""

import sys
import threading
import time
from urllib.parse import urlsplit

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

url = sys.argv[-1]


def step(what, result):
    print(f"step {what} => {result}", flush=True)


def ask(what):
    """Has the test kill or start Redis."""
    print(f"{what} redis", flush=True)
    assert sys.stdin.readline() == "done\n"


def attempt(action):
    try:
        return action()
    except redis.RedisError as error:
        return type(error).__name__


def patient():
    return redis.from_url(url, retry=Retry(ConstantBackoff(0.1), 300))


before = patient()
step("set", before.set("k", 0))
ask("kill")
impatient = redis.from_url(url, retry=Retry(ConstantBackoff(0.1), 2))
step("without Redis", attempt(impatient.ping))
values = []
threads = [threading.Thread(target=lambda: values.append(patient().incr("k"))) for _ in range(10)]
for thread in threads:
    thread.start()
# Long enough for several attempts.
time.sleep(1)
step("answered without Redis", len(values))
ask("start")
for thread in threads:
    thread.join()
step("each ran once", sorted(values))
step("again", before.ping())
at = urlsplit(url)
step("wrong password", attempt(redis.Redis(host=at.hostname, port=at.port, password="x" * 40).ping))

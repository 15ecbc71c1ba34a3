"""redis-py with maintenance notifications, whose server is replaced meanwhile."""

import sys
import threading

import redis
from redis.backoff import NoBackoff
from redis.maint_notifications import EndpointType, MaintNotificationsConfig
from redis.retry import Retry

URL = sys.argv[1]
THREADS = 3

config = MaintNotificationsConfig(enabled=True, endpoint_type=EndpointType.NONE)
# A request that fails is not tried again.
client = redis.Redis.from_url(
    URL, protocol=3, maint_notifications_config=config, retry=Retry(NoBackoff(), 0)
)
ended = threading.Event()
connected = threading.Barrier(THREADS + 1)
errors = []


def work(name):
    count, key = 0, f"py:moved:{name}"
    # A thread that has a connection while all others have theirs uses one of its own.
    with client.client() as single:
        single.ping()
        connected.wait()
    while not ended.is_set():
        try:
            count += 1
            assert client.incr(key) == count
        except Exception as error:
            errors.append(repr(error))
            return


threads = [threading.Thread(target=work, args=[name]) for name in range(THREADS)]
for thread in threads:
    thread.start()
connected.wait()
print("ready", flush=True)
sys.stdin.read()
ended.set()
for thread in threads:
    thread.join()
assert not errors, errors
print("all is well")

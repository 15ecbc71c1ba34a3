"""What the programs share: their arguments, and a word with the test that runs them."""

import sys
import time
from urllib.parse import urlsplit

URL, PROTOCOL = sys.argv[1], int(sys.argv[2])
PARTS = urlsplit(URL)

LARGE = 32 << 20
# Numbers of clients and of transactions of each, on one key.
RIVALS, TIMES = 4, 25

COUNT_UP = "redis.call('INCRBY', KEYS[1], ARGV[1]) return {KEYS[1], redis.call('GET', KEYS[1])}"


def restart_redis():
    """Has the test kill Redis and start it again on its port, empty."""
    print("restart redis", flush=True)
    assert sys.stdin.readline() == "restarted\n"


def deadline():
    """True until it has been asked for half a minute."""
    end = time.monotonic() + 30
    return lambda: time.monotonic() < end

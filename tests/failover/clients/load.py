"""Writes through redis-py in its default settings until a line comes on standard input, and prints what became of it.

load.py ID redis://…                          connects there
load.py ID sentinel HOST:PORT,… NAME SENTINEL_PASSWORD PASSWORD    asks Sentinels itself
"""

import json
import sys
import threading
import time

import redis
from redis.sentinel import Sentinel


def connection(args):
    if args[0] != "sentinel":
        return redis.Redis.from_url(args[0])
    _, hosts, name, own, password = args
    hosts = [tuple(host.split(":")) for host in hosts.split(",")]
    sentinels = Sentinel(hosts, sentinel_kwargs={"password": own}, password=password)
    return sentinels.master_for(name)


class Writer(threading.Thread):
    def __init__(self, client, name, stop):
        super().__init__(daemon=True)
        self.client, self.name, self.stop = client, name, stop
        self.failed, self.crossed, self.gap, self.count, self.errors = [], 0, 0.0, 0, {}

    def run(self):
        last = time.monotonic()
        while not self.stop.is_set():
            number, self.count = self.count, self.count + 1
            key = f"w:{self.name}:{number}"
            try:
                if self.client.set(key, key) is not True:
                    self.crossed += 1
                now = time.monotonic()
                self.gap, last = max(self.gap, now - last), now
            except redis.RedisError as error:
                self.failed.append(number)
                name = type(error).__name__
                self.errors[name] = self.errors.get(name, 0) + 1
                continue
            try:
                # A replica that was promoted may lack the key; another key's value is never right.
                if self.client.get(key) not in (key.encode(), None):
                    self.crossed += 1
            except redis.RedisError:
                pass
            time.sleep(0.001)


def main():
    stop = threading.Event()
    client = connection(sys.argv[2:])
    writers = [Writer(client, f"{sys.argv[1]}-{index}", stop) for index in range(4)]
    client.ping()
    for writer in writers:
        writer.start()
    print("writing", flush=True)
    sys.stdin.readline()
    stop.set()
    for writer in writers:
        writer.join()
    print(json.dumps([
        {"name": w.name, "count": w.count, "failed": w.failed, "crossed": w.crossed, "gap": w.gap,
         "errors": w.errors}
        for w in writers
    ]), flush=True)


main()

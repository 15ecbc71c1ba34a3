"""redis_exporter: which metrics it finds."""

import os
import re
import socket
import urllib.request
from urllib.parse import urlsplit

from harness import URL, Process, eventually, step
from redis import Redis

redis = Redis.from_url(URL)
redis.set("k", "v")
redis.zadd("z", {"one": 1})
with socket.create_server(("127.0.0.1", 0)) as listener:
    address = "127.0.0.1:%d" % listener.getsockname()[1]
parts = urlsplit(URL)
# The address that it shows in its metrics has no password.
os.environ.update(REDIS_ADDR=f"redis://{parts.hostname}:{parts.port}", REDIS_PASSWORD=parts.password)
words = ["--web.listen-address", address, "--check-single-keys", "db0=k,db0=z", "--export-client-list"]


def scraped():
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
        return response.read().decode()


def value(metric):
    found = re.search(rf"^{re.escape(metric)} (\S+)$", scraped(), re.MULTILINE)
    return found and float(found[1])


with Process("/usr/bin/prometheus-redis-exporter", *words):
    step("up", eventually(lambda: value("redis_up"), 1.0))
    text = scraped()
    names = sorted(set(re.findall(r"^(redis_\w+)", text, re.MULTILINE)))
    asked = {"CONFIG GET": r"redis_config_", "SLOWLOG GET": r"redis_(slowlog_last_id|last_slow_)"}
    for command, pattern in asked.items():
        step(f"metrics by {command}", [name for name in names if re.match(pattern, name)])
        names = [name for name in names if not re.match(pattern, name)]
    step("other metrics", names)
    step("sessions", value("redis_connected_clients") > 0)
    step("key", [value('redis_db_keys{db="db0"}'), value('redis_key_size{db="db0",key="z"}')])
    step("errors", value("redis_exporter_last_scrape_error{err=\"\"}"))

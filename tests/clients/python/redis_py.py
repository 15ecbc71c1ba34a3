"""What an ordinary program does with redis-py; any surprise is an exception."""

import threading

import redis
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.connection import CacheProxyConnection
from redis.retry import Retry

from harness import COUNT_UP, LARGE, PARTS, PROTOCOL, RIVALS, TIMES, URL, deadline, restart_redis


def connect(**options):
    return redis.Redis.from_url(URL, protocol=PROTOCOL, **options)


def strings(client):
    assert client.ping()
    assert client.set("py:k", "välue")
    assert client.get("py:k") == "välue".encode()
    assert client.get("py:none") is None
    assert client.incrby("py:n", 5) == 5
    assert client.hset("py:h", mapping={"a": "1", "b": "2"}) == 2
    assert client.hgetall("py:h") == {b"a": b"1", b"b": b"2"}
    assert client.delete("py:k", "py:none") == 1


def pipeline(client):
    with client.pipeline(transaction=False) as pipe:
        for number in range(10_000):
            pipe.set(f"py:pipe:{number % 100}", number)
            if number % 2:
                pipe.get(f"py:pipe:{number % 100}")
        replies = iter(pipe.execute())
    for number in range(10_000):
        assert next(replies) is True
        if number % 2:
            assert next(replies) == str(number).encode()


def transaction(client):
    with client.pipeline(transaction=True) as pipe:
        assert pipe.set("py:t", 1).incr("py:t").get("py:t").execute() == [True, 2, b"2"]
    with client.pipeline(transaction=True) as pipe:
        pipe.watch("py:t")
        client.set("py:t", "changed")
        pipe.multi()
        pipe.set("py:t", "mine")
        try:
            pipe.execute()
        except redis.WatchError:
            pass
        else:
            raise AssertionError("the watched key had changed")
    assert client.get("py:t") == b"changed"


def contention(client):
    def add():
        for _ in range(TIMES):
            rival.transaction(increment, "py:contended")

    def increment(pipe):
        count = int(pipe.get("py:contended") or 0)
        pipe.multi()
        pipe.set("py:contended", count + 1)

    rival = connect()
    threads = [threading.Thread(target=add) for _ in range(RIVALS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("py:contended") == str(RIVALS * TIMES).encode()


def publish_subscribe(client):
    with client.pubsub() as pubsub:
        pubsub.subscribe("py:c")
        pubsub.psubscribe("py:p*")
        for kind in ("subscribe", "psubscribe"):
            assert pubsub.get_message(timeout=30)["type"] == kind
        assert client.publish("py:c", "one") == 1
        assert client.publish("py:pattern", "two") == 1
        message = pubsub.get_message(timeout=30)
        assert (message["type"], message["data"]) == ("message", b"one"), message
        message = pubsub.get_message(timeout=30)
        assert (message["type"], message["channel"]) == ("pmessage", b"py:pattern"), message
        pubsub.unsubscribe()
        pubsub.punsubscribe()
        for kind in ("unsubscribe", "punsubscribe"):
            assert pubsub.get_message(timeout=30)["type"] == kind


def blocking_pop(client):
    popped = []

    def pop():
        popped.append(connect().blpop(["py:q"], timeout=30))

    waiting = threading.Thread(target=pop)
    waiting.start()
    client.rpush("py:q", "work")
    waiting.join()
    assert list(popped[0]) == [b"py:q", b"work"], popped
    assert client.blpop(["py:q"], timeout=0.1) is None


def script(client):
    """The library sends EVALSHA, and loads the script when Redis answers NOSCRIPT."""
    count_up = client.register_script(COUNT_UP)
    assert client.script_exists(count_up.sha) == [False]
    assert count_up(["py:script"], [2]) == [b"py:script", b"2"]
    assert client.script_exists(count_up.sha) == [True]
    assert count_up(["py:script"], [3]) == [b"py:script", b"5"]


def scan(client):
    names = {f"py:scan:{number}".encode() for number in range(1000)}
    client.mset({name: 1 for name in names})
    assert set(client.scan_iter(match="py:scan:*", count=50)) == names


def large(client):
    value = b"0123456789abcdef" * (LARGE // 16)
    assert client.set("py:large", value)
    assert client.strlen("py:large") == LARGE
    assert client.get("py:large") == value


def tracking(client):
    # The library requires 7.4 because some other servers lacked tracking before; Redis 7.0 has it.
    CacheProxyConnection.MIN_ALLOWED_VERSION = "7.0.0"
    cached = connect(cache_config=CacheConfig())
    for number in range(20):
        value = str(number).encode()
        client.set("py:tracked", value)
        in_time = deadline()
        # The library knows that its copy is outdated once the push has arrived.
        while cached.get("py:tracked") != value:
            assert in_time()
        assert cached.get("py:tracked") == value
    assert len(cached.get_cache().collection) == 1


def refused(client):
    try:
        client.flushall()
    except redis.ResponseError as error:
        assert "unknown command 'FLUSHALL'" in str(error), error
    else:
        raise AssertionError("FLUSHALL was not refused")
    wrong = redis.Redis.from_url(
        URL.replace(PARTS.password, "wrong"), protocol=PROTOCOL, retry=Retry(NoBackoff(), 0)
    )
    try:
        wrong.ping()
    except redis.AuthenticationError:
        pass
    else:
        raise AssertionError("a wrong password was taken")


def restart(client):
    outcomes = []
    queue = f"py:lost:{PROTOCOL}"

    def pop():
        try:
            outcomes.append(waiting.blpop([queue], timeout=0))
        except redis.ConnectionError as error:
            outcomes.append(error)

    waiting = connect(retry=Retry(NoBackoff(), 0))
    waiting.ping()
    popping = threading.Thread(target=pop)
    popping.start()
    pubsub = client.pubsub()
    pubsub.subscribe("py:again")
    assert pubsub.get_message(timeout=30)["type"] == "subscribe"
    client.set("py:forgotten", 1)
    count_up = client.register_script(COUNT_UP)
    count_up(["py:script"], [1])

    restart_redis()

    popping.join()
    assert isinstance(outcomes[0], redis.ConnectionError), outcomes
    in_time = deadline()
    while True:
        try:
            assert client.get("py:forgotten") is None
            break
        except redis.ConnectionError:
            assert in_time()
    assert count_up(["py:script"], [7]) == [b"py:script", b"7"]
    # The library subscribes again without being asked.
    message = None
    while message is None or message["type"] != "subscribe":
        assert in_time()
        try:
            message = pubsub.get_message(timeout=30)
        except redis.ConnectionError:
            pass
    assert client.publish("py:again", "back") == 1
    assert pubsub.get_message(timeout=30)["data"] == b"back"
    assert waiting.ping()


def main():
    client = connect()
    strings(client)
    pipeline(client)
    transaction(client)
    contention(client)
    publish_subscribe(client)
    blocking_pop(client)
    script(client)
    scan(client)
    large(client)
    refused(client)
    if PROTOCOL == 3:
        tracking(client)
    restart(client)
    print("all is well")


main()

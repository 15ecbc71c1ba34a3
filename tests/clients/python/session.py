"""What an ordinary program does with redis-py; any surprise is an exception.

Arguments: the URL, and the version of the protocol.
"""

import sys
import threading

import redis

LARGE = 32 << 20


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


def blocking_pop(client, url, protocol):
    popped = []

    def pop():
        other = redis.Redis.from_url(url, protocol=protocol)
        popped.append(other.blpop(["py:q"], timeout=30))

    waiting = threading.Thread(target=pop)
    waiting.start()
    client.rpush("py:q", "work")
    waiting.join()
    assert list(popped[0]) == [b"py:q", b"work"], popped
    assert client.blpop(["py:q"], timeout=0.1) is None


def scan(client):
    names = {f"py:scan:{number}".encode() for number in range(1000)}
    client.mset({name: 1 for name in names})
    assert set(client.scan_iter(match="py:scan:*", count=50)) == names


def large(client):
    value = b"0123456789abcdef" * (LARGE // 16)
    assert client.set("py:large", value)
    assert client.strlen("py:large") == LARGE
    assert client.get("py:large") == value


def refused(client):
    try:
        client.flushall()
    except redis.ResponseError as error:
        assert "unknown command 'FLUSHALL'" in str(error), error
    else:
        raise AssertionError("FLUSHALL was not refused")
    wrong = redis.Redis(
        host=client.connection_pool.connection_kwargs["host"],
        port=client.connection_pool.connection_kwargs["port"],
        password="wrong",
        protocol=client.connection_pool.connection_kwargs["protocol"],
    )
    try:
        wrong.ping()
    except redis.AuthenticationError:
        pass
    else:
        raise AssertionError("a wrong password was taken")


def main():
    url, protocol = sys.argv[1], int(sys.argv[2])
    client = redis.Redis.from_url(url, protocol=protocol)
    strings(client)
    pipeline(client)
    transaction(client)
    publish_subscribe(client)
    blocking_pop(client, url, protocol)
    scan(client)
    large(client)
    refused(client)
    print("all is well")


main()

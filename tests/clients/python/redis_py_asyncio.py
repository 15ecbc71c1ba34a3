"""What an ordinary program does with redis-py's asyncio; any surprise is an exception."""

import asyncio

import redis.asyncio as redis
from redis.backoff import NoBackoff
from redis.asyncio.retry import Retry
from redis.exceptions import ConnectionError, ResponseError, WatchError

from harness import COUNT_UP, LARGE, PROTOCOL, RIVALS, TIMES, URL, deadline, restart_redis


def connect(**options):
    return redis.Redis.from_url(URL, protocol=PROTOCOL, **options)


async def pipeline(client):
    async with client.pipeline(transaction=False) as pipe:
        for number in range(10_000):
            pipe.echo(f"number {number}")
        replies = await pipe.execute()
    assert replies == [f"number {number}".encode() for number in range(10_000)]


async def concurrent(client):
    """Each task takes a connection of the pool."""

    async def echo(number):
        for step in range(50):
            text = f"{number}:{step}".encode()
            assert await client.echo(text) == text

    await asyncio.gather(*(echo(number) for number in range(50)))


async def transaction(client):
    async with client.pipeline(transaction=True) as pipe:
        assert await pipe.set("pa:t", 1).incr("pa:t").get("pa:t").execute() == [True, 2, b"2"]

    async def add():
        for _ in range(TIMES):
            async with client.pipeline(transaction=True) as pipe:
                while True:
                    await pipe.watch("pa:contended")
                    count = int(await pipe.get("pa:contended") or 0)
                    pipe.multi()
                    pipe.set("pa:contended", count + 1)
                    try:
                        await pipe.execute()
                        break
                    except WatchError:
                        continue

    await asyncio.gather(*(add() for _ in range(RIVALS)))
    assert await client.get("pa:contended") == str(RIVALS * TIMES).encode()


async def publish_subscribe(client):
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("pa:c")
        await pubsub.psubscribe("pa:p*")
        for kind in ("subscribe", "psubscribe"):
            assert (await pubsub.get_message(timeout=30))["type"] == kind
        assert await client.publish("pa:c", "one") == 1
        assert await client.publish("pa:pattern", "two") == 1
        message = await pubsub.get_message(timeout=30)
        assert (message["type"], message["data"]) == ("message", b"one"), message
        message = await pubsub.get_message(timeout=30)
        assert (message["type"], message["channel"]) == ("pmessage", b"pa:pattern"), message
        await pubsub.unsubscribe()
        await pubsub.punsubscribe()
        for kind in ("unsubscribe", "punsubscribe"):
            assert (await pubsub.get_message(timeout=30))["type"] == kind


async def blocking_pop(client):
    popping = asyncio.create_task(client.blpop(["pa:q"], timeout=30))
    await client.rpush("pa:q", "work")
    assert list(await popping) == [b"pa:q", b"work"]
    assert await client.blpop(["pa:q"], timeout=0.1) is None


async def abandoned_pop(client):
    """A pop that is given up must not take what comes later, nor spoil the pool."""
    popping = asyncio.create_task(client.blpop(["pa:abandoned"], timeout=0))
    assert await client.echo("meanwhile") == b"meanwhile"
    popping.cancel()
    await asyncio.gather(popping, return_exceptions=True)
    for number in range(20):
        assert await client.echo(f"after {number}") == f"after {number}".encode()


async def script(client):
    count_up = client.register_script(COUNT_UP)
    assert await client.script_exists(count_up.sha) == [False]
    assert await count_up(["pa:script"], [2]) == [b"pa:script", b"2"]
    assert await client.script_exists(count_up.sha) == [True]
    assert await count_up(["pa:script"], [3]) == [b"pa:script", b"5"]


async def scan(client):
    names = {f"pa:scan:{number}".encode() for number in range(1000)}
    await client.mset({name: 1 for name in names})
    assert {key async for key in client.scan_iter(match="pa:scan:*", count=50)} == names


async def large(client):
    value = b"0123456789abcdef" * (LARGE // 16)
    assert await client.set("pa:large", value)
    assert await client.get("pa:large") == value


async def refused(client):
    try:
        await client.flushall()
    except ResponseError as error:
        assert "unknown command 'FLUSHALL'" in str(error), error
    else:
        raise AssertionError("FLUSHALL was not refused")


async def restart(client):
    waiting = connect(retry=Retry(NoBackoff(), 0))
    await waiting.ping()
    popping = asyncio.create_task(waiting.blpop(["pa:lost"], timeout=0))
    pubsub = client.pubsub()
    await pubsub.subscribe("pa:again")
    assert (await pubsub.get_message(timeout=30))["type"] == "subscribe"
    await client.set("pa:forgotten", 1)
    count_up = client.register_script(COUNT_UP)
    await count_up(["pa:script"], [1])

    await asyncio.to_thread(restart_redis)

    (outcome,) = await asyncio.gather(popping, return_exceptions=True)
    assert isinstance(outcome, ConnectionError), outcome
    in_time = deadline()
    while True:
        try:
            assert await client.get("pa:forgotten") is None
            break
        except ConnectionError:
            assert in_time()
    assert await count_up(["pa:script"], [7]) == [b"pa:script", b"7"]
    message = None
    while message is None or message["type"] != "subscribe":
        assert in_time()
        try:
            message = await pubsub.get_message(timeout=30)
        except ConnectionError:
            pass
    assert await client.publish("pa:again", "back") == 1
    assert (await pubsub.get_message(timeout=30))["data"] == b"back"
    assert await waiting.ping()
    await pubsub.aclose()
    await waiting.aclose()


async def main():
    client = connect()
    await pipeline(client)
    await concurrent(client)
    await transaction(client)
    await publish_subscribe(client)
    await blocking_pop(client)
    await abandoned_pop(client)
    await script(client)
    await scan(client)
    await large(client)
    await refused(client)
    await restart(client)
    await client.aclose()
    print("all is well")


asyncio.run(main())

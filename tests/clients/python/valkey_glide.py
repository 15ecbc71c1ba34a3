"""What an ordinary program does with valkey-glide; any surprise is an exception."""

import asyncio

import glide
from glide import Batch, ClientSideCache, GlideClient, GlideClientConfiguration, Script

from harness import COUNT_UP, LARGE, PARTS, PROTOCOL, RIVALS, TIMES, deadline, restart_redis


async def connect(password=PARTS.password, **options):
    version = {2: glide.ProtocolVersion.RESP2, 3: glide.ProtocolVersion.RESP3}[PROTOCOL]
    configuration = GlideClientConfiguration(
        [glide.NodeAddress(PARTS.hostname, PARTS.port)],
        credentials=glide.ServerCredentials(password=password),
        protocol=version,
        request_timeout=30_000,
        **options,
    )
    return await GlideClient.create(configuration)


async def strings(client):
    assert await client.ping() == b"PONG"
    assert await client.set("gl:k", "välue") == "OK"
    assert await client.get("gl:k") == "välue".encode()
    assert await client.get("gl:none") is None
    assert await client.incrby("gl:n", 5) == 5
    assert await client.hset("gl:h", {"a": "1", "b": "2"}) == 2
    assert await client.hgetall("gl:h") == {b"a": b"1", b"b": b"2"}


async def pipeline(client):
    batch = Batch(is_atomic=False)
    for number in range(10_000):
        batch.echo(f"number {number}")
    replies = await client.exec(batch, raise_on_error=True)
    assert replies == [f"number {number}".encode() for number in range(10_000)]


async def concurrent(client):
    """One connection carries the commands of all tasks."""

    async def echo(number):
        for step in range(50):
            text = f"{number}:{step}"
            assert await client.echo(text) == text.encode()

    await asyncio.gather(*(echo(number) for number in range(50)))


async def transaction(client):
    batch = Batch(is_atomic=True)
    batch.set("gl:t", "1").incr("gl:t").get("gl:t")
    assert await client.exec(batch, raise_on_error=True) == ["OK", 2, b"2"]

    async def add():
        rival = await connect()
        for _ in range(TIMES):
            while True:
                await rival.watch(["gl:contended"])
                count = int(await rival.get("gl:contended") or 0)
                batch = Batch(is_atomic=True).set("gl:contended", str(count + 1))
                if await rival.exec(batch, raise_on_error=True) is not None:
                    break
        await rival.close()

    await asyncio.gather(*(add() for _ in range(RIVALS)))
    assert await client.get("gl:contended") == str(RIVALS * TIMES).encode()


async def publish_subscribe(client):
    subscriber = await connect()
    await subscriber.subscribe({"gl:c"}, 30_000)
    await subscriber.psubscribe({"gl:p*"}, 30_000)
    assert await client.publish("one", "gl:c") == 1
    assert await client.publish("two", "gl:pattern") == 1
    first = await subscriber.get_pubsub_message()
    assert (first.channel, first.message, first.pattern) == (b"gl:c", b"one", None), first
    second = await subscriber.get_pubsub_message()
    assert (second.channel, second.message) == (b"gl:pattern", b"two"), second
    # Other commands run on the connection meanwhile.
    assert await subscriber.echo("still here") == b"still here"
    await subscriber.unsubscribe({"gl:c"}, 30_000)
    await subscriber.punsubscribe({"gl:p*"}, 30_000)
    assert await client.publish("nobody", "gl:c") == 0
    await subscriber.close()


async def blocking_pop(client):
    waiting = await connect()
    popping = asyncio.create_task(waiting.blpop(["gl:q"], 30))
    await client.rpush("gl:q", ["work"])
    assert await popping == [b"gl:q", b"work"]
    assert await waiting.blpop(["gl:q"], 0.1) is None
    await waiting.close()


async def script(client, total):
    """The library sends EVALSHA, and loads the script when Redis answers NOSCRIPT."""
    count_up = Script(COUNT_UP)
    assert await client.script_exists([count_up.get_hash()]) == [False]
    answer = await client.invoke_script(count_up, ["gl:script"], ["2"])
    assert answer == [b"gl:script", str(total).encode()], answer
    assert await client.script_exists([count_up.get_hash()]) == [True]


async def scan(client):
    names = {f"gl:scan:{number}".encode() for number in range(1000)}
    await client.mset({name: "1" for name in names})
    found, cursor = set(), b"0"
    while True:
        cursor, keys = await client.scan(cursor, match="gl:scan:*", count=50)
        found.update(keys)
        if cursor == b"0":
            break
    assert found == names


async def large(client):
    value = b"0123456789abcdef" * (LARGE // 16)
    assert await client.set("gl:large", value) == "OK"
    assert await client.get("gl:large") == value


async def tracking(client):
    cache = ClientSideCache.create(
        max_cache_kb=1024, entry_ttl_ms=0, enable_metrics=True, server_assisted=True
    )
    cached = await connect(client_side_cache=cache)
    for number in range(20):
        value = str(number).encode()
        await client.set("gl:tracked", value)
        in_time = deadline()
        while await cached.get("gl:tracked") != value:
            assert in_time()
        assert await cached.get("gl:tracked") == value
    await cached.close()


async def refused(client):
    try:
        await client.flushall()
    except glide.RequestError as error:
        assert "unknown command" in str(error), error
    else:
        raise AssertionError("FLUSHALL was not refused")
    try:
        await connect(password="wrong")
    except glide.ClosingError as error:
        assert "WRONGPASS" in str(error) or "uthentication" in str(error), error
    else:
        raise AssertionError("a wrong password was taken")


async def restart(client):
    await client.set("gl:forgotten", "1")
    subscriber = await connect() if PROTOCOL == 3 else None
    if subscriber:
        await subscriber.subscribe({"gl:again"}, 30_000)

    await asyncio.to_thread(restart_redis)

    in_time = deadline()
    while True:
        try:
            assert await client.get("gl:forgotten") is None
            break
        except (glide.ConnectionError, glide.TimeoutError, glide.RequestError):
            assert in_time()
    await script(client, 2)
    if subscriber:
        # The library connects and subscribes again without being asked.
        while await client.publish("back", "gl:again") == 0:
            assert in_time()
        message = await subscriber.get_pubsub_message()
        assert (message.channel, message.message) == (b"gl:again", b"back"), message
        await subscriber.close()


async def main():
    client = await connect()
    await strings(client)
    await pipeline(client)
    await concurrent(client)
    await transaction(client)
    await blocking_pop(client)
    await script(client, 2)
    await scan(client)
    await large(client)
    await refused(client)
    if PROTOCOL == 3:
        # The library supports neither with RESP2.
        await publish_subscribe(client)
        await tracking(client)
    await restart(client)
    await client.close()
    print("all is well")


asyncio.run(main())

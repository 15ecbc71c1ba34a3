"""aiocache: values, counters, locks, decorators and clearing; both servers are restarted."""

import asyncio
from urllib.parse import urlsplit

from aiocache import Cache, cached
from aiocache.lock import OptimisticLock, OptimisticLockError, RedLock
from aiocache.serializers import JsonSerializer
from harness import URL, restart, step

parts = urlsplit(URL)
OPTIONS = {
    "endpoint": parts.hostname,
    "port": parts.port,
    "password": parts.password,
    "serializer": JsonSerializer(),
}
calls = []


@cached(cache=Cache.REDIS, key="tripled", ttl=60, namespace="values", **OPTIONS)
async def tripled(number):
    calls.append(number)
    return number * 3


async def attempt(action):
    try:
        return await action
    except Exception as error:
        return f"{type(error).__name__}: {error}"


async def eventually(action, wanted):
    for _ in range(600):
        found = await attempt(action())
        if found == wanted:
            break
        await asyncio.sleep(0.1)
    return found


async def main():
    cache = Cache(Cache.REDIS, namespace="app", **OPTIONS)
    whole = Cache(Cache.REDIS, db=1, **OPTIONS)
    step("set", [await cache.set("a", {"x": [1]}, ttl=60), await cache.get("a"), await cache.exists("a")])
    step("many", [await cache.multi_set([("b", 1), ("c", 2)]), await cache.multi_get(["b", "c", "none"])])
    step("added", [await cache.add("d", 1), await attempt(cache.add("d", 2))])
    step("counter", [await cache.increment("n"), await cache.increment("n", 5)])
    step("expires", [await cache.expire("a", 100), await cache.raw("ttl", "app:a") > 60])
    step("deleted", [await cache.delete("d"), await cache.delete("d")])
    step("decorated", [await tripled(2), await tripled(2), calls])

    async def once(_):
        async with RedLock(cache, "slow", lease=5):
            if await cache.get("slow") is None:
                calls.append("slow")
                await asyncio.sleep(0.2)
                await cache.set("slow", "done")
            return await cache.get("slow")

    step("locked", [await asyncio.gather(*map(once, range(5))), calls.count("slow")])
    await cache.set("versioned", "old")
    try:
        async with OptimisticLock(cache, "versioned") as lock:
            await cache.set("versioned", "newer")
            step("lock held", await lock.cas("mine"))
    except OptimisticLockError as error:
        step("lock lost", str(error))
    await whole.set("y", 1)
    step("cleared in a namespace", [await attempt(cache.clear(namespace="app")), await cache.get("a")])
    step("cleared", await attempt(whole.clear()))
    step("after it", await whole.get("y"))
    for server in ("redis", "redoubt"):
        await cache.set("kept", server)
        restart(server)
        step(f"after {server}", await eventually(lambda: cache.get("kept"), server))
        step(f"after {server}: counter", await eventually(lambda: cache.set("n", 1), True))
    await cache.close()
    await whole.close()


asyncio.run(main())

"""A Django site: its cache, that of django-redis, sessions, and channels of two nodes."""

import asyncio

import django
from django.conf import settings
from harness import URL, eventually, restart, step

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": URL + "1",
            "KEY_PREFIX": "site",
        },
        "extra": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": URL + "3",
            "KEY_PREFIX": "site",
        },
    },
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [URL + "2"]},
        },
        "pubsub": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [URL + "2"]},
        },
    },
    SECRET_KEY="of the test",
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["testserver"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
)
django.setup()

from channels.layers import ChannelLayerManager  # noqa: E402
from django.core.cache import caches  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.cache import cache_page  # noqa: E402

made = 0


def count(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(f"visit {request.session['visits']}")


@cache_page(60)
def page(request):
    global made
    made += 1
    return HttpResponse(f"made {made} times")


urlpatterns = [path("count", count), path("page", page)]


def attempt(action):
    try:
        return action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def cache(name):
    one = caches[name]
    one.set_many({"a": 1, "b": [2, 3]}, timeout=60)
    step(f"{name}: many", one.get_many(["a", "b", "c"]))
    step(f"{name}: add", (one.add("a", 5), one.add("d", 6)))
    step(f"{name}: incr", one.incr("a", 4))
    step(f"{name}: touched", (one.touch("a", 600), one.touch("none")))
    step(f"{name}: made once", [one.get_or_set("f", lambda: "f") for _ in range(2)])
    step(f"{name}: deleted", (one.delete("a"), one.delete("a"), one.has_key("b")))
    one.delete_many(["b", "d"])
    step(f"{name}: left", one.get_many(["a", "b", "d", "f"]))


def extras():
    """What only django-redis has."""
    one = caches["extra"]
    one.set_many({f"k:{number}": number for number in range(30)})
    step("extra: keys", sorted(one.keys("k:1*")))
    step("extra: iterated", len(list(one.iter_keys("k:*"))))
    with one.lock("lock", timeout=5):
        step("extra: locked", one.has_key("lock"))
    step("extra: ttl", one.ttl("k:1") is not None)
    step("extra: pattern deleted", one.delete_pattern("k:*"))


def site(client, what):
    step(f"{what}: session", eventually(lambda: client.get("/count").content, b"visit 1"))
    step(f"{what}: page", [client.get("/page").content for _ in range(2)])


def clear(name):
    caches[name].set("g", 1)
    step(f"{name}: cleared", attempt(lambda: caches[name].clear()))
    step(f"{name}: after it", caches[name].get("g"))


async def channels(name, what):
    # A layer is of a process; each manager makes layers of its own.
    one, two = (ChannelLayerManager()[name] for _ in range(2))
    first, second = await one.new_channel(), await two.new_channel()
    await one.group_add("room", first)
    await two.group_add("room", second)

    async def heard():
        await one.group_send("room", {"type": "said", "text": "hello"})
        got = [await asyncio.wait_for(layer.receive(channel), 10) for layer, channel in ((one, first), (two, second))]
        return [message["text"] for message in got]

    step(f"channels {name}: {what}: a group", await heard())
    await one.send(second, {"type": "said", "text": "to one"})
    step(f"channels {name}: {what}: one channel", await asyncio.wait_for(two.receive(second), 10))
    await one.group_discard("room", first)
    await two.group_send("room", {"type": "said", "text": "to the rest"})
    step(f"channels {name}: {what}: the rest", await asyncio.wait_for(two.receive(second), 10))
    for layer in (one, two):
        if hasattr(layer, "flush") and name == "pubsub":
            await layer.flush()
        elif hasattr(layer, "close_pools"):
            await layer.close_pools()


def main():
    for name in ("default", "extra"):
        cache(name)
    extras()
    for name in ("default", "pubsub"):
        asyncio.run(channels(name, "at first"))
    site(Client(), "at first")
    visitor = Client()
    visitor.get("/count")
    for server in ("redis", "redoubt"):
        restart(server)
        site(Client(), f"after {server}")
        for name in ("default", "pubsub"):
            asyncio.run(channels(name, f"after {server}"))
    step("session from before", visitor.get("/count").content)
    for name in ("default", "extra"):
        clear(name)


main()

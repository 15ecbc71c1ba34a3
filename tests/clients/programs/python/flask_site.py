"""A Flask site: sessions of Flask-Session, cached views and values of Flask-Caching; both servers are restarted."""

from urllib.parse import urlsplit

from flask import Flask, session
from flask_caching import Cache
from flask_session import Session
from harness import URL, eventually, restart, step
from redis import Redis

app = Flask(__name__)
# It logs each error while a server is away.
app.logger.disabled = True
app.config.update(
    SESSION_TYPE="redis",
    SESSION_REDIS=Redis.from_url(URL + "1"),
    CACHE_TYPE="RedisCache",
    CACHE_REDIS_URL=URL + "2",
    CACHE_KEY_PREFIX="site:",
)
Session(app)
cache = Cache(app)
# Without a prefix it empties its database.
whole = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": URL + "3", "CACHE_KEY_PREFIX": ""})
rendered = []


@app.route("/visit")
def visit():
    session["visits"] = session.get("visits", 0) + 1
    return str(session["visits"])


@app.route("/leave")
def leave():
    session.clear()
    return "left"


@app.route("/page")
@cache.cached(timeout=60)
def page():
    rendered.append("page")
    return f"rendered {len(rendered)}"


@cache.memoize(60)
def doubled(number):
    rendered.append("doubled")
    return number * 2


def attempt(action):
    try:
        return action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def get(client, path):
    return client.get(path).text


def main():
    ann, bob = app.test_client(), app.test_client()
    step("visits", [get(ann, "/visit"), get(ann, "/visit"), get(bob, "/visit")])
    step("page", [get(ann, "/page"), get(bob, "/page"), rendered.count("page")])
    step("memoized", [doubled(2), doubled(2), doubled(3), rendered.count("doubled")])
    with app.app_context():
        cache.delete_memoized(doubled, 2)
        step("forgotten", [doubled(2), doubled(3), rendered.count("doubled")])
        step("many", [cache.set_many({"a": 1, "b": [2]}), cache.get_many("a", "b", "c"), cache.has("a")])
        step("deleted", [cache.delete_many("a", "b"), cache.get("a")])
        step("added", [cache.add("x", 1), cache.add("x", 2)])
        whole.set("y", 1)
        step("cleared with a prefix", attempt(cache.clear))
        step("after it", [cache.get("x"), whole.get("y")])
        step("cleared without a prefix", attempt(whole.clear))
        step("after it, without a prefix", whole.get("y"))
    for server in ("redis", "redoubt"):
        restart(server)
        step(f"after {server}", eventually(lambda: get(ann, "/visit").isdigit(), True))
        step(f"after {server}: page", eventually(lambda: get(bob, "/page").startswith("rendered"), True))
        step(f"after {server}: bob", get(bob, "/visit"))
    step("left", [get(ann, "/leave"), get(ann, "/visit")])
    ttl = [Redis.from_url(URL + "1").ttl(key) > 0 for key in Redis.from_url(URL + "1").keys("session:*")]
    step("sessions expire", ttl)


assert urlsplit(URL).path == "/"
main()

"""RedisVL: an index on hashes and on JSON, vector queries, a semantic cache, message history, a router."""

import asyncio

from redis import Redis
from redisvl.extensions.cache.embeddings import EmbeddingsCache
from redisvl.extensions.cache.llm import SemanticCache
from redisvl.extensions.message_history import MessageHistory, SemanticMessageHistory
from redisvl.extensions.router import Route, SemanticRouter
from redisvl.index import AsyncSearchIndex, SearchIndex
from redisvl.query import CountQuery, FilterQuery, HybridQuery, TextQuery, VectorQuery, VectorRangeQuery
from redisvl.query.filter import Num, Tag
from redisvl.utils.vectorize import CustomVectorizer

from harness import URL, delete_index, step
from vectors import DIMENSIONS, embed, embed_many

USERS = [
    {"user": "john", "age": 1, "job": "engineer", "bio": "builds bridges of steel"},
    {"user": "mary", "age": 2, "job": "doctor", "bio": "heals people in a hospital"},
    {"user": "joe", "age": 3, "job": "dentist", "bio": "heals teeth of people"},
]


def schema(storage):
    vector = {"dims": DIMENSIONS, "distance_metric": "cosine", "algorithm": "hnsw", "datatype": "float32"}
    return {
        "index": {"name": f"users-{storage}", "prefix": f"users-{storage}", "storage_type": storage},
        "fields": [
            {"name": "user", "type": "tag"},
            {"name": "age", "type": "numeric"},
            {"name": "job", "type": "tag"},
            {"name": "bio", "type": "text"},
            {"name": "vector", "type": "vector", "attrs": vector},
        ],
    }


def records(vectorizer, storage):
    as_buffer = storage == "hash"
    return [dict(user, vector=vectorizer.embed(user["bio"], as_buffer=as_buffer)) for user in USERS]


def names(found):
    return [one["user"] for one in found]


def clear(owner, index):
    """Deletes the documents by their names, and then the index alone."""
    owner.clear()
    index.delete(drop=False)


def index(vectorizer, storage):
    users = SearchIndex.from_dict(schema(storage), redis_url=URL)
    users.create()
    step(f"{storage}: the index exists", users.exists())
    users.create(overwrite=True)
    step(f"{storage}: all indexes", users.listall())
    keys = users.load(records(vectorizer, storage), id_field="user")
    step(f"{storage}: loaded", keys)
    step(f"{storage}: fetched", users.fetch("mary")["job"])

    near = {"vector": embed("a hospital heals"), "vector_field_name": "vector"}
    found = users.query(VectorQuery(**near, return_fields=["user", "age"], num_results=2))
    step(f"{storage}: nearest", [(one["user"], one["age"], one["vector_distance"][:6]) for one in found])
    older = Num("age") > 2
    found = users.query(VectorQuery(**near, return_fields=["user"], filter_expression=older))
    step(f"{storage}: nearest and older", names(found))
    found = users.query(VectorRangeQuery(**near, return_fields=["user"], distance_threshold=0.5))
    step(f"{storage}: within a distance", names(found))
    found = users.query(FilterQuery(return_fields=["user"], filter_expression=Tag("job") == "dentist"))
    step(f"{storage}: by tag", names(found))
    found = users.query(TextQuery("steel bridges", "bio", return_fields=["user"]))
    step(f"{storage}: by text", names(found))
    step(f"{storage}: counted", users.query(CountQuery(Num("age") >= 2)))
    batch = users.batch_query([FilterQuery(filter_expression=Num("age") == age) for age in (1, 2)])
    step(f"{storage}: in a batch", [len(found) for found in batch])
    pages = users.paginate(FilterQuery(return_fields=["user"]).sort_by("age"), page_size=2)
    step(f"{storage}: in pages", [names(page) for page in pages])
    step(f"{storage}: documents", int(users.info()["num_docs"]))

    existing = SearchIndex.from_existing(f"users-{storage}", redis_url=URL)
    step(f"{storage}: fields of the existing index", sorted(existing.schema.field_names))
    step(f"{storage}: one deleted", users.drop_keys(keys[0]))
    step(f"{storage}: the others deleted", users.clear())
    users.load(records(vectorizer, storage), id_field="user")
    delete_index(storage, users.delete, lambda: clear(users, users))
    step(f"{storage}: left", (users.exists(), list(users.client.scan_iter("users-*"))))


async def index_async(vectorizer):
    async with AsyncSearchIndex.from_dict(schema("hash"), redis_url=URL) as users:
        await users.create(overwrite=True)
        await users.load(records(vectorizer, "hash"), id_field="user")
        query = VectorQuery(embed("heals teeth"), "vector", return_fields=["user"], num_results=1)
        found = await asyncio.gather(*(users.query(query) for _ in range(20)))
        step("asyncio: nearest, 20 at a time", {name for one in found for name in names(one)})
        step("asyncio: deleted", await users.clear())
        await users.delete(drop=False)


def semantic_cache(vectorizer):
    fields = [{"name": "tenant", "type": "tag"}]
    options = {"name": "cache", "vectorizer": vectorizer, "redis_url": URL, "filterable_fields": fields}
    cache = SemanticCache(**options, distance_threshold=0.3, ttl=600)
    question = "What is the capital city of France?"
    step("cache: empty", cache.check(prompt=question))
    key = cache.store(question, "Paris", metadata={"city": "Paris"}, filters={"tenant": "a"})
    step("cache: same question", cache.check(prompt=question)[0]["response"])
    found = cache.check(prompt="What is the capital of France?")
    step("cache: like question", (found[0]["response"], found[0]["metadata"], found[0]["vector_distance"] < 0.3))
    step("cache: other question", cache.check(prompt="How tall is a giraffe?"))
    step("cache: other tenant", cache.check(prompt=question, filter_expression=Tag("tenant") == "b"))
    cache.update(key, metadata={"city": "changed"})
    step("cache: updated", cache.check(prompt=question)[0]["metadata"])
    step("cache: expires", 0 < cache._index.client.ttl(key) <= 600)
    SemanticCache(**options)
    step("cache: opened again", cache.check(prompt=question)[0]["response"])
    cache.drop(keys=[key])
    step("cache: dropped", cache.check(prompt=question))
    cache.store(question, "Paris")
    delete_index("cache", cache.delete, lambda: clear(cache, cache._index))
    step("cache: left", list(cache._index.client.scan_iter("cache*")))


def embeddings_cache():
    client = Redis.from_url(URL)
    cache = EmbeddingsCache(name="embeddings", redis_client=client, ttl=600)
    vectorizer = CustomVectorizer(embed=embed, embed_many=embed_many, cache=cache)
    vectorizer.embed("once")
    step("embeddings: cached", len(cache.get("once", "custom")["embedding"]))
    vectorizer.embed_many(["once", "twice", "thrice"])
    step("embeddings: cached many", cache.mexists(["twice", "nothing"], "custom"))
    cache.drop("once", "custom")
    step("embeddings: dropped", cache.exists("once", "custom"))
    cache.clear()


def message_history(vectorizer):
    history = MessageHistory(name="history", session_tag="s1", redis_url=URL)
    history.add_message({"role": "user", "content": "hello"})
    history.store("What is the capital of France?", "Paris")
    step("history: recent", [one["content"] for one in history.get_recent(top_k=2)])
    step("history: of another session", history.get_recent(session_tag="s2"))
    step("history: messages", len(history.messages))
    history.drop()
    step("history: last dropped", [one["content"] for one in history.messages])
    history.clear()
    step("history: cleared", history.messages)
    history.add_message({"role": "user", "content": "hello"})
    delete_index("history", history.delete, lambda: clear(history, history._index))

    history = SemanticMessageHistory(
        name="relevant", session_tag="s1", redis_url=URL, vectorizer=vectorizer, distance_threshold=0.5
    )
    history.store("What is the capital of France?", "Paris is the capital of France")
    history.store("How tall is a giraffe?", "Five metres")
    found = history.get_relevant("the capital of France")
    step("history: relevant", sorted(one["content"] for one in found))
    delete_index("relevant history", history.delete, lambda: clear(history, history._index))
    step("history: left", list(history._index.client.scan_iter("history*")))


def router(vectorizer):
    routes = [
        Route(name="travel", references=["the capital of France", "a city by the sea"], distance_threshold=0.6),
        Route(name="animals", references=["how tall is a giraffe", "an animal in a zoo"], distance_threshold=0.6),
    ]
    router = SemanticRouter(name="router", vectorizer=vectorizer, routes=routes, redis_url=URL)
    step("router: route", router("which animal is in a zoo").name)
    step("router: no route", router("unrelated nonsense words").name)
    step("router: routes", [match.name for match in router.route_many("the capital of France", max_k=2)])
    again = SemanticRouter(name="router", vectorizer=vectorizer, routes=routes, redis_url=URL)
    step("router: opened again", again("the capital of France").name)
    delete_index("router", router.delete, lambda: clear(router._index, router._index))


def main():
    vectorizer = CustomVectorizer(embed=embed, embed_many=embed_many)
    for storage in ("hash", "json"):
        index(vectorizer, storage)
    asyncio.run(index_async(vectorizer))
    semantic_cache(vectorizer)
    embeddings_cache()
    message_history(vectorizer)
    router(vectorizer)


main()

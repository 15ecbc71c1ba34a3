"""LangChain: answers of a model in Redis's caches, chat history, and a vector store."""

import asyncio

from langchain_core.embeddings import Embeddings
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import Generation
from langchain_redis import (
    RedisCache,
    RedisChatMessageHistory,
    RedisConfig,
    RedisSemanticCache,
    RedisVectorStore,
)
from redisvl.query.filter import Tag

from harness import URL, delete_index, step
from vectors import embed, embed_many


class FixedEmbeddings(Embeddings):
    def embed_query(self, text):
        return embed(text)

    def embed_documents(self, texts):
        return embed_many(texts)


def exact_cache():
    cache = RedisCache(redis_url=URL, ttl=600)
    set_llm_cache(cache)
    model = FakeListLLM(responses=["first", "second", "third"])
    step("cache: asked", model.invoke("question"))
    step("cache: asked again", model.invoke("question"))
    step("cache: another question", model.invoke("other"))
    chat = FakeListChatModel(responses=["first", "second"])
    step("cache: chat", [chat.invoke("question").content for _ in range(2)])
    step("cache: asyncio", asyncio.run(several(model, cache)))
    cache.clear()
    step("cache: cleared", list(cache.redis.scan_iter("*")))


async def several(model, cache):
    answers = await asyncio.gather(*(model.ainvoke("question") for _ in range(10)))
    await cache.aupdate("by hand", "model", [Generation(text="kept")])
    return (set(answers), (await cache.alookup("by hand", "model"))[0].text)


def semantic_cache():
    cache = RedisSemanticCache(
        embeddings=FixedEmbeddings(), redis_url=URL, distance_threshold=0.3, ttl=600, name="semantic"
    )
    set_llm_cache(cache)
    model = FakeListLLM(responses=["Paris", "Rome", "Madrid"])
    step("semantic: asked", model.invoke("What is the capital city of France?"))
    step("semantic: like question", model.invoke("What is the capital of France?"))
    step("semantic: other question", model.invoke("How tall is a giraffe?"))
    cache.update("by hand", "model", [Generation(text="kept")])
    step("semantic: other model", cache.lookup("by hand", "another"))
    cache.clear()
    step("semantic: cleared", cache.lookup("by hand", "model"))
    set_llm_cache(None)


def chat_history():
    history = RedisChatMessageHistory(session_id="s1", redis_url=URL, ttl=600)
    history.add_messages([HumanMessage("I play the piano"), AIMessage("Well done")])
    step("history: messages", [(one.type, one.content) for one in history.messages])
    step("history: found", [one["content"] for one in history.search_messages("piano")])
    step("history: length", len(history))
    other = RedisChatMessageHistory(session_id="s2", redis_url=URL)
    step("history: of another session", other.messages)
    history.clear()
    step("history: cleared", history.messages)
    other.add_message(HumanMessage("hello"))
    delete_index("history", other.delete, lambda: clear(other.index))
    step("history: left", list(other.redis_client.scan_iter("chat*")))


def vector_store():
    config = RedisConfig(
        index_name="news", redis_url=URL, metadata_schema=[{"name": "topic", "type": "tag"}]
    )
    store = RedisVectorStore(FixedEmbeddings(), config=config)
    texts = ["a cat sleeps on the sofa", "shares fall in London", "a dog runs in the park"]
    topics = [{"topic": topic} for topic in ("animals", "money", "animals")]
    keys = store.add_texts(texts, topics, keys=["one", "two", "three"])
    step("store: added", keys)
    found = store.similarity_search_with_score("who sleeps on the sofa", k=1)
    step("store: nearest", [(one.page_content, one.metadata, round(score, 4)) for one, score in found])
    money = store.similarity_search("a dog runs", k=3, filter=Tag("topic") == "money")
    step("store: by topic", [one.page_content for one in money])
    found = store.max_marginal_relevance_search("a dog runs in the park", k=2, fetch_k=3)
    step("store: diverse", [one.page_content for one in found])
    step("store: as a retriever", [one.page_content for one in store.as_retriever(search_kwargs={"k": 1}).invoke("London shares")])
    step("store: got", [one.page_content for one in store.get_by_ids(["two"])])
    step("store: deleted", store.delete(["one"]))
    again = RedisVectorStore.from_existing_index("news", FixedEmbeddings(), redis_url=URL)
    step("store: opened again", [one.page_content for one in again.similarity_search("sofa", k=3)])
    delete_index("store", lambda: store.index.delete(drop=True), lambda: clear(store.index))
    step("store: left", list(store.index.client.scan_iter("news*")))


def clear(index):
    index.clear()
    index.delete(drop=False)


def main():
    exact_cache()
    semantic_cache()
    chat_history()
    vector_store()


main()

"""LangGraph: graphs whose state is kept by the Redis checkpointers, and memories in the Redis store."""

import asyncio
import operator
from typing import Annotated, TypedDict

from langgraph.checkpoint.redis import RedisSaver
from langgraph.checkpoint.redis.aio import AsyncRedisSaver
from langgraph.checkpoint.redis.shallow import ShallowRedisSaver
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import PutOp, SearchOp
from langgraph.store.redis import RedisStore
from langgraph.store.redis.aio import AsyncRedisStore
from langgraph.types import Command, interrupt

from harness import URL, eventually, step
from vectors import DIMENSIONS, embed_many

THREAD = {"configurable": {"thread_id": "thread-1"}}
OTHER = {"configurable": {"thread_id": "thread-2"}}
INDEX = {"dims": DIMENSIONS, "embed": embed_many, "distance_type": "cosine", "fields": ["text"]}


class State(TypedDict):
    messages: Annotated[list[str], operator.add]


def model(state):
    return {"messages": [f"answer to {state['messages'][-1]}"]}


def approval(state):
    answer = interrupt("may I?")
    return {"messages": [f"a person says {answer}"]}


def graph(saver):
    """Returns a graph that answers, and then waits until a person approves."""
    builder = StateGraph(State)
    builder.add_node("model", model)
    builder.add_node("approval", approval)
    builder.add_edge(START, "model")
    builder.add_edge("model", "approval")
    builder.add_edge("approval", END)
    return builder.compile(checkpointer=saver)


def checkpointer():
    with RedisSaver.from_conn_string(URL, ttl={"default_ttl": 60}) as saver:
        saver.setup()
        agent = graph(saver)
        stopped = agent.invoke({"messages": ["hello"]}, THREAD)
        step("saver: interrupted", (stopped["messages"], stopped["__interrupt__"][0].value))
    # Another process goes on.
    with RedisSaver.from_conn_string(URL) as saver:
        saver.setup()
        agent = graph(saver)
        step("saver: waits for", agent.get_state(THREAD).next)
        step("saver: resumed", agent.invoke(Command(resume="yes"), THREAD)["messages"])
        agent.invoke({"messages": ["second"]}, THREAD)
        agent.invoke({"messages": ["elsewhere"]}, OTHER)
        step("saver: state", agent.get_state(THREAD).values["messages"])
        history = list(agent.get_state_history(THREAD))
        step("saver: history", [len(state.values.get("messages", [])) for state in history])
        step("saver: an old state", agent.get_state(history[-2].config).values)
        agent.update_state(THREAD, {"messages": ["corrected"]}, as_node="model")
        step("saver: corrected", agent.get_state(THREAD).values["messages"][-1])
        step("saver: some of the history", len(list(saver.list(THREAD, limit=2))))
        saver.delete_thread("thread-1")
        step("saver: thread deleted", agent.get_state(THREAD).values)
        step("saver: other thread", agent.get_state(OTHER).values["messages"])
        saver.delete_thread("thread-2")
        step("saver: left", list(saver._redis.scan_iter("checkpoint*")))


def shallow():
    with ShallowRedisSaver.from_conn_string(URL) as saver:
        saver.setup()
        agent = graph(saver)
        agent.invoke({"messages": ["hello"]}, THREAD)
        step("shallow: resumed", agent.invoke(Command(resume="no"), THREAD)["messages"])
        step("shallow: history", len(list(agent.get_state_history(THREAD))))
        saver.delete_thread("thread-1")
        step("shallow: thread deleted", agent.get_state(THREAD).values)


async def checkpointer_async():
    async with AsyncRedisSaver.from_conn_string(URL) as saver:
        await saver.asetup()
        agent = graph(saver)
        threads = [{"configurable": {"thread_id": f"async-{number}"}} for number in range(20)]
        await asyncio.gather(*(agent.ainvoke({"messages": ["hello"]}, thread) for thread in threads))
        ended = await asyncio.gather(*(agent.ainvoke(Command(resume="yes"), thread) for thread in threads))
        step("asyncio: 20 threads", {tuple(state["messages"]) for state in ended})
        state = await agent.aget_state(threads[7])
        step("asyncio: state", state.values["messages"])
        history = [state async for state in agent.aget_state_history(threads[7])]
        step("asyncio: history", len(history))
        for thread in threads:
            await saver.adelete_thread(thread["configurable"]["thread_id"])
        step("asyncio: threads deleted", (await agent.aget_state(threads[7])).values)


def value(item):
    return item and item.value


def store():
    with RedisStore.from_conn_string(URL, index=INDEX, ttl={"default_ttl": 60, "refresh_on_read": True}) as store:
        store.setup()
        cats, dogs = ("users", "ann", "cats"), ("users", "ann", "dogs")
        store.put(cats, "one", {"text": "a cat sleeps on the sofa", "kind": "pet"})
        store.put(cats, "two", {"text": "a tiger hunts at night", "kind": "wild"})
        store.put(dogs, "one", {"text": "a dog runs in the park", "kind": "pet"})
        # This version of the store does not get what has a namespace of several parts.
        store.put(("settings",), "colour", {"text": "blue"})
        step("store: got", eventually(lambda: value(store.get(("settings",), "colour")), {"text": "blue"}))
        step("store: got nothing", store.get(("settings",), "size"))

        def search(prefix, **options):
            return sorted((item.namespace[-1], item.key) for item in store.search(prefix, **options))

        step("store: by prefix", eventually(lambda: len(search(("users",))), 3))
        step("store: by filter", search(("users",), filter={"kind": "pet"}))
        found = store.search(("users",), query="who sleeps on the sofa", limit=1)
        step("store: by meaning", [(item.key, item.value["text"], item.score > 0.5) for item in found])
        step("store: namespaces", sorted(store.list_namespaces(prefix=("users",))))
        put, found = store.batch([PutOp(dogs, "two", {"text": "a wolf"}), SearchOp(cats, limit=10)])
        step("store: in a batch", (put, sorted(item.key for item in found)))
        store.put(("settings",), "colour", {"text": "red"})
        step("store: replaced", store.get(("settings",), "colour").value)
        stored = [(cats, "one"), (cats, "two"), (dogs, "one"), (dogs, "two"), (("settings",), "colour")]
        for namespace, key in stored:
            store.delete(namespace, key)
        step("store: deleted", eventually(lambda: search(("users",)), []))
        step("store: left", list(store._redis.scan_iter("store*")))


async def store_async():
    async with AsyncRedisStore.from_conn_string(URL, index=INDEX) as store:
        await store.setup()
        space = ("async", "memories")
        texts = [f"memory number {number}" for number in range(20)]
        await asyncio.gather(*(store.aput(space, text, {"text": text}) for text in texts))
        found = await store.asearch(space, query="memory number 7", limit=1)
        step("asyncio: by meaning", [item.key for item in found])
        await asyncio.gather(*(store.adelete(space, text) for text in texts))
        step("asyncio: deleted", await store.asearch(space, limit=30))


def main():
    checkpointer()
    shallow()
    asyncio.run(checkpointer_async())
    store()
    asyncio.run(store_async())


main()

"""mem0: an agent's memories in Redis; a stand-in for the language model finds the facts."""

import json
import os
import tempfile

# It writes its own settings and history, and would report its use over the network.
os.environ["MEM0_DIR"] = tempfile.mkdtemp()
os.environ["MEM0_TELEMETRY"] = "False"
os.environ["OPENAI_API_KEY"] = "nobody is asked"

from mem0 import Memory

from harness import URL, delete_index, eventually, step
from vectors import DIMENSIONS, embed

ANN, BOB = {"user_id": "ann"}, {"user_id": "bob"}


class FixedEmbedding:
    def embed(self, text, memory_action=None):
        return embed(text)

    def embed_batch(self, texts, memory_action=None):
        return [embed(text) for text in texts]


class FixedModel:
    """Takes each sentence of the user for a fact."""

    def generate_response(self, messages, **_):
        said = messages[-1]["content"]
        facts = [fact for fact in FACTS if fact in said]
        return json.dumps({"memory": [{"id": str(at), "text": fact} for at, fact in enumerate(facts)]})


FACTS = ["Ann plays the piano on Sundays", "Ann is allergic to nuts"]


def open_memory():
    directory = os.environ["MEM0_DIR"]
    memory = Memory.from_config(
        {
            "vector_store": {
                "provider": "redis",
                "config": {
                    "redis_url": URL,
                    "collection_name": "memories",
                    "embedding_model_dims": DIMENSIONS,
                },
            },
            "history_db_path": f"{directory}/history.db",
        }
    )
    memory.embedding_model, memory.llm = FixedEmbedding(), FixedModel()
    return memory


def texts(found):
    return sorted(one["memory"] for one in found["results"])


def main():
    memory = open_memory()
    said = [{"role": "user", "content": ". ".join(FACTS)}, {"role": "assistant", "content": "I see."}]
    added = memory.add(said, user_id="ann", metadata={"topic": "person"})
    step("facts added", texts(added))
    memory.add("Bob sails", user_id="bob", infer=False)
    added = memory.add("Ann lives in Lyon", user_id="ann", infer=False)
    lyon = added["results"][0]["id"]
    step("text added", texts(added))
    step("all of Ann", texts(memory.get_all(filters=ANN)))
    found = memory.search("does Ann play the piano on Sundays", filters=ANN, top_k=1, threshold=0.1)
    step("search", [(one["memory"], one["metadata"], one["score"] > 0.1) for one in found["results"]])
    step("search for another user", texts(memory.search("piano", filters=BOB, threshold=0.0)))
    step("search by words", len(memory.vector_store.keyword_search("piano", filters=ANN)))
    memory.update(lyon, "Ann lives in Nice")
    step("updated", memory.get(lyon)["memory"])
    step("history", [(one["event"], one["new_memory"]) for one in memory.history(lyon)])

    # A second process makes the index anew, over the same memories.
    again = open_memory()
    kept = sorted([*FACTS, "Ann lives in Nice"])
    step("opened again", eventually(lambda: texts(again.get_all(filters=ANN)), kept))
    step("collections", again.vector_store.list_cols())
    step("documents", int(again.vector_store.col_info("memories")["num_docs"]))

    memory.delete(lyon)
    step("deleted", texts(memory.get_all(filters=ANN)))
    memory.delete_all(user_id="ann")
    step("all of Ann deleted", texts(memory.get_all(filters=ANN)))
    step("those of Bob stay", texts(memory.get_all(filters=BOB)))
    delete_index("reset", memory.reset, lambda: memory.delete_all(user_id="bob"))
    step("after reset", texts(memory.get_all(filters=BOB)))
    memory.add("Bob rows", user_id="bob", infer=False)
    step("added after reset", texts(memory.get_all(filters=BOB)))
    memory.close()


main()

"""A semantic cache: answers of a language model, found again by the meaning of the question.

An entry is a hash with the vector of its question. Redis finds the nearest vector among the entries of a
tenant; if it is near enough, its answer is used again.
"""

import struct
import uuid

import redis
from redis.commands.search.field import TagField, VectorField
from redis.commands.search.index_definition import IndexDefinition, IndexType
from redis.commands.search.query import Query

INDEX, PREFIX = "answers", "answer:"


class SemanticCache:
    def __init__(self, client, embed, dimensions, threshold=0.2, ttl=3600):
        """`embed` makes a vector of a text. A question farther than `threshold`, a cosine distance, is another one.
        Entries expire after `ttl` seconds."""
        self.client, self.embed = client, embed
        self.threshold, self.ttl = threshold, ttl
        self.dimensions = dimensions
        self.create_index()

    def create_index(self):
        """Creates the index, unless it exists."""
        vector = {"TYPE": "FLOAT32", "DIM": self.dimensions, "DISTANCE_METRIC": "COSINE"}
        fields = [TagField("tenant", case_sensitive=True), VectorField("vector", "HNSW", vector)]
        definition = IndexDefinition(prefix=[PREFIX], index_type=IndexType.HASH)
        try:
            self.client.ft(INDEX).create_index(fields, definition=definition)
        except redis.ResponseError as error:
            if "already exists" not in str(error):
                raise

    def check(self, tenant, question):
        """Returns the answer to the nearest question of the tenant, or None if none is near enough."""
        query = Query("@tenant:{$tenant}=>[KNN 1 @vector $vector AS distance]").return_fields("answer", "distance")
        params = {"tenant": tenant, "vector": self._bytes(question)}
        try:
            found = self.client.ft(INDEX).search(query.dialect(2), params).docs
        except redis.ResponseError:
            # Redis has been restarted, and is empty.
            self.create_index()
            return None
        if found and float(found[0].distance) <= self.threshold:
            return found[0].answer
        return None

    def store(self, tenant, question, answer):
        """Keeps an answer for `ttl` seconds."""
        key = f"{PREFIX}{uuid.uuid4()}"
        entry = {"tenant": tenant, "question": question, "answer": answer, "vector": self._bytes(question)}
        self.client.pipeline().hset(key, mapping=entry).expire(key, self.ttl).execute()

    def forget(self, tenant):
        """Deletes all entries of the tenant, and returns their number."""
        deleted = 0
        query = Query("@tenant:{$tenant}").no_content().paging(0, 1000).dialect(2)
        while found := self.client.ft(INDEX).search(query, {"tenant": tenant}).docs:
            deleted += self.client.unlink(*(entry.id for entry in found))
        return deleted

    def _bytes(self, text):
        vector = self.embed(text)
        return struct.pack(f"<{len(vector)}f", *vector)

"""An AI service that answers over HTTP, and asks its model only if the semantic cache has no answer.

  GET    /ask?tenant=TENANT&question=QUESTION
  DELETE /answers?tenant=TENANT
"""

import hashlib
import json
import math
import os
import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from semantic_cache import SemanticCache

DIMENSIONS = 256
# Other characters could mean several tenants: a comma separates tags.
TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")


def embed(text):
    """Stands for an embedding model: texts with common words are near each other. Put yours in its place."""
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        vector[hashlib.sha256(word.encode()).digest()[0]] += 1.0
    length = math.sqrt(sum(number * number for number in vector)) or 1.0
    return [number / length for number in vector]


def ask_model(question):
    """Stands for a language model, which is slow and costs money. Put yours in its place."""
    time.sleep(0.5)
    return f"This is what the model says about: {question}"


def password():
    """Returns the password for Redoubt; the service does not know that of Redis."""
    if path := os.environ.get("REDOUBT_PASSWORD_FILE"):
        with open(path) as file:
            return file.read().strip()
    return os.environ["REDOUBT_PASSWORD"]


def connect():
    """Returns a client with at most 16 connections, for which requests wait, and which are made anew for 20 seconds."""
    return redis.Redis.from_pool(
        redis.BlockingConnectionPool.from_url(
            os.environ.get("REDIS_URL", "redis://127.0.0.1:6380"),
            password=password(),
            decode_responses=True,
            max_connections=16,
            protocol=2,
            retry=Retry(ExponentialBackoff(cap=1, base=0.1), 20),
            retry_on_error=[redis.ConnectionError],
        )
    )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, tenant, question = self.target()
        if not TENANT.fullmatch(tenant):
            return self.reply(400, {"error": "a tenant is 1 to 64 letters, digits, _ or -"})
        if path != "/ask" or not question:
            return self.reply(404, {"error": "ask with /ask?tenant=TENANT&question=QUESTION"})
        begin = time.monotonic()
        answer, source = cache.check(tenant, question), "cache"
        if answer is None:
            answer, source = ask_model(question), "model"
            cache.store(tenant, question, answer)
        milliseconds = round((time.monotonic() - begin) * 1000)
        self.reply(200, {"from": source, "answer": answer, "milliseconds": milliseconds})

    def do_DELETE(self):
        path, tenant, _ = self.target()
        if not TENANT.fullmatch(tenant):
            return self.reply(400, {"error": "a tenant is 1 to 64 letters, digits, _ or -"})
        if path != "/answers":
            return self.reply(404, {"error": "delete /answers?tenant=TENANT"})
        self.reply(200, {"deleted": cache.forget(tenant)})

    def target(self):
        parts = urlsplit(self.path)
        fields = parse_qs(parts.query)
        return parts.path, fields.get("tenant", [""])[0], fields.get("question", [""])[0]

    def reply(self, status, fields):
        body = json.dumps(fields).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


cache = SemanticCache(connect(), embed, DIMENSIONS)
address, port = os.environ.get("LISTEN", "127.0.0.1:5000").rsplit(":", 1)
server = ThreadingHTTPServer((address, int(port)), Handler)
print(f"serving on http://{address}:{server.server_port}", flush=True)
server.serve_forever()

"""redis-om: models as JSON and as hashes, their indexes, queries, and deletion."""

import asyncio
import datetime
import os
import struct

from harness import URL, eventually, step

os.environ["REDIS_OM_URL"] = URL

from aredis_om import Field as AsyncField
from aredis_om import JsonModel as AsyncJsonModel
from aredis_om import Migrator as AsyncMigrator
from aredis_om import get_redis_connection as async_connection
from pydantic import ValidationError
from redis_om import (
    EmbeddedJsonModel,
    Field,
    HashModel,
    JsonModel,
    KNNExpression,
    Migrator,
    NotFoundError,
    VectorFieldOptions,
    get_redis_connection,
)

from vectors import DIMENSIONS, embed

VECTOR = VectorFieldOptions.flat(
    type=VectorFieldOptions.TYPE.FLOAT32,
    dimension=DIMENSIONS,
    distance_metric=VectorFieldOptions.DISTANCE_METRIC.COSINE,
)


class Address(EmbeddedJsonModel, index=True):
    city: str = Field(index=True)
    street: str


class Customer(JsonModel, index=True):
    name: str = Field(index=True)
    age: int = Field(index=True, sortable=True)
    joined: datetime.date
    address: Address
    tags: list[str] = Field(default=[], index=True)
    bio: str = Field(default="", index=True, full_text_search=True)
    vector: list[float] = Field(default=[], index=True, vector_options=VECTOR)
    score: float | None = Field(default=None)

    class Meta:
        model_key_prefix = "customer"


class Visit(HashModel, index=True):
    page: str = Field(index=True)
    seconds: int = Field(index=True, sortable=True)

    class Meta:
        model_key_prefix = "visit"


class Task(AsyncJsonModel, index=True):
    name: str = AsyncField(index=True)

    class Meta:
        model_key_prefix = "task"


def names(query):
    return sorted(one.name for one in query.all())


def customer(name, age, city, tags, bio):
    return Customer(
        pk=name.lower(),
        name=name,
        age=age,
        joined=datetime.date(2026, 1, age),
        address=Address(city=city, street="Main"),
        tags=tags,
        bio=bio,
        vector=embed(bio),
    )


def json_model():
    ann = customer("Ann", 20, "Lyon", ["new", "vip"], "plays the piano").save()
    customer("Bob", 25, "Nice", ["old"], "sails boats on the sea").save()
    customer("Cid", 30, "Lyon", ["vip"], "sails kites on the beach").save()
    step("saved", ann.key())
    step("got", Customer.get("ann").model_dump(exclude={"vector", "score"}))
    step("by name", names(Customer.find(Customer.name == "Bob")))
    step("by age", names(Customer.find((Customer.age > 20) & (Customer.age <= 30))))
    step("by city", names(Customer.find(Customer.address.city == "Lyon")))
    step("by tag", names(Customer.find(Customer.tags << ["vip"])))
    step("not or", names(Customer.find(~(Customer.name == "Ann") | (Customer.age < 10))))
    step("by words", names(Customer.find(Customer.bio % "sails")))
    step("sorted", [one.name for one in Customer.find().sort_by("-age").all()])
    step("page", [one.name for one in Customer.find().sort_by("age").page(offset=1, limit=1)])
    step("counted", Customer.find(Customer.age >= 25).count())
    nearest = KNNExpression(k=1, vector_field=Customer.vector, score_field=Customer.score, reference_vector=vector_bytes())
    step("nearest", names(Customer.find(knn=nearest)))
    ann.update(age=21)
    step("updated", Customer.get("ann").age)
    Customer.find(Customer.address.city == "Nice").update(tags=["moved"])
    step("updated by query", Customer.get("bob").tags)
    try:
        ann.update(age="none")
    except ValidationError as error:
        step("invalid", error.error_count())
    ann.expire(600)
    step("expires", 0 < Customer.db().ttl(ann.key()) <= 600)
    step("one deleted", Customer.delete("ann"))
    try:
        Customer.get("ann")
    except NotFoundError:
        step("gone", True)
    step("deleted by query", Customer.find(Customer.age > 0).delete())
    step("left", Customer.find().all())


def vector_bytes():
    return struct.pack(f"{DIMENSIONS}f", *embed("plays the piano well"))


def hash_model():
    with Visit.db().pipeline() as pipe:
        for number in range(10):
            Visit(pk=str(number), page="home" if number % 2 else "shop", seconds=number).save(pipeline=pipe)
        pipe.execute()
    step("hash: by page", sorted(one.seconds for one in Visit.find(Visit.page == "shop").all()))
    step("hash: keys", sorted(Visit.all_pks()))
    step("hash: deleted", Visit.delete_many([Visit.get(str(number)) for number in range(10)]))
    step("hash: left", Visit.find().all())


async def async_model():
    await AsyncMigrator(conn=async_connection(url=URL)).run()
    await asyncio.gather(*(Task(pk=str(number), name=f"task-{number}").save() for number in range(20)))
    step("asyncio: found", [one.pk for one in await Task.find(Task.name == "task-7").all()])
    step("asyncio: deleted", await Task.find().delete())


def main():
    Migrator().run()
    step("indexes", sorted(one.rsplit(":", 2)[-2] for one in text(get_redis_connection().execute_command("FT._LIST"))))
    json_model()
    hash_model()
    # The index of a changed model is dropped, without its documents, and made anew.
    customer("Dee", 28, "Metz", [], "").save()
    index = Customer.Meta.index_name
    get_redis_connection().set(f"{index}:hash", "of an older model")
    Migrator().run()
    step("index made anew", eventually(lambda: names(Customer.find(Customer.age == 28)), ["Dee"]))
    Customer.delete("dee")
    asyncio.run(async_model())


def text(values):
    return [value.decode() if isinstance(value, bytes) else value for value in values]


main()

"""redis-om: models in hashes, embedded values, expiry and a pipeline; both servers are restarted."""

import datetime
import os
from typing import Optional

from harness import URL, eventually, restart, step

os.environ["REDIS_OM_URL"] = URL
from redis_om import HashModel, NotFoundError, get_redis_connection  # noqa: E402

redis = get_redis_connection(url=URL, decode_responses=True)


class Customer(HashModel, index=True):
    name: str
    joined: datetime.date
    age: int
    bio: Optional[str] = None

    class Meta:
        database = redis
        global_key_prefix = "shop"


def attempt(action):
    try:
        return action()
    except NotFoundError:
        return "not found"


def customer(number):
    joined = datetime.date(2024, 1, 1 + number)
    return Customer(pk=f"c{number}", name=f"customer {number}", joined=joined, age=20 + number)


def shown(one):
    return [one.pk, one.name, str(one.joined), one.age, one.bio]


def main():
    step("saved", [shown(customer(number).save()) for number in range(3)])
    step("loaded", shown(Customer.get("c1")))
    step("keys", sorted(Customer.all_pks()))
    changed = Customer.get("c1")
    changed.update(age=70, bio="an old friend")
    step("updated", shown(Customer.get("c1")))
    changed.expire(100)
    step("expires", 0 < changed.db().ttl(changed.key()) <= 100)
    with redis.pipeline() as pipe:
        Customer.add([customer(5), customer(6)], pipeline=pipe)
        step("pipeline", pipe.execute())
    step("deleted", [Customer.delete("c0"), attempt(lambda: Customer.get("c0"))])
    for server in ("redis", "redoubt"):
        restart(server)
        step(f"after {server}", eventually(lambda: shown(Customer.get("c2")), shown(customer(2))))
        step(f"after {server}: saved", shown(customer(9).save()))
    step("at the end", sorted(Customer.all_pks()))


main()

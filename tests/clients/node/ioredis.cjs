// Does what an ordinary program does with ioredis; any unexpected result throws an exception.
"use strict";

const assert = require("node:assert/strict");
const { once } = require("node:events");
const Redis = require("ioredis");
const harness = require("./harness.cjs");
const { url, tls, COUNT_UP, LARGE, RIVALS, TIMES } = harness;

function open(options = {}, to = url) {
  return new Redis(to, tls ? { tls, ...options } : options);
}

function connect(options = {}) {
  const client = open(options);
  client.on("error", (error) => {
    throw error;
  });
  client.defineCommand("countUp", { numberOfKeys: 1, lua: COUNT_UP });
  return client;
}

async function strings(client) {
  assert.equal(await client.ping(), "PONG");
  assert.equal(await client.set("io:k", "välue"), "OK");
  assert.equal(await client.get("io:k"), "välue");
  assert.equal(await client.get("io:none"), null);
  assert.equal(await client.incrby("io:n", 5), 5);
  assert.equal(await client.hset("io:h", { a: "1", b: "2" }), 2);
  assert.deepEqual(await client.hgetall("io:h"), { a: "1", b: "2" });
  assert.equal(await client.del("io:k", "io:none"), 1);
}

async function pipeline(client) {
  const pipe = client.pipeline();
  for (let number = 0; number < 10_000; number++) pipe.echo(`number ${number}`);
  const replies = await pipe.exec();
  replies.forEach(([error, reply], number) => {
    assert.equal(error, null);
    assert.equal(reply, `number ${number}`);
  });
  // The library sends the commands of one turn of the event loop together.
  const automatic = connect({ enableAutoPipelining: true });
  const echoed = Array.from({ length: 1000 }, (_, number) => automatic.echo(`number ${number}`));
  (await Promise.all(echoed)).forEach((reply, number) => assert.equal(reply, `number ${number}`));
  await automatic.quit();
}

async function transaction(client) {
  const replies = await client.multi().set("io:t", "1").incr("io:t").get("io:t").exec();
  assert.deepEqual(replies, [
    [null, "OK"],
    [null, 2],
    [null, "2"],
  ]);
  const spoilt = client.multi().incr("io:t").call("CONFIG", "GET", "*").exec();
  await assert.rejects(spoilt, /EXECABORT/);
  assert.equal(await client.get("io:t"), "2");

  const add = async () => {
    const rival = connect();
    for (let time = 0; time < TIMES; time++) {
      let done = null;
      while (done === null) {
        await rival.watch("io:contended");
        const count = Number(await rival.get("io:contended"));
        done = await rival.multi().set("io:contended", count + 1).exec();
      }
    }
    await rival.quit();
  };
  await Promise.all(Array.from({ length: RIVALS }, add));
  assert.equal(Number(await client.get("io:contended")), RIVALS * TIMES);
}

async function publishSubscribe(client) {
  const subscriber = connect();
  assert.equal(await subscriber.subscribe("io:c", "io:d"), 2);
  assert.equal(await subscriber.psubscribe("io:p*"), 3);
  const message = once(subscriber, "message");
  assert.equal(await client.publish("io:c", "one"), 1);
  assert.deepEqual(await message, ["io:c", "one"]);
  const pmessage = once(subscriber, "pmessage");
  assert.equal(await client.publish("io:pattern", "two"), 1);
  assert.deepEqual(await pmessage, ["io:p*", "io:pattern", "two"]);
  assert.equal(await subscriber.unsubscribe("io:c", "io:d"), 1);
  assert.equal(await subscriber.punsubscribe("io:p*"), 0);
  assert.equal(await subscriber.ping(), "PONG");
  await subscriber.quit();
}

async function blockingPop(client) {
  const waiting = connect();
  const popped = waiting.blpop("io:q", 30);
  await client.rpush("io:q", "work");
  assert.deepEqual(await popped, ["io:q", "work"]);
  assert.equal(await waiting.blpop("io:q", 0.1), null);
  await waiting.quit();
}

// The library sends EVALSHA, and EVAL when Redis answers NOSCRIPT.
async function script(client) {
  assert.deepEqual(await client.countUp("io:script", 2), ["io:script", "2"]);
  assert.deepEqual(await client.countUp("io:script", 3), ["io:script", "5"]);
}

async function scan(client) {
  const names = Array.from({ length: 1000 }, (_, number) => `io:scan:${number}`);
  await client.mset(Object.fromEntries(names.map((name) => [name, "1"])));
  const found = new Set();
  for await (const keys of client.scanStream({ match: "io:scan:*", count: 50 })) {
    for (const key of keys) found.add(key);
  }
  assert.deepEqual([...found].sort(), names.sort());
}

async function databases() {
  const third = connect({ db: 3, connectionName: "third" });
  await third.set("io:third", "3");
  assert.equal(await third.client("GETNAME"), "third");
  await third.select(4);
  assert.equal(await third.get("io:third"), null);
  await third.select(3);
  assert.equal(await third.get("io:third"), "3");
  await third.quit();
}

async function large(client) {
  const value = "0123456789abcdef".repeat(LARGE / 16);
  assert.equal(await client.set("io:large", value), "OK");
  assert.equal(await client.strlen("io:large"), LARGE);
  assert.ok((await client.get("io:large")) === value);
}

// RESP2 has no pushes: invalidations go to another connection, named by its id.
async function tracking(client) {
  const listener = connect();
  const number = await listener.client("ID");
  await listener.subscribe("__redis__:invalidate");
  const cached = connect();
  assert.equal(await cached.client("TRACKING", "ON", "REDIRECT", number), "OK");
  for (let step = 0; step < 20; step++) {
    await cached.get("io:tracked");
    const told = once(listener, "message");
    await client.set("io:tracked", String(step));
    // The message is a list of keys, which the library joins to a string.
    assert.deepEqual((await told).map(String), ["__redis__:invalidate", "io:tracked"]);
  }
  await cached.quit();
  await listener.quit();
}

async function refused(client) {
  await assert.rejects(client.flushall(), /unknown command 'flushall'/);
  const right = new URL(url);
  right.password = "wrong";
  const wrong = open({ retryStrategy: null }, right.href);
  const [error] = await once(wrong, "error");
  assert.match(String(error), /WRONGPASS/);
  wrong.disconnect();
}

async function restart(client) {
  client.removeAllListeners("error");
  const others = [open({ maxRetriesPerRequest: 0 }), open()];
  for (const other of [client, ...others]) other.on("error", () => {});
  const [waiting, subscriber] = others;
  const lost = assert.rejects(waiting.blpop("io:lost", 0));
  const message = once(subscriber, "message");
  await subscriber.subscribe("io:again");
  await client.set("io:forgotten", "1");

  await harness.restartRedis();

  await lost;
  assert.equal(await harness.untilItWorks(() => client.get("io:forgotten")), null);
  assert.deepEqual(await client.countUp("io:script", 7), ["io:script", "7"]);
  // The library connects and subscribes again without being asked.
  const inTime = harness.deadline();
  while ((await client.publish("io:again", "back")) === 0) inTime();
  assert.deepEqual(await message, ["io:again", "back"]);
  assert.equal(await harness.untilItWorks(() => waiting.ping()), "PONG");
}

harness.run(async () => {
  const client = connect();
  await strings(client);
  await pipeline(client);
  await transaction(client);
  await publishSubscribe(client);
  await blockingPop(client);
  await script(client);
  await scan(client);
  await databases();
  await large(client);
  await tracking(client);
  await refused(client);
  await restart(client);
});

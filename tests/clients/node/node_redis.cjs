// Does what an ordinary program does with node-redis; any unexpected result throws an exception.
"use strict";

const assert = require("node:assert/strict");
const { BasicClientSideCache, createClient, defineScript } = require("redis");
const harness = require("./harness.cjs");
const { url, protocol, COUNT_UP, LARGE, RIVALS, TIMES } = harness;

const countUp = defineScript({
  SCRIPT: COUNT_UP,
  NUMBER_OF_KEYS: 1,
  parseCommand(parser, key, by) {
    parser.pushKey(key);
    parser.push(String(by));
  },
  transformReply: undefined,
});

async function connect(options = {}) {
  const client = createClient({ url, RESP: protocol, ...options });
  client.on("error", (error) => {
    throw error;
  });
  await client.connect();
  return client;
}

async function strings(client) {
  assert.equal(await client.ping(), "PONG");
  assert.equal(await client.set("node:k", "välue"), "OK");
  assert.equal(await client.get("node:k"), "välue");
  assert.equal(await client.get("node:none"), null);
  assert.equal(await client.incrBy("node:n", 5), 5);
  assert.equal(await client.hSet("node:h", { a: "1", b: "2" }), 2);
  assert.deepEqual({ ...(await client.hGetAll("node:h")) }, { a: "1", b: "2" });
  assert.equal(await client.del(["node:k", "node:none"]), 1);
}

// The library sends the commands of one turn of the event loop in one write.
async function pipeline(client) {
  const replies = [];
  for (let number = 0; number < 10_000; number++) {
    replies.push(client.echo(`number ${number}`));
  }
  (await Promise.all(replies)).forEach((reply, number) => assert.equal(reply, `number ${number}`));
}

async function transaction(client) {
  const replies = await client.multi().set("node:t", "1").incr("node:t").get("node:t").exec();
  assert.deepEqual(replies, ["OK", 2, "2"]);
  const watching = await connect();
  await watching.watch("node:t");
  await client.set("node:t", "changed");
  await assert.rejects(watching.multi().set("node:t", "mine").exec(), /watched keys/i);
  assert.equal(await client.get("node:t"), "changed");
  await watching.close();
}

async function contention(client) {
  const add = async () => {
    const rival = await connect();
    for (let time = 0; time < TIMES; time++) {
      for (;;) {
        await rival.watch("node:contended");
        const count = Number(await rival.get("node:contended"));
        try {
          await rival.multi().set("node:contended", String(count + 1)).exec();
          break;
        } catch (error) {
          assert.match(String(error), /watched keys/i);
        }
      }
    }
    await rival.close();
  };
  await Promise.all(Array.from({ length: RIVALS }, add));
  assert.equal(Number(await client.get("node:contended")), RIVALS * TIMES);
}

async function publishSubscribe(client) {
  const subscriber = await connect();
  const messages = [];
  const both = new Promise((resolve) => {
    const take = (message, channel) => {
      messages.push([channel, message]);
      if (messages.length === 2) resolve();
    };
    subscriber
      .subscribe("node:c", take)
      .then(() => subscriber.pSubscribe("node:p*", take))
      .then(() => client.publish("node:c", "one"))
      .then(() => client.publish("node:pattern", "two"));
  });
  await both;
  assert.deepEqual(messages, [["node:c", "one"], ["node:pattern", "two"]]);
  await subscriber.unsubscribe("node:c");
  await subscriber.pUnsubscribe("node:p*");
  assert.equal(String(await subscriber.ping()), "PONG");
  await subscriber.close();
}

async function blockingPop(client) {
  const waiting = await connect();
  const popped = waiting.blPop("node:q", 30);
  await client.rPush("node:q", "work");
  assert.deepEqual({ ...(await popped) }, { key: "node:q", element: "work" });
  assert.equal(await waiting.blPop("node:q", 0.1), null);
  await waiting.close();
}

// The library sends EVALSHA, and EVAL when Redis answers NOSCRIPT.
async function script(client) {
  assert.deepEqual(await client.scriptExists(countUp.SHA1), [0]);
  assert.deepEqual(await client.countUp("node:script", 2), ["node:script", "2"]);
  assert.deepEqual(await client.scriptExists(countUp.SHA1), [1]);
  assert.deepEqual(await client.countUp("node:script", 3), ["node:script", "5"]);
}

async function scan(client) {
  const names = Array.from({ length: 1000 }, (_, number) => `node:scan:${number}`);
  await client.mSet(names.map((name) => [name, "1"]));
  const found = new Set();
  for await (const keys of client.scanIterator({ MATCH: "node:scan:*", COUNT: 50 })) {
    for (const key of keys) found.add(key);
  }
  assert.deepEqual([...found].sort(), names.sort());
}

async function large(client) {
  const value = "0123456789abcdef".repeat(LARGE / 16);
  assert.equal(await client.set("node:large", value), "OK");
  assert.equal(await client.strLen("node:large"), LARGE);
  assert.ok((await client.get("node:large")) === value);
}

async function refused(client) {
  await assert.rejects(client.flushAll(), /unknown command 'FLUSHALL'/);
  const right = new URL(url);
  right.password = "wrong";
  const socket = { reconnectStrategy: false };
  const wrong = createClient({ url: right.href, RESP: protocol, socket });
  wrong.on("error", () => {});
  await assert.rejects(wrong.connect(), /WRONGPASS/);
}

async function tracking(client) {
  const clientSideCache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: "LRU" });
  const cached = await connect({ clientSideCache });
  for (let number = 0; number < 20; number++) {
    const value = `value ${number}`;
    await client.set("node:tracked", value);
    const inTime = harness.deadline();
    while ((await cached.get("node:tracked")) !== value) {
      inTime();
      // The library reads pushes in the next turn of the event loop.
      await new Promise(setImmediate);
    }
    assert.equal(await cached.get("node:tracked"), value);
  }
  assert.ok(clientSideCache.stats().hitCount >= 20);
  await cached.close();
}

async function restart(client) {
  const errors = [];
  const ready = async (options) => {
    const again = createClient({ url, RESP: protocol, ...options });
    again.on("error", (error) => errors.push(error));
    return again.connect();
  };
  const lasting = await ready({ scripts: { countUp } });
  const waiting = await ready();
  const subscriber = await ready();
  const lost = assert.rejects(waiting.blPop("node:lost", 0));
  let heard;
  const message = new Promise((resolve) => (heard = resolve));
  await subscriber.subscribe("node:again", heard);
  await lasting.set("node:forgotten", "1");
  await client.close();

  await harness.restartRedis();

  await lost;
  assert.equal(await harness.untilItWorks(() => lasting.get("node:forgotten")), null);
  assert.deepEqual(await lasting.countUp("node:script", 7), ["node:script", "7"]);
  // The library connects and subscribes again without being asked.
  const inTime = harness.deadline();
  while ((await lasting.publish("node:again", "back")) === 0) inTime();
  assert.equal(await message, "back");
  assert.equal(await harness.untilItWorks(() => waiting.ping()), "PONG");
}

harness.run(async () => {
  const client = await connect({ scripts: { countUp } });
  await strings(client);
  await pipeline(client);
  await transaction(client);
  await contention(client);
  await publishSubscribe(client);
  await blockingPop(client);
  await script(client);
  await scan(client);
  await large(client);
  await refused(client);
  if (protocol === 3) await tracking(client);
  await restart(client);
});

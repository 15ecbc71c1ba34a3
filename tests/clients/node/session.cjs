// What an ordinary program does with node-redis; any surprise is an exception.
// Arguments: the URL, and the version of the protocol.
"use strict";

const assert = require("node:assert/strict");
const { createClient } = require("redis");

const [url, protocol] = process.argv.slice(2);
const LARGE = 32 << 20;

async function connect(options = {}) {
  const client = createClient({ url, RESP: Number(protocol), ...options });
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

// Commands of one turn leave in one write.
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
  const wrong = createClient({ url: right.href, RESP: Number(protocol), socket });
  wrong.on("error", () => {});
  await assert.rejects(wrong.connect(), /WRONGPASS/);
}

async function main() {
  const client = await connect();
  await strings(client);
  await pipeline(client);
  await transaction(client);
  await publishSubscribe(client);
  await blockingPop(client);
  await scan(client);
  await large(client);
  await refused(client);
  await client.close();
  console.log("all is well");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

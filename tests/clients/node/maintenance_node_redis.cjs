// node-redis with maintenance notifications, whose server is replaced meanwhile.
"use strict";

const assert = require("node:assert/strict");
const { once } = require("node:events");
const { createClient } = require("redis");

const url = process.argv.at(-1);

async function main() {
  const client = createClient({
    url,
    RESP: 3,
    maintNotifications: "enabled",
    maintEndpointType: "none",
    socket: { reconnectStrategy: false },
  });
  client.on("error", (error) => {
    throw error;
  });
  await client.connect();
  let ended = false;
  once(process.stdin.resume(), "end").then(() => (ended = true));
  let count = Number(await client.get("node:moved"));
  console.log("ready");
  while (!ended) {
    count += 1;
    assert.equal(await client.incr("node:moved"), count);
  }
  await client.close();
  console.log("all is well");
}

main();

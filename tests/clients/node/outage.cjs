// What the programs share that run while Redis is down: their output, and the requests that they send meanwhile.
"use strict";

const { createInterface } = require("node:readline");

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function step(what, result) {
  console.log(`step ${what} => ${JSON.stringify(result)}`);
}

// Has the test kill or start Redis.
async function ask(what) {
  console.log(`${what} redis`);
  const { value } = await lines.next();
  if (value !== "done") throw new Error(value);
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// `connect` returns a new client, and a promise that is kept once it is connected; `wrong` gives the error for a
// wrong password.
async function main(connect, wrong) {
  const before = connect();
  await before.connected;
  step("set", await before.client.set("k", "0"));
  await ask("kill");
  // Redoubt keeps a session that waits for nothing, so its client finds out by a request. Without Redoubt that
  // request is kept.
  before.client.incr("lost").catch(() => {});
  await pause(500);
  const during = connect();
  const kept = [before, during].flatMap(({ client }) =>
    Array.from({ length: 10 }, () => client.incr("k").catch((error) => String(error))));
  let done = 0;
  kept.forEach((one) => one.then(() => (done += 1)));
  // Long enough for several attempts to connect.
  await pause(1000);
  step("answered without Redis", done);
  await ask("start");
  await during.connected;
  const values = await Promise.all(kept);
  step("each ran once", [new Set(values).size, Math.max(...values)]);
  step("wrong password", await wrong());
  process.exit(0);
}

module.exports = { main };

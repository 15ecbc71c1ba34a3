// Redlock over ioredis: locks, extension, contention and release; both servers are restarted.
"use strict";

const { Redis } = require("ioredis");
const Redlock = require("redlock");
const { eventually, restart, run, step, url } = require("./harness.cjs");

async function main() {
  const clients = [new Redis(url), new Redis(url)].map((client) => client.on("error", () => {}));
  const [first, second] = clients.map((client) => new Redlock([client], { retryCount: 0 }));
  const patient = new Redlock([clients[1]], { retryCount: 200, retryDelay: 20, retryJitter: 10 });
  const attempt = (action) => action.then((lock) => (lock?.resource ? "locked" : lock), (error) => error.name);

  const lock = await first.lock("job", 20_000);
  step("locked", lock.resource);
  step("taken", await attempt(second.lock("job", 1000)));
  await lock.extend(30_000);
  step("extended", (await clients[0].pttl("job")) > 20_000);
  await lock.unlock();
  step("unlocked twice", await attempt(lock.unlock()));
  step("several", await attempt(first.lock(["a", "b"], 1000)));
  step("one of them", await attempt(second.lock("b", 1000)));
  let inside = 0;
  let most = 0;
  let total = 0;
  const work = async (redlock) => {
    const held = await redlock.lock("busy", 10_000);
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setTimeout(resolve, 10));
    total += 1;
    inside -= 1;
    await held.unlock();
  };
  await Promise.all(Array.from({ length: 10 }, () => work(patient)));
  step("one at a time", [most, total]);
  for (const which of ["redis", "redoubt"]) {
    const held = await first.lock(`over ${which}`, 60_000);
    await restart(which);
    step(`after ${which}: ping`, await eventually(() => clients[1].ping(), "PONG"));
    step(`after ${which}: still taken`, await attempt(second.lock(`over ${which}`, 1000)));
    step(`after ${which}: unlocked`, await eventually(() => held.unlock().then(() => true), true));
    step(`after ${which}: free`, await attempt(second.lock(`over ${which}`, 1000)));
  }
}

run(main);

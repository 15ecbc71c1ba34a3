// rate-limiter-flexible over ioredis and node-redis; both servers are restarted.
"use strict";

const { Redis } = require("ioredis");
const { createClient } = require("redis");
const { RateLimiterRedis, RateLimiterQueue } = require("rate-limiter-flexible");
const { eventually, restart, run, step, url } = require("./harness.cjs");

async function points(limiter, key, times) {
  const taken = [];
  for (let i = 0; i < times; i++) {
    const result = await limiter.consume(key).catch((rejected) => rejected);
    taken.push(result instanceof Error ? result.message : [result.consumedPoints, result.remainingPoints]);
  }
  return taken;
}

async function limits(what, limiter) {
  step(`${what}: consumed`, await points(limiter, `${what} a`, 5));
  step(`${what}: at once`, await (async () => {
    const all = await Promise.allSettled(Array.from({ length: 20 }, () => limiter.consume(`${what} b`)));
    return all.filter((one) => one.status === "fulfilled").length;
  })());
  step(`${what}: blocked`, [(await limiter.block(`${what} c`, 60)).msBeforeNext > 0,
    (await limiter.get(`${what} c`)).remainingPoints]);
  step(`${what}: rewarded`, (await limiter.reward(`${what} a`, 3)).consumedPoints);
  step(`${what}: deleted`, [await limiter.delete(`${what} a`), await limiter.get(`${what} a`)]);
}

async function main() {
  const io = new Redis(url).on("error", () => {});
  const node = createClient({ url }).on("error", () => {});
  await node.connect();
  const options = { points: 3, duration: 60, keyPrefix: "limit" };
  const overIo = new RateLimiterRedis({ storeClient: io, ...options });
  const overNode = new RateLimiterRedis({ storeClient: node, useRedisPackage: true, ...options });
  await limits("ioredis", overIo);
  await limits("node-redis", overNode);
  const pace = new RateLimiterRedis({ storeClient: io, points: 2, duration: 1, keyPrefix: "pace" });
  const queue = new RateLimiterQueue(pace);
  step("queued", (await Promise.all(Array.from({ length: 4 }, () => queue.removeTokens(1)))).length);
  for (const which of ["redis", "redoubt"]) {
    await restart(which);
    step(`after ${which}: ioredis`, await eventually(() => io.ping(), "PONG"));
    step(`after ${which}: node-redis`, await eventually(() => node.ping(), "PONG"));
    step(`after ${which}: kept`, (await overIo.get("node-redis b")).consumedPoints);
    step(`after ${which}: consumed`, [await points(overIo, which, 2), await points(overNode, which, 2)]);
  }
}

run(main);

// What the programs share: their arguments, and the dialogue with the test that runs them.
"use strict";

const { once } = require("node:events");
const { readFileSync } = require("node:fs");

const [given, protocol] = process.argv.slice(2);

// The URL names the files for TLS, in the form of redis-py.
const { searchParams: files } = new URL(given);
const url = given.split("?")[0];
const tls = url.startsWith("rediss:") && {
  ca: readFileSync(files.get("ssl_ca_certs")),
  cert: readFileSync(files.get("ssl_certfile")),
  key: readFileSync(files.get("ssl_keyfile")),
};

const COUNT_UP =
  "redis.call('INCRBY', KEYS[1], ARGV[1]) return {KEYS[1], redis.call('GET', KEYS[1])}";

// Makes the test kill Redis and start it again on its port, empty.
async function restartRedis() {
  console.log("restart redis");
  process.stdin.resume();
  await once(process.stdin, "data");
  process.stdin.pause();
}

// Returns a function that throws when it is called half a minute from now or later.
function deadline() {
  const end = Date.now() + 30_000;
  return () => {
    if (Date.now() > end) throw new Error("it does not happen");
  };
}

// Calls `attempt` until it does not fail.
async function untilItWorks(attempt) {
  const inTime = deadline();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      inTime();
    }
  }
}

function run(main) {
  main()
    .then(() => {
      console.log("all is well");
      // Timers and sockets of a library must not keep the program running.
      process.exit(0);
    })
    .catch((error) => {
      console.error(error);
      process.exit(1);
    });
}

module.exports = {
  url,
  tls,
  protocol: Number(protocol),
  COUNT_UP,
  LARGE: 32 << 20,
  // Numbers of clients and of optimistic transactions of each, on one key.
  RIVALS: 4,
  TIMES: 25,
  restartRedis,
  deadline,
  untilItWorks,
  run,
};

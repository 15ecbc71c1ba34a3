// ioredis while Redis is down.
"use strict";

const { Redis } = require("ioredis");
const { main } = require("./outage.cjs");

const url = process.argv.at(-1);
const wrongUrl = url.replace(/:[^:@]*@/, ":wrong@");

function connect() {
  // Otherwise requests fail after a number of attempts to connect.
  const client = new Redis(url, { maxRetriesPerRequest: null }).on("error", () => {});
  return { client, connected: new Promise((resolve) => client.once("ready", resolve)) };
}

async function wrong() {
  const client = new Redis(wrongUrl, { retryStrategy: null }).on("error", () => {});
  return client.ping().catch((error) => error.message.split(" ")[0]);
}

main(connect, wrong);

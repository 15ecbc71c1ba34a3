// node-redis while Redis is down.
"use strict";

const { createClient } = require("redis");
const { main } = require("./outage.cjs");

const url = process.argv.at(-1);
const wrongUrl = url.replace(/:[^:@]*@/, ":wrong@");

function connect() {
  const client = createClient({ url }).on("error", () => {});
  return { client, connected: client.connect() };
}

async function wrong() {
  const socket = { reconnectStrategy: false };
  const client = createClient({ url: wrongUrl, socket }).on("error", () => {});
  return client.connect().then(() => "connected", (error) => error.message.split(" ")[0]);
}

main(connect, wrong);

// Express with express-session and connect-redis, over node-redis; both servers are restarted.
"use strict";

const express = require("express");
const session = require("express-session");
const { RedisStore } = require("connect-redis");
const { createClient } = require("redis");
const { eventually, restart, run, step, url } = require("./harness.cjs");

async function main() {
  const client = createClient({ url }).on("error", () => {});
  await client.connect();
  const store = new RedisStore({ client, prefix: "web:", ttl: 600 });
  const app = express();
  app.set("env", "test");
  app.use(session({ store, secret: "not a secret", resave: false, saveUninitialized: false }));
  app.get("/visit", (request, response) => {
    request.session.visits = (request.session.visits ?? 0) + 1;
    response.json(request.session.visits);
  });
  app.get("/leave", (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.json("left")));
  });
  const server = await new Promise((resolve) => {
    const listening = app.listen(0, "127.0.0.1", () => resolve(listening));
  });
  const { port } = server.address();

  class Visitor {
    async get(path) {
      const headers = this.cookie ? { cookie: this.cookie } : {};
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
      this.cookie = response.headers.get("set-cookie")?.split(";")[0] ?? this.cookie;
      if (!response.ok) throw new Error(`status ${response.status}`);
      return response.json();
    }
  }

  const [ann, bob] = [new Visitor(), new Visitor()];
  step("visits", [await ann.get("/visit"), await ann.get("/visit"), await bob.get("/visit")]);
  const length = () => new Promise((resolve) => store.length((_, count) => resolve(count)));
  const all = () => new Promise((resolve) => store.all((_, found) => resolve(found)));
  step("sessions", [await length(), (await all()).map((one) => one.visits).sort()]);
  step("expires", (await client.ttl((await client.keys("web:*"))[0])) > 500);
  for (const which of ["redis", "redoubt"]) {
    await restart(which);
    step(`after ${which}`, await eventually(async () => (await ann.get("/visit")) > 2, true));
    step(`after ${which}: bob`, await bob.get("/visit"));
  }
  step("left", [await bob.get("/leave"), await bob.get("/visit"), await length()]);
  const clear = () => new Promise((resolve) => store.clear((error) => resolve(error ?? "cleared")));
  step("cleared", [await clear(), await length()]);
}

run(main);

// socket.io: two nodes, rooms over both, remote sockets, questions between nodes. The first argument
// chooses the adapter. Redis and Redoubt are restarted.
"use strict";

const { fork } = require("node:child_process");
const { once } = require("node:events");
const { io } = require("socket.io-client");
const { eventually, restart, run, step, url } = require("./harness.cjs");

const kind = process.argv[2];

async function node(name) {
  const child = fork(`${__dirname}/socket_node.cjs`, [kind, url, name]);
  const [port] = await once(child, "message");
  return port;
}

async function client(port, room) {
  const socket = io(`http://127.0.0.1:${port}`, { auth: { room }, transports: ["websocket"] });
  socket.heard = [];
  socket.on("said", (text) => socket.heard.push(text));
  await once(socket, "connect");
  return socket;
}

async function main() {
  const ports = await Promise.all([node("one"), node("two")]);
  const clients = await Promise.all([
    client(ports[0], "red"),
    client(ports[1], "red"),
    client(ports[1], "blue"),
  ]);
  const [red, distant, blue] = clients;
  const heard = () => clients.map((one) => one.heard);
  const ask = (...words) => red.timeout(20_000).emitWithAck(...words);

  // Says a text until all of `wanted` have heard it: what is said during an outage is lost.
  async function say(what, send, wanted) {
    clients.forEach((one) => one.heard.splice(0));
    const texts = clients.map((_, index) => (wanted.includes(index) ? [what] : []));
    const all = async () => {
      if (JSON.stringify(heard()) !== JSON.stringify(texts)) {
        clients.forEach((one) => one.heard.splice(0));
        send(what);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      return heard();
    };
    step(what, await eventually(all, texts));
  }

  async function round(what) {
    await say(`${what}: to a room`, (text) => red.emit("say", "red", text), [0, 1]);
    await say(`${what}: to a room elsewhere`, (text) => red.emit("say", "blue", text), [2]);
    await say(`${what}: to all, from the other node`, (text) => distant.emit("to all", text), [0, 1, 2]);
    step(`${what}: all sockets`, await eventually(() => ask("who"), 3));
    step(`${what}: answers of the other node`, await eventually(() => ask("ask"), ["two"]));
  }

  await round("at first");
  for (const server of ["redis", "redoubt"]) {
    await restart(server);
    await round(`after ${server}`);
  }
  await ask("move", "blue", "red");
  await say("to the joined", (text) => red.emit("say", "red", text), [0, 1, 2]);
  const dropped = once(blue, "disconnect");
  red.emit("drop", "blue");
  step("disconnected by the other node", (await dropped)[0]);
  step("sockets left", await eventually(() => ask("who"), 2));
}

run(main);

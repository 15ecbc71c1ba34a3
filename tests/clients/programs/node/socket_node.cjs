// A node of socketio.cjs: a socket server whose adapter is the process's first argument.
"use strict";

const { createServer } = require("node:http");
const { createAdapter } = require("@socket.io/redis-adapter");
const { createAdapter: createStreamsAdapter } = require("@socket.io/redis-streams-adapter");
const { createClient } = require("redis");
const { Server } = require("socket.io");

async function connect(url) {
  return createClient({ url }).on("error", () => {}).connect();
}

async function adapter(kind, url) {
  if (kind === "streams") return createStreamsAdapter(await connect(url));
  return createAdapter(await connect(url), await connect(url), { requestsTimeout: 10_000 });
}

async function main([kind, url, name]) {
  const server = createServer();
  const io = new Server(server, { adapter: await adapter(kind, url) });
  io.on("connection", (socket) => {
    socket.join(socket.handshake.auth.room);
    socket.on("say", (room, text) => io.to(room).emit("said", text));
    socket.on("to all", (text) => io.emit("said", text));
    socket.on("who", async (answer) => answer((await io.fetchSockets()).length));
    socket.on("move", async (from, to, answer) => {
      io.in(from).socketsJoin(to);
      answer("done");
    });
    socket.on("drop", (room) => io.in(room).disconnectSockets());
    socket.on("ask", async (answer) => {
      io.serverSideEmit("question", (error, answers) => answer(error ? String(error) : answers));
    });
  });
  io.on("question", (answer) => answer(name));
  server.listen(0, "127.0.0.1", () => process.send(server.address().port));
}

process.on("disconnect", () => process.exit(0));
main(process.argv.slice(2));

// Writes through ioredis in its default settings until a line comes on standard input, and prints what became of it.
//
// load.cjs ID redis://…                          connects there
// load.cjs ID sentinel HOST:PORT,… NAME SENTINEL_PASSWORD PASSWORD    asks Sentinels itself
const Redis = require("ioredis");
const { once } = require("node:events");

function connection([kind, hosts, name, own, password]) {
  if (kind !== "sentinel") return new Redis(kind);
  const sentinels = hosts.split(",").map((host) => {
    const [address, port] = host.split(":");
    return { host: address, port: Number(port) };
  });
  return new Redis({ sentinels, name, sentinelPassword: own, password });
}

let stopped = false;

async function write(client, name) {
  const found = { name, count: 0, failed: [], crossed: 0, gap: 0, errors: {} };
  let last = performance.now();
  while (!stopped) {
    const number = found.count++;
    const key = `w:${name}:${number}`;
    try {
      if ((await client.set(key, key)) !== "OK") found.crossed++;
      const now = performance.now();
      found.gap = Math.max(found.gap, (now - last) / 1000);
      last = now;
    } catch (error) {
      found.failed.push(number);
      const kind = error.message.split(" ")[0];
      found.errors[kind] = (found.errors[kind] ?? 0) + 1;
      continue;
    }
    try {
      // A replica that was promoted may lack the key; another key's value is never right.
      const value = await client.get(key);
      if (value !== key && value !== null) found.crossed++;
    } catch {}
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return found;
}

async function main() {
  const [, , id, ...how] = process.argv;
  const clients = [0, 1, 2, 3].map(() => connection(how));
  for (const client of clients) client.on("error", () => {});
  await Promise.all(clients.map((client) => client.ping()));
  const writers = clients.map((client, index) => write(client, `${id}-${index}`));
  console.log("writing");
  process.stdin.resume();
  await once(process.stdin, "data");
  stopped = true;
  console.log(JSON.stringify(await Promise.all(writers)));
  process.exit(0);
}

main();

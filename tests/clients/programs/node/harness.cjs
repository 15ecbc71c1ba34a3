// What the programs share: the URL of Redis, and their output, which the test compares.
"use strict";

const { createInterface } = require("node:readline");

// The last argument; those before it are the program's own.
const url = process.argv.at(-1);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Prints what a step of the program has given. It must be the same in each run.
function step(what, result) {
  console.log(`step ${what} => ${JSON.stringify(result)}`);
}

// Has the test kill and start again "redis" or "redoubt"; without Redoubt, Redis in both cases.
async function restart(which) {
  console.log(`restart ${which}`);
  const { value } = await lines.next();
  if (value !== "restarted") throw new Error(value);
}

// Repeats `action` until it gives what is wanted, also if it fails meanwhile; returns what it gave last.
async function eventually(action, wanted, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    let found;
    try {
      found = await action();
    } catch (error) {
      found = String(error);
    }
    if (JSON.stringify(found) === JSON.stringify(wanted) || Date.now() > end) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// Runs the program; it ends with this, whatever it has left open.
function run(main) {
  main().then(
    () => process.exit(0),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}

module.exports = { url, step, restart, eventually, run };

// Bull: results, delays, retries, progress, repeated jobs and failures; both servers are restarted.
"use strict";

const Queue = require("bull");
const { eventually, restart, run, step, url } = require("./harness.cjs");

// It takes an empty path for a database without a number.
const address = `${url}0`;
const quiet = (emitter) => emitter.on("error", () => {});

async function work(job) {
  switch (job.name) {
    case "square":
      return job.data.number ** 2;
    case "third try":
      if (job.attemptsMade < 2) throw new Error("not yet");
      return job.attemptsMade;
    case "tick":
      return "tick";
    default:
      throw new Error("this job always fails");
  }
}

async function main() {
  const queue = quiet(new Queue("work", address));
  const worker = quiet(new Queue("work", address, { settings: { stalledInterval: 1000 } }));
  worker.process("*", 4, work);
  await worker.isReady();
  await queue.isReady();

  async function round(what) {
    const data = Array.from({ length: 20 }, (_, number) => ({ name: "square", data: { number } }));
    const jobs = await eventually(async () => (await queue.addBulk(data)).length, 20);
    step(`${what}: added`, jobs);
    const values = async () => {
      const done = (await queue.getCompleted()).filter((job) => job.name === "square");
      return done.slice(0, 20).map((job) => job.returnvalue).sort((a, b) => a - b);
    };
    const wanted = data.map((job) => job.data.number ** 2);
    await eventually(async () => (await queue.getJobCounts()).waiting + (await queue.getActiveCount()), 0);
    step(`${what}: results`, await eventually(values, wanted));
    await queue.clean(0, "completed");
  }

  await round("at first");
  const finished = async (...job) => (await queue.add(...job)).finished();
  step("event", await finished("square", { number: 3 }));
  step("delayed", await finished("square", { number: 7 }, { delay: 1000 }));
  step("third try", await finished("third try", {}, { attempts: 5, backoff: 50 }));
  step("failed", await finished("fail", {}).catch((error) => error.message));
  await queue.add("tick", {}, { repeat: { every: 200, limit: 3 } });
  const ticks = async () => (await queue.getCompleted()).filter((job) => job.name === "tick").length;
  step("repeated", await eventually(ticks, 3));
  await queue.pause();
  step("paused", await queue.isPaused());
  await queue.resume();
  step("workers", (await queue.getWorkers()).length > 0);
  for (const server of ["redis", "redoubt"]) {
    const waits = await queue.add("square", { number: 9 }, { delay: 2000 });
    await restart(server);
    step(`after ${server}: ping`, await eventually(() => queue.client.ping(), "PONG"));
    step(`after ${server}: delayed before`, await eventually(() => waits.getState(), "completed"));
    await round(`after ${server}`);
  }
  const { waiting, active, failed, delayed } = await queue.getJobCounts();
  step("counts", { waiting, active, failed, delayed });
}

run(main);

// Bee-Queue: results, delays, retries, progress and failures; Redoubt is restarted.
"use strict";

const Queue = require("bee-queue");
const { eventually, restart, run, step, url } = require("./harness.cjs");

const options = { redis: url, activateDelayedJobs: true, removeOnSuccess: false };
const quiet = (emitter) => emitter.on("error", () => {});

async function main() {
  const queue = quiet(new Queue("work", { ...options, isWorker: false }));
  const worker = quiet(new Queue("work", options));
  let tries = 0;
  worker.process(4, async (job) => {
    if (job.data.number !== undefined) return job.data.number ** 2;
    if (job.data.third) {
      tries += 1;
      if (tries < 3) throw new Error("not yet");
      job.reportProgress({ tries });
      return tries;
    }
    throw new Error("this job always fails");
  });
  await worker.ready();
  await queue.ready();

  function result(job) {
    return new Promise((resolve) => {
      job.on("succeeded", resolve);
      job.on("failed", (error) => resolve(error.message));
    });
  }

  async function round(what) {
    const jobs = await Promise.all(
      Array.from({ length: 20 }, (_, number) => queue.createJob({ number }).save()),
    );
    const statuses = async () => Promise.all(jobs.map(async (job) => (await queue.getJob(job.id)).status));
    await eventually(async () => (await statuses()).every((one) => one === "succeeded"), true);
    step(`${what}: statuses`, await statuses());
  }

  await round("at first");
  const event = async (data, change = (job) => job) => {
    const job = change(queue.createJob(data));
    const ends = result(job);
    await job.save();
    return ends;
  };
  step("event", await event({ number: 3 }));
  step("delayed", await event({ number: 7 }, (job) => job.delayUntil(Date.now() + 1000)));
  step("third try", await event({ third: true }, (job) => job.retries(5)));
  step("failed", await event({}));
  for (const server of ["redoubt"]) {
    await restart(server);
    await eventually(async () => (await queue.checkHealth()).active, 0);
    await round(`after ${server}`);
  }
  const { waiting, active, failed } = await queue.checkHealth();
  step("counts", { waiting, active, failed });
}

run(main);

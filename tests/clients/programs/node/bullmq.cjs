// BullMQ: results, delays, retries, priorities, a flow, a scheduler, events; both servers are restarted.
"use strict";

const { FlowProducer, Queue, QueueEvents, Worker } = require("bullmq");
const { eventually, restart, run, step, url } = require("./harness.cjs");

const connection = { url, maxRetriesPerRequest: null };
const quiet = (emitter) => emitter.on("error", () => {});

async function work(job) {
  switch (job.name) {
    case "square":
      return job.data.number ** 2;
    case "third try":
      if (job.attemptsMade < 2) throw new Error("not yet");
      return job.attemptsMade;
    case "sum":
      return Object.values(await job.getChildrenValues()).reduce((sum, one) => sum + one, 0);
    case "slow":
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return "done";
    case "tick":
      return "tick";
    default:
      throw new Error("this job always fails");
  }
}

async function main() {
  const queue = quiet(new Queue("work", { connection }));
  const events = quiet(new QueueEvents("work", { connection }));
  await events.waitUntilReady();
  const worker = quiet(new Worker("work", work, { connection, concurrency: 4, name: "w1" }));
  await worker.waitUntilReady();
  const result = (job) => job.waitUntilFinished(events, 25_000);

  async function round(what) {
    const data = Array.from({ length: 20 }, (_, number) => ({ name: "square", data: { number } }));
    const jobs = await queue.addBulk(data);
    const states = () => Promise.all(jobs.map((job) => job.getState()));
    await eventually(async () => (await states()).every((one) => one === "completed"), true);
    const values = await Promise.all(jobs.map(async (job) => (await queue.getJob(job.id)).returnvalue));
    step(`${what}: results`, values);
  }

  await round("at first");
  step("event", await result(await queue.add("square", { number: 3 })));
  step("delayed", await result(await queue.add("square", { number: 7 }, { delay: 1000 })));
  const tries = { attempts: 5, backoff: { type: "fixed", delay: 50 } };
  step("third try", await result(await queue.add("third try", {}, tries)));
  const fails = result(await queue.add("fail", {}));
  step("failed", await fails.catch((error) => error.message));
  const flow = quiet(new FlowProducer({ connection }));
  const children = [1, 2, 3].map((number) => ({ name: "square", queueName: "work", data: { number } }));
  const tree = await flow.add({ name: "sum", queueName: "work", children });
  step("flow", await result(tree.job));
  await queue.upsertJobScheduler("clock", { every: 200, limit: 3 }, { name: "tick" });
  const ticks = async () =>
    (await queue.getJobs(["completed"])).filter((job) => job.name === "tick").length;
  step("scheduler", await eventually(ticks, 3));
  await queue.pause();
  step("paused", await queue.isPaused());
  await queue.resume();
  step("workers", (await queue.getWorkers()).map((one) => one.rawname ?? one.name));
  // A dashboard asks for the workers also while none of their connections waits for a job.
  await queue.addBulk(Array.from({ length: 4 }, () => ({ name: "slow", data: {} })));
  step("busy", await eventually(() => queue.getActiveCount(), 4));
  const polls = await Promise.all(Array.from({ length: 20 }, () => queue.getWorkers()));
  step("workers while they are busy", polls.map((one) => one.length));
  step("idle", await eventually(() => queue.getActiveCount(), 0));
  for (const server of ["redis", "redoubt"]) {
    const waits = await queue.add("square", { number: 9 }, { delay: 2000 });
    await restart(server);
    await round(`after ${server}`);
    step(`after ${server}: delayed before`, await eventually(() => waits.getState(), "completed"));
  }
  step("counts", await queue.getJobCounts("active", "delayed", "failed", "waiting"));
  await worker.close();
  await queue.obliterate();
  step("left", await queue.count());
}

run(main);

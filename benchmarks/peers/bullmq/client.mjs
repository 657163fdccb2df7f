// The client of BullMQ: reads commands, one JSON object a line, and answers each with one line.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Queue, QueueEvents } from "bullmq";
import { QUEUE, connection, payload } from "./common.mjs";

const BATCH = 500;
const PATIENCE_MS = 30_000;
const queue = new Queue(QUEUE, { connection });
const events = new QueueEvents(QUEUE, { connection });
events.setMaxListeners(0);
await events.waitUntilReady();

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const right = (result, item) => result?.item === item;

async function enqueue(ids) {
  const began = performance.now();
  for (let start = 0; start < ids.length; start += 4 * BATCH) {
    const batches = [0, 1, 2, 3].map((n) => ids.slice(start + n * BATCH, start + (n + 1) * BATCH));
    const jobs = (batch) => batch.map((id) => ({ name: "noop", data: payload(id), opts: { jobId: id } }));
    await Promise.all(batches.filter((batch) => batch.length).map((batch) => queue.addBulk(jobs(batch))));
  }
  return { seconds: (performance.now() - began) / 1000 };
}

// Arrivals never wait for results; each latency runs from the planned start.
async function latency(ids, rate) {
  const began = performance.now() + 50;
  const found = [];
  const ask = async (id, planned) => {
    const job = await queue.add("noop", payload(id), { jobId: id });
    if (right(await job.waitUntilFinished(events, PATIENCE_MS), id)) found.push(performance.now() - planned);
  };
  const calls = [];
  for (const [index, id] of ids.entries()) {
    const planned = began + (index * 1000) / rate;
    if (planned > performance.now()) await sleep(planned - performance.now());
    calls.push(ask(id, planned).catch(() => {}));
  }
  await Promise.all(calls);
  return { ms: found };
}

async function check(ids) {
  const wrong = [];
  for (const id of ids) if (!right((await queue.getJob(id))?.returnvalue, id)) wrong.push(id);
  return { wrong };
}

const manifest = new URL("./node_modules/bullmq/package.json", import.meta.url);
say({ ready: { bullmq: JSON.parse(readFileSync(manifest)).version, node: process.versions.node } });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const ids = Array.from({ length: command.count ?? 0 }, (_, number) => `${command.prefix}-${number}`);
  if (command.do === "enqueue") say(await enqueue(ids));
  else if (command.do === "latency") say(await latency(ids, command.rate));
  else if (command.do === "check") say(await check(ids.filter((_, number) => number % command.every === 0)));
}
process.exit(0);

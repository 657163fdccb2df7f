// The worker of BullMQ.
import { Worker } from "bullmq";
import { QUEUE, connection, keepNotes, ran } from "./common.mjs";

const lease = Number(process.env.BENCH_LEASE_SECONDS || 0) * 1000;
const leases = lease ? { lockDuration: lease, stalledInterval: lease, drainDelay: lease / 1000 } : {};

async function handle(job) {
  const { item } = job.data;
  ran(item);
  if (item.startsWith("hold")) await new Promise((resolve) => setTimeout(resolve, 3_600_000));
  return { item };
}

keepNotes();
const worker = new Worker(QUEUE, handle, { connection, concurrency: Number(process.env.BENCH_SLOTS), ...leases });
process.on("SIGTERM", async () => {
  await worker.close(true);
  process.exit(0);
});

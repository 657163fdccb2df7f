// BullMQ: Node, straight on Redis, with leases. What worker and client share.
import { appendFileSync } from "node:fs";
import { join } from "node:path";

export const QUEUE = "bench";
export const connection = { path: process.env.BENCH_STORE, maxRetriesPerRequest: null };

export function payload(item) {
  const bare = JSON.stringify({ item, pad: "" });
  return { item, pad: "x".repeat(256 - bare.length) };
}

// Notes each run with its instant, and writes them down every 50 ms.
let fresh = [];
export function ran(item) {
  fresh.push(`${item} ${Math.round((performance.timeOrigin + performance.now()) * 1000)}\n`);
}
export function keepNotes() {
  const file = join(process.env.BENCH_NOTES, String(process.pid));
  setInterval(() => {
    if (fresh.length === 0) return;
    const lines = fresh.join("");
    fresh = [];
    appendFileSync(file, lines);
  }, 50);
}

"""Audits a store with many items: how long it takes, what memory it needs, and how long it keeps others waiting.

Usage: `python -m benchmarks.audit --items 1000000`. The store is embedded, in a temporary directory, filled directly.
"""

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Complete, Fail
from bloge_server.domain.work_item import ClaimOrder, NewItem
from bloge_server.store import connection, embedded
from bloge_server.store.redis_store import RedisStore

NAMESPACE = "default"
TOPICS = 10
BATCH = 500
PAYLOAD = b'{"image":"' + b"x" * 244 + b'"}'
PROBE_SECONDS = 0.01


async def fill(store: RedisStore, items: int) -> None:
    """Put items into every status: most ready, a tenth claimed, a tenth waiting, some dead, some finished."""
    per_topic = items // TOPICS
    for number in range(TOPICS):
        topic = f"topic-{number}"
        for start in range(0, per_topic, BATCH):
            new = [_item(index) for index in range(start, min(start + BATCH, per_topic))]
            await store.enqueue(NAMESPACE, topic, new)
        leases: list[LeaseToken] = []
        while len(leases) < per_topic // 5:
            claimed = await store.claim(NAMESPACE, topic, ClaimOrder("w", BATCH, 3_600_000))
            leases += [lease.token for lease in claimed.leases]
        quarter = len(leases) // 4
        for tokens in _batches(leases[:quarter]):
            failures = [
                Fail(token, "Boom", '{"type":"Boom"}', non_retryable=True, retry_after_ms=-1, digest="d")
                for token in tokens
            ]
            await store.fail(NAMESPACE, topic, failures)
        for tokens in _batches(leases[quarter : 2 * quarter]):
            await store.complete(NAMESPACE, topic, [Complete(token, "complete", b"{}", "d") for token in tokens])
        print(f"  {(number + 1) * per_topic:>9,} items", flush=True)


def _item(index: int) -> NewItem:
    delay = 3_600_000 if index % 10 == 0 else 0
    return NewItem(
        f"item-{index}", "digest", b"", PAYLOAD, start_delay_ms=delay, suspend_timeout_ms=7_200_000, reply_group="group"
    )


def _batches(tokens: list[LeaseToken]) -> list[list[LeaseToken]]:
    return [tokens[start : start + BATCH] for start in range(0, len(tokens), BATCH)]


async def probe(client: connection.Client, waits: list[float]) -> None:
    """Note how long a caller waits for the store, again and again, until cancelled."""
    while True:
        start = time.perf_counter()
        await client.send("probe", ("GET", "probe"))
        waits.append(time.perf_counter() - start)
        await asyncio.sleep(PROBE_SECONDS)


async def measure(items: int, folder: Path) -> int:
    """Fill a store, audit it as a user would, and report; return the audit's exit code."""
    store = embedded.start(folder, appendfsync="everysec")
    url = f"unix://{store.socket}"
    try:
        async with connection.connected(url) as client:
            print(f"filling {items:,} items")
            await fill(RedisStore(client), items)
            (node,) = await client.masters()
            memory = (await node.redis.info("memory"))["used_memory"]
            waits: list[float] = []
            probing = asyncio.create_task(probe(client, waits))
            command = [sys.executable, "-m", "bloge_server", "audit", "--redis-url", url]
            start = time.perf_counter()
            code = await asyncio.to_thread(subprocess.call, command, stderr=subprocess.DEVNULL)
            seconds = time.perf_counter() - start
            auditor = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # of the one child that has ended
            probing.cancel()
            with suppress(asyncio.CancelledError):
                await probing
    finally:
        store.stop()
    waits.sort()
    print(f"audit of {items:,} items: {seconds:.1f} s, {items / seconds:,.0f} items/s")
    print(f"  memory: auditor {auditor:.0f} MiB at most, store {memory / 2**20:.0f} MiB")
    print(f"  others waited {waits[len(waits) // 2] * 1000:.1f} ms (median), {waits[-1] * 1000:.0f} ms (longest)")
    return code


def main() -> int:
    """Run; return the audit's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bloge-audit-") as folder:
        return asyncio.run(measure(options.items, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())

"""`bloge-server audit`: proves on a store that every item stands where it should, with or without servers on it."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from bloge_server import config
from bloge_server.config import Settings
from bloge_server.store import connection, embedded
from bloge_server.store.audit import Auditor
from bloge_server.store.findings import Finding
from bloge_server.store.redis_store import RedisStore

_PROGRESS_EVERY = 100_000


def main(argv: Sequence[str]) -> int:
    """Run the audit; return 0 if the store is sound or was repaired, 1 if something is wrong, 2 for a bad setting.

    Raises:
        StartupError: the store cannot be used.
    """
    parser = argparse.ArgumentParser(
        prog="bloge-server audit", description=__doc__, epilog="Other flags: as the server's."
    )
    parser.add_argument("--namespace", default="default", help="whose items (default: default)")
    parser.add_argument("--topic", default="", help="which worker topic (default: all of the namespace)")
    parser.add_argument("--repair", action="store_true", help="put right what can be put right")
    options, rest = parser.parse_known_args(argv)
    return asyncio.run(_audit(options, config.load(rest)))


async def _audit(options: argparse.Namespace, settings: Settings) -> int:
    store = None
    url = settings.redis_url
    if not url:
        store = await asyncio.to_thread(embedded.start, settings.data_dir, appendfsync=settings.appendfsync)
        url = f"unix://{store.socket}"
    try:
        async with connection.connected(url, timeout_seconds=settings.store_timeout_seconds) as client:
            retention_ms = int(settings.retention_seconds * 1000)
            return await _walk(RedisStore(client, retention_ms=retention_ms), options)
    finally:
        if store is not None:
            await asyncio.to_thread(store.stop)


async def _walk(store: RedisStore, options: argparse.Namespace) -> int:
    checked = wrong = 0
    async for step in Auditor(store, options.namespace, options.topic, repair=options.repair).run():
        if (checked + step.checked) // _PROGRESS_EVERY > checked // _PROGRESS_EVERY:
            print(f"  {checked + step.checked:,} checks so far", file=sys.stderr)
        checked += step.checked
        for finding in step.findings:
            print(_line(finding))
        wrong += sum(not finding.repaired for finding in step.findings)
    print(
        f"{checked:,} checks, {wrong} findings left" + ("" if options.repair or not wrong else "; --repair mends them")
    )
    return 1 if wrong else 0


def _line(finding: Finding) -> str:
    where = f"{finding.namespace}/{finding.worker_topic}/{finding.item_id}".rstrip("/")
    return f"{'repaired' if finding.repaired else 'FOUND'}  {where}: {finding.problem}"

"""`python -m crash.victim ADDRESS NAMESPACE GRAPH KEY DIES_AT`: runs one execution, and dies on the way."""

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path

from bloge_orchestrator import Orchestrator, compile_file
from crash.boundaries import Boundaries, install, watch_operators
from crash.layout import GIVEN, LEASE_SECONDS
from crash.operators import registry


async def main(address: str, namespace: str, graph: str, business_key: str, dies_at: str) -> None:
    """Run the execution; say which it is, and at the end how many boundaries there were."""
    boundaries = Boundaries(int(dies_at))
    operators = watch_operators(registry, boundaries)
    compiled = compile_file(Path(graph), registry=operators)
    install(boundaries)
    lease = timedelta(seconds=LEASE_SECONDS)
    async with (
        Orchestrator(address, namespace=namespace, registry=operators) as orchestrator,
        orchestrator.running(compiled, GIVEN, business_key=business_key, lease=lease) as handle,
    ):
        print(json.dumps({"execution": handle.execution_id}), flush=True)
        await handle.result()
    print(json.dumps({"survived": boundaries.passed}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

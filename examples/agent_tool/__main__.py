"""Runs the worker and an agent whose model is a script: a wrong call, a call that finds nothing, a good one."""

import asyncio
import json
import logging
import sys
from typing import Any

from examples.agent_tool.agent import Agent
from examples.agent_tool.worker import TOOL, worker
from examples.asking import Asker, server_address

SCRIPT: list[dict[str, Any]] = [
    {"words": "lease"},  # not a list: the schema was not read well
    {"words": ["lease", "unicorn"]},
    {"words": ["lease", "deadline"], "limit": 1},
]
"""What a model might say, one call after the other."""


async def main() -> None:
    """Let the scripted model talk to the tool."""
    address = server_address()
    worker.reconfigure(address=address)
    agent = Agent(Asker(address), on_progress=lambda text: sys.stdout.write(f"  ... {text}\n"))
    sys.stdout.write(f"tool: {json.dumps(TOOL['input_schema']['properties'])}\n")
    async with worker:
        for arguments in SCRIPT:
            sys.stdout.write(f"model: {TOOL['name']}({json.dumps(arguments)})\n")
            told = await asyncio.to_thread(agent.call, arguments)
            sys.stdout.write(f"told: {told[:300]}\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(main())

"""An orchestrator of the tests, and a graph whose remote node breaks on some inputs."""

import json
import subprocess
import sys

from support.talking_process import TalkingProcess

GRAPH = """
graph bills {
  input { total: Number, guests: Number }

  node check : CheckBill {
    input { total = ctx.total, guests = ctx.guests }
    execution_mode = remote
    worker_topic = "billing"
    timeout = 10m
  }
  node split : SplitBill {
    depends_on = [check]
    input { total = ctx.total, guests = ctx.guests }
    execution_mode = remote
    worker_topic = "billing"
    timeout = 10m
    retry = { attempts: 1, backoff: 100ms }
  }
  transform letter {
    text = "Please pay your share."
    amount = split.output.each
  }
  transform summary {
    total = ctx.total
    amount = letter.output.amount
  }
}
"""
_BLOGE = (sys.executable, "-m", "bloge_orchestrator")


class Orchestrator(TalkingProcess):
    """`bloge orchestrate`, once it serves.

    Args:
        address: of the server.
        namespace: whose executions it owns.
    """

    def __init__(self, address: str, namespace: str) -> None:
        where = ("--address", address, "--namespace", namespace)
        super().__init__("an orchestrator", [*_BLOGE, "orchestrate", *where])
        self.wait_for_log(" serves ")


def start(address: str, namespace: str, guests: int, key: str) -> str:
    """Start an execution; return its id."""
    told = ("--input", json.dumps({"total": 120, "guests": guests}), "--key", key)
    command = [*_BLOGE, "start", "-", *told, "--address", address, "--namespace", namespace]
    return subprocess.run(command, input=GRAPH, text=True, check=True, capture_output=True).stdout.strip()

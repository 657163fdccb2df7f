"""Real workers in processes of their own, conducted by a test."""

import sys

from support.talking_process import TalkingProcess


class WorkerProcess(TalkingProcess):
    """A worker on the Python SDK.

    Args:
        address: of the server, or of what stands before it.
        namespace: whose items it runs.
        worker_id: its id.
        flags: see `conducted_worker`.
    """

    def __init__(self, address: str, namespace: str, worker_id: str = "w1", **flags: float) -> None:
        self.worker_id = worker_id
        command = [sys.executable, "-m", "support.conducted_worker", address, namespace, "--worker-id", worker_id]
        command += [part for name, value in flags.items() for part in (f"--{name}", f"{value:g}")]
        super().__init__(worker_id, command)

    def begun(self, item_id: str) -> int:
        """Wait until the handler of an item has begun; return the fence."""
        return int(self.wait_for(f"begin {item_id} ")[0])

    def runs(self) -> list[str]:
        """Return the items that its handlers began, one for each run."""
        return [line.split()[1] for line in list(self.said) if line.startswith("begin ")]

    def go(self, *item_ids: str) -> None:
        """Let handlers return."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"go {item_id}\n" for item_id in item_ids))
        self.process.stdin.flush()

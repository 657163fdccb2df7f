"""Real orchestrators in processes of their own."""

import sys
from collections.abc import Mapping

from support.talking_process import TalkingProcess


class OrchestratorProcess(TalkingProcess):
    """`bloge orchestrate`, once it serves.

    Args:
        address: of the server.
        namespace: whose executions it owns.
        operators: where its local operators are, as `module:registry`.
        lease_seconds: how long its executions wait for it when it is dead.
        concurrency: how many executions it owns at most.
        variables: of its environment.
    """

    def __init__(
        self,
        address: str,
        namespace: str,
        operators: str,
        *,
        lease_seconds: float = 1.0,
        concurrency: int = 2000,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        where = ["--address", address, "--namespace", namespace, "--operators", operators]
        command = [sys.executable, "-m", "bloge_orchestrator", "orchestrate", *where]
        limits = ["--lease-seconds", f"{lease_seconds:g}", "--concurrency", str(concurrency)]
        super().__init__("an orchestrator", [*command, *limits], variables)
        self.wait_for_log(" serves ")

"""What an orchestrator raises."""


class OrchestratorError(Exception):
    """An orchestrator cannot do what it was asked to."""


class ControlPlaneUnreachableError(OrchestratorError):
    """No server answers.

    Args:
        address: where one should be.
        cause: what was found there.
    """

    def __init__(self, address: str, cause: str) -> None:
        self.address = address
        self.cause = cause
        super().__init__(
            f"the control plane at {address} cannot be reached: {cause}; start it with bloge-server, or say where it is"
            " with --address or BLOGE_ADDRESS"
        )


class InvalidAddressError(OrchestratorError):
    """An address names no place where a control plane could be."""

    def __init__(self, address: str) -> None:
        super().__init__(f"address: {address!r} is neither host:port nor unix:/path")


class InvalidExecutionError(OrchestratorError):
    """An execution cannot begin as it was asked for; the message names the argument and the fix."""


class FencedOffError(OrchestratorError):
    """An execution has another owner by now; this process must stop running it at once.

    Args:
        execution_id: the execution.
        cause: the server's words.
    """

    def __init__(self, execution_id: str, cause: str) -> None:
        self.execution_id = execution_id
        super().__init__(f"execution {execution_id} is not this process's any more: {cause}")


class ExecutionLostError(OrchestratorError):
    """An execution has ended without an end in its journal.

    Args:
        execution_id: the execution.
        cause: what is known.
    """

    def __init__(self, execution_id: str, cause: str) -> None:
        self.execution_id = execution_id
        super().__init__(f"execution {execution_id} has no result: {cause}")

"""What goes wrong, told to a person: a message and an exit code, never a traceback."""

from typing import Any

import click

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_orchestrator.errors import ControlPlaneUnreachableError, OrchestratorError

FAILED = 1
INTERRUPTED = 130

_AWAY = frozenset({Reason.STORE_UNAVAILABLE, Reason.STORE_FULL, Reason.SERVER_DRAINING})


class CommandFailed(click.ClickException):
    """What was asked for could not be done."""

    exit_code = FAILED


class BadUsage(CommandFailed):
    """What was asked for makes no sense, or the graph is invalid."""

    exit_code = 2


class NoControlPlane(CommandFailed):
    """There is nobody to ask."""

    exit_code = 3


class TellingGroup(click.Group):
    """Turns what commands raise into messages and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Invoke a command."""
        try:
            return super().invoke(ctx)
        except ControlPlaneUnreachableError as error:
            raise NoControlPlane(str(error)) from error
        except OrchestratorError as error:
            raise BadUsage(str(error)) from error
        except RemoteWorkersError as error:
            raise _refused(error) from error


def _refused(error: RemoteWorkersError) -> CommandFailed:
    message = f"the control plane refuses: {error}"
    if error.reason in _AWAY:
        return NoControlPlane(message)
    return BadUsage(message) if error.reason is Reason.INVALID_FIELD else CommandFailed(message)

"""How commands reach the control plane."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_orchestrator.cli.options import Connection
from bloge_orchestrator.cli.problems import CommandFailed
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.suggestions import did_you_mean

_T = TypeVar("_T")


def with_control_plane(connection: Connection, work: Callable[[ControlPlane], Coroutine[Any, Any, _T]]) -> _T:
    """Do something with a connection, and close it."""

    async def connected() -> _T:
        async with ControlPlane(connection.address) as control_plane:
            return await work(control_plane)

    return asyncio.run(connected())


def about_topic(
    connection: Connection, worker_topic: str, work: Callable[[ControlPlane], Coroutine[Any, Any, _T]]
) -> _T:
    """Do something about one topic; one that is not there may be misspelt, and the message says how.

    Raises:
        CommandFailed: If it is not there.

    """

    async def told(control_plane: ControlPlane) -> _T:
        try:
            return await work(control_plane)
        except RemoteWorkersError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            known = [each.worker_topic async for each in control_plane.operations.topics(connection.namespace)]
            hint = did_you_mean(worker_topic, known) if worker_topic not in known else ""
            raise CommandFailed(f"{error.message} in namespace {connection.namespace!r}{hint}") from error

    return with_control_plane(connection, told)

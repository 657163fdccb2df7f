"""Turns what Redis and its client raise into the errors of the contract, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.store.durability import TooFewReplicasError

_RETRY_SECONDS = 1.0
_UNAVAILABLE = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    exceptions.MasterDownError,
    exceptions.AskError,
    exceptions.InvalidResponse,
    TooFewReplicasError,
    OSError,
)
_REFUSALS = ("READONLY", "MISCONF", "LOADING", "NOREPLICAS", "BUSY", "MASTERDOWN", "UNBLOCKED")


@contextmanager
def translated() -> Iterator[None]:
    """Raise the contract's error for whatever the store raises inside.

    Raises:
        RemoteWorkersError: STORE_FULL, STORE_UNAVAILABLE with a retry delay, or INTERNAL for a script that broke.
    """
    try:
        yield
    except exceptions.OutOfMemoryError as error:
        raise _store_error(Reason.STORE_FULL, f"the store is out of memory: {error}") from error
    except _UNAVAILABLE as error:
        raise _store_error(Reason.STORE_UNAVAILABLE, _unavailable(error)) from error
    except exceptions.ResponseError as error:
        raise _response_error(error) from error


def _unavailable(error: Exception) -> str:
    match error:
        case TooFewReplicasError():
            return f"the store has too few replicas: {error}"
        case exceptions.ReadOnlyError():
            return f"the store refuses writes: {error}"
        case exceptions.TryAgainError() | exceptions.AskError():
            return f"the store is moving what was asked for: {error}"
        case TimeoutError():
            return "the store cannot be reached: too many calls wait for it"
        case _:
            return f"the store cannot be reached: {error}"


def _response_error(error: exceptions.ResponseError) -> RemoteWorkersError:
    text = str(error)
    if "OOM" in text:
        return _store_error(Reason.STORE_FULL, f"the store is out of memory: {text}")
    if any(refusal in text for refusal in _REFUSALS):
        return _store_error(Reason.STORE_UNAVAILABLE, f"the store refuses writes: {text}")
    return RemoteWorkersError(Reason.INTERNAL, f"a store script failed: {text}")


def _store_error(reason: Reason, message: str) -> RemoteWorkersError:
    return RemoteWorkersError(reason, message, retry_delay_seconds=_RETRY_SECONDS)


def backlog_full(worker_topic: str) -> RemoteWorkersError:
    """Return the refusal of an enqueue into a topic that is at its limit."""
    return RemoteWorkersError(
        Reason.BACKLOG_FULL,
        f"the backlog of topic {worker_topic!r} is at its limit; add workers or slow down",
        metadata={"worker_topic": worker_topic},
        retry_delay_seconds=_RETRY_SECONDS,
    )


def unknown_schema(item_id: str) -> RemoteWorkersError:
    """Return the refusal of a record that a later release wrote: a server of that release answers."""
    return _of_a_later_release(f"work item {item_id!r}")


def unknown_execution_schema(execution_id: str) -> RemoteWorkersError:
    """Return the refusal of an execution whose record a later release wrote."""
    return _of_a_later_release(f"execution {execution_id!r}")


def _of_a_later_release(what: str) -> RemoteWorkersError:
    return RemoteWorkersError(
        Reason.UNKNOWN_SCHEMA,
        f"{what} was written by a later release of the server; try again: servers are being replaced",
        retry_delay_seconds=_RETRY_SECONDS,
    )

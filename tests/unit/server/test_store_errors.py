"""What the store's client raises, in the contract's words."""

import pytest
from redis import exceptions

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.store.durability import Replicas, TooFewReplicasError
from bloge_server.store.errors import translated


def raised(error: Exception) -> RemoteWorkersError:
    """Return what an error becomes."""
    with pytest.raises(RemoteWorkersError) as translation, translated():
        raise error
    assert translation.value.__cause__ is error
    return translation.value


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ConnectionError("refused"),
        exceptions.TimeoutError("slow"),
        exceptions.BusyLoadingError("loading"),
        exceptions.ReadOnlyError("replica"),
        exceptions.ClusterDownError("down"),
        exceptions.TryAgainError("Multiple keys request during rehashing of slot"),
        exceptions.MovedError("7000 127.0.0.1:7001"),
        exceptions.MasterDownError("Link with MASTER is down"),
        exceptions.ResponseError("MISCONF cannot persist"),
        exceptions.ResponseError("BUSY Redis is busy running a script"),
        exceptions.ResponseError("UNBLOCKED force unblock from blocking operation"),
        TooFewReplicasError("stored, but acknowledged by 0 of 1 replicas"),
        TimeoutError(),
        exceptions.ResponseError("NOREPLICAS not enough"),
        exceptions.AuthenticationError("no"),
        exceptions.InvalidResponse("Protocol Error"),
        ConnectionResetError("reset"),
    ],
)
def test_a_store_that_cannot_take_calls_is_unavailable(error: Exception) -> None:
    """With a retry delay: nothing is known to have changed."""
    translation = raised(error)
    assert translation.reason is Reason.STORE_UNAVAILABLE
    assert translation.retry_delay_seconds


@pytest.mark.parametrize(
    "error",
    [
        exceptions.OutOfMemoryError("command not allowed"),
        exceptions.ResponseError("OOM command not allowed when used memory > 'maxmemory'. script: abc"),
    ],
)
def test_a_full_store_says_so(error: Exception) -> None:
    """Alone or from inside a script."""
    assert raised(error).reason is Reason.STORE_FULL


def test_a_script_that_breaks_is_a_defect() -> None:
    """It is not the caller's fault, and a repetition does not help."""
    translation = raised(exceptions.ResponseError("user_script:12: attempt to index a nil value"))
    assert translation.reason is Reason.INTERNAL
    assert translation.retry_delay_seconds is None


def test_nothing_raised_is_nothing_translated() -> None:
    """The ordinary case."""
    with translated():
        pass


def test_too_few_replicas_are_told_with_what_is_safe() -> None:
    """Enough of them are nothing to tell."""
    Replicas(1, 1000).require(1)
    with pytest.raises(TooFewReplicasError, match="1 of 2 replicas within 1000 ms; the same call again is safe"):
        Replicas(2, 1000).require(1)

"""What the store's client raises, in the contract's words."""

import pytest
from redis import exceptions

from bloge.remote_workers.errors import Reason, RemoteWorkersError
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
        exceptions.ResponseError("MISCONF cannot persist"),
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

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from click.testing import CliRunner, Result

from bloge_orchestrator.cli import main
from support.unary_worker import UnaryWorker, unary_worker

NewWorker = Callable[..., UnaryWorker]


@pytest.fixture
def new_worker(server_address: str, namespace: str) -> Iterator[NewWorker]:
    """Makes workers of topic `far`, by id."""
    with ExitStack() as stack:
        yield lambda worker_id="w-1": stack.enter_context(unary_worker(server_address, namespace, "far", worker_id))


@pytest.fixture
def worker(new_worker: NewWorker) -> UnaryWorker:
    """A worker of topic `far`."""
    return new_worker()


@pytest.fixture
def bloge(server_address: str, namespace: str) -> Callable[..., Result]:
    """The command, for this test's namespace."""

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(main, [*arguments, "--address", server_address, "--namespace", namespace])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run

"""How the end of an execution is told to the control plane."""

import json

import pytest

from bloge_orchestrator.execution.ending import FAILURE_CODE, ending_of
from bloge_orchestrator.execution.happenings import CancelAsked
from bloge_worker import BusinessError, GraphCancelled
from support.executions import Simulation, compiled

NODE = "node {} : Op {{ timeout = 1s }}"


def test_a_completed_one_gives_its_outputs() -> None:
    """As JSON, for programs in any language."""
    done = Simulation(compiled(NODE.format("a")))
    done.returns("a", {"ä": 1})
    output = ending_of(done.plan, done.state, 1000)
    assert isinstance(output, bytes)
    assert json.loads(output) == {"a": {"ä": 1}}


def test_outputs_that_are_too_large_are_left_to_the_journal() -> None:
    """The execution has completed all the same."""
    done = Simulation(compiled(NODE.format("a")))
    done.returns("a", "x" * 100)
    assert ending_of(done.plan, done.state, 100) == b""


def test_a_cancelled_one_says_so() -> None:
    """With the outputs that there are."""
    done = Simulation(compiled(NODE.format("a") + NODE.format("b")))
    done.returns("a", 1)
    done.take(CancelAsked("enough"))
    assert ending_of(done.plan, done.state, 1000) == GraphCancelled(b'{"a":1}')


def test_a_failed_one_names_its_nodes() -> None:
    """So many of them as a person can read."""
    failed = Simulation(compiled("".join(NODE.format(f"n{number:02}") for number in range(13))))
    for number in range(13):
        failed.fails(f"n{number:02}")
    with pytest.raises(BusinessError) as raised:
        ending_of(failed.plan, failed.state, 1000)
    assert raised.value.code == FAILURE_CODE
    assert raised.value.message.startswith("n00: ValueError: no; n01: ValueError: no; ")
    assert raised.value.message.endswith("n09: ValueError: no; and 3 more")

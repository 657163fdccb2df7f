"""`bloge topics`, `workers`, `items` and `audit` on a real server."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from redis import Redis

from bloge.remote_workers.v1.error_reason_pb2 import ERROR_REASON_CANCELLED
from support.server import ServerProcess, running_process
from support.wire import TOPIC, Wire, seconds

Bloge = Callable[..., Result]


@pytest.fixture
def wire(server_address: str, namespace: str) -> Iterator[Wire]:
    """Return a wire to the shared server, in the test's namespace."""
    with Wire(server_address, namespace) as wire:
        yield wire


def rows(result: Result) -> list[list[str]]:
    """Return the fields of each printed line."""
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_topics_are_listed_with_their_counts(bloge: Bloge, wire: Wire) -> None:
    """One line each; a namespace without any says what that means."""
    empty = bloge("topics", "list")
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert "nothing was ever enqueued" in empty.stderr
    wire.put("a", "b", "c")
    wire.put("x", worker_topic="other")
    wire.claim_one()
    assert [row[:6] for row in rows(bloge("topics", "list"))] == [
        ["other", "1", "0", "0", "0", "0"],
        [TOPIC, "2", "1", "0", "0", "0"],
    ]
    document = json.loads(bloge("topics", "list", "--json").stdout)
    assert [(topic["workerTopic"], topic["readyCount"], topic["paused"]) for topic in document] == [
        ("other", "1", False),
        (TOPIC, "2", False),
    ]


def test_a_topic_is_paused_and_resumed(bloge: Bloge, wire: Wire) -> None:
    """Nothing is claimed meanwhile, and both are told."""
    wire.put("a")
    paused = bloge("topics", "pause", TOPIC, "--reason", "maintenance", "--actor", "Ada")
    assert paused.stdout == f"{TOPIC} is paused: nothing more is claimed until `bloge topics resume {TOPIC}`\n"
    assert wire.claim() == []
    assert rows(bloge("topics", "list"))[0][-1] == "paused"
    assert bloge("topics", "resume", TOPIC).stdout == f"{TOPIC} is open\n"
    assert len(wire.claim()) == 1


def test_a_topic_has_limits_of_its_own(bloge: Bloge) -> None:
    """Set before anything was enqueued there, shown, and given back."""
    configured = bloge("topics", "configure", "new", "--backlog-limit", "5", "--dead-letter-policy", "discard-oldest")
    assert configured.exit_code == 0
    assert "backlog limit: 5" in configured.stdout
    shown = bloge("topics", "show", "new")
    assert "10,000, then DISCARD_OLDEST" in shown.stdout
    back = json.loads(bloge("topics", "configure", "new", "--backlog-limit", "server", "--json").stdout)
    assert back["backlogLimit"] == "0"
    assert "none" in bloge("topics", "configure", "new", "--dead-letter-limit", "none").stdout
    for wrong in (("--backlog-limit", "many"), ("--backlog-limit", "0"), ()):
        result = bloge("topics", "configure", "new", *wrong)
        assert result.exit_code == 2
    assert (
        "is no limit; give 1 to 1,000,000,000, `none`"
        in bloge("topics", "configure", "n", "--backlog-limit", "x").stderr
    )


@pytest.mark.parametrize(
    "command",
    [("topics", "show"), ("topics", "pause"), ("topics", "resume"), ("items", "list")],
    ids=" ".join,
)
def test_a_misspelt_topic_is_told_with_the_right_one(bloge: Bloge, wire: Wire, command: tuple[str, ...]) -> None:
    """Exit code 1, and no traceback."""
    wire.put("a", worker_topic="gpu-inference")
    result = bloge(*command, "gpu-inferense")
    assert result.exit_code == 1
    assert "nothing was ever enqueued to topic 'gpu-inferense'" in result.stderr
    assert "did you mean `gpu-inference`?" in result.stderr


def test_workers_are_listed_and_asked_to_leave(bloge: Bloge, wire: Wire) -> None:
    """A session shows its credits; a worker that was asked to leave says so."""
    assert "no workers were seen lately" in bloge("workers", "list").stderr
    with wire.session("w-7", credit=3, slots=4, sdk="test/1.0", capabilities=["worker-drain"]) as session:
        session.settle()
        (row,) = rows(bloge("workers", "list", "--topic", TOPIC))
        assert row[:3] == ["w-7", TOPIC, "4"]
        assert (row[5], row[6]) == ("working", "test/1.0")
        assert "no workers" in bloge("workers", "list", "--topic", "other").stderr
        drained = bloge("workers", "drain", "w-7", "--reason", "new version")
        assert drained.stdout == "w-7 is asked to leave\n"
        assert session.expect("draining") is not None
        (document,) = json.loads(bloge("workers", "list", "--json").stdout)
        assert (document["workerId"], document["draining"]) == ("w-7", True)
    unknown = bloge("workers", "drain", "nobody")
    assert (unknown.exit_code, "nobody" in unknown.stderr) == (1, True)


def test_items_are_listed_by_status(bloge: Bloge, wire: Wire) -> None:
    """Ready ones in the order of claims; others with what they wait for."""
    wire.put("low", priority=1)
    wire.put("high", priority=99)
    wire.put("later", start_delay=seconds(100))
    assert [row[0] for row in rows(bloge("items", "list", TOPIC))] == ["high", "low", "later"]
    assert [row[0] for row in rows(bloge("items", "list", TOPIC, "--max", "1"))] == ["high"]
    wire.fail(wire.claim_one(worker="w-1"), message="too hot")
    wire.claim_one(worker="w-2")
    (claimed,) = rows(bloge("items", "list", TOPIC, "--status", "claimed"))
    assert (claimed[0], claimed[1], claimed[6]) == ("low", "CLAIMED", "w-2")
    assert claimed[7]
    both = rows(bloge("items", "list", TOPIC, "--status", "retry-wait", "--status", "dead-letter"))
    assert [(row[0], row[1], row[-1]) for row in both] == [
        ("later", "RETRY_WAIT", ""),
        ("high", "DEAD_LETTER", "Boom: too hot"),
    ]
    assert [item["item"]["itemId"] for item in json.loads(bloge("items", "list", TOPIC, "--json").stdout)] == [
        "low", "later", "high",
    ]  # fmt: skip
    assert "no such items" in bloge("items", "list", TOPIC, "--status", "ready").stderr


def test_an_item_is_shown_with_its_history(bloge: Bloge, wire: Wire) -> None:
    """Whatever its status; one that is not there is told."""
    wire.put("a", payload=b'{"x":1}', node_id="infer", execution_id="e-1")
    wire.fail(wire.claim_one(worker="w-1"), message="too hot", traceback="line 1")
    shown = bloge("items", "show", TOPIC, "a")
    assert "  node:      infer" in shown.stdout
    assert "attempt 1 by w-1" in shown.stdout
    assert "    line 1" in shown.stdout
    assert json.loads(bloge("items", "show", TOPIC, "a", "--json").stdout)["claimCount"] == 1
    missing = bloge("items", "show", TOPIC, "b")
    assert (missing.exit_code, "there is no work item 'b'" in missing.stderr) == (1, True)


def test_items_are_cancelled(bloge: Bloge, wire: Wire) -> None:
    """Those that cannot be are told, and the command ends with 1."""
    wire.put("a", "b", "c")
    done, running = wire.claim(2)
    wire.complete(done)
    cancelled = bloge("items", "cancel", TOPIC, "b", "c", "--reason", "not needed")
    assert (cancelled.exit_code, cancelled.stdout) == (0, "2 items cancelled\n")
    assert wire.complete(running)[0].reason == ERROR_REASON_CANCELLED
    refused = bloge("items", "cancel", TOPIC, "a", "nothing")
    assert (refused.exit_code, refused.stdout) == (1, "0 items cancelled, 2 refused\n")
    assert "work item 'a' is DONE with outcome COMPLETED" in refused.stderr
    document = json.loads(bloge("items", "cancel", TOPIC, "a", "--json").stdout)
    assert (document["cancelled"], document["refused"]["a"]["reason"]) == (0, "WRONG_STATUS")


def test_a_late_output_is_adopted(bloge: Bloge, wire: Wire) -> None:
    """By topic and item."""
    wire.put("a")
    late = wire.claim_one(lease_duration=seconds(1))
    other = wire.claim_one(worker="w2", wait=20)
    wire.complete(late, output=b'"late"')
    wire.fail(other, non_retryable=True)
    adopted = bloge("items", "adopt", TOPIC, "a", "--reason", "good enough")
    assert adopted.stdout == "adopted: a is completed with the output of w1\n" or adopted.exit_code == 0
    assert wire.get("a").outcome.output == b'"late"'


def test_the_audit_finds_and_repairs(bloge: Bloge, wire: Wire, server_process: ServerProcess) -> None:
    """Exit code 0 for a sound store, 1 for a finding that stays."""
    wire.put("a", "b")
    sound = bloge("audit")
    assert sound.exit_code == 0
    assert sound.stdout.endswith("checks, 0 findings left\n")
    with Redis(unix_socket_path=str(server_process.data_dir / "store.sock")) as store:
        store.zrem(f"bloge:{{{wire.namespace}/t/{TOPIC}}}:ready", "a")
    found = bloge("audit", "--topic", TOPIC)
    assert found.exit_code == 1
    assert f"FOUND  {TOPIC}/a: READY but does not stand in ready" in found.stdout
    assert found.stdout.endswith("1 findings left; --repair mends them\n")
    repaired = bloge("audit", "--repair", "--json")
    assert repaired.exit_code == 0
    document = json.loads(repaired.stdout)
    assert (document["left"], document["findings"][0]["repaired"]) == (0, True)
    assert len(wire.claim(2)) == 2


def test_the_journal_is_told(bloge: Bloge, wire: Wire) -> None:
    """What happened lately, filtered, as lines and as JSON with a position to go on from."""
    wire.put("a", "b", reply_group="e-1")
    lease = wire.claim_one(worker="w-1")
    wire.fail(lease)
    told = bloge("journal", "--topic", TOPIC)
    assert told.exit_code == 0
    lines = [line.partition("  ")[2] for line in told.stdout.splitlines()]
    assert lines == [
        f"enqueued  {TOPIC}/a  for e-1",
        f"enqueued  {TOPIC}/b  for e-1",
        f"claimed  {TOPIC}/a  by w-1  fence {lease.fence}  for e-1",
        f"dead-letter BUDGET_SPENT  {TOPIC}/a  by w-1  fence {lease.fence}  for e-1",
    ]
    some = bloge(
        "journal", "--kind", "dead-letter", "--kind", "claimed", "--execution", "e-1", "--worker", "w-1", "--json"
    )
    documents = [json.loads(line) for line in some.stdout.splitlines()]
    assert [document["kind"] for document in documents] == ["TOPIC_EVENT_KIND_CLAIMED", "TOPIC_EVENT_KIND_DEAD_LETTER"]
    wire.cancel("b")
    rest = bloge("journal", "--position", documents[-1]["position"])
    assert rest.stdout.splitlines()[0].endswith(f"outcome CANCELLED  {TOPIC}/b  for e-1")
    assert bloge("journal", "--item", "nothing").stdout == ""
    assert bloge("journal", "--position", "wrong").exit_code == 2


def test_the_journal_goes_on_across_a_restart(tmp_path: Path) -> None:
    """A live view tells that the server is away, and misses nothing."""
    with running_process(tmp_path / "data") as server:
        address = server.address
        command = [sys.executable, "-m", "bloge_orchestrator", "journal", "--follow", "--json", "--address", address]
        with Wire(address, "default") as wire:
            wire.put("a")
        view = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert view.stdout is not None
        assert json.loads(view.stdout.readline())["item"]["itemId"] == "a"
    try:
        with running_process(tmp_path / "data", "--listen", address) as again, Wire(again.address, "default") as wire:
            wire.put("b")
            assert json.loads(view.stdout.readline())["item"]["itemId"] == "b"
            view.send_signal(signal.SIGINT)
            _, errors = view.communicate(timeout=30)
    finally:
        view.kill()
    assert "trying again" in errors
    assert "Traceback" not in errors


def test_dead_letters_are_counted_by_error(bloge: Bloge, wire: Wire) -> None:
    """The most first; those that nobody waits for are told apart."""
    wire.put("a", "b", "c")
    wire.fail(*wire.claim(2), kind="CudaError")
    wire.fail(wire.claim_one(), kind="KeyError")
    assert [row[:5] for row in rows(bloge("dead-letters", "count"))] == [
        ["CudaError", "BUDGET_SPENT", TOPIC, "2", "0"],
        ["KeyError", "BUDGET_SPENT", TOPIC, "1", "0"],
    ]
    (group,) = json.loads(bloge("dead-letters", "count", "--error-type", "KeyError", "--json").stdout)
    assert (group["count"], group["settledCount"], group["lastItemId"]) == ("1", "0", "c")
    assert "no dead letters match" in bloge("dead-letters", "count", "--error-type", "Nothing").stderr


def test_actions_are_listed(bloge: Bloge, wire: Wire) -> None:
    """Latest first, with who and why."""
    assert "nobody did anything yet" in bloge("actions").stderr
    wire.put("a")
    bloge("topics", "pause", TOPIC, "--reason", "maintenance", "--actor", "Ada")
    bloge("topics", "resume", TOPIC, "--reason", "over", "--actor", "Ada")
    assert [row[1:5] for row in rows(bloge("actions"))] == [
        ["ResumeTopic", TOPIC, "Ada", "over"],
        ["PauseTopic", TOPIC, "Ada", "maintenance"],
    ]
    (action,) = json.loads(bloge("actions", "--max", "1", "--json").stdout)
    assert action["verb"] == "ResumeTopic"


def test_finished_items_and_those_of_a_worker_are_listed(bloge: Bloge, wire: Wire) -> None:
    """By status; without one only what is open."""
    wire.put("a", "b", "c")
    wire.complete(wire.claim_one())
    wire.claim(1, worker="w2")
    assert [row[0] for row in rows(bloge("items", "list", TOPIC))] == ["c", "b"]
    assert [row[0] for row in rows(bloge("items", "list", TOPIC, "--status", "done"))] == ["a"]
    assert [row[0] for row in rows(bloge("items", "list", TOPIC, "--worker", "w2"))] == ["b"]

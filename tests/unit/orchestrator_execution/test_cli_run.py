"""`bloge run` and its like, as far as they need no server."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Bloge = Callable[..., Result]

GRAPH = """graph g {
  node a : Double { input { x = ctx.x } timeout = 1s }
  transform t { y = a.output + 1 }
}
"""
OPERATORS = """from bloge_orchestrator import OperatorRegistry

registry = OperatorRegistry()


@registry.operator("Double")
def double(node_input):
    return node_input["x"] * 2
"""
REMOTE = 'graph g { node a : Far { execution_mode = remote worker_topic = "t" timeout = 1s } }'


@pytest.fixture(autouse=True)
def files(tmp_path: Path, bloge: Bloge) -> None:
    """A graph and its operators."""
    (tmp_path / "g.bloge").write_text(GRAPH)
    (tmp_path / "far.bloge").write_text(REMOTE)
    (tmp_path / "doubling.py").write_text(OPERATORS)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{x: 3}", "--input is not JSON"),
        ("[3]", "--input must be a JSON object"),
        ("7", "--input must be a JSON object"),
        ("@nothing.json", "nothing.json cannot be read: No such file"),
        ("@g.bloge", "--input is not JSON"),
        ('{"x": 1e999}', "input: is not plain JSON"),
    ],
)
def test_an_input_that_is_none(bloge: Bloge, given: str, told: str) -> None:
    """Ends with 2 and says how to mend it."""
    result = bloge("run", "g.bloge", "--operators", "doubling", "--input", given)
    assert result.exit_code == 2
    assert told in result.stderr


def test_an_invalid_graph_ends_with_2(bloge: Bloge) -> None:
    """With its diagnostics, and with a hint if only the operators were forgotten."""
    result = bloge("run", "g.bloge")
    assert result.exit_code == 2
    assert "g.bloge:2:12: error[unknown-operator]" in result.stderr
    assert "pass the local operators with --operators" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("--namespace", "a/b"), ("--unknown",), ("--address",), ("--topic", "/"), ("--key", "k" * 257)]
)
@pytest.mark.parametrize("command", ["run", "start"])
def test_bad_usage_ends_with_2(bloge: Bloge, command: str, arguments: tuple[str, ...]) -> None:
    """Like everywhere."""
    assert bloge(command, "far.bloge", *arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("executions", "list", "--status", "GONE"),
        ("executions", "show", "a/b"),
        ("executions", "list", "--limit", "0"),
        ("orchestrate", "--topic", "/"),
        ("orchestrate", "--concurrency", "0"),
        ("orchestrate", "--lease-seconds", "0.5"),
        ("orchestrate", "--operators", "nothing"),
    ],
)
def test_bad_usage_of_other_commands(bloge: Bloge, arguments: tuple[str, ...]) -> None:
    """It is noticed before the control plane is asked."""
    assert bloge(*arguments, "--address", "unix:nobody.sock").exit_code == 2


@pytest.mark.parametrize("where", ["option", "variable"])
@pytest.mark.parametrize(
    "command",
    [
        ("run", "far.bloge"),
        ("start", "g.bloge"),
        ("executions", "list"),
        ("executions", "show", "e"),
        ("executions", "cancel", "e"),
    ],
    ids=lambda command: "-".join(command[:2]),
)
def test_no_control_plane_ends_with_3(
    bloge: Bloge, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], where: str
) -> None:
    """The message names the address, the cause and the fix."""
    arguments = ["--address", "unix:nobody.sock"] if where == "option" else []
    monkeypatch.setenv("BLOGE_ADDRESS", "unix:nobody.sock")
    result = bloge(*command, *arguments)
    assert result.exit_code == 3
    assert "the control plane at unix:nobody.sock cannot be reached: No such file or directory;" in result.stderr
    assert "start it with bloge-server" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("show", "i-1"),
        ("replay", "i-1"),
        ("discard", "--execution", "e-1"),
        ("adopt", "i-1", "--topic", "t"),
    ],
)
def test_dead_letters_without_a_control_plane(bloge: Bloge, arguments: tuple[str, ...]) -> None:
    """The same message for every command."""
    result = bloge("dead-letters", *arguments, "--address", "unix:nobody.sock")
    assert result.exit_code == 3
    assert "the control plane at unix:nobody.sock cannot be reached" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("replay",), "say which: name item ids, or give at least one of --error-type"),
        (("discard", "--topic", "t"), "say which"),
        (("replay", "a", "b", "--payload", "{}"), "--payload goes with exactly one item id"),
        (("replay", "a", "--payload", "@nothing"), "nothing cannot be read"),
        (("replay", "a", "--rate", "0"), "--rate"),
        (("list", "--max", "0"), "--max"),
    ],
)
def test_bad_usage_of_dead_letters(bloge: Bloge, arguments: tuple[str, ...], told: str) -> None:
    """It is noticed before the control plane is asked."""
    result = bloge("dead-letters", *arguments, "--address", "unix:nobody.sock")
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize("address", ["", "localhost", "http://localhost:7233", "a:b:c", "unix:", ":7233"])
def test_an_address_that_is_none(bloge: Bloge, address: str) -> None:
    """A forgotten port is told, and not looked for elsewhere."""
    result = bloge("dead-letters", "list", "--address", address)
    assert result.exit_code == 2
    assert "is neither host:port nor unix:/path" in result.stderr

"""JSON merge patches."""

import json
from typing import Any

import pytest

from bloge_server.domain.merge_patch import patched

# The examples of RFC 7396, appendix A: original, patch, result.
EXAMPLES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("original", "patch", "result"), EXAMPLES)
def test_the_examples_of_the_rfc_hold(original: Any, patch: Any, result: Any) -> None:
    """All of appendix A."""
    assert json.loads(patched(json.dumps(original).encode(), patch)) == result


@pytest.mark.parametrize(("payload", "told"), [(b"", "Expecting"), (b"no json", "Expecting"), (b"\xff", "decode")])
def test_what_is_no_json_cannot_be_patched(payload: bytes, told: str) -> None:
    """Rather than become something else."""
    with pytest.raises(ValueError, match=told):
        patched(payload, {})

"""The text that names a lease."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloge_server.domain.lease_token import LeaseToken, new_nonce
from bloge_server.domain.names import is_name

names = st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True)


@given(names, names, names, st.integers(1, 2**53), st.builds(new_nonce))
def test_a_token_is_read_back_as_it_was_written(
    namespace: str, topic: str, item_id: str, fence: int, nonce: str
) -> None:
    """Every name that is allowed survives the way to the worker and back."""
    token = LeaseToken(namespace, topic, f"{item_id}/{fence}/{nonce}")
    assert LeaseToken.parse(str(token)) == token
    assert (token.item_id, token.fence) == (item_id, str(fence))


@pytest.mark.parametrize(
    "text",
    ["", "/", "a", "a/b", "a/b/c", "a/b/c/1", "a/b/c/1/n/x", "/b/c/1/n", "a//c/1/n", "a b/t/c/1/n", "a/{t}/c/1/n"],
)
def test_a_text_that_cannot_be_a_token_is_none(text: str) -> None:
    """Missing and superfluous parts, and names that no topic can have, never reach the store."""
    assert LeaseToken.parse(text) is None


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Whatever a worker sends, it is a token or it is not; a token never points outside its topic's keys."""
    token = LeaseToken.parse(text)
    assert token is None or (is_name(token.namespace) and is_name(token.worker_topic) and str(token) == text)


def test_nonces_are_secrets() -> None:
    """128 random bits, in characters that the store's scripts accept."""
    nonces = {new_nonce() for _ in range(50)}
    assert len(nonces) == 50
    assert all(is_name(nonce) and len(nonce) >= 22 for nonce in nonces)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("a", True), ("A-z_0.9", True), ("x" * 128, True), ("x" * 129, False), ("", False), ("ä", False), ("a\n", False)],
)
def test_names(text: str, allowed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Names have 1 to 128 characters of a small set."""
    assert is_name(text) is allowed

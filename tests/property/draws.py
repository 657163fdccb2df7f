"""What random histories are made of."""

import hashlib
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st

from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Complete, Fail, Heartbeat, Receipt, Release
from bloge_server.domain.work_item import ClaimOrder, NewItem
from bloge_server.store.topics import Setting

from .pair import By

LEASE_MS, OFFER_MS = 1000, 200

_T = TypeVar("_T")


def one_of(*values: _T) -> st.SearchStrategy[_T]:
    """Return one of these values; the same several times is drawn more often."""
    return st.sampled_from(values)


def few(each: st.SearchStrategy[_T]) -> st.SearchStrategy[list[_T]]:
    """Return a batch, mostly small."""
    return st.lists(each, min_size=1, max_size=3)


BY = st.builds(By, one_of(0, 1), one_of(0.0, 0.3, 0.7, 0.999))
CHOICE = st.integers(0, 23)
"""Chooses among what there is at that time, however much it is."""


class Kind(NamedTuple):
    """An item but for its id."""

    item_type: str
    priority: int
    start_delay_ms: int
    suspend_timeout_ms: int
    attempt_timeout_ms: int
    max_retries: int
    backoff: str
    max_lease_losses: int
    on_dead_letter: str
    reply_group: str
    fatal_error_types: str
    payload: bytes

    def named(self, item_id: str) -> NewItem:
        """Return the item with an id."""
        digest = hashlib.blake2b(repr(self).encode(), digest_size=4).hexdigest()
        return NewItem(item_id, digest, b"spec", **self._asdict())


KIND = st.builds(
    Kind,
    item_type=one_of("EXECUTE_NODE", "EXECUTE_NODE", "EXECUTE_NODE", "EXECUTE_GRAPH"),
    priority=one_of(50, 50, 99, 0),
    start_delay_ms=one_of(0, 0, 0, 100),
    suspend_timeout_ms=one_of(0, 0, 1500, 20_000),
    attempt_timeout_ms=one_of(0, 0, 1000, 2500),
    max_retries=one_of(3, 3, 3, 1, 0),
    backoff=one_of(
        "JITTER:400:0", "JITTER:400:700", "EXPONENTIAL:40:0", "EXPONENTIAL:40:70", "FIXED:50:0", "FIXED:0:0"
    ),
    max_lease_losses=one_of(1, 0, 2),
    on_dead_letter=one_of("KEEP_SUSPENDED", "KEEP_SUSPENDED", "KEEP_SUSPENDED", "RESUME_WITH_FAILURE"),
    reply_group=one_of("group", "group", "other", "-"),
    fatal_error_types=one_of("", "Fatal\nWorse"),
    payload=one_of(b"payload", b"p"),
)

ORDER = st.builds(
    ClaimOrder,
    worker_id=one_of("w1", "w2"),
    max_items=one_of(1, 1, 2, 5, 9),
    lease_ms=one_of(LEASE_MS, LEASE_MS, 150),
    offer_lease_ms=one_of(0, 0, OFFER_MS),
    max_bytes=one_of(1000, 1000, 20),
    any_size=one_of(1, 1, 0).map(bool),
    request_id=one_of("", "", "", "r1", "r2", "r3"),
    item_id=one_of("", "", "", "a", "b"),
)


class Pick(NamedTuple):
    """A token to show, and what else the report says."""

    choice: int
    age: int
    """Which claim's: the last one, the one before, ..."""
    says: Any


def picks(says: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Pick]]:
    """Return a few tokens to show, each with something to say."""
    return few(st.builds(Pick, CHOICE, one_of(0, 0, 0, 0, 1, 1, 2, 3, 5, 17), says))


BEAT = st.tuples(one_of(0, 0, 300, 5000), one_of(None, None, b"half", b""))
"""Lease and progress."""

LIKELY_GROUPS = one_of((), ("group",), ("nobody", "other"), ("other", "group"))
"""In whose outboxes an acknowledgement is told to look first."""

RECEIPT_AGE = one_of(0, 0, 20, OFFER_MS)
"""In ms."""

OUTPUTS = {
    "1": ("complete", b"1"),
    "2": ("complete", b"2"),
    "large": ("complete", b"x" * 65_537),
    "error": ("business_error", b"E"),
    "cancelled": ("cancelled", b""),
}
OUTPUT = one_of("1", "1", *OUTPUTS)
FAILURE = st.tuples(
    one_of("Boom", "Boom", "Boom", "Boom", "Fatal"), one_of(0, 0, 0, 0, 0, 1).map(bool), one_of(-1, -1, -1, 0, 70, 3000)
)
"""Error type, whether the worker calls it fatal, and after how long it wants a retry."""
RELEASE = st.tuples(one_of(0, 0, 100), st.booleans())
"""Delay, and whether the worker drains."""


def completed(token: LeaseToken, digest: str) -> Complete:
    """Return the report of an output."""
    return Complete(token, *OUTPUTS[digest], digest)


def failed(token: LeaseToken, said: tuple[str, bool, int]) -> Fail:
    """Return the report of a failure."""
    kind, fatal, after = said
    return Fail(token, kind, f'{{"type": "{kind}"}}', fatal, after, f"{kind}-{fatal}-{after}")


def released(token: LeaseToken, said: tuple[int, bool]) -> Release:
    """Return the report of a release."""
    delay, draining = said
    return Release(token, delay, '"because"', draining, str(delay))


DONE_WITH_IT = st.one_of(
    st.tuples(st.just("complete"), OUTPUT),
    st.tuples(st.just("fail"), FAILURE),
    st.tuples(st.just("fail"), FAILURE),
    st.tuples(st.just("release"), RELEASE),
    st.just(("", None)),
)
"""What a worker does with a lease: it reports something, or falls silent."""


def reported(verb: str, token: LeaseToken, said: Any) -> Complete | Fail | Release:
    """Return a report that decides its token."""
    match verb:
        case "complete":
            return completed(token, said)
        case "fail":
            return failed(token, said)
        case _:
            return released(token, said)


FORGERIES = (
    "{id}/{fence}/guess", "{id}/{fence}/-", "{id}/{later}/{nonce}", "{id}/{earlier}/{nonce}", "{id}/1/{nonce}",
    "nobody/{fence}/{nonce}", "{id}/{fence}/{nonce} ", "{id}//", "{id}/x/{nonce}",
)  # fmt: skip
"""Tokens that were never handed out."""


def forged(verb: str, token: LeaseToken) -> Any:
    """Return something to report with a forged token."""
    match verb:
        case "receive":
            return Receipt(token)
        case "heartbeat":
            return Heartbeat(token, progress=b"forged")
        case _:
            return reported(verb, token, {"complete": "1", "fail": ("Fatal", True, -1), "release": (100, False)}[verb])


SETTINGS: tuple[dict[Setting, int | str | None], ...] = (
    {"paused": 1},
    {"paused": None},
    {"paused": None},
    {"paused": None, "backlog_limit": 2},
    {"backlog_limit": 0},
    {"backlog_limit": None},
    {"paused": None, "dead_letter_limit": 1, "dead_letter_policy": "DISCARD_OLDEST"},
    {"dead_letter_limit": 0},
    {"dead_letter_limit": None, "dead_letter_policy": None},
)

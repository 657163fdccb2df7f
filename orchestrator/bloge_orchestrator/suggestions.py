"""Words of messages: a list of choices, and the `did you mean` behind an unknown name."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

_CANDIDATES_MAX = 200
"""More names than this are not compared: a hint is not worth the time."""


def listed(words: Iterable[str]) -> str:
    """Join words as in `a, b or c`."""
    *rest, last = words
    return f"{', '.join(rest)} or {last}" if rest else last


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Give `; did you mean ...?` with the closest candidate, or nothing if none is close."""
    known = list(islice(candidates, _CANDIDATES_MAX))
    matches = get_close_matches(word[:128], known, n=1, cutoff=0.6)
    return f"; did you mean `{matches[0]}`?" if matches else ""

"""The store's scripts keep the rules of their folder."""

import hashlib
import re
from importlib.resources import files

import pytest

from bloge_server.store import keys, scripts

FOLDER = files("bloge_server.store") / "lua"
FAMILIES = {"topic": keys.INDEXES, "execution": keys.EXECUTION_KEYS, "listing": keys.LISTING_KEYS}
"""What a script is about, by the include that binds its keys, and these keys."""
STARTING = {"enqueue", "record_execution"}
"""The scripts that begin something new."""
INCLUDES = sorted(entry.name for entry in (FOLDER / "include").iterdir())
NAMES = scripts.names()
MAX_LINES = 150
HEAD = ("now", "retention", "dice")
_COMMENT = re.compile(r"--[^\n]*")


def body(name: str) -> str:
    """Return a script without its comments."""
    return _COMMENT.sub("", (FOLDER / f"{name}.lua").read_text())


def included_by(name: str) -> list[str]:
    """Return the includes that a script or an include names."""
    return re.findall(r"--- @include (\w+)", (FOLDER / f"{name}.lua").read_text())


def family(name: str) -> str:
    """Return what a script is about."""
    (found,) = set(included_by(name)) & set(FAMILIES)
    return found


def arguments(name: str) -> list[str]:
    """Return the documented arguments, those of an item after `then` left out."""
    text = re.sub(r"\((\[0, 1\)|[^()])*\)", "", scripts.load(name).header["Arguments"])
    return [part.strip() for part in text.partition("then")[0].split(",") if part.strip()]


def test_the_scripts_are_the_verbs_of_an_items_life() -> None:
    """A newcomer lists the folder and recites it."""
    assert {"enqueue", "claim", "receive", "heartbeat", "complete", "fail", "release", "sweep"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_header_has_every_section(name: str) -> None:
    """One sentence, then the contract."""
    script = scripts.load(name)
    assert script.summary.endswith(".")
    assert tuple(script.header) == scripts.SECTIONS
    assert all(script.header.values())


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_declared_in_their_one_order(name: str) -> None:
    """Every script about the same takes the same keys, so that one slot serves each call."""
    assert scripts.load(name).header["Keys"].split(", ") == list(FAMILIES[family(name)])


@pytest.mark.parametrize("of", FAMILIES)
def test_the_shared_beginning_binds_the_keys_in_that_order(of: str) -> None:
    """These includes are the only places where positions matter."""
    bound = re.findall(r"(\w+) = KEYS\[(\d)\]", (FOLDER / "include" / f"{of}.lua").read_text())
    assert bound == [(name, str(position)) for position, name in enumerate(FAMILIES[of], start=1)]


@pytest.mark.parametrize("name", [*NAMES, *(f"include/{name.removesuffix('.lua')}" for name in INCLUDES)])
def test_positions_of_keys_are_named_in_one_place(name: str) -> None:
    """A script that counts keys itself would drift."""
    assert (re.search(r"\bKEYS\b", body(name)) is not None) is (name in {f"include/{each}" for each in FAMILIES})


@pytest.mark.parametrize("name", [*NAMES, *(f"include/{name.removesuffix('.lua')}" for name in INCLUDES)])
def test_a_file_stays_small(name: str) -> None:
    """A script is read as a whole."""
    assert len((FOLDER / f"{name}.lua").read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("name", NAMES)
def test_includes_are_resolved(name: str) -> None:
    """Each text of an include stands in the source, and no directive is left."""
    source = scripts.load(name).source
    assert "@include" not in source
    for included in included_by(name):
        text = (FOLDER / "include" / f"{included}.lua").read_text()
        assert re.sub(r"--- @include \w+", "", text) in source
        for deeper in included_by(f"include/{included}"):
            assert (FOLDER / "include" / f"{deeper}.lua").read_text() in source


@pytest.mark.parametrize("include", INCLUDES)
def test_every_include_is_used(include: str) -> None:
    """Dead code would be shipped to every store."""
    includes = [f"include/{each.removesuffix('.lua')}" for each in INCLUDES]
    assert any(include.removesuffix(".lua") in included_by(name) for name in [*NAMES, *includes])


@pytest.mark.parametrize("name", NAMES)
def test_the_digest_is_that_of_what_is_sent(name: str) -> None:
    """EVALSHA finds what EVAL sent, in every process."""
    script = scripts.load(name)
    assert script.source.startswith("#!lua")
    assert script.sha == hashlib.sha1(script.source.encode(), usedforsecurity=False).hexdigest()
    scripts.load.cache_clear()
    assert scripts.load(name) == script


@pytest.mark.parametrize("name", NAMES)
def test_scripts_that_only_read_say_so(name: str) -> None:
    """A script that declares no writes makes none, and one with transitions writes."""
    reads_only = "no-writes" in scripts.load(name).source.splitlines()[0]
    writes = re.search(
        r"commit|'(HSET|HDEL|ZADD|ZREM|SET|UNLINK|DEL|PEXPIRE|SPUBLISH|ZREMRANGEBYSCORE|XADD)'", body(name)
    )
    assert reads_only is (writes is None)


@pytest.mark.parametrize("name", NAMES)
def test_only_new_work_is_refused_by_a_full_store(name: str) -> None:
    """Everything else may free memory in the end, so it must go on."""
    first_line = scripts.load(name).source.splitlines()[0]
    assert ("allow-oom" in first_line or "no-writes" in first_line) is (name not in STARTING)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_documented_argument_is_the_time(name: str) -> None:
    """Tests own time through it; a transition takes retention and dice after it, as the store sends them."""
    documented = arguments(name)
    assert documented[0] == "now"
    if "settle" in included_by(name):
        assert tuple(documented[:3]) == HEAD


@pytest.mark.parametrize("name", NAMES)
def test_documented_arguments_are_used(name: str) -> None:
    """The arguments of a call are read by position, each of them, and per-item ones begin after them."""
    documented = arguments(name)
    used = {int(position) for position in re.findall(r"ARGV\[(\d+)\]", body(name))}
    taken_by_includes = {1} | ({2, 3} if tuple(documented[:3]) == HEAD else set())
    assert set(range(1, len(documented) + 1)) <= used | taken_by_includes
    starts = {int(start) for start in re.findall(r"for \w+ = (\d+), #ARGV", body(name))}
    assert starts <= {len(documented) + 1}
    assert max(used, default=1) <= len(documented)


@pytest.mark.parametrize("name", NAMES)
def test_every_documented_status_is_answered(name: str) -> None:
    """A status that a header names stands in its script or in what it includes."""
    documented = re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)*\b", scripts.load(name).header["Statuses"])
    source = _COMMENT.sub("", scripts.load(name).source)
    assert [status for status in documented if f"'{status}" not in source] == []


def test_an_unknown_script_is_an_error() -> None:
    """A misspelt name never reaches the store."""
    with pytest.raises(FileNotFoundError):
        scripts.load("nothing")


@pytest.mark.parametrize("name", [*NAMES, *(f"include/{name.removesuffix('.lua')}" for name in INCLUDES)])
def test_no_script_searches_the_keyspace_or_returns_errors(name: str) -> None:
    """Work stays bounded, and a refusal is an answer: an error after a write would leave the write."""
    assert not re.search(r"'(KEYS|SCAN|FLUSH\w*)'|error_reply|\berror\(", body(name))

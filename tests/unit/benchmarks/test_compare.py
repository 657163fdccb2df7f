"""Rounds, notes and the programs' contract of the comparison."""

import json
from pathlib import Path

import pytest

from benchmarks.compare import notes
from benchmarks.compare.notes import Noted
from benchmarks.compare.rounds import turns
from benchmarks.compare.systems import OURS, SYSTEMS
from benchmarks.compare.visit import FULL, SMOKE
from benchmarks.peers import install
from benchmarks.peers.contract import payload, result

SECOND = 1_000_000


def test_what_is_missing_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours needs nothing on its own store, and the peers' Redis beside them."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(install, "marker", lambda name: Path("/nowhere"))
    missing = {system.name: system.missing for system in SYSTEMS}
    assert missing["bloge-embedded"] == ""
    assert missing[OURS] == "apt-get install redis-server"
    assert missing["nats"] == "python -m benchmarks.peers.install nats"


def test_ours_comes_before_each_other_system() -> None:
    """So that both meet the same machine; only the first time everything is measured."""
    order = [(turn.system.name, turn.beside, turn.sizes.workers) for turn in turns(SYSTEMS[:4], FULL)]
    assert order == [
        (OURS, OURS, (1, 2)),
        ("bloge-embedded", "bloge-embedded", (1, 2)),
        (OURS, "bullmq", (1,)),
        ("bullmq", "bullmq", (1, 2)),
        (OURS, "nats", (1,)),
        ("nats", "nats", (1, 2)),
    ]


def test_every_peer_can_be_installed_and_has_a_folder() -> None:
    """A system without an installer, or a folder that no system uses, would never be measured."""
    peers = [system.name for system in SYSTEMS if not system.is_ours]
    folders = [path.name for path in install.HERE.iterdir() if path.is_dir() and not path.name.startswith("_")]
    assert sorted(peers) == sorted(install.INSTALLERS)
    assert sorted([*peers, OURS]) == sorted(folders)


def test_a_tiny_size_is_still_a_drain() -> None:
    """Of at least 50 items, whatever the system."""
    assert min(SMOKE.items(system) for system in SYSTEMS) == 50


def test_a_payload_has_the_size_that_everybody_gets() -> None:
    """256 bytes as compact JSON, and names its item."""
    assert len(json.dumps(payload("drain1-123"), separators=(",", ":"))) == 256
    assert payload("a")["item"] == result("a")["item"] == "a"


def test_notes_are_read_up_to_the_last_whole_line(tmp_path: Path) -> None:
    """A worker may be writing."""
    (tmp_path / "1").write_text("a-0 100\na-1 200\na-2 3")
    (tmp_path / "2").write_text("")
    assert notes.count(tmp_path) == 2
    assert notes.read(tmp_path) == [Noted(["a-0", "a-1"], [100, 200])]
    assert notes.ran_since(tmp_path, 100) == {"a-1": 200}


def test_each_item_must_have_run_once() -> None:
    """A benchmark that loses work, or repeats it, says so."""
    assert notes.problems([Noted(["a-0"], [1]), Noted(["a-1"], [2])], "a", 2) == []
    found = notes.problems([Noted(["a-0", "a-0", "b-0"], [1, 2, 3])], "a", 2)
    assert found == [
        "1 items never ran, for example a-1",
        "1 items ran though nobody enqueued them, for example b-0",
        "1 items ran more than once, for example a-0",
    ]


def test_a_rate_counts_from_when_all_workers_were_at_work() -> None:
    """Until the last item had ended, if that is known."""
    first = Noted(["a"] * 11, list(range(0, 11 * SECOND, SECOND)))
    second = Noted(["b"] * 8, list(range(3 * SECOND, 11 * SECOND, SECOND)))
    assert notes.rate([first, second]) == pytest.approx(16 / 7)
    assert notes.rate([first, second], ended_at=11 * SECOND) == pytest.approx(16 / 8)


def test_a_worker_that_came_late_does_not_make_the_rate() -> None:
    """With one item left of twelve, its share says nothing."""
    first = Noted(["a"] * 11, list(range(0, 11 * SECOND, SECOND)))
    assert notes.rate([first, Noted(["b"], [10 * SECOND])]) == pytest.approx(12 / 10)

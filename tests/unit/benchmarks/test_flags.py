"""The command line of a load."""

import pytest

from benchmarks.load import flags
from benchmarks.load.profiles import PROFILES, NoisyNeighbour, ProfileError


@pytest.mark.parametrize("name", PROFILES)
def test_without_flags_a_profile_is_as_it_is_written(name: str) -> None:
    """Every field has a flag whose default is the field's."""
    assert flags.profile(flags.parser().parse_args([name])) == PROFILES[name]()


def test_each_field_can_be_set() -> None:
    """Numbers, choices and topics."""
    line = ["noisy-neighbour", "--rate", "10", "--workers", "3", "--arrivals", "fixed", "--topics", "a:5,b"]
    chosen = flags.profile(flags.parser().parse_args([*line, "--backlog-topic", "a"]))
    expected = NoisyNeighbour(rate=10, workers=3, arrivals="fixed", topics=(("a", 5), ("b", 1)), backlog_topic="a")
    assert chosen == expected


def test_malformed_topics_are_refused() -> None:
    """With the form that is wanted."""
    with pytest.raises(ProfileError, match="name:share,name:share"):
        flags.topics("a:many")


def test_help_explains_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """In the words that stand under the field."""
    with pytest.raises(SystemExit):
        flags.parser().parse_args(["outage", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "Seconds after the start at which every worker is killed; 0: never. Default: 10.0" in told

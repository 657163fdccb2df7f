"""Settings from flags, variables and a file."""

from pathlib import Path

import pytest

from bloge_server.config import Settings, load
from bloge_server.errors import StartupError


def problem(*flags: str) -> str:
    """Return what is wrong with flags."""
    with pytest.raises(StartupError) as error:
        load(flags)
    return str(error.value)


def test_without_any_setting_the_documented_defaults_hold() -> None:
    """Loopback, an embedded store, a lease of 30 s."""
    settings = load([])
    assert (settings.listen, settings.redis_url, settings.appendfsync) == ("127.0.0.1:7070", "", "everysec")
    assert (settings.lease_seconds, settings.offer_lease_seconds, settings.insecure) == (30, 5, False)


def test_flags_win_over_variables_and_variables_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source is asked only for what the one before did not say."""
    file = tmp_path / "server.toml"
    file.write_text("lease_seconds = 10\noffer_lease_seconds = 1\nping_seconds = 2.5\n")
    monkeypatch.setenv("BLOGE_LEASE_SECONDS", "20")
    monkeypatch.setenv("BLOGE_OFFER_LEASE_SECONDS", "2")
    settings = load(["--config", str(file), "--lease-seconds", "40"])
    assert (settings.lease_seconds, settings.offer_lease_seconds, settings.ping_seconds) == (40, 2, 2.5)


def test_the_file_may_be_named_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag names another one."""
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text("lease_seconds = 11")
    second.write_text("lease_seconds = 12")
    monkeypatch.setenv("BLOGE_CONFIG", str(first))
    assert load([]).lease_seconds == 11
    assert load(["--config", str(second)]).lease_seconds == 12


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_has_a_flag_a_description_and_a_default(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` tells all of them."""
    with pytest.raises(SystemExit) as ended:
        load(["--help"])
    assert ended.value.code == 0
    assert f"--{name.replace('_', '-')}" in capsys.readouterr().out
    field = Settings.model_fields[name]
    assert field.description
    assert not field.is_required()


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("0", False)])
def test_a_switch_can_be_a_variable(value: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a test's parameter
    """As a flag it takes no value."""
    monkeypatch.setenv("BLOGE_INSECURE", value)
    assert load([]).insecure is expected
    assert load(["--insecure"]).insecure


def test_all_problems_are_told_at_once() -> None:
    """With the flag, what is allowed, and what was given."""
    told = problem("--lease-seconds", "0", "--listen", "nowhere", "--appendfsync", "never", "--log-level", "loud")
    for part in ("--lease-seconds", "--listen", "--appendfsync", "--log-level", "'0'", "'nowhere'", "'never'"):
        assert part in told


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("lease-seconds", "0.9"),
        ("lease-seconds", "3601"),
        ("lease-seconds", "nan"),
        ("lease-seconds", "soon"),
        ("offer-lease-seconds", "0.4"),
        ("offer-lease-seconds", "61"),
        ("ping-seconds", "0"),
        ("silence-seconds", "901"),
        ("drain-seconds", "-1"),
        ("retention-seconds", "-1"),
        ("max-payload-bytes", "1023"),
        ("max-payload-bytes", "2097153"),
        ("backlog-limit", "-1"),
        ("listen", "localhost"),
        ("listen", "localhost:http"),
    ],
)
def test_a_value_out_of_range_is_refused(flag: str, value: str) -> None:
    """The message names its flag."""
    assert f"--{flag}: " in problem(f"--{flag}", value)


@pytest.mark.parametrize("flags", [["--silence-seconds", "19"], ["--ping-seconds", "20"]])
def test_silence_outlasts_two_pings(flags: list[str]) -> None:
    """Whichever of the two was set: else a quiet worker is taken for dead before it is asked."""
    assert "at least twice ping_seconds" in problem(*flags)


def test_an_unknown_key_in_the_file_is_told(tmp_path: Path) -> None:
    """A misspelt key never passes for a setting."""
    file = tmp_path / "server.toml"
    file.write_text("lease_second = 10\nlisten = 'bad'\n")
    told = problem("--config", str(file))
    assert "--lease-second: " in told
    assert "--listen: " in told


@pytest.mark.parametrize(("content", "expected"), [(b"= oops", "is not TOML"), (b"\xff\xfe", "is not TOML")])
def test_a_file_that_is_not_toml_is_told(tmp_path: Path, content: bytes, expected: str) -> None:
    """With its path."""
    file = tmp_path / "server.toml"
    file.write_bytes(content)
    told = problem("--config", str(file))
    assert expected in told
    assert str(file) in told


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """With its path and the reason."""
    assert "No such file" in problem("--config", str(tmp_path / "none.toml"))
    assert "directory" in problem("--config", str(tmp_path)).lower()


def test_an_unknown_flag_ends_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    """As with any command."""
    with pytest.raises(SystemExit) as ended:
        load(["--lease-minutes", "1"])
    assert ended.value.code != 0
    assert "--lease-minutes" in capsys.readouterr().err


def test_settings_never_change() -> None:
    """They are read once."""
    with pytest.raises(ValueError, match="frozen"):
        load([]).lease_seconds = 5


def test_replicas_need_a_store_that_can_have_some() -> None:
    """The embedded one has none; waiting for them ends before the call does."""
    assert "--wait-replicas: " in problem("--wait-replicas", "1")
    url = ("--redis-url", "redis://localhost", "--wait-replicas", "1")
    assert load(url).wait_replicas == 1
    assert "less than store_timeout_seconds (1.0)" in problem(*url, "--store-timeout-seconds", "1")

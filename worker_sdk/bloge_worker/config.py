"""A worker's settings."""

import os
import re
import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path

from bloge_worker.errors import ConfigError

DEFAULT_ADDRESS = "127.0.0.1:7070"
"""Where a worker looks for a server that neither the program nor `BLOGE_ADDRESS` names."""

ADDRESS_VARIABLE = "BLOGE_ADDRESS"
"""The environment variable that names the server."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_ADDRESS = re.compile(r"[^/\s]+:\d{1,5}|(unix|unix-abstract|vsock|dns|ipv4|ipv6|xds):\S+")
"""gRPC would take a host alone for port 443 of it, and a URL for a host's name."""
_MEBIBYTE = 1024 * 1024
_MOST_SLOTS = 10_000
_HIGHEST_PORT = 65_535
_SHORTEST_LEASE, _LONGEST_LEASE = 1.0, 3600.0
_SHORTEST_GRACE, _LONGEST_GRACE = 0.1, 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """How a worker proves who it is, and how it knows the server.

    Without it the worker speaks plaintext, which a server takes on loopback and unix sockets only.
    """

    ca_file: Path | None = None
    """PEM file with the authorities that may vouch for the server. None: those of the operating system."""
    certificate_file: Path | None = None
    """PEM file with the worker's certificate chain, for mTLS. Needs `key_file`."""
    key_file: Path | None = None
    """PEM file with the private key of the certificate."""
    token: str | None = field(default=None, repr=False)
    """Bearer token, sent with each session."""
    token_file: Path | None = None
    """File that holds the bearer token. Like the other files it is read anew for each session, so a token that is
    rotated is taken up."""
    plaintext: bool = False
    """True: send the token without TLS. For loopback and unix sockets; elsewhere anyone on the way can read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """Settings of one worker. `check` reports everything that is wrong with them at once."""

    address: str = DEFAULT_ADDRESS
    """The server: `host:port`, `unix:/path`, or another name that gRPC resolves, such as `dns:///host:port`."""
    namespace: str = "default"
    """Whose work items it runs."""
    worker_id: str = ""
    """Unique for each life of a process."""
    slots: int = 8
    """How many items it holds at once, up to 10,000; 0: only those that `Worker.adopt` gives it. Too low starves it
    between frames; too high lets it hold items that another worker could run. For handlers that only wait, or finish at
    once, hundreds are right."""
    lease_duration: float | None = None
    """Lease wanted, 1 to 3600 s. None: the server's default. Short finds dead workers soon; long survives outages."""
    drain_grace: float = 30.0
    """Seconds that held items have to finish once a drain begins, 0.1 to 86,400. Too low hands back work that was
    nearly done; too high delays deployments. Keep it below the time after which your platform kills the process."""
    max_held_bytes: int = 64 * _MEBIBYTE
    """Payload bytes it holds at once, at least 1. One item is taken whatever its size."""
    security: Security | None = None
    """None: plaintext and no identity."""
    health_port: int | None = None
    """Port for liveness and readiness probes and for metrics, 0 to 65,535; 0: any free one. None: no such page."""
    health_host: str = "127.0.0.1"
    """Address that the page listens on. Probes of a container platform come from outside: `0.0.0.0` lets them in."""

    def check(self) -> None:
        """Check every setting.

        Raises:
            ConfigError: names each setting that is out of range, what it is and what is allowed.
        """
        problems = [f"{name}: {found!r}; {allowed}" for ok, name, found, allowed in self._rules() if not ok]
        if problems:
            raise ConfigError("; ".join(problems))

    def _rules(self) -> list[tuple[bool, str, object, str]]:
        name_rule = "1 to 128 of A-Z a-z 0-9 . _ -"
        lease = self.lease_duration
        return [
            (bool(_ADDRESS.fullmatch(self.address)), "address", self.address, "host:port or unix:/path"),
            (bool(_NAME.fullmatch(self.namespace)), "namespace", self.namespace, name_rule),
            (bool(_NAME.fullmatch(self.worker_id)), "worker_id", self.worker_id, name_rule),
            (0 <= self.slots <= _MOST_SLOTS, "slots", self.slots, "0 to 10,000"),
            (
                lease is None or _SHORTEST_LEASE <= lease <= _LONGEST_LEASE,
                "lease_duration",
                lease,
                "1 to 3600 s, or None",
            ),
            (
                _SHORTEST_GRACE <= self.drain_grace <= _LONGEST_GRACE,
                "drain_grace",
                self.drain_grace,
                "0.1 to 86,400 s; a second signal, or a cancelled run(), stops at once",
            ),
            (self.max_held_bytes >= 1, "max_held_bytes", self.max_held_bytes, "at least 1"),
            (
                self.health_port is None or 0 <= self.health_port <= _HIGHEST_PORT,
                "health_port",
                self.health_port,
                "0 to 65,535, or None",
            ),
            *self._security_rules(),
        ]

    def _security_rules(self) -> list[tuple[bool, str, object, str]]:
        security = self.security
        if security is None:
            return []
        paired = (security.certificate_file is None) == (security.key_file is None)
        mixed = security.plaintext and any((security.ca_file, security.certificate_file, security.key_file))
        return [
            (
                security.token is None or security.token_file is None,
                "security.token_file",
                security.token_file,
                "token or token_file, not both",
            ),
            (paired, "security.key_file", security.key_file, "certificate_file and key_file come together"),
            (not mixed, "security.plaintext", security.plaintext, "files are of use with TLS only"),
        ]


def default_address() -> str:
    """Return the server that the environment names, or the default one."""
    return os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS


def new_worker_id() -> str:
    """Return an id that no other process life has: host name, process id and a random part."""
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:80]
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"


def check_topic(topic: str) -> None:
    """Check a worker topic's name.

    Raises:
        ConfigError: the name is not 1 to 128 of A-Z a-z 0-9 . _ -.
    """
    if not _NAME.fullmatch(topic):
        raise ConfigError(f"worker topic: {topic!r}; 1 to 128 of A-Z a-z 0-9 . _ -")

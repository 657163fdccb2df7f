"""A history put in order: what is known of each item, and when faults were active."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from chaos.history import Call
from chaos.layout import SERVERS

DECIDING = ("complete", "business_error", "fail", "release")
"""Reports that decide a token."""
_CLOCK_SLACK = 0.005
_RECOVERY_SECONDS = {"kill_server": 3.0, "stop_server": 5.0}
"""How long after a fault its effects count as part of it: a server's drain and start."""
_USUAL_RECOVERY_SECONDS = 1.5
"""The same for other faults: reconnects, and the fallback interval of 1 s."""
_STORE_DOWN = frozenset({"kill_store", "pause_store"})
_SERVER_DOWN = frozenset({"kill_server", "stop_server", "pause_server", "cut_store_link", "half_open_store_link"})
Window = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease as its worker was told of it. Instants in seconds of the monotonic clock."""

    item: str
    fence: int
    token: str
    worker: str
    asked: float
    told: float
    granted: float
    """The earliest instant at which the store can have granted it."""
    lease_s: float
    timeout_s: float | None
    attempt: int


@dataclass(slots=True)
class ItemStory:
    """Everything a history says about one item."""

    enqueues: list[Call] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    """One for each token, in the order of the fences."""
    reports: list[Call] = field(default_factory=list)
    runs: list[Call] = field(default_factory=list)
    """What handlers of SDK workers did."""
    cancels: list[Call] = field(default_factory=list)
    replays: list[Call] = field(default_factory=list)
    outcomes: list[Call] = field(default_factory=list)
    finals: list[Call] = field(default_factory=list)

    @property
    def final(self) -> dict[str, Any] | None:
        """The item as it stood at the end; None if it was not there or not read."""
        read = [call.answer for call in self.finals if call.answered and call.answer is not None]
        return dict(read[-1]) if read else None

    @property
    def acknowledged(self) -> bool:
        """Whether an enqueue was answered with success."""
        return any(call.answered and call.answer and not call.answer["refused"] for call in self.enqueues)


_LISTS = {
    "enqueue": "enqueues",
    "run": "runs",
    "cancel": "cancels",
    "replay": "replays",
    "outcome": "outcomes",
    "final": "finals",
    **dict.fromkeys((*DECIDING, "heartbeat"), "reports"),
}


class Evidence:
    """A history, indexed.

    Args:
        calls: the history.
    """

    def __init__(self, calls: Iterable[Call]) -> None:
        self.calls = list(calls)
        self.items: dict[str, ItemStory] = defaultdict(ItemStory)
        self.faults = [call for call in self.calls if call.op == "fault"]
        self._stalls = [(call.start, call.end or call.start) for call in self.calls if call.op == "stall"]
        self.deaths = [call for call in self.calls if call.op == "died"]
        clocks = [call.request["offset"] for call in self.calls if call.op == "clock"]
        self.clock_offset: float | None = clocks[0] if clocks else None
        """The store's clock minus the monotonic one, s; None if unknown, or if it was set during the run."""
        if clocks and max(clocks) - min(clocks) > _CLOCK_SLACK:
            self.clock_offset = None
        for call in self.calls:
            if call.op in _LISTS:
                getattr(self.items[call.request["item"]], _LISTS[call.op]).append(call)
        self._outages = self._find_outages()
        self._add_grants()

    def since(self, store_ms: float) -> float | None:
        """Return an instant of the store's clock on the monotonic one."""
        return None if self.clock_offset is None else store_ms / 1000 - self.clock_offset

    def is_out(self, start: float, end: float, stall_seconds: float) -> bool:
        """Return whether there was a time between two instants without a store, or without any server that reaches it.

        Args:
            start: the first instant.
            end: the last instant.
            stall_seconds: a machine that stood still for so long counts as a store that did.
        """
        stalls = [(a, b) for a, b in self._stalls if b - a >= stall_seconds]
        return any(window[0] <= end and start <= window[1] for window in (*self._outages, *stalls))

    def is_active(self, kind: str, start: float, end: float) -> bool:
        """Return whether a kind of fault was active between two instants."""
        return any(window[0] <= end and start <= window[1] for window in self._windows(frozenset({kind})))

    def _windows(self, kinds: frozenset[str], target: str = "") -> list[Window]:
        windows = []
        for fault in self.faults:
            kind = fault.request["kind"]
            if kind in kinds and (not target or fault.request["target"] == target):
                recovery = _RECOVERY_SECONDS.get(kind, _USUAL_RECOVERY_SECONDS)
                windows.append((fault.start, (fault.end or fault.start) + recovery))
        return windows

    def _find_outages(self) -> list[Window]:
        """Return when there was no store, or when every server had lost it or was down."""
        first, *others = ([*self._windows(_SERVER_DOWN, server)] for server in SERVERS)
        for windows in others:
            first = [(max(a, c), min(b, d)) for a, b in first for c, d in windows if max(a, c) < min(b, d)]
        away = [(c.start, (c.end or c.start) + _USUAL_RECOVERY_SECONDS) for c in self.calls if c.op == "store_away"]
        return self._windows(_STORE_DOWN) + away + first

    def _add_grants(self) -> None:
        found: dict[tuple[str, str], Grant] = {}
        for call in self.calls:
            for grant in self._grants_of(call):
                known = found.get((grant.item, grant.token))
                if known is None or grant.told < known.told:
                    found[grant.item, grant.token] = grant
        for grant in sorted(found.values(), key=lambda each: each.fence):
            self.items[grant.item].grants.append(grant)

    def _grants_of(self, call: Call) -> list[Grant]:
        if call.op == "claim" and call.answered and call.answer is not None and call.end is not None:
            return [self._grant(call, lease, call.end) for lease in call.answer["leases"]]
        if call.op == "run":
            # A handler's start tells that its worker was granted a lease by then: not since when, nor for how long.
            facts = {**call.request, "lease_s": 0.0, "timeout_s": None, "attempt": 0}
            return [self._grant(call, facts, call.start, asked=0.0)]
        return []

    def _grant(self, call: Call, lease: dict[str, Any], told: float, asked: float | None = None) -> Grant:
        asked = call.start if asked is None else asked
        granted = asked
        at = self.since(lease["fence"] / 1000)  # a fence is the store's time in microseconds, unless it had to be more
        if at is not None and asked - _CLOCK_SLACK <= at <= told + _CLOCK_SLACK:
            granted = max(asked, at - _CLOCK_SLACK)
        facts = (lease["item"], lease["fence"], lease["token"], call.request["worker"], asked, told, granted)
        return Grant(*facts, lease["lease_s"], lease["timeout_s"], lease["attempt"])


def is_accepted(call: Call) -> bool:
    """Return whether a report was accepted for sure."""
    return call.answered and call.answer is not None and call.answer["reason"] == "ACCEPTED"


def is_refused(call: Call) -> bool:
    """Return whether a report was refused for sure."""
    return call.answered and not is_accepted(call)

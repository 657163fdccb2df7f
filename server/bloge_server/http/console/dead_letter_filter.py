"""Which dead letters a page is about: its filter as the address has it, as forms show it, and as calls take it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.http.console import shown
from bloge_server.http.console.forms import invalid, name_in

REASONS = [name.removeprefix("DEAD_LETTER_REASON_") for name in pb.DeadLetterReason.keys()[1:]]
_TEXT_CHARS = 256


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """A filter; empty fields mean any."""

    topic: str = ""
    error: str = ""
    operator: str = ""
    execution: str = ""
    why: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def parse(cls, values: Mapping[str, str]) -> "LetterFilter":
        """Return the filter that an address or a form has.

        Raises:
            RemoteWorkersError: INVALID_FIELD.
        """
        why = values.get("why", "")
        if why and why not in REASONS:
            raise invalid("why", f"must be one of {', '.join(REASONS)}")
        found = cls(
            topic=name_in(values, "topic"),
            error=values.get("error", "").strip()[:_TEXT_CHARS],
            operator=values.get("operator", "").strip()[:_TEXT_CHARS],
            execution=name_in(values, "execution"),
            why=why,
            since=values.get("from", "").strip(),
            until=values.get("until", "").strip(),
        )
        found.criteria()
        return found

    @property
    def query(self) -> dict[str, str]:
        """As an address has it."""
        given = {
            "topic": self.topic,
            "error": self.error,
            "operator": self.operator,
            "execution": self.execution,
            "why": self.why,
            "from": self.since,
            "until": self.until,
        }
        return {name: value for name, value in given.items() if value}

    @property
    def is_set(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.query)

    @property
    def told(self) -> list[tuple[str, str]]:
        """As people read it."""
        names = {"error": "Error type", "why": "Reason", "from": "From (UTC)", "until": "Until (UTC)"}
        return [
            (names.get(name, name.capitalize()), shown.words(value) if name == "why" else value)
            for name, value in self.query.items()
        ]

    def criteria(self) -> ops.DeadLetterFilter:
        """As calls take it, without the topic.

        Raises:
            RemoteWorkersError: INVALID_FIELD if an instant is none.
        """
        criteria = ops.DeadLetterFilter(
            error_type=self.error,
            operator_ref=self.operator,
            execution_id=self.execution,
            reason=pb.DeadLetterReason.Value(f"DEAD_LETTER_REASON_{self.why or 'UNSPECIFIED'}"),
        )
        if self.since:
            criteria.dead_letter_time_from.FromDatetime(_instant("from", self.since))
        if self.until:
            criteria.dead_letter_time_until.FromDatetime(_instant("until", self.until))
        return criteria


def _instant(field: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise invalid(field, f"must be an instant such as 2026-01-31T12:00, got {text[:40]!r}") from error

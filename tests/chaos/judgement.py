"""What a history says about one promise."""

from dataclasses import dataclass, field

_EXAMPLES = 5


@dataclass(slots=True)
class Judgement:
    """What a history says about one promise."""

    promise: str
    checked: int = 0
    """Facts that could have shown a violation."""
    excluded: int = 0
    """Facts left aside because a fault was active."""
    violations: list[str] = field(default_factory=list)
    worst: str = ""
    """The largest measured value, for promises about time."""

    def check(self, ok: bool, violation: str) -> None:  # noqa: FBT001 - reads as an assertion
        """Count a fact, and note the violation if it is one."""
        self.checked += 1
        if not ok:
            self.violations.append(violation)

    def __str__(self) -> str:
        """Return one line, and one for each of the first violations."""
        verdict = "BROKEN" if self.violations else "held"
        notes = f", {self.excluded} left aside" if self.excluded else ""
        notes += f", {self.worst}" if self.worst else ""
        lines = [f"{self.promise:<28} {verdict:<7} {self.checked} checked{notes}"]
        lines += [f"    {violation}" for violation in self.violations[:_EXAMPLES]]
        if len(self.violations) > _EXAMPLES:
            lines.append(f"    ... and {len(self.violations) - _EXAMPLES} more")
        return "\n".join(lines)

"""Plots as SVG text: lines over time, and bars. No script, no font and no address from elsewhere."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444")
"""Okabe and Ito's palette: told apart by colour-blind readers too."""
_INK, _FAINT, _PAPER = "#222222", "#d8d8d8", "#ffffff"
_FONT = "font-family='system-ui, sans-serif' font-size='12'"
_WIDTH, _HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 40
_BAR_LABEL, _BAR_HEIGHT, _BAR_VALUE = 230, 24, 90
_MOST_TICKS = 6


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot."""

    name: str
    points: Sequence[tuple[float, float]]
    """(x, y), ascending in x."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a plot."""

    name: str
    value: float
    stands_out: bool = False


def ticks(highest: float) -> list[float]:
    """Return round values from 0 to at least `highest`, at most 7, their step 1, 2 or 5 times a power of ten."""
    if highest <= 0 or not math.isfinite(highest):
        return [0.0, 1.0]
    rough = highest / (_MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [index * step for index in range(math.ceil(highest / step - 1e-9) + 1)]


def number(value: float) -> str:
    """Return a number as people read it: three digits or so, thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 100:  # noqa: PLR2004 - from three digits on a fraction says nothing
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}".rstrip("0").rstrip(".")


def lines(title: str, unit: str, series: Sequence[Line], *, x_unit: str = "s") -> str:
    """Return a plot of lines over one axis.

    Args:
        title: what it shows.
        unit: of y.
        series: at most as many as there are colours; those without points are left out.
        x_unit: of x.
    """
    drawn = [line for line in series if line.points]
    right = max((line.points[-1][0] for line in drawn), default=1.0) or 1.0
    marks = ticks(max((y for line in drawn for _, y in line.points), default=1.0))
    frame = _Frame(right, marks[-1])
    body = [*frame.grid(marks), *frame.axis(ticks(right), x_unit), *_legend(drawn)]
    for line, colour in zip(drawn, COLOURS, strict=False):
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in line.points)
        body.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.8'/>")
        if len(line.points) == 1:
            (x, y) = line.points[0]
            body.append(f"<circle cx='{frame.x(x):.1f}' cy='{frame.y(y):.1f}' r='3' fill='{colour}'/>")
    return _document(f"{title}, {unit}", _HEIGHT, body)


def bars(title: str, unit: str, values: Sequence[Bar]) -> str:
    """Return a plot of horizontal bars, in the order given."""
    longest = max((bar.value for bar in values), default=1.0) or 1.0
    body = []
    for index, bar in enumerate(values):
        top = _TOP + index * _BAR_HEIGHT
        width = max(1.0, bar.value / longest * (_WIDTH - _BAR_LABEL - _BAR_VALUE))
        colour = COLOURS[1] if bar.stands_out else COLOURS[0]
        middle = top + _BAR_HEIGHT / 2 + 2
        body += [
            _text(_BAR_LABEL - 8, middle, bar.name, "end"),
            f"<rect x='{_BAR_LABEL}' y='{top + 4}' width='{width:.1f}' height='{_BAR_HEIGHT - 8}' fill='{colour}'/>",
            _text(_BAR_LABEL + width + 6, middle, number(bar.value)),
        ]
    return _document(f"{title}, {unit}", _TOP + len(values) * _BAR_HEIGHT + 12, body)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where values stand in the picture."""

    right: float
    top: float

    def x(self, value: float) -> float:
        return _LEFT + value / self.right * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - value / self.top * (_HEIGHT - _TOP - _BOTTOM)

    def grid(self, marks: Sequence[float]) -> Iterator[str]:
        for mark in marks:
            y = self.y(mark)
            yield f"<line x1='{_LEFT}' y1='{y:.1f}' x2='{_WIDTH - _RIGHT}' y2='{y:.1f}' stroke='{_FAINT}'/>"
            yield _text(_LEFT - 6, y + 4, number(mark), "end")

    def axis(self, marks: Sequence[float], unit: str) -> Iterator[str]:
        for mark in marks:
            if mark <= self.right:
                yield _text(self.x(mark), _HEIGHT - _BOTTOM + 16, number(mark), "middle")
        yield _text(_WIDTH - _RIGHT, _HEIGHT - 8, unit, "end")


def _legend(drawn: Sequence[Line]) -> Iterator[str]:
    x = _LEFT
    for line, colour in zip(drawn, COLOURS, strict=False):
        yield f"<rect x='{x}' y='{_HEIGHT - 18}' width='12' height='4' fill='{colour}'/>"
        yield _text(x + 17, _HEIGHT - 12, line.name)
        x += 34 + 7 * len(line.name)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{_INK}' {_FONT}>{escape(text)}</text>"


def _document(title: str, height: float, body: Sequence[str]) -> str:
    heading = f"<text x='12' y='20' fill='{_INK}' {_FONT} font-weight='600'>{escape(title)}</text>"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {height:.0f}' role='img'>"
    paper = f"<rect width='{_WIDTH}' height='{height:.0f}' fill='{_PAPER}'/>"
    return "\n".join([head, f"<title>{escape(title)}</title>", paper, heading, *body, "</svg>"]) + "\n"

"""Charts as SVG that can be read on light and on dark pages: bars, and ranges on a log scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 760, 178, 84, 66, 30, 34
PLOT = WIDTH - LEFT - RIGHT

STYLE = """
  svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
  .page { fill: #fff; stroke: #d9dfe6; }
  text { fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .quiet, .tick { fill: #59636e; }
  .tick { font-size: 11px; }
  .ours { font-weight: 600; }
  .grid { stroke: #e6eaef; }
  .limit { stroke: #bc4c00; stroke-dasharray: 5 4; }
  .limit-name { fill: #bc4c00; font-size: 11px; }
  .bar { fill: #b9c6d4; }
  .bar.ours { fill: #1f6feb; }
  .range { stroke: #b9c6d4; stroke-width: 6; stroke-linecap: round; }
  .range.ours { stroke: #82b1f7; }
  .dot { fill: #6b7f94; }
  .dot.ours { fill: #1f6feb; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #30363d; }
    text { fill: #e6edf3; }
    .quiet, .tick { fill: #9198a1; }
    .grid { stroke: #21262d; }
    .limit { stroke: #f0883e; }
    .limit-name { fill: #f0883e; }
    .bar { fill: #4a5666; }
    .bar.ours { fill: #4493f8; }
    .range { stroke: #3d4754; }
    .range.ours { stroke: #1f4f8f; }
    .dot { fill: #9fb0c3; }
    .dot.ours { fill: #6cabff; }
  }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One peer: its name, and its value, or the two values between which it ranges."""

    name: str
    value: float
    until: float | None = None
    ours: bool = False

    @property
    def css(self) -> str:
        return " ours" if self.ours else ""


def bars(
    title: str,
    unit: str,
    rows: Sequence[Row],
    *,
    form: str = "{:,.0f}",
    limit: float | None = None,
) -> str:
    """Return a chart with a bar for each row, from zero on.

    :param limit: a value that is marked as the ceiling.
    """
    top = max([row.value for row in rows] + [limit or 0.0])
    step = _step(top)

    def at(value: float) -> float:
        return LEFT + PLOT * value / top

    def content() -> Iterator[str]:
        for number in range(int(top / step) + 1):
            yield _tick(at(number * step), len(rows), f"{number * step:,g}")
        for index, row in enumerate(rows):
            y = TOP + index * ROW
            length = max(1.5, at(row.value) - LEFT)
            yield f'<rect class="bar{row.css}" x="{LEFT}" y="{y + 5}" ' + (
                f'width="{length:.1f}" height="{ROW - 10}" rx="3"/>'
            )
            yield _text(LEFT + length + 7, y + 20, form.format(row.value), row.css)
        if limit is not None:
            x, bottom = at(limit), TOP + len(rows) * ROW
            yield f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}"/>'
            yield _text(x, TOP - 11, f"ceiling {limit:,.0f}", "limit-name", "middle")

    return _page(title, unit, rows, content())


def ranges(title: str, unit: str, rows: Sequence[Row]) -> str:
    """Return a chart that shows for each row where it begins and ends, on a log scale."""
    values = [v for row in rows for v in (row.value, row.until or row.value)]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)

    def at(value: float) -> float:
        return LEFT + PLOT * (math.log10(value) - low) / (high - low)

    def content() -> Iterator[str]:
        for exponent in range(low, high + 1):
            for factor in (1, 2, 5) if exponent < high else (1,):
                value = factor * 10.0**exponent
                yield _tick(at(value), len(rows), f"{value:g}")
        for index, row in enumerate(rows):
            y = TOP + index * ROW + ROW / 2
            begin, end = at(row.value), at(row.until or row.value)
            ends = f'x1="{begin:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}"'
            yield f'<line class="range{row.css}" {ends}/>'
            for x in (begin, end):
                yield f'<circle class="dot{row.css}" cx="{x:.1f}" cy="{y}" r="5"/>'
            label = " / ".join(_short(v) for v in (row.value, row.until) if v is not None)
            yield _text(end + 12, y + 5, label, row.css)

    return _page(title, unit, rows, content())


def _page(title: str, unit: str, rows: Sequence[Row], content: Iterator[str]) -> str:
    height = TOP + len(rows) * ROW + BOTTOM
    names = (
        _text(LEFT - 10, TOP + index * ROW + 20, row.name, row.css, "end")
        for index, row in enumerate(rows)
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-label="{escape(title)}, {unit}">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        _text(18, 29, title, "title"),
        _text(WIDTH - 18, 29, unit, "quiet", "end"),
        *names,
        *content,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _text(x: float, y: float, text: str, css: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{css.strip()}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _tick(x: float, rows: int, text: str) -> str:
    bottom = TOP + rows * ROW
    line = f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
    return line + _text(x, bottom + 18, text, "tick", "middle")


def _step(top: float) -> float:
    """Return a round distance between ticks that gives at most nine of them."""
    magnitude = 10.0 ** math.floor(math.log10(top))
    return next(magnitude * f for f in (0.2, 0.25, 0.5, 1.0, 2.0) if top / (magnitude * f) <= 8)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"

"""Charts as SVG, by plain strings: readable on light and on dark ground, whoever shows them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from .growth import Verdict
from .ratios import spread

STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 15px; }
.quiet { fill: #59636e; }
.ours { fill: #0969da; } .tool { fill: #8c959f; } .less { fill: #bf8700; } .floor { fill: #1a7f37; }
.range { stroke: #1f2328; stroke-width: 1.5; } .grid { stroke: #d1d9e0; }
.curve { fill: none; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .quiet { fill: #9198a1; }
  .ours { fill: #4493f8; } .tool { fill: #6e7681; } .less { fill: #d29922; } .floor { fill: #3fb950; }
  .range { stroke: #e6edf3; } .grid { stroke: #3d444d; }
}
</style>"""
WIDTH = 760
LEFT = 170
RIGHT = 110
ROW = 26
TOP = 52
# For curves: told apart by brightness and dashes too, not by colour alone.
CURVES = ("#4493f8", "#d29922", "#3fb950", "#db61a2", "#8c959f", "#a371f7", "#f0883e", "#39c5cf")


@dataclass(frozen=True)
class Bar:
    """One tool: its seconds in all rounds, and as what it is coloured (`ours`, `tool`, `less`, `floor`)."""

    name: str
    seconds: tuple[float, ...]
    kind: str


def bars(title: str, subtitle: str, rows: Sequence[Bar]) -> str:
    """Medians as bars, from the least to the most as a line over each."""
    most = max((max(row.seconds) for row in rows), default=0.0) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / most
    height = TOP + ROW * len(rows) + 16
    parts = [_grid(most, scale, height)]
    for index, row in enumerate(rows):
        parts.append(_bar(row, TOP + index * ROW, scale))
    return _svg(title, subtitle, height, "".join(parts))


def curves(title: str, subtitle: str, found: Sequence[Verdict]) -> str:
    """Seconds over files, both axes logarithmic: a straight line at 45° is linear."""
    height = 380
    xs = [math.log10(files) for verdict in found for files, _, _ in verdict.points]
    ys = [math.log10(seconds) for verdict in found for _, seconds, _ in verdict.points if seconds > 0]
    if not xs or not ys:
        return _svg(title, subtitle, height, "")
    left, right, low, high = min(xs), max(max(xs), min(xs) + 0.1), math.floor(min(ys)), math.ceil(max(ys) + 0.01)
    across = (WIDTH - 60 - LEFT) / (right - left)
    up = (height - TOP - 50) / (high - low)

    def at(files: float, seconds: float) -> tuple[float, float]:
        return 60 + (math.log10(files) - left) * across, height - 40 - (math.log10(seconds) - low) * up

    parts = []
    for power in range(low, high + 1):
        y = at(10**left, 10.0**power)[1]
        parts.append(f'<line class="grid" x1="60" x2="{60 + (right - left) * across:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="quiet" x="52" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g} s</text>')
    for files in sorted({files for verdict in found for files, _, _ in verdict.points}):
        x = at(files, 10.0**low)[0]
        parts.append(f'<text class="quiet" x="{x:.1f}" y="{height - 16}" text-anchor="middle">{files:,} files</text>')
    ends = _apart([at(*verdict.points[-1][:2])[1] for verdict in found])
    for index, verdict in enumerate(found):
        points = [at(files, seconds) for files, seconds, _ in verdict.points if seconds > 0]
        parts.append(_curve(points, verdict.tool, index, ends[index]))
    return _svg(title, subtitle, height, "".join(parts))


def _bar(row: Bar, y: float, scale: float) -> str:
    seen = spread(row.seconds)
    middle = y + ROW / 2
    return (
        f'<text x="{LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(row.name)}</text>'
        f'<rect class="{row.kind}" x="{LEFT}" y="{y + 4:.1f}" width="{max(1.0, seen.median * scale):.1f}"'
        f' height="{ROW - 8}" rx="2"/>'
        f'<line class="range" x1="{LEFT + seen.least * scale:.1f}" x2="{LEFT + seen.most * scale:.1f}"'
        f' y1="{middle:.1f}" y2="{middle:.1f}"/>'
        f'<text x="{LEFT + seen.most * scale + 8:.1f}" y="{middle + 4:.1f}">{_seconds(seen.median)}</text>'
    )


def _grid(most: float, scale: float, height: int) -> str:
    step = _step(most)
    lines = []
    for index in range(int(most / step) + 1):
        x = LEFT + index * step * scale
        lines.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - 12}"/>')
    return "".join(lines)


def _step(most: float) -> float:
    """A round distance that gives about five lines."""
    power = 10.0 ** math.floor(math.log10(most / 5))
    return next((power * factor for factor in (1, 2, 5) if most / (power * factor) <= 5), power * 10)


def _curve(points: Sequence[tuple[float, float]], name: str, index: int, label_y: float) -> str:
    colour = CURVES[index % len(CURVES)]
    dashes = ("", "6 3", "2 3", "8 3 2 3")[index % 4]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
    return (
        f'<polyline class="curve" stroke="{colour}" stroke-dasharray="{dashes}" points="{path}"/>{dots}'
        f'<text x="{points[-1][0] + 8:.1f}" y="{label_y + 4:.1f}">{escape(name)}</text>'
    )


def _apart(heights: Sequence[float]) -> list[float]:
    """Labels that would lie on one another, moved down."""
    placed: dict[int, float] = {}
    last = -math.inf
    for index in sorted(range(len(heights)), key=lambda index: heights[index]):
        last = max(heights[index], last + 15)
        placed[index] = last
    return [placed[index] for index in range(len(heights))]


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.1f} ms"


def _svg(title: str, subtitle: str, height: int, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">{STYLE}'
        f'<text class="title" x="16" y="22">{escape(title)}</text>'
        f'<text class="quiet" x="16" y="40">{escape(subtitle)}</text>{body}</svg>\n'
    )

"""Does time stay linear in the number of files, and memory flat? Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .figures import Book, Setting
from .ratios import growth, slope

# A power of 1.1 is a quarter more than linear over ten times the files: sorting is inside, a loop in a loop is not.
MOST_EXPONENT = 1.1
# A file more that costs less than this costs less than its name does: nothing about it is held.
MOST_BYTES_A_FILE = 32.0
# Less than this in all is how much an allocator took ahead.
LEAST_MIB = 2.0


@dataclass(frozen=True)
class Verdict:
    """How one tool grows in one case."""

    setting: Setting
    tool: str
    points: tuple[tuple[int, float, float], ...]
    exponent: float
    bytes_a_file: float

    @property
    def is_linear(self) -> bool:
        """Is its time?"""
        return self.exponent <= MOST_EXPONENT

    @property
    def is_flat(self) -> bool:
        """Is its memory?"""
        peaks = [peak for _, _, peak in self.points]
        return self.bytes_a_file <= MOST_BYTES_A_FILE or peaks[-1] - peaks[0] < LEAST_MIB


def verdicts(book: Book) -> list[Verdict]:
    """Of every tool in every case that was measured with several numbers of files."""
    found = []
    for setting in {_regardless(setting): setting for setting in book.settings()}:
        alike = [other for other in book.settings() if _regardless(other) == setting]
        for tool in dict.fromkeys(tool for other in alike for tool in book.tools(other)):
            if (verdict := _verdict(book, setting, alike, tool)) is not None:
                found.append(verdict)
    return found


def chart_of(setting: Setting) -> str:
    """The name of the chart of a case, in the directory of charts."""
    return f"growth-{setting.case}-{setting.filesystem}-{setting.caches}.svg"


def table(found: Sequence[Verdict]) -> str:
    """As Markdown; empty if there is nothing to say."""
    if not found:
        return ""
    rows = "".join(
        f"| {v.setting.case} ({v.setting.filesystem}, {v.setting.caches}) | {v.tool}"
        f" | {', '.join(f'{files:,}: {seconds:.2f} s, {peak:.1f} MiB' for files, seconds, peak in v.points)}"
        f" | {v.exponent:.2f}: {'linear' if v.is_linear else 'MORE THAN LINEAR'}"
        f" | {v.bytes_a_file:.0f}: {'flat' if v.is_flat else 'GROWS'} |\n"
        for v in found
    )
    charts = "".join(
        f"![growth: {setting.case}](charts/{chart_of(setting)})\n" for setting in dict.fromkeys(v.setting for v in found)
    )
    return (
        "## Growth\n\n"
        f"Time as a power of the number of files (linear: at most {MOST_EXPONENT}); bytes of peak memory for a file"
        f" more, between the fewest and the most (flat: at most {MOST_BYTES_A_FILE:.0f}, or {LEAST_MIB:.0f} MiB in"
        " all).\n\n"
        f"| case | tool | medians | time ~ files^ | bytes a file |\n|---|---|---|---|---|\n{rows}\n{charts}"
    )


def _verdict(book: Book, setting: Setting, alike: list[Setting], tool: str) -> Verdict | None:
    points = []
    for other in sorted(alike, key=lambda other: other.files):
        figures = book.of(other, tool)
        if figures:
            seconds = statistics.median(figure.synced_seconds for figure in figures)
            points.append((other.files, seconds, statistics.median(figure.peak_kib for figure in figures) / 1024))
    time = growth([(files, seconds) for files, seconds, _ in points])
    memory = slope([(files, peak * (1 << 20)) for files, _, peak in points])
    if time is None or memory is None:
        return None
    return Verdict(setting, tool, tuple(points), time.exponent, memory)


def _regardless(setting: Setting) -> Setting:
    """The same with any number of files."""
    return Setting(setting.case, setting.filesystem, 0, setting.caches)

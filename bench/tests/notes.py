"""Figures for tests, with as little said as can be."""

from __future__ import annotations

from pathlib import Path

from side_by_side.figures import Book, Done, Figure, Remark, Setting
from side_by_side.tables import Legend
from side_by_side.tools import ALL

SETTING = Setting("first", "ext4", 1000, "warm")
LEGEND = Legend({"first": "first copy"}, {tool.name: tool.role for tool in ALL})


def figure(tool: str, number: int, seconds: float, setting: Setting = SETTING, peak_kib: int = 2048) -> Figure:
    """One figure; on disk half a second later."""
    return Figure(setting, tool, number, seconds, seconds + 0.5, 0.1, peak_kib, 1, 2, 3, 4, 5, 6, 7, 8, 0.0)


def book(directory: Path, *entries: Figure | Remark | Done) -> Book:
    """A book with these entries."""
    made = Book(directory / "figures.jsonl")
    for entry in entries:
        made.note(entry)
    return made

"""Every single figure, kept as it is measured: a line of JSON each. An interrupted run loses one round at most."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Lost(Exception):
    """Figures that could not be kept: there is no use in going on."""


@dataclass(frozen=True, order=True)
class Setting:
    """Under what a case was measured: all that makes two figures incomparable."""

    case: str
    filesystem: str
    files: int
    caches: str


@dataclass(frozen=True)
class Figure:
    """What one tool took in a round. Bytes and inodes are what the filesystem gave out: `grown` for this deed, `store`
    since the store was empty. `synced_seconds` end when all is on disk."""

    setting: Setting
    tool: str
    round: int
    seconds: float
    synced_seconds: float
    processor_seconds: float
    peak_kib: int
    read_requests: int
    write_requests: int
    read_bytes: int
    written_bytes: int
    grown_bytes: int
    grown_inodes: int
    store_bytes: int
    store_inodes: int
    load: float


@dataclass(frozen=True)
class Remark:
    """What has to be said of a tool in a case: `skipped`, `failed`, `wrong` or `right`."""

    setting: Setting
    tool: str
    kind: str
    text: str = ""


@dataclass(frozen=True)
class Shown:
    """The command of a tool in a case, as one would type it."""

    setting: Setting
    tool: str
    text: str


@dataclass(frozen=True)
class Done:
    """All tools have had this round."""

    setting: Setting
    round: int


KINDS: dict[str, type[Any]] = {kind.__name__.lower(): kind for kind in (Figure, Remark, Shown, Done)}


@dataclass
class Book:
    """All that was noted so far, in a file."""

    path: Path
    figures: list[Figure] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    shown: dict[tuple[Setting, str], str] = field(default_factory=dict)
    done: set[tuple[Setting, int]] = field(default_factory=set)

    def note(self, entry: Figure | Remark | Shown | Done) -> None:
        """Adds it, in the file as well before it returns."""
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(_line(entry))
        except OSError as fault:
            # Not a fault of the tool that is at work, which an OSError would be taken for.
            raise Lost(f"the results cannot be written: {fault}") from fault
        self._take(entry)

    def read(self) -> None:
        """Takes up what is in the file, and leaves it as it is; rounds that were not ended are left out. The run that
        writes it may be at work still."""
        if not self.path.exists():
            return
        entries = [_entry(line) for line in self.path.read_text(encoding="utf-8").splitlines() if _is_whole(line)]
        ended = {(entry.setting, entry.round) for entry in entries if isinstance(entry, Done)}
        for entry in entries:
            if not isinstance(entry, Figure) or (entry.setting, entry.round) in ended:
                self._take(entry)

    def resume(self) -> None:
        """Takes up what an interrupted run has noted; rounds that were not ended are forgotten in the file as well, for
        they come again."""
        self.read()
        shown = (Shown(setting, tool, text) for (setting, tool), text in self.shown.items())
        done = (Done(setting, number) for setting, number in sorted(self.done))
        kept = "".join(map(_line, (*shown, *self.remarks, *self.figures, *done)))
        # In one step: whoever ends this run now must not end all that was measured before.
        beside = self.path.with_suffix(".new")
        try:
            beside.write_text(kept, encoding="utf-8")
            beside.replace(self.path)
        except OSError as fault:
            raise Lost(f"the results cannot be written: {fault}") from fault

    def settings(self) -> list[Setting]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(figure.setting for figure in self.figures))

    def of(self, setting: Setting, tool: str) -> list[Figure]:
        """The figures of one tool, by rounds."""
        mine = [figure for figure in self.figures if figure.setting == setting and figure.tool == tool]
        return sorted(mine, key=lambda figure: figure.round)

    def tools(self, setting: Setting) -> list[str]:
        """Who was measured."""
        return list(dict.fromkeys(figure.tool for figure in self.figures if figure.setting == setting))

    def verdict(self, setting: Setting, tool: str) -> Remark | None:
        """The last word on what a tool made: right, wrong, failed; None if nobody looked."""
        words = [r for r in self.remarks if r.setting == setting and r.tool == tool and r.kind != "skipped"]
        return words[-1] if words else None

    def _take(self, entry: Figure | Remark | Shown | Done) -> None:
        match entry:
            case Figure():
                self.figures.append(entry)
            case Remark():
                if entry not in self.remarks:
                    self.remarks.append(entry)
            case Shown():
                self.shown[entry.setting, entry.tool] = entry.text
            case Done():
                self.done.add((entry.setting, entry.round))


def _line(entry: Figure | Remark | Shown | Done) -> str:
    return json.dumps({"type": type(entry).__name__.lower(), **dataclasses.asdict(entry)}) + "\n"


def _entry(line: str) -> Figure | Remark | Shown | Done:
    fields = json.loads(line)
    kind = KINDS[fields.pop("type")]
    entry: Figure | Remark | Shown | Done = kind(**{**fields, "setting": Setting(**fields["setting"])})
    return entry


def _is_whole(line: str) -> bool:
    """The last line of a run that was killed may be cut off."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True

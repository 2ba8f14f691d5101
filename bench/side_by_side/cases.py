"""The cases, as a table: which data, how many snapshots there are before, what changes, and what is measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from . import data
from .data import Tags
from .deed import Deed
from .options import Options
from .tools import Tool


class Before(Enum):
    """How many snapshots there are before the first round."""

    NONE = "none"
    ONE = "one"
    KEPT = "as many as are kept, and one more"
    MANY = "many"


@dataclass(frozen=True)
class Stand:
    """What a deed may need to know beside its tool."""

    target: Path
    some_path: Path


@dataclass(frozen=True)
class Case:
    """One line of the tables. `change` comes before every round, and before every snapshot that comes before the rounds
    if these are to differ."""

    name: str
    title: str
    deed: Callable[[Tool, Stand], Deed]
    make: Callable[[Options, int, Path], str] = data.make_small
    before: Before = Before.ONE
    change: Callable[[Path, int], None] = data.nothing
    # An empty store for every round.
    fresh: bool = False
    # Only the newest snapshot stays between rounds: the others would fill the disk.
    lean: bool = False
    # The same file may be changed in two changes that follow one another.
    changes_again: bool = False
    # How many snapshots there are right after the deed, in terms of how many there were before it.
    left: Callable[[int, Options], int] = lambda before, _options: before + 1

    @property
    def is_snapshot(self) -> bool:
        """Does it make a snapshot? Then that one is compared with the source."""
        return self.before is not Before.MANY

    def takes_time(self) -> bool:
        """Must what is changed grow old before it is backed up?"""
        return self.change is not data.nothing

    def past(self, options: Options) -> int:
        """How many snapshots there are before the first round."""
        counts = {Before.NONE: 0, Before.ONE: 1, Before.KEPT: options.keep + 1, Before.MANY: options.snapshots}
        return counts[self.before]


def _same(before: int, _options: Options) -> int:
    return before


def _kept(_before: int, options: Options) -> int:
    return options.keep


def all_cases(options: Options, tags: Tags | None) -> tuple[Case, ...]:
    """Every case in the order of the tables; `git` only if there are tags."""
    successive = [_successive_tags(tags)] if tags is not None else []
    return (*_single_backups(), *_steady_states(options), *_many_snapshots(options), *successive)


def _single_backups() -> list[Case]:
    percent, large = data.change_one_percent, data.make_large
    nothing = "a backup of nothing: what starting costs"
    grown = "1 MiB appended to a large file"
    return [
        Case("empty", nothing, lambda t, _: t.empty(), data.make_empty, Before.NONE, fresh=True),
        Case("first", "first copy", lambda t, _: t.first(), before=Before.NONE, fresh=True),
        Case("large", "first copy of large files", lambda t, _: t.large(), large, Before.NONE, fresh=True),
        Case("unchanged", "no change", lambda t, _: t.unchanged()),
        Case("deep", "no change in deep trees", lambda t, _: t.unchanged(), data.make_deep),
        Case("changed", "1 % changed", lambda t, _: t.changed(), change=percent),
        Case("renamed", "one directory of about 10 % renamed", lambda t, _: t.renamed(), change=data.rename_tenth),
        Case("chmod", "chmod -R of about 10 %", lambda t, _: t.chmod(), change=data.chmod_tenth),
        Case("append", grown, lambda t, _: t.append(), large, change=data.append_to_large, lean=True),
    ]


def _steady_states(options: Options) -> list[Case]:
    title = f"steady state, keep {options.keep}"
    still = Case("steady", f"{title}, no change", lambda t, _: t.steady(), before=Before.KEPT, left=_kept)
    changed = dataclasses.replace(
        still,
        name="steady-changed",
        title=f"{title}, 1 % changed",
        deed=lambda t, _: t.steady_changed(),
        change=data.change_one_percent,
    )
    return [still, changed]


def _many_snapshots(options: Options) -> list[Case]:
    many = f"{options.snapshots} snapshots"

    def case(name: str, title: str, deed: Callable[[Tool, Stand], Deed], left: Callable[[int, Options], int]) -> Case:
        return Case(name, title, deed, before=Before.MANY, change=data.change_one_percent, left=left)

    return [
        case("verify", f"full verify of {many}", lambda t, _: t.verify(), _same),
        case("restore", f"restore the newest of {many}", lambda t, s: t.restore(s.target), _same),
        case("history", f"history of one path in {many}", lambda t, s: t.history(s.some_path), _same),
        case("usage", f"what {many} take (du)", lambda t, _: t.usage(), _same),
        case("delete-one", f"delete one of {many}", lambda t, _: t.delete_one(), lambda before, _: before - 1),
        case("delete-most", f"delete {options.snapshots - 1} of {many}", lambda t, _: t.delete_most(), lambda *_: 1),
    ]


def _successive_tags(tags: Tags) -> Case:
    """The first tag is what is there before; each round goes on to the next."""

    def make(_options: Options, _files: int, source: Path) -> str:
        source.mkdir()
        tags.check_out(0, source)
        return f"{tags.git_dir}: {', '.join(tags.names)}"

    def change(source: Path, number: int) -> None:
        tags.check_out(number % len(tags.names), source)

    return Case(
        "git", "successive tags of a git repository", lambda t, _: t.tags(), make, change=change, changes_again=True
    )


def grouped(cases: tuple[Case, ...]) -> list[tuple[Case, ...]]:
    """Those that need many snapshots share them; every other has a filesystem of its own."""
    many = tuple(case for case in cases if case.before is Before.MANY)
    alone = [(case,) for case in cases if case.before is not Before.MANY]
    return [*alone, many] if many else [*alone]

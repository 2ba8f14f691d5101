"""The floor: bare loops of the system calls that a case cannot do without; and references, which do less than a tool.

Which loop is the floor of which case is the table `FLOORS`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from ..deed import Deed, command, line, quoted, run
from ..options import Options
from .base import Place, Role, missing_programs
from .trees import Trees

# Changes and stamps are told apart by the clock of the filesystem, which moves every few milliseconds.
TICK_SECONDS = 0.05
MIRROR_DIRECTORIES = "find . -type d -print0 | (cd {to} && xargs -0 mkdir -p)"

FLOORS = {
    "first": "copy-loop into directories that are there",
    "large": "copy-loop into directories that are there",
    "unchanged": "link-loop",
    "deep": "link-loop",
    "changed": "link-loop, then copy-loop of what changed",
    "renamed": "link-loop of the tree before (as many names)",
    "chmod": "link-loop, then copy-loop --attributes of what changed",
    "append": "link-loop, then copy-loop of what changed",
    "steady": "stat-walk of the source",
    "steady-changed": "copy-loop --basis --since: of what changed, and links to what others changed",
    "delete-one": "unlink-loop",
    "delete-most": "unlink-loop of each",
    "verify": "b3sum of every inode once, a process a processor",
    "restore": "copy-loop into directories that are there",
    "usage": "stat-walk of all trees",
}


class BareTrees(Trees):
    """Trees made by the loops; each with a stamp, a file that is younger than all that is in the tree."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.stamps = place.store.with_name(place.store.name + ".stamps")
        self.nothing = self.stamps / "nothing"

    @classmethod
    def missing(cls, options: Options) -> str | None:
        loops = ("stat-walk", "link-loop", "unlink-loop", "copy-loop")
        gone = [name for name in loops if not os.access(options.program(name), os.X_OK)]
        return (
            f"{', '.join(gone)} is missing in {options.binaries}: cargo build --release --workspace" if gone else None
        )

    def prepare(self) -> None:
        super().prepare()
        self.stamps.mkdir(exist_ok=True)
        # Older than everything.
        self.nothing.touch()
        os.utime(self.nothing, (0, 0))

    def clear(self) -> None:
        super().clear()
        run(command("rm", "-rf", self.stamps))

    def backup(self) -> Deed:
        return self.changed() if self.trees else self.first()

    def first(self) -> Deed:
        return self.loop("copy-loop", self.source, self.ready(self.grow()), self.nothing)

    def changed(self, *more: str) -> Deed:
        """Links to all that was there, and copies in place of those that changed."""
        before, stamp = self.trees[-1], self.stamp(self.trees[-1])
        new = self.grow()
        link = self.loop("link-loop", before, new)
        copy = self.loop("copy-loop", self.source, new, stamp, *more)
        return line(f"{quoted(*link.argv)} && {quoted(*copy.argv)}")

    def loop(self, name: str, *arguments: object) -> Deed:
        """One of the bare loops."""
        return command(self.options.program(name), *arguments)

    def ready(self, tree: Path) -> Path:
        """Makes the directories of the source in `tree`."""
        tree.mkdir(exist_ok=True)
        run(line(MIRROR_DIRECTORIES.format(to=quoted(tree)), cwd=self.source))
        return tree

    def grow(self) -> Path:
        new = super().grow()
        time.sleep(TICK_SECONDS)
        self.stamp(new).touch()
        time.sleep(TICK_SECONDS)
        return new

    def stamp(self, tree: Path) -> Path:
        """The stamp of a tree."""
        return self.stamps / tree.name


class Floor(BareTrees):
    """The bare loops."""

    name = "floor"
    about = "the bare loops: stat-walk, link-loop, unlink-loop, copy-loop; b3sum for verify"
    role = Role.FLOOR
    needs = ("b3sum",)
    only = tuple(FLOORS)

    @classmethod
    def missing(cls, options: Options) -> str | None:
        return super().missing(options) or missing_programs(cls.needs)

    def unchanged(self) -> Deed:
        before = self.trees[-1]
        return self.loop("link-loop", before, self.grow())

    def renamed(self) -> Deed:
        return self.unchanged()

    def chmod(self) -> Deed:
        return self.changed("--attributes")

    def steady(self) -> Deed:
        return self.loop("stat-walk", self.source)

    def steady_changed(self) -> Deed:
        if len(self.trees) < self.options.keep:
            return self.backup()
        oldest, newest = self.trees.pop(0), self.trees[-1]
        new = self.grow()
        oldest.rename(new)
        since = ("--basis", newest, "--since", self.stamp(oldest))
        return self.loop("copy-loop", self.source, new, self.stamp(newest), *since)

    def delete_one(self) -> Deed:
        return self.loop("unlink-loop", self.trees.pop((len(self.trees) - 1) // 2))

    def delete_most(self) -> Deed:
        old, self.trees = self.trees[:-1], self.trees[-1:]
        return line(f"for t in {quoted(*old)}; do {quoted(self.options.program('unlink-loop'))} $t || exit; done")

    def verify(self) -> Deed:
        once = r"find . -type f -printf '%i\t%p\0' | sort -z -u -n -k1,1 | cut -z -f2-"
        return line(f"{once} | xargs -0 -r -n 1000 -P{os.cpu_count()} b3sum", cwd=self.store)

    def restore(self, target: Path) -> Deed:
        return self.loop("copy-loop", self.trees[-1], self.ready(target), self.nothing)

    def usage(self) -> Deed:
        return self.loop("stat-walk", self.store)


class StatWalk(BareTrees):
    """What every run must do that looks for changes."""

    name = "stat-walk"
    about = "stat-walk of the source, which only looks"
    role = Role.REFERENCE
    only = ("unchanged", "steady-changed")

    def prepare(self) -> None:
        """It keeps nothing."""

    def backup(self) -> Deed:
        return self.loop("stat-walk", self.source)

    def steady(self) -> Deed:
        return self.backup()


class Cp(Trees):
    """cp, which copies or links but looks for no change."""

    name = "cp"
    about = "cp -a, cp -al, which look for no change"
    role = Role.REFERENCE
    only = ("first", "large", "unchanged")

    def backup(self) -> Deed:
        return command("cp", "-a", self.source, self.grow())

    def unchanged(self) -> Deed:
        before = self.trees[-1]
        return command("cp", "-al", before, self.grow())


class Hashes(BareTrees):
    """b3sum by a single process over the newest tree: what a list of hashes costs to check."""

    name = "b3sum"
    about = "find, xargs b3sum over the newest snapshot"
    role = Role.REFERENCE
    needs = ("b3sum",)
    only = ("verify",)

    @classmethod
    def missing(cls, options: Options) -> str | None:
        return super().missing(options) or missing_programs(cls.needs)

    def backup(self) -> Deed:
        # One tree is enough, and is made when it is needed.
        return command("true")

    def verify(self) -> Deed:
        if not self.trees:
            run(self.first())
        return line("find . -type f -print0 | xargs -0 -r -n 1000 b3sum", cwd=self.trees[-1])

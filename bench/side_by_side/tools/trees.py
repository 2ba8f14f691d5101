"""Tools whose snapshots are plain directories with numbers for names; what they share."""

from __future__ import annotations

from pathlib import Path

from ..deed import Deed, command, line, quoted
from .base import Place, Tool


class Trees(Tool):
    """A directory a snapshot, `STORE/1`, `STORE/2` and so on; deleted by rm, restored by cp."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.trees: list[Path] = []
        self.number = 0

    def grow(self) -> Path:
        """The path of the next snapshot, which from now on counts as there."""
        self.number += 1
        self.trees.append(self.store / f"{self.number}")
        return self.trees[-1]

    def clear(self) -> None:
        super().clear()
        self.trees = []

    def surplus(self) -> Path | None:
        """The oldest, if it has to go when there is one more."""
        return self.trees.pop(0) if len(self.trees) >= self.options.keep else None

    def delete_one(self) -> Deed:
        return command("rm", "-rf", self.trees.pop((len(self.trees) - 1) // 2))

    def delete_most(self) -> Deed:
        old, self.trees = self.trees[:-1], self.trees[-1:]
        return command("rm", "-rf", *old)

    def restore(self, target: Path) -> Deed:
        return command("cp", "-a", f"{self.trees[-1]}/.", target)

    def usage(self) -> Deed:
        return command("du", "-s", *self.trees)

    def history(self, path: Path) -> Deed:
        return line(f"ls -li {quoted(self.store)}/*/{quoted(path)}")

    def count(self) -> int:
        return sum(1 for _ in self.store.iterdir())

    def newest_tree(self) -> Path | None:
        return self.trees[-1]

    def tree_before(self) -> Path | None:
        return self.trees[-2] if len(self.trees) > 1 else None

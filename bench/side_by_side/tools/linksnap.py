"""linksnap itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ..deed import Deed, command, line, quoted, run
from ..options import Options
from .base import Place, Tool

JOB = "bench"


class Linksnap(Tool):
    """The binary that `LINKSNAP` names, or that of target/release."""

    name = "linksnap"
    about = "linksnap backup, delete, verify, restore, du"
    # Two of one second have names that are ahead of the clock, and retention waits until it has caught up.
    apart = 1.1

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.program = self.options.program("linksnap")
        self.config = place.scratch / "linksnap.toml"
        self.target = ("--repo", self.store, "--job", JOB)

    @classmethod
    def missing(cls, options: Options) -> str | None:
        program = options.program("linksnap")
        return (
            None if os.access(program, os.X_OK) else f"no binary at {program}: cargo build --release, or set LINKSNAP"
        )

    @classmethod
    def version(cls, options: Options) -> str:
        return run(command(options.program("linksnap"), "--version")).strip()

    def prepare(self) -> None:
        run(command(self.program, "init", "-q", "--repo", self.store))
        keep = f"keep = {{ last = {self.options.keep} }}"
        self.config.write_text(f'repository = "{self.store}"\n[defaults]\n{keep}\n', encoding="utf-8")

    def backup(self) -> Deed:
        return self._backup()

    def tags(self) -> Deed:
        # From one tag to the next most of the tree may change: that is as it should be here.
        return self._backup("--accept-change")

    def steady(self) -> Deed:
        return command(self.program, "backup", "--config", self.config, "--job", JOB, "-q", self.source)

    def delete_one(self) -> Deed:
        names = self._names()
        return self._delete([names[(len(names) - 1) // 2]])

    def delete_most(self) -> Deed:
        return self._delete(self._names()[:-1])

    def verify(self) -> Deed:
        return command(self.program, "verify", *self.target, "-q")

    def restore(self, target: Path) -> Deed:
        return command(self.program, "restore", *self.target, "-q", "latest", self.source, "--target", target)

    def restored(self, target: Path) -> Path:
        return target / self.source.relative_to("/")

    def usage(self) -> Deed:
        return command(self.program, "du", "--repo", self.store)

    def history(self, path: Path) -> Deed:
        if self._has_verb("history"):
            return command(self.program, "history", *self.target, self.source / path)
        each = quoted(self.program, "ls", "--long", *self.target)
        names = quoted(*(f"{JOB}/{name}" for name in self._names()))
        return line(f"for s in {names}; do {each} $s {quoted(self.source / path)} || exit; done")

    def count(self) -> int:
        return len(self._names())

    def newest_tree(self) -> Path | None:
        return self._tree(-1)

    def tree_before(self) -> Path | None:
        return self._tree(-2)

    def _backup(self, *more: str) -> Deed:
        return command(self.program, "backup", *self.target, "--no-prune", *more, "-q", self.source)

    def _names(self) -> list[str]:
        return sorted(path.name for path in (self.store / JOB).glob("2*"))

    def _tree(self, which: int) -> Path | None:
        if len(self._names()) < abs(which):
            return None
        return self.store / JOB / self._names()[which] / self.source.relative_to("/")

    def _delete(self, names: list[str]) -> Deed:
        return command(
            self.program, "delete", "--repo", self.store, "--yes", "-q", *(f"{JOB}/{name}" for name in names)
        )

    def _has_verb(self, verb: str) -> bool:
        asked = subprocess.run([self.program, "help", verb], capture_output=True, check=False)
        return asked.returncode == 0

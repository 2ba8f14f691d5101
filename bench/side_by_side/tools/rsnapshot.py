"""rsnapshot with the settings of its example configuration: cp -al, rsync into the copy, rm -rf of the oldest."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..deed import Deed, command, line, quoted, run
from ..options import Options
from .base import Place, Tool
from .rsync import NO_RECORD

LEVEL = "alpha"
# More than any case makes: nothing goes.
UNLIMITED = 9999


class Rsnapshot(Tool):
    """Its newest snapshot is `alpha.0`. As with cp and rsync, attributes that change alone change in all snapshots."""

    name = "rsnapshot"
    about = "rsnapshot, its configuration generated"
    needs = ("rsnapshot",)
    lacks = {"verify": NO_RECORD}

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.config = place.scratch / "rsnapshot.conf"
        self.steady_config = place.scratch / "rsnapshot-steady.conf"

    @classmethod
    def version(cls, options: Options) -> str:
        return run(command("rsnapshot", "version")).strip()

    def prepare(self) -> None:
        super().prepare()
        self._configure(self.config, UNLIMITED)
        self._configure(self.steady_config, self.options.keep)

    def backup(self) -> Deed:
        return command("rsnapshot", "-c", self.config, LEVEL)

    def steady(self) -> Deed:
        return command("rsnapshot", "-c", self.steady_config, LEVEL)

    def delete_one(self) -> Deed:
        # It has no command for it; the oldest, so that its numbers stay without a gap.
        return command("rm", "-rf", self._snapshots()[-1])

    def delete_most(self) -> Deed:
        return command("rm", "-rf", *self._snapshots()[1:])

    def restore(self, target: Path) -> Deed:
        return command("cp", "-a", f"{self.newest_tree()}/.", target)

    def usage(self) -> Deed:
        return command("rsnapshot", "-c", self.config, "du")

    def history(self, path: Path) -> Deed:
        below = self.source.relative_to("/") / path
        return line(f"ls -li {quoted(self.store)}/{LEVEL}.*/{quoted(below)}")

    def count(self) -> int:
        return len(self._snapshots())

    def newest_tree(self) -> Path | None:
        return self._snapshots()[0] / self.source.relative_to("/")

    def tree_before(self) -> Path | None:
        snapshots = self._snapshots()
        return snapshots[1] / self.source.relative_to("/") if len(snapshots) > 1 else None

    def _snapshots(self) -> list[Path]:
        return sorted(self.store.glob(f"{LEVEL}.*"), key=lambda path: int(path.suffix[1:]))

    def _configure(self, path: Path, keep: int) -> None:
        settings = [
            ("config_version", "1.2"),
            ("snapshot_root", f"{self.store}/"),
            ("cmd_cp", shutil.which("cp")),
            ("cmd_rm", shutil.which("rm")),
            ("cmd_rsync", self.options.rsync),
            ("cmd_du", shutil.which("du")),
            ("retain", LEVEL, str(keep)),
            ("verbose", "1"),
            ("loglevel", "1"),
            ("lockfile", str(self.place.scratch / "rsnapshot.pid")),
            ("backup", f"{self.source}/", "./"),
        ]
        path.write_text("".join("\t".join(map(str, setting)) + "\n" for setting in settings), encoding="utf-8")

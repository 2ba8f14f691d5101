"""restic and borg, for context: they store chunks under their hashes, not trees of links."""

from __future__ import annotations

import json
from pathlib import Path

from ..deed import Deed, command, line, quoted, run
from ..options import Options
from .base import Place, Role, Tool


class Archives(Tool):
    """What both have in common: the source is backed up by its name, from the directory that holds it, so that its own
    attributes are kept as well."""

    role = Role.CONTEXT

    def restored(self, target: Path) -> Path:
        return target / self.source.name


class Restic(Archives):
    """A local repository with its defaults: encrypted, chunks by content; all snapshots in one group."""

    name = "restic"
    about = "restic backup, forget --prune, check --read-data, restore"
    needs = ("restic",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        # Its cache is a part of its store: what it writes counts.
        self.env = {
            "RESTIC_REPOSITORY": str(self.store / "repo"),
            "RESTIC_CACHE_DIR": str(self.store / "cache"),
            "RESTIC_PASSWORD": "bench",
        }

    @classmethod
    def version(cls, options: Options) -> str:
        return run(command("restic", "version")).strip()

    def prepare(self) -> None:
        super().prepare()
        run(command("restic", "-q", "init", env=self.env))

    def backup(self) -> Deed:
        return command("restic", "-q", "backup", self.source.name, cwd=self.source.parent, env=self.env)

    def steady(self) -> Deed:
        forget = quoted("restic", "-q", "forget", "--keep-last", self.options.keep, "--prune")
        return line(f"restic -q backup {self.source.name} && {forget}", cwd=self.source.parent, env=self.env)

    def delete_one(self) -> Deed:
        known = self._snapshots()
        return command("restic", "-q", "forget", "--prune", known[(len(known) - 1) // 2]["short_id"], env=self.env)

    def delete_most(self) -> Deed:
        return command("restic", "-q", "forget", "--keep-last", "1", "--prune", env=self.env)

    def verify(self) -> Deed:
        return command("restic", "-q", "check", "--read-data", env=self.env)

    def restore(self, target: Path) -> Deed:
        return command("restic", "-q", "restore", "latest", "--target", target, env=self.env)

    def usage(self) -> Deed:
        return command("restic", "stats", "--mode", "raw-data", env=self.env)

    def count(self) -> int:
        return len(self._snapshots())

    def _snapshots(self) -> list[dict[str, object]]:
        known: list[dict[str, object]] = json.loads(run(command("restic", "snapshots", "--json", env=self.env)))
        return known

    def history(self, path: Path) -> Deed:
        return command("restic", "find", "--long", f"/{self.source.name}/{path}", env=self.env)


class Borg(Archives):
    """A local repository without encryption, all else as by default; archives are numbered."""

    name = "borg"
    about = "borg create, prune or delete and compact, check --verify-data, extract"
    needs = ("borg",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.repo = self.store / "repo"
        self.number = 0
        # Its cache is a part of its store: what it writes counts.
        self.env = {
            "BORG_REPO": str(self.repo),
            "BORG_BASE_DIR": str(self.store / "base"),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }

    @classmethod
    def version(cls, options: Options) -> str:
        return run(command("borg", "--version")).strip()

    def prepare(self) -> None:
        super().prepare()
        run(command("borg", "init", "-e", "none", env=self.env))

    def backup(self) -> Deed:
        self.number += 1
        return command("borg", "create", f"::{self.number:05}", self.source.name, cwd=self.source.parent, env=self.env)

    def steady(self) -> Deed:
        self.number += 1
        prune = quoted("borg", "prune", "--keep-last", self.options.keep)
        create = f"borg create ::{self.number:05} {self.source.name}"
        return line(f"{create} && {prune} && borg compact", cwd=self.source.parent, env=self.env)

    def delete_one(self) -> Deed:
        names = self._names()
        return line(f"borg delete ::{names[(len(names) - 1) // 2]} && borg compact", env=self.env)

    def delete_most(self) -> Deed:
        names = self._names()
        # Named one by one: `prune --keep-last 1` counts seconds.
        return line(f"borg delete :: {quoted(*names[:-1])} && borg compact", env=self.env)

    def verify(self) -> Deed:
        return command("borg", "check", "--verify-data", env=self.env)

    def restore(self, target: Path) -> Deed:
        return command("borg", "extract", f"::{self._names()[-1]}", cwd=target, env=self.env)

    def usage(self) -> Deed:
        return command("borg", "info", env=self.env)

    def history(self, path: Path) -> Deed:
        each = f"borg list ::$a {quoted(Path(self.source.name) / path)}"
        return line(f"for a in {quoted(*self._names())}; do {each} || exit; done", env=self.env)

    def count(self) -> int:
        return len(self._names())

    def _names(self) -> list[str]:
        return run(command("borg", "list", "--short", env=self.env)).split()

"""The ways of making snapshots with rsync, as people write them into their scripts."""

from __future__ import annotations

from pathlib import Path

from ..deed import Deed, Failed, command, line, quoted, run
from ..options import Options
from .base import Tool
from .trees import Trees

NO_RECORD = "keeps no record to verify against"


class WithRsync(Trees):
    """What is there if rsync is: the one that `RSYNC` names."""

    @classmethod
    def missing(cls, options: Options) -> str | None:
        return None if _answers(options) else f"{options.rsync} is missing: apt install rsync, or set RSYNC"


class Rsync(WithRsync):
    """A new tree each time, linked to the one before."""

    name = "rsync"
    about = "rsync -a --link-dest, rm -rf"
    lacks = {"verify": NO_RECORD}
    flags: tuple[str, ...] = ("-a",)

    @classmethod
    def version(cls, options: Options) -> str:
        return " ".join(run(command(options.rsync, "--version")).splitlines()[0].split())

    def backup(self) -> Deed:
        return line(self._copy())

    def steady(self) -> Deed:
        surplus = self.surplus()
        drop = f" && {quoted('rm', '-rf', surplus)}" if surplus else ""
        return line(self._copy() + drop)

    def _copy(self) -> str:
        before = [f"--link-dest={self.trees[-1]}"] if self.trees else []
        return quoted(self.options.rsync, *self.flags, *before, f"{self.source}/", f"{self.grow()}/")


class Recycle(WithRsync):
    """The oldest tree becomes the newest."""

    name = "recycle"
    about = "mv of the oldest, rsync -a --delete --link-dest into it"
    only = ("steady", "steady-changed")

    def backup(self) -> Deed:
        return self.steady()

    def steady(self) -> Deed:
        before = [f"--link-dest={self.trees[-1]}"] if self.trees else []
        surplus = self.surplus()
        new = self.grow()
        move = f"{quoted('mv', surplus, new)} && " if surplus else ""
        return line(move + quoted(self.options.rsync, "-a", "--delete", *before, f"{self.source}/", f"{new}/"))


class CpRsync(WithRsync):
    """A tree of links, brought up to date in place. What changes the attributes of a file alone changes them in all
    snapshots: the check of the case chmod shows it."""

    name = "cp-rsync"
    about = "cp -al of the newest, rsync -a --delete into the copy, rm -rf"
    lacks = {"verify": NO_RECORD}

    def backup(self) -> Deed:
        return line(self._copy())

    def steady(self) -> Deed:
        surplus = self.surplus()
        drop = f" && {quoted('rm', '-rf', surplus)}" if surplus else ""
        return line(self._copy() + drop)

    def _copy(self) -> str:
        before: Path | None = self.trees[-1] if self.trees else None
        new = self.grow()
        link = f"{quoted('cp', '-al', before, new)} && " if before else ""
        return link + quoted(self.options.rsync, "-a", "--delete", f"{self.source}/", f"{new}/")


class TimeBackup(Rsync):
    """The call of rsync in rsync_tmbackup.sh (RSYNC_FLAGS, https://github.com/laurent22/rsync-time-backup), with a log
    file as there; without its search for old snapshots, which looks at names only. It expires with rm -rf as well."""

    name = "rsync-time-backup"
    about = "rsync as rsync-time-backup calls it, rm -rf"
    flags = tuple(
        "-D --numeric-ids --links --hard-links --one-file-system --itemize-changes --times --recursive --perms --owner"
        " --group --stats --human-readable".split()
    )

    def _copy(self) -> str:
        before = [f"--link-dest={self.trees[-1]}"] if self.trees else []
        log = self.place.scratch / "rsync-time-backup.log"
        return quoted(
            self.options.rsync, *self.flags, "--log-file", log, *before, "--", f"{self.source}/", f"{self.grow()}/"
        )


def _answers(options: Options) -> bool:
    try:
        return bool(run(command(options.rsync, "--version")))
    except (OSError, Failed):
        return False


ALL: tuple[type[Tool], ...] = (Rsync, Recycle, CpRsync, TimeBackup)

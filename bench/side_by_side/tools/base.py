"""What every tool has: a store of snapshots, and a method for each case."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar

from ..deed import Deed, command, run
from ..options import Options


class Role(Enum):
    """As what something takes part."""

    TOOL = "tool"
    CONTEXT = "for context"
    REFERENCE = "does less"
    FLOOR = "floor"


def missing_programs(needed: tuple[str, ...]) -> str | None:
    """Which of them are not installed, as a reason; None if all are."""
    gone = [name for name in needed if shutil.which(name) is None]
    return f"{', '.join(gone)} is missing: apt install it" if gone else None


@dataclass(frozen=True)
class Place:
    """Where a tool works: what it backs up, where it stores, and where it may leave other files."""

    source: Path
    store: Path
    scratch: Path
    options: Options


class Tool(ABC):
    """One way of keeping snapshots. A method for a case does what must come before it, unmeasured, and returns the deed
    that is measured. What a tool does alike in several cases it says once."""

    name: ClassVar[str]
    about: ClassVar[str]
    role: ClassVar[Role] = Role.TOOL
    needs: ClassVar[tuple[str, ...]] = ()
    # How far its snapshots have to be apart, in seconds.
    apart: ClassVar[float] = 0.0
    # Cases that it has not, and why; or the only ones that it has.
    lacks: ClassVar[Mapping[str, str]] = {}
    only: ClassVar[tuple[str, ...]] = ()

    def __init__(self, place: Place) -> None:
        self.place = place
        self.source = place.source
        self.store = place.store
        self.options = place.options

    @classmethod
    def missing(cls, options: Options) -> str | None:
        """What has to be installed for it; None if nothing."""
        return missing_programs(cls.needs)

    @classmethod
    def version(cls, options: Options) -> str:
        """What it calls itself."""
        return ""

    @classmethod
    def why_not(cls, case: str) -> str | None:
        """Why it takes no part in a case; None if it does, and an empty text if nobody would expect it to."""
        if cls.only and case not in cls.only:
            return ""
        return cls.lacks.get(case)

    def prepare(self) -> None:
        """Makes an empty store."""
        self.store.mkdir(parents=True)

    @abstractmethod
    def backup(self) -> Deed:
        """One more snapshot; nothing goes."""

    def steady(self) -> Deed:
        """One more snapshot, and the oldest goes if there are then more than are kept."""
        raise NotImplementedError

    def first(self) -> Deed:
        """The first copy of small files."""
        return self.backup()

    def large(self) -> Deed:
        """The first copy of large files."""
        return self.first()

    def empty(self) -> Deed:
        """A snapshot of an empty directory."""
        return self.backup()

    def unchanged(self) -> Deed:
        """A snapshot when nothing has changed."""
        return self.backup()

    def changed(self) -> Deed:
        """A snapshot when 1 % of the files have changed."""
        return self.backup()

    def renamed(self) -> Deed:
        """A snapshot when a directory has another name."""
        return self.backup()

    def chmod(self) -> Deed:
        """A snapshot when files have another mode."""
        return self.backup()

    def append(self) -> Deed:
        """A snapshot when a large file has grown."""
        return self.backup()

    def tags(self) -> Deed:
        """A snapshot when the source has gone from one tag to the next."""
        return self.backup()

    def steady_changed(self) -> Deed:
        """As `steady`, when 1 % of the files have changed."""
        return self.steady()

    def delete_one(self) -> Deed:
        """One snapshot goes for good."""
        raise NotImplementedError

    def delete_most(self) -> Deed:
        """All snapshots but the newest go for good."""
        raise NotImplementedError

    def verify(self) -> Deed:
        """All bytes of all snapshots are read and compared with what was recorded."""
        raise NotImplementedError

    def restore(self, _target: Path) -> Deed:
        """The newest snapshot into a directory that is there and empty."""
        raise NotImplementedError

    def restored(self, target: Path) -> Path:
        """Where in `target` that puts what was the source."""
        return target

    def usage(self) -> Deed:
        """How much the snapshots take."""
        raise NotImplementedError

    def history(self, _path: Path) -> Deed:
        """What is known of one path (relative to the source) in all snapshots."""
        raise NotImplementedError

    @abstractmethod
    def count(self) -> int:
        """How many snapshots there are."""

    def newest_tree(self) -> Path | None:
        """The newest snapshot as a plain directory; None if it is no such thing."""
        return None

    def tree_before(self) -> Path | None:
        """The same of the one before."""
        return None

    def clear(self) -> None:
        """Removes the store."""
        run(command("rm", "-rf", self.store))

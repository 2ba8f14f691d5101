"""The tools that are compared, by their names."""

from __future__ import annotations

from . import rsync
from .archives import Borg, Restic
from .base import Place, Role, Tool
from .floor import FLOORS, Cp, Floor, Hashes, StatWalk
from .linksnap import Linksnap
from .rsnapshot import Rsnapshot

ALL: tuple[type[Tool], ...] = (Linksnap, *rsync.ALL, Rsnapshot, Restic, Borg, Cp, Hashes, StatWalk, Floor)
NAMES: tuple[str, ...] = tuple(tool.name for tool in ALL)

__all__ = ["ALL", "FLOORS", "NAMES", "Place", "Role", "Tool"]

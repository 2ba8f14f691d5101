"""Is what a tool made right? Looks at everything, so it is never inside a timing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from .deed import Deed, command, run
from .options import Options
from .tools import Tool

SHOWN = 3


def differences(options: Options, source: Path, tree: Path) -> str:
    """What rsync would do to make `tree` like `source`; empty if nothing. Every byte and attribute is compared."""
    lines = run(compare(options, source, tree)).splitlines()
    more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return "; ".join(lines[:SHOWN]) + more


def compare(options: Options, source: Path, tree: Path) -> Deed:
    """The command that tells."""
    return command(options.rsync, "-aHAXSnci", "--delete", f"{source}/", f"{tree}/")


def fingerprint(tree: Path) -> str:
    """A digest of the names, modes, owners, sizes and times below `tree`: are they later as they were?

    Times in whole seconds: rsync leaves alone what differs by less, as the time of a directory that it has just made.
    """
    digest = hashlib.blake2b()
    for directory, directories, names in os.walk(tree):
        directories.sort()
        for name in sorted([*names, *directories]):
            at = os.path.join(directory, name)
            seen = os.lstat(at)
            size = 0 if name in directories else seen.st_size
            what = (os.path.relpath(at, tree), seen.st_mode, seen.st_uid, seen.st_gid, size, int(seen.st_mtime))
            digest.update(repr(what).encode())
    return digest.hexdigest()


def newest(options: Options, tool: Tool, source: Path, target: Path) -> str:
    """What is wrong with the newest snapshot; one that is no plain tree is restored to `target` first."""
    tree = tool.newest_tree()
    if tree is not None:
        return differences(options, source, tree)
    target.mkdir()
    try:
        run(tool.restore(target))
        return differences(options, source, tool.restored(target))
    finally:
        run(command("rm", "-rf", target))


def one_before(tool: Tool, fingerprint_then: str | None) -> str:
    """What is wrong with the snapshot before the newest: it must be what the source was then."""
    tree = tool.tree_before()
    if tree is None or fingerprint_then is None or fingerprint(tree) == fingerprint_then:
        return ""
    return "the snapshot before is no longer what the source was when it was made"

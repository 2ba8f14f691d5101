"""Where everything happens: a fresh filesystem in a loop device, or a directory; removed at the end whatever comes."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import measure
from .deed import Failed, command, run

# An inode per 8 KiB, for several copies of a tree of small files; inode tables and journal are zeroed now, not by a
# kernel thread during the measurements.
MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-i", "8192", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
    "xfs": ("mkfs.xfs", "-q"),
    "btrfs": ("mkfs.btrfs", "-q"),
}
DIRECTORY = "directory"
KINDS = (*MAKE, DIRECTORY)


class Unfit(Exception):
    """A scene that cannot be built here; says why, and what helps."""


@dataclass(frozen=True)
class Used:
    """What a filesystem has given out. Inodes are 0 on btrfs, which does not count them."""

    bytes: int = 0
    inodes: int = 0

    def since(self, earlier: Used) -> Used:
        """What came in between; less than nothing if it was freed."""
        return Used(self.bytes - earlier.bytes, self.inodes - earlier.inodes)

    def plus(self, more: Used) -> Used:
        """Both."""
        return Used(self.bytes + more.bytes, self.inodes + more.inodes)


@dataclass(frozen=True)
class Scene:
    """A place for one case: `root` is on the filesystem under test, `scratch` is not."""

    kind: str
    root: Path
    scratch: Path
    device: Path | None

    def used(self) -> Used:
        """What is given out now, all of it written."""
        measure.syncfs(self.root)
        now = os.statvfs(self.root)
        return Used((now.f_blocks - now.f_bfree) * now.f_frsize, now.f_files - now.f_ffree)


def why_not(kind: str) -> str | None:
    """Why there can be no scene of this kind; None if there can."""
    if kind == DIRECTORY:
        return None
    if os.geteuid() != 0:
        return "needs root, to mount a loop device"
    if shutil.which(MAKE[kind][0]) is None:
        return f"{MAKE[kind][0]} is missing"
    return None


@contextlib.contextmanager
def scene(kind: str, size_bytes: int) -> Iterator[Scene]:
    """A fresh one in TMPDIR (default /var/tmp), with room for `size_bytes`."""
    base = Path(os.environ.get("TMPDIR", "/var/tmp"))
    free = shutil.disk_usage(base).free
    if free < size_bytes:
        raise Unfit(
            f"up to {size_bytes / 1e9:.1f} GB may be needed in {base}, {free / 1e9:.1f} GB are free: "
            "take fewer --files, --tools or --snapshots, a smaller --median or --large, or set TMPDIR"
        )
    work = Path(tempfile.mkdtemp(prefix="linksnap-bench.", dir=base))
    root = work / "fs"
    root.mkdir()
    (work / "scratch").mkdir()
    try:
        if kind != DIRECTORY:
            _mount(kind, work / "image", root, size_bytes)
        yield Scene(kind, root, work / "scratch", _device(root))
    finally:
        _remove(work, root)


def _mount(kind: str, image: Path, root: Path, size_bytes: int) -> None:
    with open(image, "wb") as file:
        file.truncate(size_bytes)
    run(command(*MAKE[kind], image))
    # What is deleted makes holes in the image, so that it takes no more of the disk than the filesystem holds.
    run(command("mount", "-o", "loop,discard", image, root))


def _device(root: Path) -> Path | None:
    """Where sysfs counts the requests of the device below `root`. Of btrfs, st_dev names no device."""
    try:
        source = run(command("findmnt", "-n", "-o", "SOURCE", "--target", root)).strip()
    except (Failed, OSError):
        return None
    device = Path("/sys/class/block") / os.path.basename(source.partition("[")[0])
    return device if (device / "stat").exists() else None


def _remove(work: Path, root: Path) -> None:
    os.chdir("/")
    while os.path.ismount(root):
        done = subprocess.run(["umount", root], capture_output=True, check=False)
        if done.returncode != 0:
            # A command that an interrupt left running keeps the filesystem busy: then it goes when the command ends.
            subprocess.run(["umount", "--lazy", root], capture_output=True, check=False)
            break
    subprocess.run(["rm", "-rf", "--one-file-system", work], check=False)

"""Runs one deed and counts what it took: time, processor, memory, requests of the device.

The command is started by a small shell that leaves at once, and is then this program's child (a "subreaper" gets the
orphans). The detour is for the memory: Linux counts what a process held before its exec to its peak, so a child of
Python's own would never show less than Python.
"""

from __future__ import annotations

import ctypes
import os
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .deed import Deed, Failed, complaint

PR_SET_CHILD_SUBREAPER = 36
SECTOR_BYTES = 512
PATIENCE_SECONDS = 5

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Usage:
    """What a command took."""

    seconds: float
    processor_seconds: float
    peak_kib: int


@dataclass(frozen=True)
class Requests:
    """What a block device has done since it is there (Documentation/block/stat.rst)."""

    reads: int = 0
    writes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0

    def since(self, earlier: Requests) -> Requests:
        """What came in between."""
        return Requests(
            self.reads - earlier.reads,
            self.writes - earlier.writes,
            self.read_bytes - earlier.read_bytes,
            self.written_bytes - earlier.written_bytes,
        )


def requests_of(device: Path | None) -> Requests:
    """Reads the counters of `device` (its directory in sysfs)."""
    if device is None:
        return Requests()
    numbers = [int(word) for word in (device / "stat").read_text(encoding="ascii").split()]
    return Requests(numbers[0], numbers[4], numbers[2] * SECTOR_BYTES, numbers[6] * SECTOR_BYTES)


def syncfs(path: Path) -> float:
    """Writes what the page cache holds of the filesystem of `path`; returns how long that took, in seconds."""
    start = time.monotonic()
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)
    return time.monotonic() - start


def forget() -> None:
    """Empties the caches of the kernel (Documentation/admin-guide/sysctl/vm.rst)."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")


def run_measured(deed: Deed) -> Usage:
    """Runs it and everything that it leaves behind; raises `Failed` unless it exits with 0."""
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    with tempfile.TemporaryFile() as said:
        start = time.monotonic()
        shell, child = _start(deed, said.fileno())
        try:
            usage, code = _reap(shell, child, start)
        except BaseException:
            _stop(shell)
            raise
        if code != 0:
            said.seek(0)
            raise Failed(complaint(deed, code, said.read()))
    return usage


def _start(deed: Deed, errors: int) -> tuple[int, int]:
    """Starts the shell that starts the command, in a process group of its own; returns both."""
    # `exec`: a shell that lived on would reap the command, and nothing of it would be left to wait for here.
    enter = 'cd "$0" || exit; "$@" 3>&- & exec echo $! >&3'
    argv = ["sh", "-c", enter, str(deed.cwd or "/"), *deed.argv]
    told, tell = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, errors, 2),
        (os.POSIX_SPAWN_DUP2, tell, 3),
    ]
    shell = os.posix_spawn("/bin/sh", argv, deed.environment(), file_actions=actions, setpgroup=0)
    os.close(tell)
    with open(told, encoding="ascii") as pipe:
        return shell, int(pipe.read() or 0)


def _reap(shell: int, child: int, start: float) -> tuple[Usage, int]:
    """Waits until nobody is left; the time is that of the command, not of what it may leave running."""
    seconds, processor, peak, code = 0.0, 0.0, 0, 127
    while True:
        try:
            pid, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return Usage(seconds, processor, peak), code
        processor += usage.ru_utime + usage.ru_stime
        if pid == child:
            seconds, code = time.monotonic() - start, os.waitstatus_to_exitcode(status)
        if pid != shell:
            peak = max(peak, usage.ru_maxrss)


def _stop(group: int) -> None:
    """Ends what is at work. The shell made it deaf for SIGINT."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.02)
            except ChildProcessError:
                return

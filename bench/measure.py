#!/usr/bin/env python3
"""Run one command and append `case, name, seconds, peak KiB, read requests` to a table.

    measure.py TABLE CASE NAME COMMAND [ARGUMENT…]

The command is started by a small shell that leaves at once, and is then this program's child (a "subreaper" gets the
orphans). The detour is for the memory: Linux counts what a process held before its exec to its peak, so a child of
Python's own would never show less than Python.

Read requests are those of the block device that DEVICE names, from its `stat` in sysfs; 0 without one.
"""

import ctypes
import os
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def run(command):
    """Wall-clock seconds, peak resident KiB (the largest process of the command's) and exit code."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    start = time.monotonic()
    # `exec true`: a shell that lived on to reap its child would leave nothing to wait for here.
    shell = os.posix_spawn("/bin/sh", ["sh", "-c", '"$@" & exec true', "sh", *command], os.environ)
    seconds, peak, status = None, None, None
    for _ in range(2):
        pid, wait_status, usage = os.wait4(-1, 0)
        if pid != shell:
            seconds, peak, status = time.monotonic() - start, usage.ru_maxrss, wait_status
    return seconds, peak, os.waitstatus_to_exitcode(status)


def read_requests():
    """Read requests that the device has completed (Documentation/block/stat.rst)."""
    device = os.environ.get("DEVICE")
    if not device:
        return 0
    with open(f"/sys/block/{os.path.basename(device)}/stat", encoding="ascii") as stat:
        return int(stat.read().split()[0])


def main():
    table, case, name, *command = sys.argv[1:]
    reads = read_requests()
    seconds, peak, code = run(command)
    reads = read_requests() - reads
    if code != 0:
        sys.exit(f"measure.py: exit code {code}: {' '.join(command)}")
    with open(table, "a", encoding="utf-8") as rows:
        rows.write(f"{case}\t{name}\t{seconds:.3f}\t{peak}\t{reads}\n")
    print(f"    {seconds:9.3f} s  {peak:9d} KiB  {reads:9d} reads  {name}", flush=True)


main()

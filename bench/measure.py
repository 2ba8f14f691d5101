#!/usr/bin/env python3
"""Run one command and append `case, name, seconds, peak KiB` to a table.

    measure.py TABLE CASE NAME COMMAND [ARGUMENT…]

The command is started by a small shell that leaves at once, and is then this program's child (a "subreaper" gets the
orphans). The detour is for the memory: Linux counts what a process held before its exec to its peak, so a child of
Python's own would never show less than Python.
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


def main():
    table, case, name, *command = sys.argv[1:]
    seconds, peak, code = run(command)
    if code != 0:
        sys.exit(f"measure.py: exit code {code}: {' '.join(command)}")
    with open(table, "a", encoding="utf-8") as rows:
        rows.write(f"{case}\t{name}\t{seconds:.3f}\t{peak}\n")
    print(f"    {seconds:9.3f} s  {peak:9d} KiB  {name}", flush=True)


main()

"""What it was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from .deed import Failed, command, run
from .options import HERE, Options
from .tools import ALL


def describe(options: Options) -> dict[str, str]:
    """The machine, its kernel, and the versions of what is compared."""
    facts = {
        "processor": _first("/proc/cpuinfo", "model name"),
        "processors": str(os.cpu_count()),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "system": _first("/etc/os-release", "PRETTY_NAME", "=").strip('"'),
        "python": platform.python_version(),
        "load": " ".join(Path("/proc/loadavg").read_text(encoding="ascii").split()[:3]),
        "commit": _commit(),
    }
    for tool in ALL:
        version = tool.version(options) if tool.missing(options) is None else ""
        if version and version not in facts.values():
            facts[tool.name] = version
    return facts


def _commit() -> str:
    git = ("git", "-c", "safe.directory=*", "-C", HERE)
    try:
        commit = run(command(*git, "rev-parse", "--short=12", "HEAD")).strip()
        changed = run(command(*git, "status", "--porcelain", "--untracked-files=no")).strip()
    except (Failed, OSError):
        return "unknown"
    return f"{commit} and changes" if changed else commit


def _first(path: str, name: str, separator: str = ":") -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    values = [value for key, _, value in (line.partition(separator) for line in lines) if key.strip() == name]
    return values[0].strip() if values else "unknown"

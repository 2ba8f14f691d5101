"""A command as a value: it can be shown, measured, or just run."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class Failed(Exception):
    """A command that did not do its deed; says which, and the end of what it printed."""


@dataclass(frozen=True)
class Deed:
    """What is run, where, and with which variables beside the inherited ones."""

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """All of its variables; messages are in plain English and nothing of the user's gets in."""
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        return {**kept, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", **self.env}

    def text(self, names: Mapping[str, str]) -> str:
        """The command as one would type it, long paths replaced by `names`."""
        argv = self.argv
        line = argv[2] if argv[:2] == ("bash", "-c") else shlex.join(argv)
        for path, name in sorted(names.items(), key=lambda pair: -len(pair[0])):
            line = line.replace(path, name)
        if self.cwd is None:
            return line
        cwd = str(self.cwd)
        for path, name in names.items():
            cwd = cwd.replace(path, name)
        return f"cd {cwd}; {line}"


def command(*argv: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Deed:
    """One program with its arguments."""
    return Deed(tuple(str(part) for part in argv), cwd, env or {})


def line(text: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Deed:
    """Several commands, as a line for the shell."""
    return Deed(("bash", "-c", text), cwd, env or {})


def quoted(*parts: object) -> str:
    """Arguments for a `line`."""
    return shlex.join(str(part) for part in parts)


def run(deed: Deed) -> str:
    """Runs it unmeasured and returns what it printed."""
    done = subprocess.run(
        deed.argv, cwd=deed.cwd, env=deed.environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise Failed(complaint(deed, done.returncode, done.stderr + done.stdout))
    return done.stdout.decode(errors="replace")


def complaint(deed: Deed, code: int, said: bytes) -> str:
    """What is told of a command that failed."""
    last = said.decode(errors="replace").strip().splitlines()[-3:]
    return f"exit code {code}: {deed.text({})}" + "".join(f"\n      {line}" for line in last)

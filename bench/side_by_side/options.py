"""The command line, as values."""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
UNITS = {"": 1, "k": 1000, "m": 1_000_000}
SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
WARM, COLD = "warm", "cold"


@dataclass(frozen=True)
class Options:
    """What is to be measured. All of it is kept with the results, and taken from there by --resume."""

    files: tuple[int, ...] = (200_000,)
    directories: int = 0
    median: float = 3000.0
    sigma: float = 1.5
    seed: int = 1
    large_bytes: int = 2 << 30
    filesystems: tuple[str, ...] = ("ext4",)
    cases: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    rounds: int = 5
    snapshots: int = 30
    keep: int = 5
    caches: tuple[str, ...] = (WARM,)
    git: str | None = None
    growth: bool = False
    settle_seconds: float = 3.0
    binaries: str = str(HERE.parent / "target" / "release")
    linksnap: str = ""
    rsync: str = "rsync"

    def program(self, name: str) -> str:
        """Where one of our own programs is."""
        if name == "linksnap" and self.linksnap:
            return self.linksnap
        return str(Path(self.binaries) / name)

    def directories_for(self, files: int) -> int:
        """How many directories a tree of so many small files has."""
        return self.directories or max(10, files // 100)

    def bytes_for(self, files: int) -> int:
        """About what a tree of small files takes of a disk: the mean of a log-normal size, and what blocks round up."""
        mean = self.median * math.exp(self.sigma**2 / 2)
        return int(files * (max(mean, 1) + 4096)) + 8192 * self.directories_for(files)


@dataclass(frozen=True)
class Asked:
    """What the command line says beside what is measured."""

    options: Options
    results: Path
    resume: bool
    only_list: bool


def count(text: str) -> int:
    """Reads 20k, 1M or 5000."""
    number = text.rstrip("kKmM")
    return int(float(number) * UNITS[text[len(number) :].lower()])


def size(text: str) -> int:
    """Reads 2G or 512M."""
    number = text.rstrip("KMGT")
    return int(float(number) * SIZES[text[len(number) :]])


def listed(text: str) -> tuple[str, ...]:
    """Reads a,b,c."""
    return tuple(part for part in text.split(",") if part)


def counts(text: str) -> tuple[int, ...]:
    """Reads 20k,200k,1M."""
    return tuple(count(part) for part in listed(text))


def parser() -> argparse.ArgumentParser:
    """The options, their defaults and what they mean."""
    made = argparse.ArgumentParser(
        prog="bench/run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=(
            "Measures linksnap side by side with other tools and with the bare loops of system calls.\n"
            "The tools of a case take turns, round by round; what each of them made is compared with the source.\n"
            "Everything that is made is removed at the end; results stay in bench/results/. See bench/README.md."
        ),
        epilog=(
            "examples:\n"
            "  bench/run --list\n"
            "  bench/run --quick\n"
            "  bench/run --cases first,unchanged --tools linksnap,rsync,cp,floor\n"
            "  bench/run --fs ext4,xfs --files 20k --cold --warm\n"
            "  bench/run --resume bench/results/NAME\n\n"
            "environment: LINKSNAP (default target/release/linksnap), RSYNC (rsync), TMPDIR (/var/tmp)\n"
            "exit codes: 0 done, 1 linksnap failed or made something wrong, 2 usage, 130/143 interrupted"
        ),
    )
    what = made.add_argument_group("what is measured")
    what.add_argument("--cases", type=listed, metavar="NAME,…", help="only these (default: all)")
    what.add_argument("--tools", type=listed, metavar="NAME,…", help="only these (default: all that are installed)")
    what.add_argument("--rounds", type=int, metavar="N", help="how often every tool runs (default 5)")
    what.add_argument("--cold", action="store_true", help="with empty caches (needs root); with --warm: both")
    what.add_argument("--warm", action="store_true", help="with warm caches (the default)")
    growth = "20k, 200k, 1M files: is time linear, is memory flat?"
    what.add_argument("--growth", action="store_true", help=growth)
    what.add_argument("--quick", action="store_true", help="5,000 files, 2 rounds: shows that the benchmark works")
    data = made.add_argument_group("on which data")
    data.add_argument("--files", type=counts, metavar="N,…", help="small files: 20k, 200k, 1M (default 200k)")
    data.add_argument("--directories", type=int, metavar="N", help="their directories (default: one for 100 files)")
    data.add_argument("--median", type=float, metavar="BYTES", help="median of their sizes (default 3000)")
    data.add_argument(
        "--sigma", type=float, metavar="S", help="deviation of the logarithm of their sizes (default 1.5)"
    )
    data.add_argument("--seed", type=int, metavar="N", help="another seed, another tree (default 1)")
    data.add_argument("--large", type=size, metavar="SIZE", help="the large file (default 2G)")
    data.add_argument("--git", metavar="PATH", help="a git repository, for the case git: its last tags in turn")
    data.add_argument("--snapshots", type=int, metavar="N", help="for the cases that need many (default 30)")
    data.add_argument("--keep", type=int, metavar="N", help="what retention keeps in the steady state (default 5)")
    data.add_argument(
        "--settle", type=float, metavar="SECONDS", help="wait after changes, which are racy when young (default 3)"
    )
    where = made.add_argument_group("where")
    where.add_argument(
        "--fs",
        type=listed,
        metavar="KIND,…",
        help="ext4, xfs, btrfs (need root), directory (default: ext4, or directory)",
    )
    where.add_argument("--results", type=Path, metavar="DIR", help="results go here (default: bench/results/DATE)")
    where.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run that was interrupted there")
    made.add_argument("--list", action="store_true", help="show cases and tools, and stop")
    return made


def read(argv: list[str], stamp: str) -> Asked:
    """Reads a command line; `stamp` names the results unless it says where they go."""
    made = parser()
    given = made.parse_args(argv)
    options = _quick() if given.quick else Options(filesystems=("ext4",) if os.geteuid() == 0 else ("directory",))
    if given.growth:
        options = dataclasses.replace(
            options, files=(20_000, 200_000, 1_000_000), cases=("first", "unchanged", "steady"), growth=True
        )
    said = {
        "files": given.files,
        "directories": given.directories,
        "median": given.median,
        "sigma": given.sigma,
        "seed": given.seed,
        "large_bytes": given.large,
        "filesystems": given.fs,
        "cases": given.cases,
        "tools": given.tools,
        "rounds": given.rounds,
        "snapshots": given.snapshots,
        "keep": given.keep,
        "git": given.git and os.path.abspath(given.git),
        "settle_seconds": given.settle,
    }
    options = dataclasses.replace(options, **{name: value for name, value in said.items() if value is not None})
    if given.cold:
        options = dataclasses.replace(options, caches=(WARM, COLD) if given.warm else (COLD,))
    linksnap = os.environ.get("LINKSNAP", "")
    rsync = os.environ.get("RSYNC", "rsync")
    options = dataclasses.replace(
        options, linksnap=linksnap and os.path.abspath(linksnap), rsync=shutil.which(rsync) or rsync
    )
    _refuse_nonsense(made, options, given)
    # Absolute: the working directory changes before they are written.
    results = (given.resume or given.results or HERE / "results" / stamp).resolve()
    return Asked(options, results, given.resume is not None, given.list)


def _quick() -> Options:
    root = os.geteuid() == 0
    return Options(
        files=(5_000,),
        large_bytes=32 << 20,
        rounds=2,
        snapshots=4,
        keep=3,
        settle_seconds=0.1,
        filesystems=("ext4",) if root else ("directory",),
    )


def _refuse_nonsense(made: argparse.ArgumentParser, options: Options, given: argparse.Namespace) -> None:
    if options.rounds < 1 or min(options.files, default=0) < 100:
        made.error("at least one round and 100 files are needed")
    if options.snapshots < 2 or options.keep < 2:
        made.error("at least 2 snapshots and 2 kept ones are needed: there would be nothing to delete or to build upon")
    if given.cold and os.geteuid() != 0:
        made.error("--cold needs root: only root can empty the caches")
    if given.resume and not (given.resume / "run.json").is_file():
        made.error(f"--resume: {given.resume} has no run.json, so no run was interrupted there")

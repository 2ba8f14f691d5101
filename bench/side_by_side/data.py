"""The trees that are backed up, and what changes in them. The same options, the same trees and the same changes."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

from .deed import Failed, command, line, quoted, run
from .options import Options

BLOCK_BYTES = 1 << 20
# So that with all names together a path stays far below what a program may pass to the kernel.
DEEP_LEVELS = 100
SHARE = 100
TENTH = 0.1
# A repository may belong to somebody else.
TRUST = ("-c", "safe.directory=*")


def make_small(options: Options, files: int, source: Path) -> str:
    """Many small files of log-normal size, incompressible, by make-tree."""
    deed = command(
        options.program("make-tree"),
        source,
        "--files",
        files,
        "--directories",
        options.directories_for(files),
        "--median",
        options.median,
        "--sigma",
        options.sigma,
        "--seed",
        options.seed,
    )
    return f"$ {deed.text({str(source): 'SRC', str(options.binaries): 'target/release'})}\n    {run(deed).strip()}"


def make_empty(_options: Options, _files: int, source: Path) -> str:
    """A directory and nothing in it."""
    source.mkdir()
    return "an empty directory"


def make_large(options: Options, _files: int, source: Path) -> str:
    """One large file, three of a tenth of it; incompressible."""
    source.mkdir()
    sizes = {"large.img": options.large_bytes} | {f"tenth-{n}.img": options.large_bytes // 10 for n in range(3)}
    for number, (name, size) in enumerate(sizes.items()):
        stream = random.Random(options.seed + number)
        with open(source / name, "wb") as file:
            for start in range(0, size, BLOCK_BYTES):
                file.write(stream.randbytes(min(BLOCK_BYTES, size - start)))
    return ", ".join(f"{name} {size} bytes" for name, size in sizes.items())


def make_deep(options: Options, files: int, source: Path) -> str:
    """Directories in one another, a hundred deep, ten files in each, as many such chains as the files fill."""
    stream = random.Random(options.seed)
    chains = max(1, files // (10 * DEEP_LEVELS))
    for chain in range(chains):
        directory = source / f"chain-{chain:03}"
        for level in range(DEEP_LEVELS):
            directory.mkdir(parents=True)
            for number in range(10):
                (directory / f"file-{number}").write_bytes(stream.randbytes(1000))
            directory = directory / f"level-{level:02}"
    return f"{chains} chains of {DEEP_LEVELS} directories, ten files of 1000 bytes in each"


@dataclass(frozen=True)
class Tags:
    """A git repository, read only: its work tree, index and HEAD are left alone."""

    git_dir: str
    names: tuple[str, ...]

    def check_out(self, number: int, source: Path) -> None:
        """Makes `source` what it was at that tag; files that are the same in both are not touched."""
        index = {"GIT_INDEX_FILE": str(source.with_name("git-index"))}
        git = ("git", *TRUST, f"--git-dir={self.git_dir}", f"--work-tree={source}", "-c", "core.bare=false")
        run(command(*git, "read-tree", "--reset", "-u", self.names[number], cwd=source, env=index))

    def bytes(self) -> int:
        """About what the last of them takes of a disk."""
        rows = run(
            command("git", *TRUST, f"--git-dir={self.git_dir}", "ls-tree", "-r", "-l", self.names[-1])
        ).splitlines()
        sizes = [row.split(maxsplit=4)[3] for row in rows]
        return sum(int(size) if size.isdigit() else 0 for size in sizes) + 8192 * len(sizes)


def read_tags(path: str, wanted: int) -> Tags:
    """The last `wanted` tags of the repository at `path`, by date."""
    git = ("git", *TRUST, "-C", path)
    git_dir = run(command(*git, "rev-parse", "--absolute-git-dir")).strip()
    names = run(command(*git, "tag", "--sort=creatordate")).split()
    if len(names) < 2:
        raise Failed(f"{path} has {len(names)} tags; two at least are needed")
    return Tags(git_dir, tuple(names[-wanted:]))


def files_below(source: Path) -> list[Path]:
    """All regular files, in the order of their names."""
    found = []
    for directory, directories, names in os.walk(source):
        directories.sort()
        found += [Path(directory, name) for name in sorted(names)]
    return sorted(found)


def change_one_percent(source: Path, number: int) -> None:
    """Rewrites the beginning of every hundredth file; other files for another `number`, of the same size as before."""
    for file in files_below(source)[number % SHARE :: SHARE]:
        with open(file, "r+b") as content:
            content.write(f"{number}".encode())


def tenth_of(source: Path) -> Path:
    """The directory that comes nearest to holding a tenth of all files."""
    counts: dict[Path, int] = {}
    total = 0
    for file in files_below(source):
        total += 1
        for above in file.relative_to(source).parents:
            if above.parts:
                counts[above] = counts.get(above, 0) + 1
    return source / min(counts, key=lambda path: (abs(counts[path] - TENTH * total), path))


def rename_tenth(source: Path, number: int) -> None:
    """Gives that directory another name."""
    directory = tenth_of(source)
    directory.rename(directory.with_name(f"{directory.name.partition('.')[0]}.{number}"))


def chmod_tenth(source: Path, number: int) -> None:
    """Changes the mode of everything in that directory, there and back from number to number."""
    run(command("chmod", "-R", "go-rx" if number % 2 else "go+rX", tenth_of(source)))


def append_to_large(source: Path, number: int) -> None:
    """Lets the large file grow by 1 MiB."""
    with open(source / "large.img", "ab") as file:
        file.write(random.Random(number).randbytes(BLOCK_BYTES))


def nothing(_source: Path, _number: int) -> None:
    """Leaves all as it is."""


def warm(tree: Path) -> None:
    """Into the page cache; this also does the one update of the access time that relatime makes."""
    run(line(f"find {quoted(tree)} -type f -print0 | xargs -0 -r -n 1000 cat >/dev/null"))

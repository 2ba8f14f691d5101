"""The results as Markdown. Pure: a book of figures in, text out."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .figures import Book, Figure, Setting
from .ratios import ratio, spread
from .tools import FLOORS, Role

OURS = "linksnap"
FLOOR = "floor"
HEAD = (
    "| | seconds until all is on disk | until it ends | against the floor | against the best other | user + sys"
    " | peak MiB | reads | MB read | writes | MB written | takes | store | result |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Legend:
    """What the tables have to know of cases and tools: their titles and roles."""

    titles: Mapping[str, str]
    roles: Mapping[str, Role]


def whole(book: Book, legend: Legend, machine: Mapping[str, str], command: str) -> str:
    """The page: the machine, a table a case, what was skipped."""
    facts = "".join(f"| {name} | {value} |\n" for name, value in machine.items())
    parts = [
        "# Side by side\n",
        f"```sh\n{command}\n```\n",
        f"| | |\n|---|---|\n{facts}",
        EXPLAINED,
        overview(book, legend),
        *(table(book, legend, setting) for setting in book.settings()),
        skipped(book),
    ]
    return "\n".join(part for part in parts if part)


EXPLAINED = (
    "Seconds are medians of the rounds with the least and the most. Ratios are medians of the ratios within a round, of"
    " the seconds until all is on disk; below 1 is faster. The best other is the tool with the least median among"
    " the others, for context or not, whose result is right. Reads and writes are requests of the device until all"
    " is on disk. *takes* is what the filesystem gave out for this, *store* what all snapshots of the tool take"
    " then, with inodes.\n"
)


def overview(book: Book, legend: Legend) -> str:
    """All cases of a kind in one table: how many times as long as linksnap each of the others took."""
    parts = []
    for kind in dict.fromkeys(_kind(setting) for setting in book.settings()):
        settings = [setting for setting in book.settings() if _kind(setting) == kind]
        names = dict.fromkeys(name for setting in settings for name in book.tools(setting))
        others = [name for name in legend.roles if name in names and name not in (OURS, FLOOR)]
        rows = "".join(_overview_row(book, legend, setting, others) for setting in settings)
        head = "| | linksnap, seconds | against the floor |" + "".join(f" {name} |" for name in others)
        parts.append(f"### {kind}\n\n{head}\n|---|---|---|{'---|' * len(others)}\n{rows}")
    return f"## Overview\n\n{OVERVIEW}\n\n" + "\n".join(parts) if parts else ""


OVERVIEW = (
    "The last columns: the time of others as a multiple of linksnap's, within a round; **below 1 the other is"
    " faster**. In brackets: its result was wrong, or it does less than a tool (a bare copy, a look, hashes)."
)


def _kind(setting: Setting) -> str:
    files = f"{setting.files:,} files, " if setting.files else ""
    return f"{files}{setting.filesystem}, {setting.caches} caches"


def _overview_row(book: Book, legend: Legend, setting: Setting, others: list[str]) -> str:
    ours = seconds_of(book.of(setting, OURS))
    floor = ratio(ours, seconds_of(book.of(setting, FLOOR)))

    def times(name: str) -> str:
        value = ratio(seconds_of(book.of(setting, name)), ours)
        if value is None:
            return ""
        text = f"**{value:.2f}**" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.0f}"
        less = legend.roles[name] is Role.REFERENCE or _is_wrong(book, setting, name)
        return f"({text})" if less else text

    cells = [setting.case, _spread(list(ours.values())) if ours else "", _ratio(floor), *map(times, others)]
    return "| " + " | ".join(cells) + " |\n"


def chart_of(setting: Setting) -> str:
    """The name of the chart of a case, in the directory of charts."""
    return f"{setting.case}-{setting.files}-{setting.filesystem}-{setting.caches}.svg"


def table(book: Book, legend: Legend, setting: Setting) -> str:
    """One case."""
    names = ranked(book, legend, setting)
    title = legend.titles.get(setting.case, setting.case)
    rows = "\n".join(_row(book, legend, setting, name) for name in names)
    commands = "".join(f"{name}: {text}\n" for (where, name), text in book.shown.items() if where == setting)
    wrong = "".join(
        f"\n{r.tool}, {r.kind}: {r.text}\n"
        for r in book.remarks
        if r.setting == setting and r.kind in ("wrong", "failed")
    )
    rounds = max((figure.round for figure in book.figures if figure.setting == setting), default=0)
    return (
        f"## {setting.case}: {title}\n\n{_kind(setting)}, {rounds} rounds.\n\n"
        f"![{title}](charts/{chart_of(setting)})\n\n"
        f"{HEAD}\n{rows}\n{wrong}\n```sh\n{commands}```\n"
    )


def ranked(book: Book, legend: Legend, setting: Setting) -> list[str]:
    """Tools from the fastest to the slowest, then what does less, then the floor."""
    order = {Role.TOOL: 0, Role.CONTEXT: 0, Role.REFERENCE: 1, Role.FLOOR: 2}

    def key(name: str) -> tuple[int, float]:
        return order[legend.roles[name]], statistics.median(f.synced_seconds for f in book.of(setting, name))

    return sorted(book.tools(setting), key=key)


def best_other(book: Book, legend: Legend, setting: Setting, name: str) -> str | None:
    """Whom a tool has to be compared with."""
    others = [
        other
        for other in ranked(book, legend, setting)
        if other != name and legend.roles[other] in (Role.TOOL, Role.CONTEXT) and not _is_wrong(book, setting, other)
    ]
    return others[0] if others else None


def skipped(book: Book) -> str:
    """Who took no part in what, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for remark in book.remarks:
        if remark.kind == "skipped":
            cases = reasons.setdefault((remark.tool, remark.text), [])
            if remark.setting.case not in cases:
                cases.append(remark.setting.case)
    lines = "".join(f"- {tool}, {', '.join(cases)}: {text}\n" for (tool, text), cases in reasons.items())
    return f"## Skipped\n\n{lines}" if lines else ""


def seconds_of(figures: list[Figure]) -> dict[int, float]:
    """Until all is on disk, by rounds."""
    return {figure.round: figure.synced_seconds for figure in figures}


def _row(book: Book, legend: Legend, setting: Setting, name: str) -> str:
    figures = book.of(setting, name)
    mine = seconds_of(figures)
    role = legend.roles[name]
    other = best_other(book, legend, setting, name) if role in (Role.TOOL, Role.CONTEXT) else None
    floor = ratio(mine, seconds_of(book.of(setting, FLOOR))) if role is not Role.FLOOR else None
    against = ratio(mine, seconds_of(book.of(setting, other))) if other else None
    verdict = book.verdict(setting, name)

    def median(of: Callable[[Figure], float]) -> float:
        return statistics.median(of(figure) for figure in figures)

    cells = [
        _label(setting, name, role),
        _spread(list(mine.values())),
        f"{median(lambda f: f.seconds):.3f}",
        _ratio(floor),
        f"{_ratio(against)} ({other})" if other and against is not None else "",
        f"{median(lambda f: f.processor_seconds):.2f}",
        f"{median(lambda f: f.peak_kib) / 1024:.1f}",
        f"{median(lambda f: f.read_requests):.0f}",
        f"{median(lambda f: f.read_bytes) / 1e6:.1f}",
        f"{median(lambda f: f.write_requests):.0f}",
        f"{median(lambda f: f.written_bytes) / 1e6:.1f}",
        _room(median(lambda f: f.grown_bytes), median(lambda f: f.grown_inodes)),
        _room(figures[-1].store_bytes, figures[-1].store_inodes),
        verdict.kind if verdict else "",
    ]
    return "| " + " | ".join(cells) + " |"


def _label(setting: Setting, name: str, role: Role) -> str:
    if role is Role.FLOOR:
        return f"*{name}: {FLOORS.get(setting.case, '')}*"
    return f"**{name}**" if name == OURS else f"{name}, {role.value}" if role is not Role.TOOL else name


def _spread(values: list[float]) -> str:
    seen = spread(values)
    return f"{seen.median:.3f} [{seen.least:.3f}–{seen.most:.3f}]"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _room(size: float, inodes: float) -> str:
    # Adding nothing makes a zero of what is rounded to "-0".
    return f"{round(size / 1e6, 1) + 0:.1f} MB, {inodes:.0f}"


def _is_wrong(book: Book, setting: Setting, name: str) -> bool:
    verdict = book.verdict(setting, name)
    return verdict is not None and verdict.kind != "right"

"""The order of everything: read what is asked, play what is left, write what came out."""

from __future__ import annotations

import dataclasses
import json
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import cases, charts, data, growth, machine, options, tables
from .cases import Case
from .data import Tags
from .deed import Failed
from .figures import Book, Lost, Remark, Setting
from .options import Asked, Options
from .play import Play
from .scene import KINDS, Unfit, why_not
from .tables import Legend
from .tools import ALL, FLOORS, NAMES, Role, Tool

USAGE, INTERRUPTED, TERMINATED = 2, 130, 143


class Terminated(BaseException):
    """SIGTERM came."""


def main(argv: list[str]) -> int:
    """The whole program; returns its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    asked = options.read(argv, time.strftime("%Y-%m-%dT%H%M%S"))
    try:
        if asked.resume:
            asked = _as_before(asked)
        return _listing(asked.options) if asked.only_list else _measure(asked, shlex.join(["bench/run", *argv]))
    except (Unfit, Failed, Lost) as fault:
        print(f"bench/run: {fault}", file=sys.stderr)
        return USAGE


def _terminate(_number: int, _frame: object) -> None:
    raise Terminated


def _as_before(asked: Asked) -> Asked:
    """A run goes on with the options that it began with."""
    kept = json.loads((asked.results / "run.json").read_text(encoding="utf-8"))["options"]
    tuples = {name: tuple(value) for name, value in kept.items() if isinstance(value, list)}
    return dataclasses.replace(asked, options=Options(**{**kept, **tuples}))


def _listing(wanted: Options) -> int:
    print("cases:")
    for case in cases.all_cases(wanted, Tags("", ("",))):
        print(f"  {case.name:18} {case.title}{' (with --git PATH)' if case.name == 'git' else ''}")
        if case.name in FLOORS:
            print(f"  {'':18}   floor: {FLOORS[case.name]}")
    print("tools:")
    for tool in ALL:
        missing = tool.missing(wanted)
        print(f"  {tool.name:18} {tool.about} ({tool.role.value}){f'; {missing}' if missing else ''}")
    print("filesystems:")
    for kind in KINDS:
        print(f"  {kind:18} {why_not(kind) or 'can be used'}")
    return 0


def _measure(asked: Asked, command: str) -> int:
    wanted = asked.options
    tags = data.read_tags(wanted.git, wanted.rounds + 1) if wanted.git else None
    playing = _chosen(wanted, tags)
    tools = _troupe(wanted)
    asked.results.mkdir(parents=True, exist_ok=True)
    book = Book(asked.results / "figures.jsonl")
    about = machine.describe(wanted)
    if asked.resume:
        book.resume()
        kept = json.loads((asked.results / "run.json").read_text(encoding="utf-8"))
        command, about = kept["command"], kept["machine"]
    run = {"command": command, "machine": about, "options": dataclasses.asdict(wanted)}
    (asked.results / "run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    code = _play_all(Play(wanted, tags, book, _say), playing, tools)
    _write(asked.results, book, run, wanted, tags)
    print(f"\nresults: {asked.results}")
    if code:
        print(f"interrupted; what was measured is kept: bench/run --resume {asked.results}")
        return code
    return _judge(book)


def _play_all(play: Play, playing: Sequence[Case], tools: Sequence[type[Tool]]) -> int:
    """Returns the exit code of an interruption, or 0."""
    wanted = play.options
    try:
        for kind in wanted.filesystems:
            if (reason := why_not(kind)) is not None:
                print(f"SKIPPED {kind}: {reason}")
                continue
            if kind == "directory":
                print("no filesystem of its own: other work on the same disk is in the figures of device and room")
            for files in wanted.files:
                for caches in wanted.caches:
                    for group in cases.grouped(tuple(playing)):
                        _play_if_it_fits(play, group, Setting(group[0].name, kind, files, caches), tools)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Terminated:
        return TERMINATED
    return 0


def _play_if_it_fits(play: Play, group: tuple[Case, ...], setting: Setting, tools: Sequence[type[Tool]]) -> None:
    """A case without room is skipped: the others may have enough."""
    try:
        play.group(group, setting.filesystem, setting.files, setting.caches, tools)
    except Unfit as reason:
        play.note(Remark(setting, "all", "skipped", str(reason)))


def _chosen(wanted: Options, tags: Tags | None) -> list[Case]:
    known = {case.name: case for case in cases.all_cases(wanted, tags)}
    strange = [name for name in wanted.cases if name not in known]
    if strange:
        raise Unfit(f"no case is called {', '.join(strange)}: {', '.join(known)} (git with --git PATH); see --list")
    return [known[name] for name in known if not wanted.cases or name in wanted.cases]


def _troupe(wanted: Options) -> list[type[Tool]]:
    strange = [name for name in wanted.tools if name not in NAMES]
    if strange:
        raise Unfit(f"no tool is called {', '.join(strange)}: {', '.join(NAMES)}; see --list")
    tools = []
    for tool in ALL:
        if wanted.tools and tool.name not in wanted.tools:
            continue
        if (missing := tool.missing(wanted)) is not None:
            print(f"SKIPPED {tool.name}: {missing}")
        else:
            tools.append(tool)
    return tools


def _say(text: str) -> None:
    print(text, flush=True)


def _write(results: Path, book: Book, run: Mapping[str, object], wanted: Options, tags: Tags | None) -> None:
    """Everything that can be made from the figures: all of it again each time."""
    legend = Legend(
        {case.name: case.title for case in cases.all_cases(wanted, tags)}, {tool.name: tool.role for tool in ALL}
    )
    found = growth.verdicts(book)
    about = run["machine"] if isinstance(run["machine"], dict) else {}
    page = tables.whole(book, legend, about, str(run["command"])) + "\n" + growth.table(found)
    (results / "results.md").write_text(page, encoding="utf-8")
    everything = {
        **run,
        "figures": [dataclasses.asdict(figure) for figure in book.figures],
        "remarks": [dataclasses.asdict(remark) for remark in book.remarks],
        "commands": [
            {**dataclasses.asdict(where), "tool": tool, "command": text} for (where, tool), text in book.shown.items()
        ],
        "growth": [{**dataclasses.asdict(v), "linear": v.is_linear, "flat": v.is_flat} for v in found],
    }
    (results / "results.json").write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    _draw(results / "charts", book, legend, found)


def _draw(directory: Path, book: Book, legend: Legend, found: Sequence[growth.Verdict]) -> None:
    directory.mkdir(exist_ok=True)
    kinds = {Role.TOOL: "tool", Role.CONTEXT: "tool", Role.REFERENCE: "less", Role.FLOOR: "floor"}
    for setting in book.settings():
        bars = [
            charts.Bar(
                name,
                tuple(f.synced_seconds for f in book.of(setting, name)),
                "ours" if name == "linksnap" else kinds[legend.roles[name]],
            )
            for name in tables.ranked(book, legend, setting)
        ]
        chart = charts.bars(legend.titles.get(setting.case, setting.case), _below(setting), bars)
        (directory / tables.chart_of(setting)).write_text(chart, encoding="utf-8")
    for setting in dict.fromkeys(verdict.setting for verdict in found):
        mine = [verdict for verdict in found if verdict.setting == setting]
        chart = charts.curves(
            f"growth: {legend.titles.get(setting.case, setting.case)}",
            f"{setting.filesystem}, {setting.caches} caches",
            mine,
        )
        (directory / growth.chart_of(setting)).write_text(chart, encoding="utf-8")


def _below(setting: Setting) -> str:
    where = f"{setting.files:,} files, {setting.filesystem}, {setting.caches} caches"
    return f"{where}; median of the rounds until all is on disk, least to most"


def _judge(book: Book) -> int:
    """What linksnap does wrong is a failure of this run; what others do wrong is a result."""
    if not book.figures:
        print("bench/run: nothing was measured")
        return 1
    bad = [r for r in book.remarks if r.kind in ("wrong", "failed")]
    for remark in bad:
        print(f"{remark.kind.upper()} {remark.setting.case}: {remark.tool}: {remark.text}")
    return 1 if any(remark.tool == "linksnap" for remark in bad) else 0

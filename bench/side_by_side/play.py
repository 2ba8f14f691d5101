"""Rounds: the scene is set, every tool makes the snapshots that come before, then all take turns and are checked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from . import check, data, measure, room
from .cases import Before, Case, Stand
from .data import Tags
from .deed import Deed, Failed, command, run
from .figures import Book, Done, Figure, Remark, Setting, Shown
from .options import COLD, WARM, Options
from .ratios import rotated
from .scene import Scene, Used, scene
from .tools import Place, Role, Tool

Say = Callable[[str], None]
# rsync compares whole seconds: a file of the same size that was changed in the second in which it was made is the same
# to it. The benchmark is about other things.
SECOND = 1.1


@dataclass
class Player:
    """A tool on the scene, and what its store has taken so far."""

    tool: Tool
    store: Used = field(default_factory=Used)
    last: float = 0.0

    def wait(self) -> None:
        """Until it may make another snapshot."""
        time.sleep(max(0.0, self.last + self.tool.apart - time.monotonic()))


class Play:
    """Cases that share one scene."""

    def __init__(self, options: Options, tags: Tags | None, book: Book, say: Say) -> None:
        self.options = options
        self.tags = tags
        self.book = book
        self.say = say

    def group(self, cases: tuple[Case, ...], kind: str, files: int, caches: str, tools: Iterable[type[Tool]]) -> None:
        """Plays what is left to be played of these cases."""
        settings = {case: Setting(case.name, kind, files, caches) for case in cases}
        left = tuple(case for case in cases if self._rounds_left(settings[case]))
        if not left:
            return
        troupe = [tool for tool in tools if self._takes_part_in(tool, [settings[case] for case in left])]
        if not troupe:
            return
        size = max(room.needed_bytes(case, self.options, files, len(troupe), self.tags) for case in left)
        with scene(kind, size) as stage:
            act = _Act(self, stage, left[0], settings[left[0]], troupe)
            for case in left:
                act.play(case, settings[case], self._rounds_left(settings[case]), is_last=case is left[-1])

    def _rounds_left(self, setting: Setting) -> list[int]:
        return [number for number in range(1, self.options.rounds + 1) if (setting, number) not in self.book.done]

    def _takes_part_in(self, tool: type[Tool], settings: list[Setting]) -> bool:
        """In any of them; all are asked, since each may have to be said."""
        return any([self._takes_part(tool, setting) for setting in settings])  # noqa: C419

    def _takes_part(self, tool: type[Tool], setting: Setting) -> bool:
        reason = tool.why_not(setting.case)
        if reason:
            self.note(Remark(setting, tool.name, "skipped", reason))
        return reason is None

    def note(self, remark: Remark) -> None:
        """Says it, and keeps it for the tables."""
        if remark not in self.book.remarks:
            if remark.kind != "right":
                self.say(f"  {remark.kind.upper()} {remark.setting.case}: {remark.tool}: {remark.text}")
            self.book.note(remark)


def _run_made(make: Callable[[], Deed]) -> None:
    """A deed is made when it is its turn: its tool may have to prepare it."""
    run(make())


class _Act:
    """One scene, from its source to its last case."""

    def __init__(self, play: Play, stage: Scene, first: Case, setting: Setting, troupe: list[type[Tool]]) -> None:
        self.play_ = play
        self.options = play.options
        self.stage = stage
        self.setting = setting
        self.source = stage.root / "src"
        self.names = {str(stage.root): "FS", str(stage.scratch): "SCRATCH", self.options.binaries: "target/release"}
        self.edits = 0
        self.seen: list[str] = []
        play.say(f"\n{first.name}: {first.title}; {stage.kind}, {setting.caches}")
        play.say(f"  {first.make(self.options, setting.files, self.source)}")
        measure.syncfs(stage.root)
        data.warm(self.source)
        time.sleep(max(self.options.settle_seconds, SECOND))
        self.players = [Player(self._make(tool)) for tool in troupe]
        self._before(first)

    def _make(self, tool: type[Tool]) -> Tool:
        return tool(Place(self.source, self.stage.root / tool.name, self.stage.scratch, self.options))

    def play(self, case: Case, setting: Setting, rounds: list[int], is_last: bool) -> None:
        """All rounds of a case, with the check in the last of them."""
        if setting != self.setting:
            self.play_.say(f"\n{case.name}: {case.title}; {setting.filesystem}, {setting.caches}")
        self.setting = setting
        for number in rounds:
            self._round(case, number, is_last=number == rounds[-1])
            self.play_.book.note(Done(setting, number))
            if case.before is Before.MANY and not (is_last and number == rounds[-1]):
                self._fill_up(case)

    def _before(self, case: Case) -> None:
        """The snapshots that come before the first round."""
        if not case.fresh:
            for player in list(self.players):
                self._quietly(player, player.tool.prepare)
        for _ in range(case.past(self.options)):
            self._one_more(case)
        if case.past(self.options):
            # What was just made is not racy by the first round.
            time.sleep(self.options.settle_seconds)

    def _one_more(self, case: Case) -> None:
        self._change(case)
        for player in list(self.players):
            tool = player.tool
            deed = {"steady": tool.steady, "steady-changed": tool.steady_changed}.get(case.name, tool.backup)
            self._quietly(player, partial(_run_made, deed))

    def _change(self, case: Case) -> None:
        self.edits += 1
        if case.takes_time():
            case.change(self.source, self.edits)
            measure.syncfs(self.stage.root)
            time.sleep(max(self.options.settle_seconds, SECOND if case.changes_again else 0))
        self.seen.append(check.fingerprint(self.source))

    def _round(self, case: Case, number: int, is_last: bool) -> None:
        if case.is_snapshot:
            self._change(case)
        acting = [player for player in self.players if type(player.tool).why_not(case.name) is None]
        for name in rotated([player.tool.name for player in acting], number):
            player = next(player for player in acting if player.tool.name == name)
            try:
                self._turn(player, case, number, is_last)
            except (Failed, OSError) as failure:
                self._leaves(player, failure)
                if case.fresh:
                    # Its store would be in the way of all that come after it.
                    player.tool.clear()

    def _turn(self, player: Player, case: Case, number: int, is_last: bool) -> None:
        tool = player.tool
        if case.fresh:
            player.store = Used()
            self._quietly(player, tool.prepare)
        target = self.stage.root / "restored"
        if case.name == "restore":
            target.mkdir()
        counted = tool.count() if tool.role in (Role.TOOL, Role.CONTEXT) else 0
        deed = case.deed(tool, Stand(target, self._some_path()))
        if number == 1:
            self._show(tool, deed)
        self._measured(player, deed, number)
        # It looks at every byte, so once is enough.
        if is_last and tool.role in (Role.TOOL, Role.CONTEXT):
            self._check(tool, case, counted, target)
        if target.exists():
            # What was restored is no part of the store.
            self._quietly(player, lambda: run(command("rm", "-rf", target)))
        if case.fresh:
            tool.clear()
        elif case.lean and tool.role is not Role.REFERENCE:
            self._quietly(player, lambda: run(tool.delete_most()))

    def _show(self, tool: Tool, deed: Deed) -> None:
        text = deed.text(self.names)
        self.play_.book.note(Shown(self.setting, tool.name, text))
        self.play_.say(f"  $ {text if len(text) < 400 else text[:400] + ' …'}")

    def _measured(self, player: Player, deed: Deed, number: int) -> None:
        if self.setting.caches == WARM:
            # borg takes what it has read out of the cache (posix_fadvise); the next tool must not pay for that.
            data.warm(self.source)
        player.wait()
        before = self.stage.used()
        load = os.getloadavg()[0]
        if self.setting.caches == COLD:
            measure.forget()
        requests = measure.requests_of(self.stage.device)
        usage = measure.run_measured(deed)
        player.last = time.monotonic()
        synced = measure.syncfs(self.stage.root)
        requests = measure.requests_of(self.stage.device).since(requests)
        grown = self.stage.used().since(before)
        player.store = player.store.plus(grown)
        figure = Figure(
            self.setting,
            player.tool.name,
            number,
            round(usage.seconds, 4),
            round(usage.seconds + synced, 4),
            round(usage.processor_seconds, 4),
            usage.peak_kib,
            requests.reads,
            requests.writes,
            requests.read_bytes,
            requests.written_bytes,
            grown.bytes,
            grown.inodes,
            player.store.bytes,
            player.store.inodes,
            load,
        )
        self.play_.book.note(figure)
        self.play_.say(
            f"    {figure.seconds:9.3f} s {figure.synced_seconds:9.3f} s on disk {figure.peak_kib / 1024:8.1f} MiB"
            f" {figure.read_requests:7d} reads {figure.write_requests:7d} writes  {figure.tool}"
        )

    def _check(self, tool: Tool, case: Case, counted: int, target: Path) -> None:
        wrong = []
        if case.name == "restore":
            wrong.append(check.differences(self.options, self.source, tool.restored(target)))
        else:
            wrong.append(check.newest(self.options, tool, self.source, self.stage.root / "checked"))
        if case.is_snapshot and len(self.seen) > 1 and not case.fresh:
            wrong.append(check.one_before(tool, self.seen[-2]))
        wanted = case.left(counted, self.options)
        if (left := tool.count()) != wanted:
            wrong.append(f"{left} snapshots are there, not {wanted}")
        text = "; ".join(fault for fault in wrong if fault)
        self.play_.note(Remark(self.setting, tool.name, "wrong" if text else "right", text))

    def _fill_up(self, case: Case) -> None:
        """Deletions leave room for as many snapshots as there were."""
        counts = [player.tool.count() for player in self.players if player.tool.role in (Role.TOOL, Role.CONTEXT)]
        for _ in range(self.options.snapshots - min(counts, default=self.options.snapshots)):
            self._one_more(case)

    def _some_path(self) -> Path:
        files = data.files_below(self.source)
        return files[0].relative_to(self.source) if files else Path()

    def _quietly(self, player: Player, deed: Callable[[], object]) -> None:
        """Something unmeasured of a tool; only what it takes of the filesystem is counted. A tool that fails leaves."""
        player.wait()
        before = self.stage.used()
        try:
            deed()
            player.last = time.monotonic()
        except (Failed, OSError) as failure:
            self._leaves(player, failure)
        player.store = player.store.plus(self.stage.used().since(before))

    def _leaves(self, player: Player, failure: Exception) -> None:
        """A tool that failed takes no further part in this scene: its store is not what the others' are."""
        self.play_.note(Remark(self.setting, player.tool.name, "failed", str(failure)))
        if player in self.players:
            self.players.remove(player)

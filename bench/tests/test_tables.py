"""The tables: who is compared with whom."""

import tempfile
import unittest
from pathlib import Path

from side_by_side import growth, tables
from side_by_side.figures import Remark, Setting

from . import notes


class Tables(unittest.TestCase):
    def setUp(self) -> None:
        own = tempfile.TemporaryDirectory()
        self.addCleanup(own.cleanup)
        self.book = notes.book(
            Path(own.name),
            notes.figure("rsync", 1, 4.0),
            notes.figure("cp", 1, 0.1),
            notes.figure("linksnap", 1, 1.0),
            notes.figure("restic", 1, 2.0),
            notes.figure("floor", 1, 0.25),
        )

    def test_tools_come_first_and_by_speed_and_the_floor_last(self) -> None:
        ranked = tables.ranked(self.book, notes.LEGEND, notes.SETTING)
        self.assertEqual(ranked, ["linksnap", "restic", "rsync", "cp", "floor"])

    def test_the_best_other_does_the_whole_work_and_does_it_right(self) -> None:
        def best(name: str) -> str | None:
            return tables.best_other(self.book, notes.LEGEND, notes.SETTING, name)

        self.assertEqual((best("linksnap"), best("restic")), ("restic", "linksnap"))
        self.book.note(Remark(notes.SETTING, "restic", "wrong", "a file is missing"))
        self.assertEqual(best("linksnap"), "rsync")

    def test_ratios_are_of_the_time_until_all_is_on_disk(self) -> None:
        table = tables.table(self.book, notes.LEGEND, notes.SETTING)
        row = next(line for line in table.splitlines() if line.startswith("| **linksnap**"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        self.assertEqual(cells[1:5], ["1.500 [1.500–1.500]", "1.000", "2.00", "0.60 (restic)"])

    def test_the_overview_has_every_case_and_says_who_is_faster(self) -> None:
        self.book.note(Remark(notes.SETTING, "rsync", "wrong", "a file is missing"))
        lines = tables.overview(self.book, notes.LEGEND).splitlines()
        head = next(line for line in lines if line.startswith("| | linksnap"))
        row = next(line for line in lines if line.startswith(f"| {notes.SETTING.case} |"))
        cells = dict(zip(head.split("|"), row.split("|"), strict=True))
        self.assertEqual(cells[" linksnap, seconds "].strip(), "1.500 [1.500–1.500]")
        self.assertEqual(cells[" against the floor "].strip(), "2.00")
        # Half a second until all is on disk is added to each.
        self.assertEqual(cells[" rsync "].strip(), "(3.00)")
        self.assertEqual(cells[" restic "].strip(), "1.67")
        self.assertEqual(cells[" cp "].strip(), "(**0.40**)")

    def test_every_table_shows_its_chart(self) -> None:
        table = tables.table(self.book, notes.LEGEND, notes.SETTING)
        self.assertIn(f"](charts/{tables.chart_of(notes.SETTING)})", table)

    def test_what_is_wrong_is_said_below_the_table(self) -> None:
        self.book.note(Remark(notes.SETTING, "restic", "wrong", "a file is missing"))
        self.assertIn("restic, wrong: a file is missing", tables.table(self.book, notes.LEGEND, notes.SETTING))

    def test_a_reason_is_given_once_for_all_its_cases(self) -> None:
        for case in ("first", "large"):
            self.book.note(Remark(Setting(case, "ext4", 1000, "warm"), "rsync", "skipped", "why"))
        self.assertEqual(tables.skipped(self.book), "## Skipped\n\n- rsync, first, large: why\n")


class Growing(unittest.TestCase):
    def verdicts(self, *points: tuple[int, float, int]) -> list[growth.Verdict]:
        with tempfile.TemporaryDirectory() as own:
            figures = [
                notes.figure("linksnap", 1, seconds - 0.5, Setting("first", "ext4", files, "warm"), peak_kib)
                for files, seconds, peak_kib in points
            ]
            return growth.verdicts(notes.book(Path(own), *figures))

    def test_linear_and_flat(self) -> None:
        (verdict,) = self.verdicts((20_000, 1.0, 8_000), (200_000, 10.0, 9_000), (1_000_000, 50.0, 12_000))
        self.assertTrue(verdict.is_linear and verdict.is_flat, verdict)

    def test_a_loop_in_a_loop_is_not_linear(self) -> None:
        (verdict,) = self.verdicts((20_000, 1.0, 8_000), (200_000, 100.0, 8_000))
        self.assertFalse(verdict.is_linear)

    def test_a_name_held_for_every_file_is_not_flat(self) -> None:
        (verdict,) = self.verdicts((20_000, 1.0, 8_000), (1_020_000, 50.0, 8_000 + 100_000))
        self.assertFalse(verdict.is_flat)
        self.assertIn("GROWS", growth.table([verdict]))

    def test_what_an_allocator_takes_ahead_is_flat(self) -> None:
        (verdict,) = self.verdicts((1_000, 1.0, 8_000), (2_000, 2.0, 9_000))
        self.assertTrue(verdict.is_flat)

    def test_one_number_of_files_says_nothing(self) -> None:
        self.assertEqual(self.verdicts((20_000, 1.0, 8_000)), [])
        self.assertEqual(growth.table([]), "")

"""The command line."""

import contextlib
import io
import unittest
from pathlib import Path

from side_by_side import options


class Reading(unittest.TestCase):
    def test_numbers_are_written_as_people_write_them(self) -> None:
        self.assertEqual(options.counts("20k,200K,1M,5"), (20_000, 200_000, 1_000_000, 5))
        self.assertEqual((options.size("2G"), options.size("64M"), options.size("7")), (2 << 30, 64 << 20, 7))

    def test_what_is_said_wins_over_what_quick_and_growth_say(self) -> None:
        quick = options.read(["--quick", "--rounds", "3"], "now").options
        self.assertEqual((quick.files, quick.rounds), ((5_000,), 3))
        grown = options.read(["--growth", "--files", "1k,2k"], "now").options
        self.assertEqual((grown.files, grown.growth), ((1_000, 2_000), True))

    def test_results_have_a_name_of_their_own(self) -> None:
        self.assertEqual(options.read([], "2026-04-08T020000").results.name, "2026-04-08T020000")

    def test_paths_hold_wherever_the_program_goes(self) -> None:
        asked = options.read(["--results", "here", "--git", "there"], "now")
        self.assertTrue(asked.results.is_absolute())
        self.assertEqual(asked.options.git, str(Path("there").absolute()))

    def test_nonsense_is_refused_with_a_reason(self) -> None:
        for argv, reason in (
            (["--rounds", "0"], "one round"),
            (["--snapshots", "1"], "2 snapshots"),
            (["--files", "many"], "--files"),
            (["--resume", str(Path("/nonexistent"))], "no run was interrupted there"),
        ):
            said = io.StringIO()
            with self.subTest(argv), contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as left:
                options.read(argv, "now")
            self.assertEqual(left.exception.code, 2)
            self.assertIn(reason, said.getvalue())

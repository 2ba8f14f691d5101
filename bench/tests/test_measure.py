"""Measuring processes: their own time, memory and exit code, and nobody else's."""

import tempfile
import time
import unittest
from pathlib import Path

from side_by_side.deed import Failed, command, line
from side_by_side.measure import Requests, requests_of, run_measured


class Measuring(unittest.TestCase):
    def test_the_peak_of_a_small_program_is_not_that_of_python(self) -> None:
        held = bytearray(64 << 20)
        self.assertLess(run_measured(command("true")).peak_kib, 8 << 10)
        del held

    def test_the_processor_time_of_all_processes_counts(self) -> None:
        burn = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"
        usage = run_measured(line(f"({burn}) & ({burn}); wait"))
        alone = run_measured(line(burn))
        self.assertGreater(usage.processor_seconds, 1.4 * alone.processor_seconds)

    def test_the_time_is_that_of_the_command_not_of_what_it_leaves_running(self) -> None:
        start = time.monotonic()
        usage = run_measured(line("(sleep 0.6 &) ; exit 0"))
        self.assertLess(usage.seconds, 0.5)
        # But nothing is at work any more when the next one begins.
        self.assertGreaterEqual(time.monotonic() - start, 0.6)

    def test_a_failure_says_the_command_its_code_and_its_last_words(self) -> None:
        with self.assertRaisesRegex(Failed, r"(?s)exit code 7: echo nothing .*nothing works"):
            run_measured(line("echo nothing works >&2; exit 7"))

    def test_a_missing_program_is_a_failure(self) -> None:
        with self.assertRaises(Failed):
            run_measured(command("/nonexistent/program"))
        with self.assertRaises(Failed):
            run_measured(command("true", cwd=Path("/nonexistent")))

    def test_a_command_begins_where_it_should_and_with_its_variables(self) -> None:
        with tempfile.TemporaryDirectory() as own:
            run_measured(line('echo "$X" >here', cwd=Path(own), env={"X": "1"}))
            self.assertEqual((Path(own) / "here").read_text(encoding="ascii"), "1\n")

    def test_requests_are_read_as_the_kernel_writes_them(self) -> None:
        with tempfile.TemporaryDirectory() as own:
            text = "  11 1  20 5   13 2  40 6  0 9 11 0 0 0 0 0 0\n"
            (Path(own) / "stat").write_text(text, encoding="ascii")
            seen = requests_of(Path(own))
        self.assertEqual(seen, Requests(11, 13, 20 * 512, 40 * 512))
        self.assertEqual(seen.since(Requests(1, 3, 512, 0)), Requests(10, 10, 19 * 512, 40 * 512))

"""What is kept of a run, and what is taken up again."""

import tempfile
import unittest
from pathlib import Path

from side_by_side.figures import Book, Done, Figure, Lost, Remark, Shown

from . import notes


class Keeping(unittest.TestCase):
    def setUp(self) -> None:
        own = tempfile.TemporaryDirectory()
        self.addCleanup(own.cleanup)
        self.directory = Path(own.name)

    def again(self) -> Book:
        book = Book(self.directory / "figures.jsonl")
        book.read()
        return book

    def resumed(self) -> Book:
        book = Book(self.directory / "figures.jsonl")
        book.resume()
        return book

    def test_what_was_noted_is_read_again(self) -> None:
        entries: list[Figure | Done | Remark] = [
            notes.figure("linksnap", 1, 1.0),
            Done(notes.SETTING, 1),
            Remark(notes.SETTING, "rsync", "wrong", "x"),
        ]
        book = notes.book(self.directory, *entries)
        book.note(Shown(notes.SETTING, "rsync", "rsync -a"))
        again = self.again()
        self.assertEqual((again.figures, again.remarks), (book.figures, book.remarks))
        self.assertEqual((again.shown, again.done), (book.shown, book.done))

    def test_a_round_that_was_not_ended_is_forgotten(self) -> None:
        kept, lost = notes.figure("linksnap", 1, 1.0), notes.figure("linksnap", 2, 1.0)
        notes.book(self.directory, kept, Done(notes.SETTING, 1), lost)
        self.assertEqual(self.resumed().figures, [kept])
        # In the file as well: the round comes again, and must not be there twice.
        self.resumed().note(lost)
        self.resumed().note(Done(notes.SETTING, 2))
        self.assertEqual(self.again().figures, [kept])

    def test_what_is_taken_up_is_all_there_afterwards(self) -> None:
        book = notes.book(
            self.directory,
            notes.figure("linksnap", 1, 1.0),
            Remark(notes.SETTING, "rsync", "wrong", "x"),
            Done(notes.SETTING, 1),
        )
        book.note(Shown(notes.SETTING, "rsync", "rsync -a"))
        for resumed in (self.resumed(), self.again()):
            self.assertEqual((resumed.figures, resumed.remarks), (book.figures, book.remarks))
            self.assertEqual((resumed.shown, resumed.done), (book.shown, book.done))
        self.assertEqual([path.name for path in self.directory.iterdir()], ["figures.jsonl"])

    def test_looking_changes_nothing(self) -> None:
        # A run that is at work goes on writing: what it has begun must still be there.
        book = notes.book(self.directory, notes.figure("linksnap", 1, 1.0))
        before = book.path.read_text(encoding="utf-8")
        self.assertEqual(self.again().figures, [])
        self.assertEqual(book.path.read_text(encoding="utf-8"), before)

    def test_a_line_cut_off_is_no_hindrance(self) -> None:
        book = notes.book(self.directory, notes.figure("linksnap", 1, 1.0), Done(notes.SETTING, 1))
        with open(book.path, "a", encoding="utf-8") as file:
            file.write('{"type": "figure", "sett')
        self.assertEqual(len(self.again().figures), 1)

    def test_figures_that_cannot_be_kept_are_no_fault_of_a_tool(self) -> None:
        with self.assertRaises(Lost):
            Book(self.directory / "missing" / "figures.jsonl").note(Done(notes.SETTING, 1))

    def test_figures_come_by_rounds(self) -> None:
        book = notes.book(self.directory, notes.figure("rsync", 2, 2.0), notes.figure("rsync", 1, 1.0))
        self.assertEqual([figure.round for figure in book.of(notes.SETTING, "rsync")], [1, 2])

    def test_the_last_word_counts(self) -> None:
        skipped = Remark(notes.SETTING, "rsync", "skipped", "")
        book = notes.book(self.directory, Remark(notes.SETTING, "rsync", "right"), skipped)
        verdict = book.verdict(notes.SETTING, "rsync")
        self.assertEqual(verdict and verdict.kind, "right")
        self.assertIsNone(book.verdict(notes.SETTING, "borg"))

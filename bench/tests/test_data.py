"""The data and its changes: the same each time, and as much as is said."""

import dataclasses
import os
import tempfile
import unittest
from pathlib import Path

from side_by_side import cases, data, room
from side_by_side.check import fingerprint
from side_by_side.deed import command, run
from side_by_side.options import Options


class Changes(unittest.TestCase):
    def setUp(self) -> None:
        own = tempfile.TemporaryDirectory()
        self.addCleanup(own.cleanup)
        self.base = Path(own.name)
        self.source = self.base / "src"
        for number in range(400):
            directory = self.source / f"d{number % 10}"
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"{number:03}").write_bytes(b"as it was")

    def changed(self, number: int) -> set[Path]:
        before = {file: file.read_bytes() for file in data.files_below(self.source)}
        data.change_one_percent(self.source, number)
        return {file for file, content in before.items() if file.read_bytes() != content}

    def test_one_percent_is_changed_and_other_files_each_time(self) -> None:
        first, second = self.changed(1), self.changed(2)
        self.assertEqual((len(first), len(second)), (4, 4))
        self.assertFalse(first & second)
        self.assertEqual({file.stat().st_size for file in first}, {len("as it was")})

    def test_the_tenth_is_found_and_found_again_under_its_new_name(self) -> None:
        for number in (1, 2):
            before = set(os.listdir(self.source))
            data.rename_tenth(self.source, number)
            after = set(os.listdir(self.source))
            self.assertEqual((len(before - after), len(after - before)), (1, 1))
        self.assertEqual(len(data.files_below(self.source)), 400)

    def test_chmod_goes_there_and_back(self) -> None:
        prints = [fingerprint(self.source)]
        for number in (1, 2, 3):
            data.chmod_tenth(self.source, number)
            prints.append(fingerprint(self.source))
        self.assertNotEqual(prints[0], prints[1])
        self.assertEqual(prints[1], prints[3])

    def test_large_and_deep_trees_are_the_same_each_time(self) -> None:
        options = Options(large_bytes=3 << 20)
        for make in (data.make_large, data.make_deep):
            trees = [self.base / f"{make.__name__}-{n}" for n in (1, 2)]
            for tree in trees:
                make(options, 1000, tree)
            alike = run(command("diff", "-r", *trees))
            self.assertEqual(alike, "")

    def test_tags_are_checked_out_and_the_repository_is_left_alone(self) -> None:
        repository = self.base / "repository"
        who = ("-c", "user.name=n", "-c", "user.email=e")
        run(command("git", "init", "-q", repository))
        for tag in ("one", "two"):
            (repository / "same").write_text("same", encoding="ascii")
            (repository / "other").write_text(tag, encoding="ascii")
            for verb in (("add", "."), (*who, "commit", "-q", "-m", tag), ("tag", tag)):
                run(command("git", "-C", repository, *verb))
        before = fingerprint(repository)
        target = self.base / "target"
        target.mkdir()
        tags = data.read_tags(str(repository), 5)
        tags.check_out(0, target)
        seen = (target / "same").stat().st_mtime_ns
        tags.check_out(1, target)
        self.assertEqual(sorted(tags.names), ["one", "two"])
        self.assertEqual((target / "other").read_text(encoding="ascii"), tags.names[1])
        self.assertEqual((target / "same").stat().st_mtime_ns, seen)
        self.assertEqual(fingerprint(repository), before)


class Room(unittest.TestCase):
    def test_more_of_anything_needs_more_room(self) -> None:
        few = Options(cases=())
        by_name = {case.name: case for case in cases.all_cases(few, None)}

        def needed(name: str, options: Options = few, files: int = 1000, stores: int = 3) -> int:
            return room.needed_bytes(by_name[name], options, files, stores, None)

        self.assertLess(needed("unchanged"), needed("unchanged", files=100_000))
        self.assertLess(needed("unchanged", files=100_000), needed("unchanged", files=100_000, stores=9))
        self.assertLess(needed("unchanged", files=100_000), needed("verify", files=100_000))
        more = dataclasses.replace(few, large_bytes=10 << 30)
        self.assertLess(needed("append"), needed("append", more))
        # A store a round, and only one of them at a time.
        self.assertEqual(needed("first"), needed("first", stores=9))

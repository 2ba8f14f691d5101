"""Medians, ratios, fits, and the order of the tools."""

import unittest

from side_by_side.ratios import Spread, growth, ratio, rotated, slope, spread


class Medians(unittest.TestCase):
    def test_a_spread_has_the_middle_and_both_ends(self) -> None:
        self.assertEqual(spread([3.0, 1.0, 2.0]), Spread(2.0, 1.0, 3.0))
        self.assertEqual(spread([4.0, 1.0]).median, 2.5)


class Ratios(unittest.TestCase):
    def test_ratios_are_taken_within_rounds_before_the_median(self) -> None:
        # The ratio of the medians would be 4 / 2.
        mine = {1: 1.0, 2: 4.0, 3: 9.0}
        other = {1: 1.0, 2: 2.0, 3: 3.0}
        self.assertEqual(ratio(mine, other), 2.0)
        self.assertEqual(ratio({1: 6.0, 2: 1.0, 3: 2.0}, {1: 1.0, 2: 2.0, 3: 2.0}), 1.0)

    def test_rounds_that_only_one_has_do_not_count(self) -> None:
        self.assertEqual(ratio({1: 2.0, 2: 100.0}, {1: 1.0, 3: 5.0}), 2.0)

    def test_nothing_in_common_is_no_ratio(self) -> None:
        self.assertIsNone(ratio({1: 1.0}, {}))
        self.assertIsNone(ratio({1: 1.0}, {1: 0.0}))


class Fits(unittest.TestCase):
    def test_the_exponent_of_a_power_is_found(self) -> None:
        for exponent in (0.0, 1.0, 2.0):
            points = [(files, 0.001 * files**exponent) for files in (20_000.0, 200_000.0, 1_000_000.0)]
            fit = growth(points)
            assert fit is not None
            self.assertAlmostEqual(fit.exponent, exponent)

    def test_one_number_of_files_is_no_growth(self) -> None:
        self.assertIsNone(growth([(100.0, 1.0), (100.0, 2.0)]))
        self.assertIsNone(slope([(100.0, 1.0), (100.0, 2.0)]))

    def test_a_slope_is_between_the_fewest_and_the_most(self) -> None:
        self.assertEqual(slope([(30.0, 8.0), (10.0, 2.0), (20.0, 100.0)]), 0.3)


class Turns(unittest.TestCase):
    def test_each_comes_first_once(self) -> None:
        orders = [rotated(["a", "b", "c"], number) for number in (1, 2, 3, 4)]
        self.assertEqual(orders, [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]])
        self.assertEqual(rotated([], 1), [])

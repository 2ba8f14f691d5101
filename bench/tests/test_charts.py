"""The charts: well-formed, true to scale, and for dark ground too."""

import itertools
import re
import unittest
from xml.etree import ElementTree

from side_by_side import charts
from side_by_side.charts import Bar
from side_by_side.figures import Setting
from side_by_side.growth import Verdict

NAMESPACE = {"svg": "http://www.w3.org/2000/svg"}


class Bars(unittest.TestCase):
    def test_twice_the_time_is_twice_the_width(self) -> None:
        svg = charts.bars("a & b", 'less < "more"', [Bar("one", (1.0, 1.0, 5.0), "ours"), Bar("two", (2.0,), "tool")])
        root = ElementTree.fromstring(svg)
        widths = [float(bar.get("width", "0")) for bar in root.findall("svg:rect", NAMESPACE)]
        self.assertAlmostEqual(widths[1], 2 * widths[0], delta=0.2)
        self.assertIn("prefers-color-scheme: dark", svg)

    def test_nothing_leaves_the_picture(self) -> None:
        svg = charts.bars("t", "s", [Bar("slow", (0.002, 123.0), "tool"), Bar("none", (0.0,), "floor")])
        xs = [float(x) for x in re.findall(r' x[12]?="([\d.]+)"', svg)]
        self.assertLess(max(xs), charts.WIDTH - 40)


class Curves(unittest.TestCase):
    def test_labels_do_not_lie_on_one_another(self) -> None:
        points = ((20_000, 1.0, 8.0), (1_000_000, 50.0, 9.0))
        found = [Verdict(Setting("first", "ext4", 0, "warm"), f"tool {n}", points, 1.0, 1.0) for n in range(3)]
        root = ElementTree.fromstring(charts.curves("growth", "ext4", found))
        texts = [text for text in root.findall("svg:text", NAMESPACE) if (text.text or "").startswith("tool")]
        heights = sorted(float(text.get("y", "0")) for text in texts)
        self.assertEqual(len(heights), 3)
        self.assertGreater(min(b - a for a, b in itertools.pairwise(heights)), 12)

    def test_nothing_measured_is_an_empty_picture(self) -> None:
        ElementTree.fromstring(charts.curves("growth", "ext4", []))

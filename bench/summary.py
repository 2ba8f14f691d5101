#!/usr/bin/env python3
"""Print medians, spreads and ratios of a table that measure.py wrote.

    summary.py TABLE

The ratio is against the first name of each case: 2.00 is twice its time.
"""

import statistics
import sys


def read(path):
    """{case: {name: [(seconds, peak KiB, read requests)]}}, in the order of first appearance."""
    cases = {}
    with open(path, encoding="utf-8") as rows:
        for row in rows:
            case, name, seconds, peak, reads = row.rstrip("\n").split("\t")
            cases.setdefault(case, {}).setdefault(name, []).append((float(seconds), int(peak), int(reads)))
    return cases


def main():
    for case, names in read(sys.argv[1]).items():
        print(f"\n{case}")
        print(f"    {'median s':>9} {'least':>9} {'most':>9} {'ratio':>6} {'peak KiB':>9} {'reads':>7}  rounds")
        first = None
        for name, rows in names.items():
            seconds = [row[0] for row in rows]
            median = statistics.median(seconds)
            first = first or median
            peak = statistics.median(row[1] for row in rows)
            reads = statistics.median(row[2] for row in rows)
            print(
                f"    {median:9.3f} {min(seconds):9.3f} {max(seconds):9.3f} {median / first:6.2f} {peak:9.0f}"
                f" {reads:7.0f}  {len(rows):6d}  {name}"
            )


main()

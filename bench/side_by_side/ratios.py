"""Medians, ratios and fits. Pure: figures in, numbers out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The median of some rounds with the least and the most."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def ratio(mine: Mapping[int, float], other: Mapping[int, float]) -> float | None:
    """The median of the ratios within a round, of the rounds that both have. On a noisy machine this says more than the
    ratio of two medians, which may come from different rounds."""
    pairs = [mine[number] / other[number] for number in sorted(mine) if other.get(number, 0) > 0]
    return statistics.median(pairs) if pairs else None


@dataclass(frozen=True)
class Growth:
    """How a figure grows with the number of files: as `files ** exponent`."""

    exponent: float


def growth(points: Sequence[tuple[float, float]]) -> Growth | None:
    """Fits a power of the number of files, by least squares of the logarithms; None for one number of files."""
    logs = [(math.log(files), math.log(value)) for files, value in points if files > 0 and value > 0]
    if len({x for x, _ in logs}) < 2:
        return None
    slope, _ = statistics.linear_regression([x for x, _ in logs], [y for _, y in logs])
    return Growth(slope)


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """What a file more costs, between the fewest and the most files."""
    if len({files for files, _ in points}) < 2:
        return None
    (few, least), (many, most) = min(points), max(points)
    return (most - least) / (many - few)


def rotated(names: Sequence[str], round_number: int) -> list[str]:
    """Who runs first changes from round to round, so that nobody always runs after the same one."""
    if not names:
        return []
    start = (round_number - 1) % len(names)
    return [*names[start:], *names[:start]]

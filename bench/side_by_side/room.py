"""How much room a case will take, so that a run that cannot end well does not begin. Pure."""

from __future__ import annotations

from . import data
from .cases import Before, Case
from .data import Tags
from .options import Options

LEAST_BYTES = 1 << 30
DIRECTORY_BYTES = 12 * 1024
MARGIN = 1.3
# The share of the data that a snapshot stores anew.
SHARES = {data.nothing: 0.0, data.change_one_percent: 0.015, data.rename_tenth: 0.2, data.chmod_tenth: 0.2}
UNKNOWN_SHARE = 0.3


def needed_bytes(case: Case, options: Options, files: int, stores: int, tags: Tags | None) -> int:
    """For a filesystem with the source and so many stores, at the worst moment of the case."""
    source = _source_bytes(case, options, files, tags)
    snapshots = case.past(options) + options.rounds
    # What is restored to be checked is one more copy.
    if case.fresh:
        total = 3.0 * source
    elif case.lean:
        # The one at work has a second copy while it is at it.
        total = source * (3.0 + stores)
    else:
        share = SHARES.get(case.change, UNKNOWN_SHARE)
        directories = DIRECTORY_BYTES * snapshots * max(options.directories_for(files), files // 100)
        total = source + stores * (source * (1 + share * snapshots) + directories)
    if case.before is Before.MANY:
        total += source
    return LEAST_BYTES + int(MARGIN * total)


def _source_bytes(case: Case, options: Options, files: int, tags: Tags | None) -> int:
    if case.make is data.make_empty:
        return 0
    if case.make is data.make_large:
        return int(1.3 * options.large_bytes)
    if case.make is data.make_deep:
        return 8192 * files
    if case.make is data.make_small or tags is None:
        return options.bytes_for(files)
    return tags.bytes()

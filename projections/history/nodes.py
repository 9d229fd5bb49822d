"""Find the interval that contains a position, whatever the number of intervals is.

The numbers form a binary tree: odd numbers are leaves, and a number with more factors of two is
higher. An interval is stored at its node: the highest number in it. An interval that contains a
position is at a node on the path from the root to that position, or it is open. A path has one node
for each bit of the largest position, and a row has at most one version at a node. So the version
of a row is found in about 20 lookups among a million events, also of a row with many versions.

This is the relational interval tree of Kriegel, Poetke and Seidl (VLDB 2000).
"""

from collections.abc import Sequence

OPEN = 2**62  # The end, and the node, of an interval that has not ended.


def node_of(first: int, until: int) -> int:
    """Return the node of the positions from ``first`` up to ``until``, which is excluded."""
    if until == OPEN:
        return OPEN
    last = until - 1
    level = ((first - 1) ^ last).bit_length() - 1
    return (last >> level) << level


def path_to(position: int, head: int) -> Sequence[int]:
    """Return the nodes of the intervals that may contain a position; none ends after ``head``."""
    lowest = (position & -position).bit_length() - 1 if position else 0
    highest = max(position, head).bit_length()
    return (*(((position >> level) | 1) << level for level in range(lowest, highest + 1)), OPEN)

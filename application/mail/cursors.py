"""Read the cursors of mail lists: ``"<newest>.<oldest>"`` of a page, or one sequence."""

from quorate.contracts.problems import Problem
from quorate.projections.mail.queries import SEQUENCE_MAX, Range


def parse_cursor(text: str, name: str) -> tuple[int, int]:
    """Return the newest and the oldest sequence; raise Problem for anything else."""
    newest, dot, oldest = text.partition(".")
    numbers = (newest, oldest if dot else newest)
    if not all(one.isascii() and one.isdigit() and int(one) <= SEQUENCE_MAX for one in numbers):
        raise Problem("invalid_request", f"{name}: not a cursor of this service.")
    return int(numbers[0]), int(numbers[1])


def range_before(cursor: str | None) -> Range:
    """Return what follows a page whose newest message is first."""
    if cursor is None:
        return Range()
    newest, oldest = parse_cursor(cursor, "cursor")
    return Range(before=oldest, newest=newest)


def range_after(cursor: str | None, name: str = "cursor") -> Range:
    """Return what follows a page whose oldest message is first."""
    if cursor is None:
        return Range(order="asc")
    return Range(after=parse_cursor(cursor, name)[0], order="asc")

"""The moment as of which a request reads.

* While a moment is set, ``EventStore.read`` opens a transaction that answers as of then. Handlers,
  queries and their statements are the same for the past and for the present.
* It is set for one task and those that it starts. Other requests keep reading the present.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.transactions import DatabaseTransaction

# The parameters that each query of the past has.
POSITION, SEQUENCE, TENANT, PATH = "as_of", "as_of_sequence", "as_of_tenant", "as_of_path"


@record
class Moment:
    """The state after one event of a tenant, at a time that is not before that event.

    ``position`` is that of the event in the log of all tenants. ``transaction`` turns one that
    reads the present into one that reads as of this moment.
    """

    tenant: str
    sequence: int
    position: int
    at: Timestamp
    transaction: Callable[[DatabaseTransaction], DatabaseTransaction]


_moment: ContextVar[Moment | None] = ContextVar("moment", default=None)


def current_moment() -> Moment | None:
    """Return the moment as of which this task reads; None for the present."""
    return _moment.get()


@contextmanager
def reading_as_of(moment: Moment) -> Iterator[None]:
    """Read as of a moment within the block."""
    token = _moment.set(moment)
    try:
        yield
    finally:
        _moment.reset(token)


def clock_of_readers(clock: Callable[[], Timestamp]) -> Callable[[], Timestamp]:
    """Return the clock with which readers compare deadlines: it stands still at the moment."""

    def now() -> Timestamp:
        moment = _moment.get()
        return clock() if moment is None else moment.at

    return now

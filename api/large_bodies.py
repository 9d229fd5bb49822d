"""Bound the memory of large bodies, those above BODY_BYTES_MAX: in all, and of one caller.

* A request reserves the bytes of its body before it reads them, and until its response is made. A
  body of unknown length reserves them as they arrive.
* Above the limit of a caller the request is rejected with 429, above that of the process with 503.
  Both may be repeated after a second.
* A large body gets more time to arrive: a second for each BYTES_PER_SECOND_MIN.
"""

from collections import Counter
from collections.abc import Callable

from quorate.application.operations import Call
from quorate.contracts.operations import BODY_BYTES_MAX
from quorate.contracts.problems import RETRY_AFTER_SECONDS, Problem

PROCESS_BYTES_MAX = 64 * 1024 * 1024
CALLER_BYTES_MAX = 32 * 1024 * 1024
BYTES_PER_SECOND_MIN = 64 * 1024


class Reservation:
    """The bytes that one request holds. The base class holds none and limits nothing."""

    def grow(self, size: int) -> None:
        """Hold ``size`` bytes in all; raise Problem above a limit."""

    def release(self) -> None:
        """Hold nothing any more; may be called twice."""


NOTHING_RESERVED = Reservation()


class LargeBodies:
    """The bytes of all large bodies of one process."""

    def __init__(
        self,
        process_bytes_max: int = PROCESS_BYTES_MAX,
        caller_bytes_max: int = CALLER_BYTES_MAX,
    ) -> None:
        self.process_bytes_max = process_bytes_max
        self.caller_bytes_max = caller_bytes_max
        self.bytes_of: Counter[str] = Counter()  # By caller.
        self.bytes = 0

    def add(self, caller: str, size: int) -> None:
        """Count bytes of a caller; raise Problem above a limit."""
        if self.bytes_of[caller] + size > self.caller_bytes_max:
            raise Problem(
                "rate_limited",
                "This agent or key sends too many large bodies at once.",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
                limitedBy="key",
                retryAfterSeconds=float(RETRY_AFTER_SECONDS),
            )
        if self.bytes + size > self.process_bytes_max:
            raise Problem(
                "unavailable",
                "The service reads too many large bodies at once.",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        self.bytes_of[caller] += size
        self.bytes += size

    def remove(self, caller: str, size: int) -> None:
        self.bytes_of[caller] -= size
        self.bytes -= size
        if not self.bytes_of[caller]:
            del self.bytes_of[caller]


class CallerReservation(Reservation):
    """The bytes that one request of a caller holds."""

    def __init__(self, bodies: LargeBodies, call: Call, give_time: Callable[[float], None]) -> None:
        """``give_time`` prolongs the time in which the body must arrive by so many seconds."""
        self._bodies = bodies
        self._call = call
        self._give_time = give_time
        self._size = 0

    def grow(self, size: int) -> None:
        added = size - self._size
        if size <= BODY_BYTES_MAX or added <= 0:
            return
        self._bodies.add(self._caller(), added)
        self._size = size
        self._give_time(added / BYTES_PER_SECOND_MIN)

    def release(self) -> None:
        if self._size:
            self._bodies.remove(self._caller(), self._size)
            self._size = 0

    def _caller(self) -> str:
        principal = self._call.principal
        return "" if principal is None else str(principal.actor)

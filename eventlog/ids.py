"""Generate ids: UUIDs of version 7 (RFC 9562), key ids and log ids.

Ids of the same time are close to each other in an index. The bits after the time are random and
never a counter, so that an id does not tell one tenant how busy another is.
"""

import os
from collections.abc import Callable

from quorate.domain.identity.key_format import KEY_ID_LENGTH
from quorate.domain.shared.timestamps import Timestamp

_RANDOM_BYTES = 10
_DIGITS = 2 * _RANDOM_BYTES
_LOG_ID_BYTES = 8
_POOL_IDS = 256  # Ids per system call, which costs more than the rest of generating an id.
_VARIANT = "89ab"


class Uuid7:
    """Generates UUIDv7 ids; not thread-safe."""

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        self._random = random
        self._tails: list[str] = []
        self._now = Timestamp(-1)
        self._head = ""

    def __call__(self, now: Timestamp) -> str:
        if not self._tails:
            self._refill()
        if now != self._now:
            time = f"{now:012x}"
            self._now, self._head = now, f"{time[:8]}-{time[8:]}"
        return self._head + self._tails.pop()

    def _refill(self) -> None:
        """Generate the parts after the time for the next ids."""
        digits = self._random(_POOL_IDS * _RANDOM_BYTES).hex()
        for at in range(0, len(digits), _DIGITS):
            one = digits[at : at + _DIGITS]
            variant = _VARIANT[int(one[3], 16) & 3]
            self._tails.append(f"-7{one[:3]}-{variant}{one[4:7]}-{one[7:19]}")


def key_id() -> str:
    """Return a new random key id: short and lower case. It is not secret."""
    return os.urandom(KEY_ID_LENGTH // 2).hex()


def new_log_id() -> str:
    """Return a new random log id. It is not secret."""
    return os.urandom(_LOG_ID_BYTES).hex()

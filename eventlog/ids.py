"""Ids of our own making: UUIDs of version 7 (RFC 9562), so that neighbours in time are neighbours
in an index. The bits after the time are random and never counted up: an id must not tell one
tenant how busy another is.
"""

import os
from collections.abc import Callable

from quorate.domain.identity.api_keys import KEY_ID_LENGTH
from quorate.domain.shared.timestamps import Timestamp

_RANDOM_BYTES = 10
_DIGITS = 2 * _RANDOM_BYTES
_POOL_IDS = 256  # One system call for so many ids: it costs more than all the rest of one.
_VARIANT = "89ab"


class Uuid7:
    """A source of fresh UUIDv7s; for one thread, like the event loop that uses it."""

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
        """What follows the time in an id, for the next ids to come."""
        noise = self._random(_POOL_IDS * _RANDOM_BYTES).hex()
        for at in range(0, len(noise), _DIGITS):
            one = noise[at : at + _DIGITS]
            variant = _VARIANT[int(one[3], 16) & 3]
            self._tails.append(f"-7{one[:3]}-{variant}{one[4:7]}-{one[7:19]}")


def key_id() -> str:
    """A fresh key id: short, lower case, nothing but a name."""
    return os.urandom(KEY_ID_LENGTH // 2).hex()

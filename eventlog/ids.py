"""Ids of our own making: UUIDs of version 7 (RFC 9562), so that neighbours in time are neighbours
in an index. The bits after the time are random and never counted up: an id must not tell one
tenant how busy another is.
"""

import os
from collections.abc import Callable

from quorate.domain.instants import Instant
from quorate.domain.keys import KEY_ID_LENGTH

_RANDOM_BYTES = 10
_POOL_IDS = 256  # One system call for so many ids: it costs more than all the rest of one.
_VARIANT = "89ab"


class Uuid7:
    """A source of fresh UUIDv7s; for one thread, like the event loop that uses it."""

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        self._random = random
        self._pool = ""
        self._at = 0

    def __call__(self, now: Instant) -> str:
        if self._at >= len(self._pool):
            self._pool, self._at = self._random(_POOL_IDS * _RANDOM_BYTES).hex(), 0
        noise = self._pool[self._at : self._at + 2 * _RANDOM_BYTES]
        self._at += 2 * _RANDOM_BYTES
        time = f"{now:012x}"
        variant = _VARIANT[int(noise[3], 16) & 3]
        return f"{time[:8]}-{time[8:]}-7{noise[:3]}-{variant}{noise[4:7]}-{noise[7:19]}"


def key_id() -> str:
    """A fresh key id: short, lower case, nothing but a name."""
    return os.urandom(KEY_ID_LENGTH // 2).hex()

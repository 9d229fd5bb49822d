"""Asking as an agent does: NATS first where there is one, HTTP otherwise, one answer either way.

All attempts of a call carry one idempotency key, whichever way they go, so a command that was
taken over NATS and not answered is not taken again over HTTP. A refusal is an answer and is not
tried again.
"""

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

from quorate.client.clock import Clock
from quorate.client.errors import CallFailed, Unavailable
from quorate.client.rejections import Refused
from quorate.client.requests import Ask
from quorate.client.retries import RetryPolicy
from quorate.client.serialization import Answered, new_idempotency_key
from quorate.client.transports.http import OverHttp

if TYPE_CHECKING:
    from quorate.client.transports.nats import NatsLink

T = TypeVar("T")


class FailoverTransport:
    """``link`` may come later, when it is known who asks."""

    def __init__(self, http: OverHttp, clock: Clock, within_seconds: float) -> None:
        self.http = http
        self.link: NatsLink | None = None
        self._clock = clock
        self._within_seconds = within_seconds
        self._closed = False

    async def close(self) -> None:
        """Nothing more can be asked."""
        self._closed = True
        await self.http.close()

    async def result(self, ask: Ask[T], *, within_seconds: float | None = None) -> T:
        return (await self.answer(ask, within_seconds=within_seconds)).result

    async def answer(self, ask: Ask[T], *, within_seconds: float | None = None) -> Answered[T]:
        """The typed answer; raises Refused, Unavailable or CallFailed."""
        within = self._within_seconds if within_seconds is None else within_seconds
        attempts = RetryPolicy(within, clock=self._clock, lot=random.random)
        key = new_idempotency_key()
        while not self._closed:
            try:
                return await self._attempt(ask, key, attempts)
            except Unavailable as failure:
                pause = attempts.pause_after(failure)
            await asyncio.sleep(pause)
        raise CallFailed("it is over: nothing more can be asked")

    async def _attempt(self, ask: Ask[T], key: str, attempts: RetryPolicy) -> Answered[T]:
        link = self.link
        if link is not None and link.takes_commands and ask.over_nats:
            try:
                return await link.attempt(ask, key, attempts.seconds(), attempts.began_at)
            except Unavailable as failure:
                if isinstance(failure, Refused):
                    raise  # The service did answer: it wants to be left alone for a while.
        seconds = attempts.seconds(ask.waits_seconds)
        return await self.http.attempt(ask, key, seconds, attempts.began_at)

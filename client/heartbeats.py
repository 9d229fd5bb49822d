"""Staying alive: heartbeats in the background, for as long as the agent is there.

* A third of the window passes between two of them, a little less by lot, so that one may be lost
  and agents that started together drift apart. The window is what the answers say.
* An outage does not end them: they are tried until the agent leaves. If the window passed, the
  next one makes the agent active again, without the leases it had.
* When the service does not know the agent any more (it was given an older log), the agent
  registers again under its name. Should it get another id, it is another agent: this one stays
  inactive, and its program should be started anew.
"""

import random
from collections.abc import Awaitable, Callable

from quorate.client.agent_context import AgentContext
from quorate.client.background_tasks import log
from quorate.client.clock import sleep_until
from quorate.client.errors import CallFailed, Unavailable
from quorate.client.notifications import NotificationFeed
from quorate.client.rejections import AgentNotFound
from quorate.client.results import AgentInfo, HeartbeatInfo

PER_WINDOW = 3
JITTER_SHARE = 0.1
ATTEMPTS_SECONDS_MAX = 30.0
PAUSE_IN_OUTAGE_SECONDS = 0.2


class Heartbeats:
    """``register`` registers the agent again and tells as whom."""

    def __init__(
        self,
        seat: AgentContext,
        feed: NotificationFeed,
        register: Callable[[], Awaitable[AgentInfo]],
    ) -> None:
        self._seat = seat
        self._feed = feed
        self._register = register

    async def beat(self, within_seconds: float | None = None) -> HeartbeatInfo:
        told = await self._seat.heartbeat(within_seconds=within_seconds)
        self._feed.named(told.last_notification)
        return told

    async def run(self, window_seconds: float) -> None:
        """Until cancelled, or until the service takes us for another."""
        pause = self._pause(window_seconds)
        while True:
            await sleep_until(self._seat.clock() + pause, self._seat.clock)
            pause = self._pause(window_seconds)
            try:
                told = await self.beat(min(window_seconds, ATTEMPTS_SECONDS_MAX))
            except AgentNotFound:
                if not await self._known_again():
                    return
            except Unavailable as failure:
                log.info("no heartbeat at present: %s", failure)
                pause = min(pause, PAUSE_IN_OUTAGE_SECONDS)  # The window is passing.
            except CallFailed as failure:
                log.warning("no heartbeat at present: %s", failure)
            else:
                window_seconds = (told.active_until - told.last_heartbeat).total_seconds()

    def _pause(self, window_seconds: float) -> float:
        often = self._seat.settings.heartbeat_seconds or window_seconds / PER_WINDOW
        return often * (1 - JITTER_SHARE * random.random())  # noqa: S311 - no secret.

    async def _known_again(self) -> bool:
        """Whether the service takes us for whom we were, or cannot tell yet."""
        try:
            known = await self._register()
        except CallFailed as failure:
            log.warning("the service has forgotten this agent: %s", failure)
            return True
        if known.id != self._seat.id:
            log.error("the service has forgotten this agent and takes it for another: start anew")
        return known.id == self._seat.id

"""Send heartbeats in the background until the agent disconnects.

* The interval is a third of the heartbeat timeout of the service, up to JITTER_SHARE shorter by
  chance. So one heartbeat may be lost, and agents that started together drift apart. The responses
  contain the timeout.
* An outage does not stop the heartbeats. After a timeout, the next heartbeat makes the agent active
  again, without its earlier leases.
* When the service no longer knows the agent (it was restored from an older backup), the agent
  registers again under its name. If it gets another id, the service considers it another agent:
  this one stays inactive, and its program must be restarted.
"""

import random
from collections.abc import Awaitable, Callable

from quorate.client.agent_context import AgentContext
from quorate.client.background_tasks import logger
from quorate.client.clock import sleep_until
from quorate.client.errors import RequestFailedError, UnavailableError
from quorate.client.notifications import NotificationFeed
from quorate.client.outages import Outage
from quorate.client.rejections import AgentNotFoundError
from quorate.contracts.identity.agents import AgentInfo, HeartbeatInfo

HEARTBEATS_PER_WINDOW = 3
JITTER_SHARE = 0.1
TIMEOUT_SECONDS_MAX = 30.0
OUTAGE_PAUSE_SECONDS = 0.2


class Heartbeats:
    """``register`` registers the agent again and returns the registered agent."""

    def __init__(
        self,
        context: AgentContext,
        feed: NotificationFeed,
        register: Callable[[], Awaitable[AgentInfo]],
    ) -> None:
        self._context = context
        self._feed = feed
        self._register = register

    async def send(self, timeout_seconds: float | None = None) -> HeartbeatInfo:
        """Send one heartbeat; its response may reveal a missed notification."""
        info = await self._context.heartbeat(timeout_seconds=timeout_seconds)
        self._feed.expect(info.last_notification)
        return info

    async def run(self, window_seconds: float) -> None:
        """Send heartbeats until cancelled, or until the service registers another agent."""
        pause, outage = self._pause(window_seconds), Outage("The heartbeat")
        while True:
            await sleep_until(self._context.clock() + pause, self._context.clock)
            pause = self._pause(window_seconds)
            try:
                info = await self.send(min(window_seconds, TIMEOUT_SECONDS_MAX))
            except AgentNotFoundError:
                if not await self._register_again():
                    return
            except UnavailableError as failure:
                outage.record_failure(failure)
                pause = min(pause, OUTAGE_PAUSE_SECONDS)  # The timeout of the agent approaches.
            except RequestFailedError as failure:
                outage.record_failure(failure)
            else:
                outage.record_success()
                window_seconds = (info.active_until - info.last_heartbeat).total_seconds()

    def _pause(self, window_seconds: float) -> float:
        configured = self._context.config.heartbeat_seconds
        interval = configured or window_seconds / HEARTBEATS_PER_WINDOW
        return interval * (1 - JITTER_SHARE * random.random())  # noqa: S311 - no secret.

    async def _register_again(self) -> bool:
        """Register again; return False if the service gives the agent another id."""
        try:
            agent = await self._register()
        except RequestFailedError as failure:
            logger.warning("The service does not know this agent; registration failed: %s", failure)
            return True
        if agent.id != self._context.agent_id:
            logger.error(
                "The service does not know this agent and registered it under the new id %s. "
                "Restart the program.",
                agent.id,
            )
        return agent.id == self._context.agent_id

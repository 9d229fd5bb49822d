"""One agent among others: registered, alive, told of everything that concerns it.

* While the ``async with`` lasts, heartbeats go on in the background, outages included; at its end,
  however it ends, leases are given back and nothing is left running.
* Every command is asked with one idempotency key until its deadline, so that it is carried out
  once however often it had to be sent. What the service declines is raised at once, one exception
  for each code (client/rejections.py).
* Works over HTTP alone. With the URL of NATS, notifications are pushed and an agent's commands go that
  way first; when NATS is away, HTTP does both.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from quorate.client import requests
from quorate.client.agent_context import AgentContext
from quorate.client.clock import awake_or_not
from quorate.client.config import DEFAULT, Settings
from quorate.client.consensus import Proposal
from quorate.client.environment import Service, service
from quorate.client.heartbeats import Heartbeats
from quorate.client.lease import GIVING_BACK, Lease, give_back
from quorate.client.notifications import FIRST_CONNECTION_SECONDS_MAX, NotificationFeed, link_of
from quorate.client.results import (
    AgentInfo,
    Config,
    ConsensusInfo,
    HeartbeatInfo,
    Notification,
    SendVerdict,
    VoteInfo,
)
from quorate.client.serialization import Answered
from quorate.client.transports.failover import FailoverTransport
from quorate.client.transports.http import OverHttp
from quorate.domain.coordination.consensus import TIMEOUT_MINUTES_DEFAULT, Choice, Electorate
from quorate.domain.coordination.leases import DURATION_MINUTES_DEFAULT
from quorate.domain.identity.agents import AgentRef

if TYPE_CHECKING:
    from quorate.client.transports.nats import NatsLink


class Agent:
    """Made by ``Agent.connect``."""

    def __init__(self, seat: AgentContext, feed: NotificationFeed, registered: AgentInfo) -> None:
        self._seat = seat
        self._feed = feed
        self._registered = registered
        self._heartbeats = Heartbeats(seat, feed, self._register_again)
        feed.listen(seat.signals.hear)

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str | None = None,
        api_key: str | None = None,
        *,
        name: str | None = None,
        role: str = "general",
        nats_url: str | None = None,
        after: int | None = None,
        settings: Settings = DEFAULT,
    ) -> AsyncIterator["Agent"]:
        """Register, and stay alive until the block ends.

        ``url``, ``api_key`` and ``nats_url`` default to QUORATE_URL, QUORATE_API_KEY and
        QUORATE_NATS_URL; an empty ``nats_url`` means HTTP alone. ``name`` may be left out for an
        agent's own key. ``after`` is the sequence of the last notification that was dealt with: the feed
        goes on there, and begins with the registration when it is left out.

        Raises ValueError when nobody says where the service is, Refused when it declines, and
        Unavailable when it does not answer within ``settings.within_seconds``.
        """
        where = service(url, api_key, nats_url)
        asker = FailoverTransport(
            OverHttp(where.url, where.api_key), awake_or_not, settings.within_seconds
        )
        seat = AgentContext(asker, awake_or_not, settings)
        agent: Agent | None = None
        try:
            answered = await asker.answer(requests.register(name, role))
            _take_seat(seat, answered)
            link = await _link(seat, where)
            cursor = after if after is not None else answered.sequence or 0
            feed = NotificationFeed(asker, AgentRef(id=seat.id), cursor, link)
            agent = cls(seat, feed, answered.result)
            await agent._start(link)
            yield agent
        finally:
            if agent is not None:
                await agent._leave()
            await seat.background.end()
            await asker.close()

    # -- Who it is -----------------------------------------------------------

    @property
    def id(self) -> str:
        return self._registered.id

    @property
    def name(self) -> str:
        return self._registered.name

    @property
    def role(self) -> str:
        return self._registered.role

    @property
    def tenant_id(self) -> str:
        return self._registered.tenant_id

    @property
    def incarnation(self) -> int:
        """How often an agent of this name has registered, this time included."""
        return self._registered.incarnation

    @property
    def active(self) -> bool:
        """Whether the service surely takes the agent for alive, by the agent's own clock."""
        return self._seat.standing.active

    @property
    def cursor(self) -> int:
        """The sequence up to which all notifications have arrived here.

        To resume reading, keep the ``sequence`` of the last notification you dealt with instead.
        """
        return self._feed.cursor

    # -- Leases and the send gate --------------------------------------------

    def lease(
        self,
        contact_email: str,
        *,
        intent: str = "general",
        duration_minutes: float = DURATION_MINUTES_DEFAULT,
        wait_seconds: float = 0.0,
    ) -> Lease:
        """A lease to enter with ``async with``: inside, nobody else holds the contact.

        It is renewed in the background for as long as the block runs; ``duration_minutes`` (from
        1/60 to 1440) is how long others wait if this process dies. Entering raises LeaseConflict
        when another agent holds the contact; with ``wait_seconds``, only after waiting so long for
        it to become free. When the lease is lost, the block is cancelled and LeaseLost raised.
        """
        return Lease(
            self._seat,
            contact_email,
            intent=intent,
            duration_minutes=duration_minutes,
            wait_seconds=wait_seconds,
        )

    async def request_send(self, contact_email: str, *, fence: int | None = None) -> SendVerdict:
        """Ask the send gate before acting on a contact; ``lease.request_send`` shows the fence.

        A block is not raised: look at ``authorized`` and ``reason``.
        """
        return await self._seat.ask(
            requests.request_send(self._seat.who, contact_email, fence=fence)
        )

    # -- Consensus -----------------------------------------------------------

    async def propose(
        self,
        action: str,
        contact_email: str,
        reason: str,
        *,
        timeout_minutes: float = TIMEOUT_MINUTES_DEFAULT,
        electorate: Electorate = "live",
        proposer_votes: bool = True,
        floor: float | None = None,
    ) -> Proposal:
        """Ask the active agents to approve an action; a majority of them decides.

        ``electorate="snapshot"`` fixes now who may vote; ``proposer_votes=False`` leaves the
        proposer out; ``floor`` (0 to 1) is the share of the present electorate below which the
        number that a majority is taken of never falls.
        """
        answered, _ = await self._seat.ask_actively(
            requests.request_consensus(
                self._seat.who,
                action=action,
                contact_email=contact_email,
                reason=reason,
                timeout_minutes=timeout_minutes,
                electorate=electorate,
                proposer_votes=proposer_votes,
                floor=floor,
            )
        )
        return Proposal(self._seat, answered.result)

    async def vote(self, consensus_id: str, vote: Choice, *, reason: str | None = None) -> VoteInfo:
        """Vote; the first vote is final. Raises AlreadyVoted, ConsensusClosed or NotEligible."""
        ask = requests.cast_vote(self._seat.who, consensus_id, vote, reason)
        answered, _ = await self._seat.ask_actively(ask)
        return answered.result

    async def consensus(self, consensus_id: str) -> ConsensusInfo:
        """Look at anybody's request."""
        return await self._seat.ask(requests.get_consensus(consensus_id))

    # -- Notifications -------------------------------------------------------------

    async def notifications(self, after: int | None = None) -> AsyncIterator[Notification]:
        """Everything this agent is told: in order, each once, across reconnects and restarts.

        Begins after the sequence ``after``; by default where the agent connected, so nothing that
        came since is left out, and each call begins there anew. Ends when the agent leaves. What
        the service no longer keeps arrives as one notification named ``gap``. Any number of readers may
        be slow: who is far behind reads from the service.
        """
        async for notification in self._feed.notifications(after):
            yield notification

    # -- Settings and signs of life ------------------------------------------

    async def config(self) -> Config:
        """The agent's settings as the service keeps them."""
        return await self._seat.ask(requests.get_config(self._seat.id))

    async def update_config(self, settings: Mapping[str, bool | str]) -> Config:
        """Replace them as a whole; keys that the service does not know are left out."""
        return await self._seat.ask(requests.put_config(self._seat.id, settings))

    async def heartbeat(self) -> HeartbeatInfo:
        """Say now that the agent is alive; the background does so anyway."""
        return await self._heartbeats.beat()

    # -- Coming and going ----------------------------------------------------

    async def _start(self, link: "NatsLink | None") -> None:
        told = self._registered
        window = (told.active_until - told.last_heartbeat).total_seconds()
        start = self._seat.background.start
        start(partial(self._heartbeats.run, window), "heartbeats")
        if link is not None:
            start(link.run, "the connection to NATS")
            await link.tried(FIRST_CONNECTION_SECONDS_MAX)
        start(self._feed.run, "the feed of notifications")

    async def _register_again(self) -> AgentInfo:
        answered = await self._seat.asker.answer(requests.register(self.name, self.role))
        if answered.result.id == self.id:
            _take_seat(self._seat, answered)
            self._registered = answered.result
        return answered.result

    async def _leave(self) -> None:
        """Give all leases back, for as long as ``settings.leave_seconds`` allow."""
        ids = self._seat.signals.all_ended("left")
        background = self._seat.background
        giving = {background.start(partial(give_back, self._seat, one), GIVING_BACK) for one in ids}
        await background.finish(giving, self._seat.settings.leave_seconds)
        self._feed.close()


def _take_seat(seat: AgentContext, answered: Answered[AgentInfo]) -> None:
    told = answered.result
    seat.id = told.id
    seat.confirmed(answered.asked_at, told.last_heartbeat, told.active_until)


async def _link(seat: AgentContext, where: Service) -> "NatsLink | None":
    """The way over NATS, not connected yet."""
    if where.nats_url is not None:
        key = await seat.ask(requests.own_key())
        seat.asker.link = link_of(where.nats_url, where.api_key, key, seat.id)
    return seat.asker.link

"""An agent of a tenant: it is registered, sends heartbeats and receives its notifications.

* Heartbeats continue in the background while the ``async with`` block runs, through outages too. At
  the end of the block, normal or not, the agent releases its leases, deregisters and stops all its
  tasks.
* A command keeps one idempotency key until its deadline. The service carries it out once, however
  often it is sent. Rejections are raised at once, with one exception class for each problem code
  (client/rejections.py).
* HTTP is sufficient. With a NATS URL, NATS delivers the notifications, and the commands use NATS
  first. While NATS is not connected, HTTP does both.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from quorate.client import requests
from quorate.client.agent_context import AgentContext, deregister
from quorate.client.clock import boot_time
from quorate.client.config import DEFAULT, ClientConfig
from quorate.client.consensus import Proposal
from quorate.client.environment import ServiceAddress, resolve_service
from quorate.client.heartbeats import Heartbeats
from quorate.client.held_contexts import held_async
from quorate.client.lease import Lease
from quorate.client.lease_release import RELEASE_TASK, release_lease
from quorate.client.mail import Mailbox
from quorate.client.notifications import (
    FIRST_CONNECTION_SECONDS_MAX,
    NotificationFeed,
    create_nats_transport,
)
from quorate.client.request_builder import request_for
from quorate.client.results import Config, Notification
from quorate.client.schedules import Schedules
from quorate.client.serialization import Response
from quorate.client.sessions import Sessions
from quorate.client.spawned_tasks import Spawner
from quorate.client.task_lists import TaskLists
from quorate.client.transports.failover import FailoverTransport
from quorate.contracts.coordination.consensus import ConsensusInfo, VoteInfo
from quorate.contracts.coordination.send_gate import SendVerdict
from quorate.contracts.identity.agents import AgentInfo, HeartbeatInfo
from quorate.contracts.operations import Operation
from quorate.domain.coordination.consensus import TIMEOUT_MINUTES_DEFAULT, Choice, Electorate
from quorate.domain.coordination.leases import DURATION_MINUTES_DEFAULT
from quorate.domain.identity.agents import AgentRef

if TYPE_CHECKING:
    from quorate.client.transports.nats import NatsTransport

T = TypeVar("T")


class Agent:
    """A connected agent; made by ``Agent.connect``.

    Every method that sends a request can raise:

    * RejectedError: the service rejects the request;
    * UnavailableError: there is no response within ``config.timeout_seconds``;
    * RequestFailedError: the response is not from Quorate;
    * ForkedError: this process is a child of the one in which the agent connected.
    """

    def __init__(
        self, context: AgentContext, feed: NotificationFeed, registered: AgentInfo
    ) -> None:
        self._context, self._feed, self._registered = context, feed, registered
        self.mail, self.spawn = Mailbox(context, feed), Spawner(context)
        self.sessions = Sessions(context, feed)
        self.tasks, self.schedules = TaskLists(context, feed), Schedules(context)
        self._heartbeats = Heartbeats(context, feed, self._register_again)
        self._heartbeat_task: asyncio.Task[None] | None = None
        feed.add_listener(context.waiters.dispatch)

    @classmethod
    @held_async
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
        log_id: str | None = None,
        holder: str | None = None,
        stay: bool = False,
        config: ClientConfig = DEFAULT,
    ) -> AsyncIterator["Agent"]:
        """Register an agent, and keep it active until the end of the ``async with`` block.

        At the end it deregisters, unless another process has registered it since or it still holds
        a lease: it is not counted in votes and quotas any more.

        * ``url``, ``api_key``, ``nats_url``: the defaults are QUORATE_URL, QUORATE_API_KEY and
          QUORATE_NATS_URL. An empty ``nats_url`` means HTTP only.
        * ``name``: the name of the agent; None for an agent key, which names its agent.
        * ``role``: a label of the agent, such as ``outbound``.
        * ``after``: the sequence of the last notification that you processed. The feed continues
          there; None starts at the registration.
        * ``log_id``: the log that ``after`` is of, as ``agent.log_id`` was; None accepts any log.
        * ``holder``: the name of this instance in its leases, which exclude other instances of the
          agent. None makes a new one. A restarted process that gives the name of its predecessor
          takes over the leases of it, with new fences, so only one process may use a name.
        * ``stay``: leave the agent registered at the end of the block, until its timeout. For an
          agent that several processes share.
        * ``config``: timeouts and intervals.

        Exceptions:

        * ConfigurationError: the URL or the key is missing;
        * RejectedError: the service rejects the registration;
        * UnavailableError: the service does not respond in time.
        """
        from quorate.client.transports.http import HttpTransport  # noqa: PLC0415 - loads httpx2.

        address = resolve_service(url, api_key, nats_url)
        http = HttpTransport(address.url, address.api_key)
        transport = FailoverTransport(http, boot_time, config.timeout_seconds)
        context = AgentContext(transport, boot_time, config, holder)
        agent: Agent | None = None
        try:
            response = await transport.send(requests.register(name, role))
            _apply_registration(context, response)
            nats = await _create_nats_transport(context, address)
            cursor = after if after is not None else response.sequence or 0
            ref = AgentRef(id=context.agent_id)
            feed = NotificationFeed(transport, ref, cursor, nats, log_id)
            agent = cls(context, feed, response.result)
            await agent._start(nats)
            yield agent
        finally:
            if not context.process.is_forked:
                if agent is not None:
                    await agent._disconnect(stay=stay)
                await context.background.cancel_all()
                await transport.close()

    def __repr__(self) -> str:
        if self._context.process.is_forked:
            state = "forked"
        else:
            state = "active" if self.is_active else "inactive"
        return (
            f"Agent(id={self.id!r}, name={self.name!r}, tenant_id={self.tenant_id!r}, "
            f"state={state!r})"
        )

    # -- Identity and state --------------------------------------------------

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
        """The number of registrations under this name, this one included."""
        return self._registered.incarnation

    @property
    def is_active(self) -> bool:
        """True while the agent is guaranteed to be considered active (local clock)."""
        self._context.process.check()
        return self._context.liveness.is_active

    @property
    def cursor(self) -> int:
        """The sequence up to which all notifications have arrived at this process.

        To resume later, store the ``sequence`` of the last notification that you processed instead.
        """
        return self._feed.cursor

    @property
    def log_id(self) -> str | None:
        """The id of the log that ``cursor`` is of; None until the service has named it."""
        return self._feed.log_id

    # -- Leases and the send gate --------------------------------------------

    def lease(
        self,
        contact_email: str,
        *,
        intent: str | None = None,
        duration_minutes: float = DURATION_MINUTES_DEFAULT,
        wait_seconds: float = 0.0,
        reentrant: bool = False,
    ) -> Lease:
        """Return an exclusive lease on a contact, to enter with ``async with``.

        It excludes other agents, other processes of this agent, and other tasks and threads that
        use this object. The background renews the lease while the block runs.

        * ``intent``: a label for other agents and for audits; None keeps the present one.
        * ``duration_minutes``: 1/60 to 1440. All others wait this long if this process crashes.
        * ``wait_seconds``: how long entering waits for a contact that is held. A notification ends
          the wait. Agents that the service does not notify, because too many wait, ask repeatedly.
        * ``reentrant``: share the contact, within this object, with other leases that have this
          option, such as in nested calls. Each leaves its own block; the last one releases.

        Entering raises LeaseConflictError when the contact is still held. The loss of the lease
        cancels the block and raises LeaseLostError.
        """
        return Lease(
            self._context,
            contact_email,
            intent=intent,
            duration_minutes=duration_minutes,
            wait_seconds=wait_seconds,
            reentrant=reentrant,
        )

    async def request_send(self, contact_email: str, *, fence: int | None = None) -> SendVerdict:
        """Request permission from the send gate to contact a person now.

        ``fence`` is the fencing token of the lease; ``lease.request_send`` passes it. A block is a
        result, not an exception: see ``authorized`` and ``reason``.
        """
        return await self._context.execute(
            requests.request_send(self._context.agent_ref, contact_email, fence=fence)
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
        """Propose an action to the active agents; a majority of the electorate decides.

        * ``timeout_minutes``: the proposal expires after this time.
        * ``electorate``: ``live`` counts the agents that are active when a vote is cast;
          ``snapshot`` fixes the electorate at the proposal.
        * ``proposer_votes``: False excludes the proposer from the electorate.
        * ``floor``: 0 to 1, a share of the present electorate. The majority is never a majority of
          fewer agents, although agents may time out.
        """
        response, _ = await self._context.send_as_active(
            requests.request_consensus(
                self._context.agent_ref,
                action=action,
                contact_email=contact_email,
                reason=reason,
                timeout_minutes=timeout_minutes,
                electorate=electorate,
                proposer_votes=proposer_votes,
                floor=floor,
            )
        )
        return Proposal(self._context, response.result)

    async def vote(self, consensus_id: str, vote: Choice, *, reason: str | None = None) -> VoteInfo:
        """Vote on a proposal; the first vote is final.

        Raises AlreadyVotedError, ConsensusClosedError or NotEligibleError.
        """
        request = requests.cast_vote(self._context.agent_ref, consensus_id, vote, reason)
        response, _ = await self._context.send_as_active(request)
        return response.result

    async def get_consensus(self, consensus_id: str) -> ConsensusInfo:
        """Query the proposal of any agent of the tenant. Raises ConsensusNotFoundError."""
        return await self._context.execute(requests.get_consensus(consensus_id))

    # -- Notifications -------------------------------------------------------

    async def notifications(self, after: int | None = None) -> AsyncIterator[Notification]:
        """Yield all notifications for this agent: in order, each once, also across reconnects.

        ``after`` is the sequence of the last notification that you processed, also by an earlier
        process. By default each call starts where the agent connected. The iteration ends when the
        agent disconnects.

        A notification named ``gap`` reports notifications that the service no longer keeps. Readers
        may be slow: a reader that falls behind reads from the service.
        """
        self._context.process.check()
        async for notification in self._feed.notifications(after):
            yield notification

    # -- Config and heartbeats -----------------------------------------------

    async def get_config(self) -> Config:
        """Return the config that the service stores for this agent."""
        return await self._context.execute(requests.get_config(self._context.agent_id))

    async def update_config(self, config: Mapping[str, bool | str]) -> Config:
        """Replace the whole config of this agent; the service ignores unknown keys."""
        return await self._context.execute(requests.put_config(self._context.agent_id, config))

    async def heartbeat(self) -> HeartbeatInfo:
        """Send a heartbeat now, in addition to those of the background."""
        return await self._heartbeats.send()

    # -- Any operation -------------------------------------------------------

    async def call(
        self,
        operation: Operation[T],
        body: BaseModel | Mapping[str, Any] | None = None,
        query: BaseModel | None = None,
        *,
        timeout_seconds: float | None = None,
        idempotency_key: str | None = None,
        **ids: str,
    ) -> T:
        """Call an operation by its declaration in ``quorate.contracts``; return its typed response.

        ``body`` and ``query`` are instances of the operation's models, ``ids`` the values of the
        parameters in its path. With a tenant key, the body must name the agent.
        """
        response = await self._context.transport.send(
            request_for(operation, body, query, **ids),
            timeout_seconds=timeout_seconds,
            idempotency_key=idempotency_key,
        )
        return response.result

    # -- Connecting and disconnecting ----------------------------------------

    async def _start(self, nats: "NatsTransport | None") -> None:
        registered = self._registered
        window_seconds = (registered.active_until - registered.last_heartbeat).total_seconds()
        start = self._context.background.start
        self._heartbeat_task = start(partial(self._heartbeats.run, window_seconds), "heartbeats")
        if nats is not None:
            start(nats.run, "connection to NATS")
            await nats.wait_for_first_round(FIRST_CONNECTION_SECONDS_MAX)
        start(self._feed.run, "notification feed")

    async def _register_again(self) -> AgentInfo:
        response = await self._context.transport.send(requests.register(self.name, self.role))
        if response.result.id == self.id:
            _apply_registration(self._context, response)
            self._registered = response.result
        return response.result

    async def _disconnect(self, *, stay: bool) -> None:
        """Release all leases and deregister, for at most ``config.shutdown_timeout_seconds``."""
        context = self._context
        seconds = context.config.shutdown_timeout_seconds
        deadline = context.clock() + seconds
        if self._heartbeat_task is not None:
            self._heartbeat_task.cancel()  # A heartbeat would register the agent again.
        releases = {
            context.background.start(partial(release_lease, context, lease_id), RELEASE_TASK)
            for lease_id in context.waiters.end_all_leases("left")
        }
        await context.background.wait(releases, seconds)
        if not stay:
            leave = partial(deregister, context, self.incarnation)
            leaving = {context.background.start(leave, "deregistration")}
            await context.background.wait(leaving, max(0.0, deadline - context.clock()))
        self._feed.close()


def _apply_registration(context: AgentContext, response: Response[AgentInfo]) -> None:
    registered = response.result
    context.agent_id, context.agent_name = registered.id, registered.name
    context.confirm_liveness(response.sent_at, registered.last_heartbeat, registered.active_until)


async def _create_nats_transport(
    context: AgentContext, address: ServiceAddress
) -> "NatsTransport | None":
    """Create the unconnected NATS transport of the agent; None for HTTP only."""
    if address.nats_url is not None:
        key = await context.execute(requests.get_own_key())
        context.transport.nats = create_nats_transport(
            address.nats_url, address.api_key, key, context.agent_id
        )
    return context.transport.nats

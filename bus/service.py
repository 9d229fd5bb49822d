"""Start and stop everything that uses NATS.

* The service works without NATS: commands never wait for it, and the relay publishes late
  notifications when NATS is back.
* Only an embedded nats-server that cannot be started prevents the start of the service.
"""

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from prometheus_client import CollectorRegistry

from quorate.application.rate_limiter import UNBOUNDED, Rates
from quorate.bus import connection
from quorate.bus.auth.callout import AuthCallout, Authenticate
from quorate.bus.auth.client_limits import ClientLimits, FindAgentKeys
from quorate.bus.auth.connections import ActiveKeys, ConnectedKeys
from quorate.bus.auth.expired_keys import FindExpiredKeys, close_expired_keys
from quorate.bus.auth.jwt import NatsKey
from quorate.bus.broker import CommandBroker
from quorate.bus.command_fast_lane import HOT_OPERATIONS
from quorate.bus.command_tasks import Operations
from quorate.bus.connection import Connect, Connection
from quorate.bus.embedded import login_gate
from quorate.bus.embedded.configuration import ServiceKeys, service_keys
from quorate.bus.embedded.server import LOOPBACK, EmbeddedServer
from quorate.bus.flood_guard import FloodGuard
from quorate.bus.outbox.log_tail import CommittedLog
from quorate.bus.outbox.notification_publisher import AddBodies, PublishListener
from quorate.bus.outbox.relay import Relay
from quorate.domain.identity.api_keys import KeyRevoked
from quorate.domain.identity.tenants import TenantSuspended
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.runtime.tasks import cancel_and_wait

FOLDER = "nats"
READY_SECONDS_MAX = 2.0
DRAIN_SECONDS_MAX = 1.0

log = structlog.get_logger(__name__)


class NatsService:
    """Embedded server (unless ``nats_url`` is given), auth callout, relay, command broker."""

    def __init__(
        self,
        *,
        data_dir: Path,
        authenticate: Authenticate,
        committed: CommittedLog,
        nats_port: int = 0,
        nats_url: str | None = None,
        nats_host: str = LOOPBACK,
        holds_logins: bool = False,
        serves_agents: bool = True,
        find_active_keys: ActiveKeys | None = None,
        find_expired_keys: FindExpiredKeys | None = None,
        find_agent_keys: FindAgentKeys | None = None,
        rates: Rates = UNBOUNDED,
        relays: bool = True,
        keys: ServiceKeys | None = None,
        stream_replicas: int = 1,
        on_published: PublishListener | None = None,
        add_bodies: AddBodies | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """With ``relays`` the relay always runs; else it runs only while ``lead`` is awaited.

        ``holds_logins``: the server at ``nats_url`` is embedded in the parent process. Without
        ``serves_agents``, another process serves logins and commands; this one only knows who is
        connected.
        """
        keys = keys or service_keys(data_dir / FOLDER)
        self._url = nats_url
        self._service_key = keys.service
        self.server = (
            EmbeddedServer(data_dir, keys, host=nats_host, port=nats_port, holds_logins=True)
            if nats_url is None
            else None
        )
        self.connections = ConnectedKeys(
            self._connector(keys.system, "quorate-presence"),
            service_user=keys.service.public,
            find_active_keys=find_active_keys,
        )
        self._limits = ClientLimits(
            self.connections, self._spawn, find_agent_keys=find_agent_keys, registry=registry
        )
        self._flood_guard = FloodGuard(
            rates, on_flood=self._limits.disconnect_agent, registry=registry
        )
        self.callout = AuthCallout(
            *(
                self._callout_connector(keys.service, holds_logins=holds_logins),
                authenticate,
                keys.issuer,
                registry,
            ),
            on_login=self._limits.check_login,
        )
        self._serves_agents = serves_agents
        self._find_expired_keys = find_expired_keys if serves_agents else None
        self._committed = committed
        self._relays = relays
        self._stream_replicas = stream_replicas
        self._on_published = on_published
        self._add_bodies = add_bodies
        self._leads = relays
        self.relay = self._create_relay()
        self._commands: CommandBroker | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def _create_relay(self) -> Relay:
        connect = self._connector(self._service_key, "quorate-relay")
        return Relay(
            connect,
            self._committed,
            self.connections,
            commit_listener=self._disconnect_if_revoked,
            stream_replicas=self._stream_replicas,
            on_published=self._on_published,
            add_bodies=self._add_bodies,
        )

    async def lead(self) -> None:
        """Run the relay until cancelled; it starts where the mirror of the last leader ends."""
        self.relay = self._create_relay()
        task = self._spawn(self.relay.run(), "Relay")  # It ends with the others, before the server.
        self._leads = True
        try:
            await task
        finally:
            self._leads = False
            task.cancel()

    def serve_commands(
        self, operations: Operations, *, fast_lane: Collection[str] = HOT_OPERATIONS
    ) -> None:
        """Serve agents' commands; called before ``start``."""
        self._commands = CommandBroker(
            self._connector(self._service_key, "quorate-commands"),
            operations,
            flood_guard=self._flood_guard,
            fast_lane=fast_lane,
        )

    @property
    def url(self) -> str:
        if self.server is not None:
            return self.server.url
        assert self._url is not None
        return self._url

    async def start(self) -> None:
        """Start all parts; raises ServerFailed when the embedded server cannot be started.

        An external NATS that is down does not fail the start: the parts keep trying to connect.
        """
        if self.server is not None:
            await self.server.start()
        commands = () if self._commands is None else (self._commands,)
        relays = (self.relay,) if self._relays else ()
        logins = (self.callout,) if self._serves_agents else ()
        parts = (self.connections, *logins, *relays, *commands)
        for part in parts:
            self._spawn(part.run(), type(part).__name__)
        if self._find_expired_keys is not None:
            expiry = close_expired_keys(self._find_expired_keys, self.connections)
            self._spawn(expiry, "expired keys")
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS_MAX):
                for part in parts:
                    await part.ready.wait()
                return
        log.warning("nats.not_ready", url=self.url)

    async def stop(self) -> None:
        """Respond to accepted commands and publish committed events, then stop.

        Each of the two may take up to DRAIN_SECONDS_MAX.
        """
        if self._commands is not None:
            await self._commands.drain(DRAIN_SECONDS_MAX)
        if self.relay.status()["connected"]:
            await self.relay.drain(DRAIN_SECONDS_MAX)
        await cancel_and_wait(self._tasks)
        if self.server is not None:
            await self.server.stop()

    def wake(self, rows: Sequence[RecordedEvent] = ()) -> None:
        """Report a commit; ``rows``, if given, are all its events.

        A revoked key's connections are closed at once, because a connection carries the permission
        to send commands. The relay closes them too, also for commits of other processes, but it
        may have a backlog.
        """
        self.relay.wake(rows)
        for row in rows:
            self._disconnect_if_revoked(row)

    async def disconnect(self, key_id: str) -> None:
        """Close the connections of a revoked key now."""
        await self.connections.disconnect(key_id)

    def is_connected(self) -> bool:
        """Return whether agents can connect and get responses."""
        return bool(self.status()["connected"])

    @property
    def connected_keys(self) -> int:
        return len(self.connections.keys)

    def mirror(self) -> str | None:
        """Return the state of the JetStream mirror; None unless this process is the leader."""
        return str(self.relay.status()["mirror"]) if self._leads else None

    def relay_lag(self, head: int) -> int | None:
        """Return how many events up to ``head`` are not relayed; None unless this is the leader."""
        return self.relay.lag_at(head) if self._leads else None

    def status(self) -> Mapping[str, Any]:
        """Return the state of the relay; ``connected``: agents can connect and get responses."""
        relay = self.relay.status()
        serving = self.callout if self._serves_agents else self.connections
        connected = relay["connected"] if self._relays else serving.ready.is_set()
        return {**relay, "connected": connected, "keysConnected": len(self.connections.keys)}

    def _connector(self, key: NatsKey, name: str) -> Connect:
        """Return a function that connects, to an embedded server as soon as clients can."""

        async def connect() -> Connection:
            if self.server is not None:
                await self.server.ready.wait()
            return await connection.connect(self.url, key, name)

        return connect

    def _callout_connector(self, key: NatsKey, *, holds_logins: bool) -> Connect:
        """Return a function that connects the auth callout, for which an embedded server waits."""
        name = "quorate-callout"

        async def connect() -> Connection:
            is_open = not holds_logins
            if self.server is not None:
                await self.server.listening.wait()
                is_open = self.server.ready.is_set()
            elif holds_logins:
                address = urlsplit(self.url)
                is_open = await login_gate.is_open(address.hostname or "", address.port or 0)
            connect_callout = connection.connect if is_open else login_gate.connect_closed
            return await connect_callout(self.url, key, name)

        return connect

    def _disconnect_if_revoked(self, row: RecordedEvent) -> None:
        if row.type == TenantSuspended.__name__:
            self._spawn(self.connections.disconnect_inactive(), "disconnect")
        if row.type == KeyRevoked.__name__:
            self._spawn(self.connections.disconnect(orjson.loads(row.data)["keyId"]), "disconnect")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

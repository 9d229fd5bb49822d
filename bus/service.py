"""Everything that has to do with NATS, as one thing to start and to stop.

The service works without it: commands never wait for NATS, and what could not be pushed follows
when it can. Only a nats-server of our own that can't be started at all stops the start.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import structlog

from quorate.bus import connection
from quorate.bus.auth.callout import AuthCallout, Authenticate
from quorate.bus.auth.connections import ActiveKeys, ConnectedKeys
from quorate.bus.auth.jwt import NatsKey
from quorate.bus.command_dispatch import CommandDispatcher, Operations
from quorate.bus.connection import Connect
from quorate.bus.embedded.configuration import ServiceKeys, service_keys
from quorate.bus.embedded.server import LOOPBACK, EmbeddedServer
from quorate.bus.outbox.log_tail import CommittedLog
from quorate.bus.outbox.notification_publisher import PublishListener
from quorate.bus.outbox.relay import Relay
from quorate.domain.identity.api_keys import KeyRevoked
from quorate.eventlog.metrics import Histogram
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.runtime.tasks import cancel_and_wait

FOLDER = "nats"
READY_SECONDS_MAX = 2.0
DRAIN_SECONDS_MAX = 1.0

log = structlog.get_logger(__name__)


class NatsService:
    """Server (unless ``nats_url`` names another), callout and relay; and commands, if served."""

    def __init__(
        self,
        *,
        data_dir: Path,
        authenticate: Authenticate,
        committed: CommittedLog,
        nats_port: int = 0,
        nats_url: str | None = None,
        nats_host: str = LOOPBACK,
        find_active_keys: ActiveKeys | None = None,
        relays: bool = True,
        keys: ServiceKeys | None = None,
        stream_replicas: int = 1,
        on_published: PublishListener | None = None,
    ) -> None:
        """Unless it ``relays`` from start to end, it does so while somebody awaits ``lead``."""
        keys = keys or service_keys(data_dir / FOLDER)
        self._url = nats_url
        self._service_key = keys.service
        self.server = (
            EmbeddedServer(data_dir, keys, host=nats_host, port=nats_port)
            if nats_url is None
            else None
        )
        self.connections = ConnectedKeys(
            self._as(keys.system, "quorate-presence"),
            ourselves=keys.service.public,
            find_active_keys=find_active_keys,
        )
        self.callout = AuthCallout(
            self._as(keys.service, "quorate-callout"), authenticate, keys.issuer
        )
        self._committed = committed
        self._relays = relays
        self._stream_replicas = stream_replicas
        self._on_published = on_published
        self._leads = relays
        self.relay = self._new_relay()
        self._commands: CommandDispatcher | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def _new_relay(self) -> Relay:
        connect = self._as(self._service_key, "quorate-relay")
        return Relay(
            connect,
            self._committed,
            self.connections,
            commit_listener=self._commit_listener,
            stream_replicas=self._stream_replicas,
            on_published=self._on_published,
        )

    async def lead(self) -> None:
        """Relay for as long as this is awaited: from where the last one's copy ends."""
        self.relay = self._new_relay()
        task = self._spawn(self.relay.run(), "Relay")  # It ends with the others, before the server.
        self._leads = True
        try:
            await task
        finally:
            self._leads = False
            task.cancel()

    def serve(self, operations: Operations) -> None:
        """Answer agents' commands from the start on."""
        self._commands = CommandDispatcher(
            self._as(self._service_key, "quorate-commands"), operations
        )

    @property
    def url(self) -> str:
        if self.server is not None:
            return self.server.url
        assert self._url is not None
        return self._url

    async def start(self) -> None:
        """Raises ServerFailed; a NATS of your own that is down is waited for in the background."""
        if self.server is not None:
            await self.server.start()
        served = () if self._commands is None else (self._commands,)
        relays = (self.relay,) if self._relays else ()
        parts = (self.connections, self.callout, *relays, *served)
        for part in parts:
            self._spawn(part.run(), type(part).__name__)
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS_MAX):
                for part in parts:
                    await part.ready.wait()
                return
        log.warning("nats_not_ready", url=self.url)

    async def stop(self) -> None:
        """Answer the commands that were taken and say what is committed, if neither takes longer
        than DRAIN_SECONDS_MAX, and end.
        """
        if self._commands is not None:
            await self._commands.drain(DRAIN_SECONDS_MAX)
        if self.relay.status()["connected"]:
            await self.relay.drain(DRAIN_SECONDS_MAX)
        await cancel_and_wait(self._tasks)
        if self.server is not None:
            await self.server.stop()

    def wake(self, rows: Sequence[RecordedEvent] = ()) -> None:
        """Something was committed: ``rows``, if given, are all that was.

        The relay witnesses a revocation as well, wherever it was committed. But it may have much
        to say before, and with a connection goes the right to command.
        """
        self.relay.wake(rows)
        for row in rows:
            self._commit_listener(row)

    async def disconnect(self, key_id: str) -> None:
        """End the connections of a revoked key now."""
        await self.connections.disconnect(key_id)

    def is_connected(self) -> bool:
        """Whether agents can connect and are answered."""
        return bool(self.status()["connected"])

    @property
    def connected_keys(self) -> int:
        return len(self.connections.keys)

    @property
    def login_seconds(self) -> Mapping[str, Histogram]:
        """How long logins took until they were answered, by outcome."""
        return self.callout.seconds

    def mirror(self) -> str | None:
        """How the copy in JetStream stands, if this process is the one that makes it."""
        return str(self.relay.status()["mirror"]) if self._leads else None

    def relay_lag(self, head: int) -> int | None:
        """How many events of a log that ends there are not relayed, if that is for us to do."""
        return self.relay.lag_at(head) if self._leads else None

    def status(self) -> Mapping[str, Any]:
        """``connected`` tells whether agents can connect and are answered."""
        relay = self.relay.status()
        connected = relay["connected"] if self._relays else self.callout.ready.is_set()
        return {**relay, "connected": connected, "keysConnected": len(self.connections.keys)}

    def _as(self, key: NatsKey, name: str) -> Connect:
        return lambda: connection.connect(self.url, key, name)

    def _commit_listener(self, row: RecordedEvent) -> None:
        if row.type == KeyRevoked.__name__:
            self._spawn(self.connections.disconnect(orjson.loads(row.data)["keyId"]), "kick")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

"""Support for bus tests: a log in memory, API keys, and subscribed clients."""

import asyncio
import hashlib
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
from nats.aio import client as nats_py
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from quorate.application.rate_limiter import UNBOUNDED, Rates
from quorate.bus import connection
from quorate.bus.connection import Connect, Connection, ConnectionLost
from quorate.bus.embedded.configuration import service_keys
from quorate.bus.embedded.server import EmbeddedServer
from quorate.bus.outbox.jetstream_stream import STREAM
from quorate.bus.outbox.notification_publisher import AddBodies
from quorate.bus.service import FOLDER, NatsService
from quorate.domain.identity.key_format import KEY_ID_LENGTH
from quorate.domain.identity.principals import Principal, Role
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.recorded_event import RecordedEvent
from tests.support.nats_client import Client

JETSTREAM_SECONDS_MAX = 30.0  # nats-py waits for 5 s, too short for a cluster on a busy machine.
CLOSE_SECONDS_MAX = 5.0
WAIT_SECONDS_MAX = 30.0
POLL_SECONDS = 0.01
RECONNECT_SECONDS = 0.1
LOAD_PAUSE_SECONDS = 0.001
TENANT, OTHER_TENANT = "acme", "globex"


def agent_id(number: int) -> str:
    return f"agent_{UUID(int=number)}"


ANN, BOB, EVE = agent_id(1), agent_id(2), agent_id(3)
REVOKED = f"quorate.{TENANT}.agent.{ANN}.lease_revoked"


async def until(
    condition: Callable[[], bool | Awaitable[bool]], seconds: float = WAIT_SECONDS_MAX
) -> None:
    """Wait until the condition is true; fail after ``seconds``."""
    async with asyncio.timeout(seconds):
        while True:
            response = condition()
            if response if isinstance(response, bool) else await response:
                return
            await asyncio.sleep(POLL_SECONDS)


class MemoryLog:
    """A log of committed rows in memory."""

    def __init__(self) -> None:
        self.rows: list[RecordedEvent] = []
        self.archived_until = 0
        self.reads = 0
        self._sequences: Counter[str] = Counter()

    async def after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        self.reads += 1
        return self.rows[position : position + limit]

    async def committed_head(self) -> int:
        return len(self.rows)

    async def archived(self) -> int:
        return self.archived_until

    def append(
        self, type_: str, facts: dict[str, Any], *, tenant: str = TENANT, age_seconds: float = 0
    ) -> RecordedEvent:
        self._sequences[tenant] += 1
        position = len(self.rows) + 1
        row = RecordedEvent(
            position=position,
            tenant=tenant,
            sequence=self._sequences[tenant],
            id=str(uuid4()),
            stream="lease-user@example.com",
            type=type_,
            version=1,
            at=Timestamp(int((time.time() - age_seconds) * 1000)),
            actor=ANN,
            command_id=str(uuid4()),
            data=orjson.dumps(facts, option=orjson.OPT_SORT_KEYS),
            hash=hashlib.sha256(b"%d" % position).digest(),
        )
        self.rows.append(row)
        return row

    def append_grant(self, agent: str = ANN, *, age_seconds: float = 0) -> RecordedEvent:
        """Append an event without notifications."""
        return self.append("LeaseAcquired", {"agentId": agent}, age_seconds=age_seconds)

    def append_revocation(
        self, agent: str = ANN, *, tenant: str = TENANT, age_seconds: float = 0
    ) -> RecordedEvent:
        """Append an event with a notification to its agent."""
        facts = {"agentId": agent, "reason": "agent_inactive"}
        return self.append("LeaseRevoked", facts, tenant=tenant, age_seconds=age_seconds)

    def append_timeout(self, agent: str = ANN, *, tenant: str = TENANT) -> RecordedEvent:
        """Append an event with a notification to all agents."""
        return self.append("AgentLapsed", {"agentId": agent}, tenant=tenant)


class KeyStore:
    """Valid tokens; a token is the id of its key."""

    def __init__(self) -> None:
        self.principals: dict[str, Principal] = {}
        self.pause_seconds = 0.0

    def issue(self, role: Role, tenant: str = TENANT, agent: str | None = None) -> Principal:
        key_id = f"{role}{len(self.principals):0{KEY_ID_LENGTH - len(role)}d}"
        principal = Principal(key_id=key_id, role=role, tenant=tenant, agent_id=agent)
        self.principals[key_id] = principal
        return principal

    async def authenticate(self, token: str, _host: str) -> Principal | None:
        if self.pause_seconds:
            await asyncio.sleep(self.pause_seconds)
        return self.principals.get(token)

    async def find_active_keys(self, key_ids: Collection[str]) -> Collection[str]:
        return self.principals.keys() & set(key_ids)

    async def find_agent_keys(self, tenant: str, agent_id: str) -> Collection[str]:
        return [
            key_id
            for key_id, principal in self.principals.items()
            if (principal.tenant, principal.agent_id) == (tenant, agent_id)
        ]


class Listener:
    """A reconnecting client like an agent's; it stores the messages it receives."""

    def __init__(self) -> None:
        self.client = Client()
        self.received: list[Msg] = []
        self.errors: list[str] = []
        self.losses = 0

    async def connect(
        self,
        url: str,
        token: str,
        *,
        reconnects: bool = False,
        wait_seconds: float = RECONNECT_SECONDS,
        inbox_prefix: str = "_INBOX",
        connect_timeout_seconds: int = 2,
    ) -> "Listener":
        await self.client.connect(
            url,
            token=token,
            error_cb=self._on_error,
            disconnected_cb=self._on_lost,
            allow_reconnect=reconnects,
            max_reconnect_attempts=-1 if reconnects else 1,
            reconnect_time_wait=wait_seconds,  # type: ignore[arg-type]  # It is slept, no more.
            inbox_prefix=inbox_prefix,
            connect_timeout=connect_timeout_seconds,
        )
        return self

    async def subscribe(self, *subjects: str) -> "Listener":
        for subject in subjects:
            await self.client.subscribe(subject, cb=self._on_message)
        await self.client.flush()
        return self

    def ids(self, subject: str) -> list[str]:
        """Return the ids received on a subject, without duplicates, in order."""
        return list(dict.fromkeys(id_of(m) for m in self.received if m.subject == subject))

    async def _on_message(self, message: Msg) -> None:
        self.received.append(message)

    async def _on_error(self, error: Exception) -> None:
        self.errors.append(str(error))
        if not self.client.is_connected:
            await self.client.close_socket()

    async def _on_lost(self) -> None:
        self.losses += 1


def ids(rows: Sequence[RecordedEvent]) -> list[str]:
    return [row.id for row in rows]


def id_of(message: Msg) -> str:
    assert message.headers is not None
    return message.headers["Nats-Msg-Id"]


class Stage:
    """The NATS service with a log, keys and subscribed clients.

    Without ``server`` the service runs an embedded one.
    """

    def __init__(
        self, folder: Path, server: EmbeddedServer | None = None, *, rates: Rates = UNBOUNDED
    ) -> None:
        self.folder = folder
        self._rates = rates
        self.log = MemoryLog()
        self.keys = KeyStore()
        self.add_bodies: AddBodies | None = None
        self.server = server
        self.nats_service = self.create_nats_service()
        self._clients: list[nats_py.Client] = []

    def create_nats_service(self) -> NatsService:
        return NatsService(
            data_dir=self.folder,
            authenticate=self.keys.authenticate,
            committed=self.log,
            nats_url=self.server.url if self.server is not None else None,
            find_active_keys=self.keys.find_active_keys,
            find_agent_keys=self.keys.find_agent_keys,
            rates=self._rates,
            add_bodies=self._add_bodies,
        )

    async def _add_bodies(self, rows: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
        return rows if self.add_bodies is None else await self.add_bodies(rows)

    @property
    def running_server(self) -> EmbeddedServer:
        server = self.server or self.nats_service.server
        assert server is not None
        return server

    async def listener(self, principal: Principal, *subjects: str) -> Listener:
        listener = self.new_listener()
        await listener.connect(self.nats_service.url, principal.key_id)
        return await listener.subscribe(*subjects)

    async def agent(
        self,
        agent: str = ANN,
        *,
        reconnects: bool = True,
        wait_seconds: float = RECONNECT_SECONDS,
    ) -> Listener:
        """Connect an agent and subscribe to all its notifications."""
        key = self.keys.issue("agent", TENANT, agent)
        listener = self.new_listener()
        await listener.connect(
            self.nats_service.url, key.key_id, reconnects=reconnects, wait_seconds=wait_seconds
        )
        return await listener.subscribe(
            f"quorate.{TENANT}.agent.{agent}.>", f"quorate.{TENANT}.all.>"
        )

    def new_listener(self) -> Listener:
        """Return a client that is not connected yet; the stage closes it."""
        listener = Listener()
        self._clients.append(listener.client)
        return listener

    def connector(self, name: str) -> Connect:
        """Return a function that connects as the service, with all permissions of its account."""
        key = service_keys(self.folder / FOLDER).service
        return lambda: connection.connect(self.nats_service.url, key, name)

    async def jetstream(self) -> JetStreamContext:
        service = await self.service()
        return service.client.jetstream(timeout=JETSTREAM_SECONDS_MAX)

    async def service(self) -> Connection:
        opened = await self.connector("test")()
        self._clients.append(opened.client)
        return opened

    async def stream_holds(self, rows: Sequence[RecordedEvent]) -> bool:
        """Return whether the stream has exactly these rows, each at its position."""
        try:
            service = await self.connector("test")()
        except ConnectionLost:
            return False
        try:
            jetstream = service.client.jetstream()
            state = (await jetstream.stream_info(STREAM)).state
            if state.messages != len(rows) or state.last_seq != rows[-1].position:
                return False
            for row in rows:
                found = await jetstream.get_msg(STREAM, row.position)
                assert found.headers is not None
                assert found.headers["Nats-Msg-Id"] == row.id
        except (NotFoundError, NatsError, OSError):
            return False
        else:
            return True
        finally:
            await service.close()

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Commit events with notifications to Ann continuously inside the block."""

        async def commit() -> None:
            while True:
                self.nats_service.wake([self.log.append_revocation(ANN)])
                await asyncio.sleep(LOAD_PAUSE_SECONDS)

        work = asyncio.create_task(commit())
        try:
            yield
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def grown(self, rows: int) -> None:
        """Wait until the log has grown by ``rows``."""
        enough = len(self.log.rows) + rows
        await until(lambda: len(self.log.rows) >= enough)

    def kill_server(self) -> None:
        pid = self.running_server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    async def restart(self) -> None:
        """Stop the service and start a new one, like a new process."""
        await self.nats_service.stop()
        self.nats_service = self.create_nats_service()
        await self.nats_service.start()

    async def close(self) -> None:
        for client in self._clients:
            with suppress(TimeoutError):  # nats-py 2.16 can wait forever for a server that is gone.
                await asyncio.wait_for(client.close(), CLOSE_SECONDS_MAX)
        await self.nats_service.stop()
        if self.server is not None:
            await self.server.stop()

"""Track the API keys that are connected to NATS, and disconnect those that must not be.

* The server's own reports are the source: connect and disconnect events, and lists of connections.
* The keys of a tenant that is suspended are disconnected, and may connect again when it is resumed.
* A revoked key is disconnected each time it connects. A login that was in progress during the
  revocation therefore ends with its own connect event; no waiting time has to be guessed.
* A key that expires is disconnected in the same way (bus/auth/expired_keys.py).
* Each connection to the server looks up whether the connected keys are active. A revocation that
  was committed while the server was unreachable, or just before a crash, therefore takes effect.
* A key may have CONNECTIONS_PER_KEY_MAX connections, and a connection one subscription to a subject
  (bus/auth/subscription_check.py). What exceeds this is disconnected and reported to ``on_excess``.
* When the server goes away, its clients are expected to reconnect. ``wait_until_reconnected`` lets
  the relay wait for them before it publishes notifications again that may have been lost.
* When only the service's own connection breaks, the next one lists the connections again.
"""

import asyncio
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import ClassVar, NoReturn, TypeAlias

import orjson
import structlog
from nats.aio.msg import Msg

from quorate.bus.auth.subscription_check import (
    CHECK_SECONDS,
    check_request,
    read_subscriptions,
)
from quorate.bus.connection import Connect, Connection, RequestTimeout, keep_connected
from quorate.bus.embedded.configuration import ACCOUNT
from quorate.domain.identity.key_format import KEY_ID_LENGTH
from quorate.domain.shared.records import record

_CONNECTED = f"$SYS.ACCOUNT.{ACCOUNT}.CONNECT"
_DISCONNECTED = f"$SYS.ACCOUNT.{ACCOUNT}.DISCONNECT"
_CONNECTIONS = "$SYS.REQ.SERVER.PING.CONNZ"
# Any other user name belongs to a user in the server's configuration.
_KEY_ID = re.compile(rf"[a-z0-9]{{{KEY_ID_LENGTH}}}")
CONNECTIONS_MAX = 65_536
CONNECTIONS_PER_KEY_MAX = 16
# The server ends a connection that sends a message above its limit. A key that connects again for
# more of them, this often between two checks, is refused for a while.
LARGE_MESSAGES_MAX = 3
_MESSAGE_TOO_LARGE = "Maximum Message Payload Exceeded"  # The server's reason for a disconnect.
REVOKED_KEYS_MAX = 10_000
# Every server of a cluster responds; after this pause all have.
QUIET_SECONDS = 0.05
LOGIN_SECONDS_MAX = 2.0  # Longer than the auth callout takes to respond.
FIRST_RESPONSE_SECONDS_MAX = 2.0
POLL_SECONDS = 0.1
# Clients subscribe within a round trip after the login; later the relay does not wait for them.
SUBSCRIBE_SECONDS_MAX = 0.5

ConnectionId: TypeAlias = tuple[str, int]  # A server's id, and its number for the connection.
# Returns those of some keys that are valid.
ActiveKeys: TypeAlias = Callable[[Collection[str]], Awaitable[Collection[str]]]

log = structlog.get_logger(__name__)


@record
class ConnectedClient:
    id: ConnectionId
    key_id: str
    has_subscriptions: bool


@record
class Excess:
    """A connection of a key was closed because of a limit."""

    CONNECTIONS: ClassVar = "connections"
    SUBSCRIPTIONS: ClassVar = "subscriptions"
    PAYLOAD: ClassVar = "payload"
    REASONS: ClassVar = (CONNECTIONS, SUBSCRIPTIONS, PAYLOAD)

    key_id: str
    reason: str

    @property
    def refuses_logins(self) -> bool:
        """Whether the key must wait; a key with too many connections keeps its others."""
        return self.reason != self.CONNECTIONS


def _ignore(_excess: Excess) -> None: ...


def _refuse_none(_key_id: str) -> bool:
    return False


class ConnectedKeys:
    """The connected keys as the server's system account reports them.

    ``service_user`` is the service's own user, which is left out.
    """

    def __init__(
        self, connect: Connect, *, service_user: str, find_active_keys: ActiveKeys | None = None
    ) -> None:
        self._connect = connect
        self._service_user = service_user
        self._find_active_keys = find_active_keys
        self._connection: Connection | None = None
        self._key_ids: dict[ConnectionId, str] = {}
        self._seen_at: dict[ConnectionId, float] = {}
        self._expected: set[str] = set()
        self._revoked: OrderedDict[str, None] = OrderedDict()
        self._disconnects: set[asyncio.Task[None]] = set()
        self._counts: Counter[str] = Counter()  # Connections by key.
        self._large_messages: Counter[str] = Counter()  # By key, since the last check.
        self.on_excess: Callable[[Excess], None] = _ignore
        # Whether the connections of a key are closed for a while. A login that was accepted just
        # before the refusal is closed at its connect event.
        self.is_refused: Callable[[str], bool] = _refuse_none
        self.ready = asyncio.Event()

    @property
    def keys(self) -> frozenset[str]:
        """The ids of the connected keys."""
        return frozenset(self._key_ids.values())

    def count(self, key_id: str) -> int:
        """Return how many connections this key has."""
        return self._counts.get(key_id, 0)

    async def run(self) -> NoReturn:
        await keep_connected(self._connect, self._handle_connection, name="quorate-presence")

    # -- Waiting for reconnects ----------------------------------------------

    async def wait_until_reconnected(self, seconds_max: float) -> bool:
        """Wait until all clients of before have reconnected and subscribed.

        Returns False after ``seconds_max``; those that are missing are then no longer expected.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                while True:
                    if await self._has_everyone_reconnected():
                        return True
                    await asyncio.sleep(POLL_SECONDS)
        self._expected.clear()
        return False

    async def _has_everyone_reconnected(self) -> bool:
        connection = self._connection
        if connection is None:
            return False
        try:
            clients = await self._list_clients(connection)
        except RequestTimeout:
            return False  # The service's own connection is about to be replaced as well.
        now = time.monotonic()
        settled = {id_ for id_, at in self._seen_at.items() if at < now - SUBSCRIBE_SECONDS_MAX}
        for id_ in settled - {client.id for client in clients}:
            self._remove(id_)  # Its disconnect event was missed; else it would be expected forever.
        returned = {
            client.key_id for client in clients if client.has_subscriptions or client.id in settled
        }
        if not (self._expected | self.keys) <= returned:
            return False
        self._expected.clear()
        return True

    # -- Disconnecting ended keys --------------------------------------------

    async def disconnect(self, *key_ids: str) -> None:
        """Close all connections of these keys, and every later one."""
        for key_id in key_ids:
            self._remember_revoked(key_id)
        if (connection := self._connection) is None:
            return  # The next connection lists the clients first.
        ended = set(key_ids)
        for id_ in [id_ for id_, holder in self._key_ids.items() if holder in ended]:
            await self._close(connection, id_)
        with suppress(RequestTimeout):
            await self._close_revoked(connection, await self._list_clients(connection))

    async def close_keys(self, key_ids: Collection[str]) -> frozenset[str]:
        """Close the connections of these keys; return the keys that had one."""
        if (connection := self._connection) is None:
            return frozenset()
        found = {id_: key_id for id_, key_id in self._key_ids.items() if key_id in key_ids}
        await asyncio.gather(*(self._close(connection, id_) for id_ in found))
        return frozenset(found.values())

    def _remember_revoked(self, key_id: str) -> None:
        self._revoked[key_id] = None
        self._revoked.move_to_end(key_id)
        while len(self._revoked) > REVOKED_KEYS_MAX:
            self._revoked.popitem(last=False)

    async def disconnect_inactive(self) -> None:
        """Close the connections of keys that may not be used now, as those of a suspended tenant.

        They are looked up twice, because a login may be in progress. The keys are not remembered:
        they may be used again later, and until then their logins are rejected.
        """
        for pause in (0.0, LOGIN_SECONDS_MAX):
            await asyncio.sleep(pause)
            inactive = await self._find_inactive()
            for id_, key_id in list(self._key_ids.items()):
                if key_id in inactive and self._connection is not None:
                    await self._close(self._connection, id_)

    async def _find_inactive(self) -> Collection[str]:
        """Return the connected keys that are not valid or belong to a suspended tenant."""
        key_ids = {name for name in self.keys if _KEY_ID.fullmatch(name)}
        if self._find_active_keys is None or not key_ids:
            return ()
        try:
            return key_ids - set(await self._find_active_keys(key_ids))
        except Exception:
            log.exception("nats.key_check_failed")
            return ()

    async def _close_revoked(
        self,
        connection: Connection,
        clients: Sequence[ConnectedClient],
        inactive: Collection[str] = (),
    ) -> None:
        for client in clients:
            if self._is_ended(client.key_id) or client.key_id in inactive:
                await self._close(connection, client.id)

    async def _close(self, connection: Connection, id_: ConnectionId) -> None:
        server_id, number = id_
        with suppress(RequestTimeout):  # If the server is gone, so is the connection.
            body = orjson.dumps({"cid": number})
            await connection.request(f"$SYS.REQ.SERVER.{server_id}.KICK", body)

    # -- Reports of the server -----------------------------------------------

    async def _handle_connection(self, connection: Connection) -> None:
        client = connection.client
        try:
            await client.subscribe(_CONNECTED, cb=self._on_connected)
            await client.subscribe(_DISCONNECTED, cb=self._on_disconnected)
            await connection.flush()
            clients = await self._list_clients(connection)
            for each in clients:
                self._add(each.id, each.key_id)
            self._connection = connection
            await self._close_revoked(connection, clients, await self._find_inactive())
            self.ready.set()
            while not connection.lost.is_set():
                await self._close_excess(connection)
                with suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_SECONDS):
                        await connection.lost.wait()
        finally:
            self._connection = None
            self._expected |= self.keys
            self._key_ids.clear()
            self._counts.clear()
            self._seen_at.clear()

    async def _list_clients(self, connection: Connection) -> Sequence[ConnectedClient]:
        """Request the connections of every server; raises RequestTimeout when none responds."""
        request = orjson.dumps({"auth": True, "acc": ACCOUNT, "limit": CONNECTIONS_MAX})
        responses = await self._request_connections(connection, request)
        return [client for response in responses for client in _read_clients(response)]

    async def _request_connections(self, connection: Connection, request: bytes) -> list[Msg]:
        """Return the response of every server; raises RequestTimeout when none responds."""
        client = connection.client
        inbox = client.new_inbox()
        responses = await client.subscribe(inbox)
        await client.publish(_CONNECTIONS, request, reply=inbox)
        received: list[Msg] = []
        timeout_seconds = FIRST_RESPONSE_SECONDS_MAX
        try:
            while True:
                # The timeout of nats-py 2.16 can lose a cancellation.
                async with asyncio.timeout(timeout_seconds):
                    received.append(await responses.next_msg(timeout=None))
                timeout_seconds = QUIET_SECONDS
        except TimeoutError:
            if timeout_seconds == FIRST_RESPONSE_SECONDS_MAX:
                raise RequestTimeout(_CONNECTIONS) from None
        except Exception as error:
            raise RequestTimeout(_CONNECTIONS) from error
        finally:
            with suppress(Exception):
                await responses.unsubscribe()
        return received

    async def _on_connected(self, message: Msg) -> None:
        id_, key_id = _read_event(message)
        self._add(id_, key_id)
        if self._is_ended(key_id):
            self._start_closing(id_)
        elif self._exceeds_limit(key_id):
            self._start_closing(id_)
            self.on_excess(Excess(key_id=key_id, reason=Excess.CONNECTIONS))

    def _is_ended(self, key_id: str) -> bool:
        return key_id in self._revoked or self.is_refused(key_id)

    def _start_closing(self, id_: ConnectionId) -> None:
        if self._connection is not None:
            disconnect = asyncio.create_task(self._close(self._connection, id_))
            self._disconnects.add(disconnect)
            disconnect.add_done_callback(self._disconnects.discard)

    def _exceeds_limit(self, key_id: str) -> bool:
        return self.count(key_id) > CONNECTIONS_PER_KEY_MAX and bool(_KEY_ID.fullmatch(key_id))

    async def _close_excess(self, connection: Connection) -> None:
        """Close connections beyond the limit of their key, and those with equal subscriptions.

        Also close those of ended keys again, for a server that did not respond in time before.
        """
        self._large_messages.clear()
        for id_ in [id_ for id_, key_id in self._key_ids.items() if self._is_ended(key_id)]:
            await self._close(connection, id_)
        for key_id in [key_id for key_id in self._counts if self._exceeds_limit(key_id)]:
            mine = [id_ for id_, holder in self._key_ids.items() if holder == key_id]
            for id_ in mine[CONNECTIONS_PER_KEY_MAX:]:
                await self._close(connection, id_)
            self.on_excess(Excess(key_id=key_id, reason=Excess.CONNECTIONS))
        with suppress(RequestTimeout):
            for response in await self._request_connections(connection, check_request(ACCOUNT)):
                for each in read_subscriptions(response):
                    if each.exceeds_limit and _KEY_ID.fullmatch(each.key_id):
                        await self._close(connection, (each.server_id, each.number))
                        self.on_excess(Excess(key_id=each.key_id, reason=Excess.SUBSCRIPTIONS))

    async def _on_disconnected(self, message: Msg) -> None:
        id_, key_id = _read_event(message)
        self._remove(id_)
        if orjson.loads(message.data).get("reason") == _MESSAGE_TOO_LARGE:
            self._large_messages[key_id] += 1
            if self._large_messages[key_id] == LARGE_MESSAGES_MAX:
                self.on_excess(Excess(key_id=key_id, reason=Excess.PAYLOAD))

    def _add(self, id_: ConnectionId, key_id: str) -> None:
        if key_id != self._service_user:
            if id_ not in self._key_ids:
                self._counts[key_id] += 1
            self._key_ids[id_] = key_id
            self._seen_at.setdefault(id_, time.monotonic())

    def _remove(self, id_: ConnectionId) -> None:
        key_id = self._key_ids.pop(id_, None)
        self._seen_at.pop(id_, None)
        if key_id is not None:
            self._counts[key_id] -= 1
            if not self._counts[key_id]:
                del self._counts[key_id]


def _read_clients(message: Msg) -> Sequence[ConnectedClient]:
    response = orjson.loads(message.data)
    server_id = response["server"]["id"]
    return [
        ConnectedClient(
            id=(server_id, each["cid"]),
            key_id=each.get("authorized_user", ""),
            has_subscriptions=each["subscriptions"] > 0,
        )
        for each in response["data"].get("connections") or ()
    ]


def _read_event(message: Msg) -> tuple[ConnectionId, str]:
    event = orjson.loads(message.data)
    client = event["client"]
    return (event["server"]["id"], client["id"]), client.get("user", "")

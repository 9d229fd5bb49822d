"""Who is connected to NATS now, as the server itself tells it, and showing somebody the door.

* A key that was kicked is kicked again whenever it shows up: a login that was being answered while
  the key was revoked ends with its own connect notification, and nobody has to guess how long to wait.
* Whoever is found connected is asked for its key's standing: a revocation that was committed while
  we could not see the server, or just before we ended, counts all the same.
* When the server goes away, those who were connected are expected back; ``all_back`` tells the
  relay when they are, so that what may have been lost is said to those whom it concerns.
* A connection of ours that breaks alone changes nothing: the next one asks who is there.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import NoReturn, TypeAlias

import orjson
import structlog
from nats.aio.msg import Msg

from quorate.bus.connection import Connect, Connection, RequestTimeout, keep_connected
from quorate.bus.embedded.configuration import ACCOUNT
from quorate.domain.identity.api_keys import KEY_ID_LENGTH
from quorate.domain.shared.records import record

_CONNECTED = f"$SYS.ACCOUNT.{ACCOUNT}.CONNECT"
_DISCONNECTED = f"$SYS.ACCOUNT.{ACCOUNT}.DISCONNECT"
_CONNECTIONS = "$SYS.REQ.SERVER.PING.CONNZ"
# By any other name it is somebody whom the server itself knows.
_KEY_ID = re.compile(rf"[a-z0-9]{{{KEY_ID_LENGTH}}}")
CONNECTIONS_MAX = 65_536
KICKED_KEYS_MAX = 10_000
SERVERS_QUIET_SECONDS = 0.05  # Every server of a cluster answers; after this pause all have.
FIRST_ANSWER_SECONDS_MAX = 2.0
LOOK_SECONDS = 0.1
# Subscriptions follow a login within a round trip; who has none by now does not want any.
SUBSCRIBE_SECONDS_MAX = 0.5

Link: TypeAlias = tuple[str, int]  # A server's id, and its number for the connection.
# Those of some keys that were not revoked.
ActiveKeys: TypeAlias = Callable[[Collection[str]], Awaitable[Collection[str]]]

log = structlog.get_logger(__name__)


@record
class Connected:
    link: Link
    key_id: str
    subscribes: bool


class ConnectedKeys:
    """A view of the server through its system account; ``ourselves`` is the service's own user."""

    def __init__(
        self, connect: Connect, *, ourselves: str, find_active_keys: ActiveKeys | None = None
    ) -> None:
        self._connect = connect
        self._ourselves = ourselves
        self._find_active_keys = find_active_keys
        self._connection: Connection | None = None
        self._links: dict[Link, str] = {}
        self._seen_at: dict[Link, float] = {}
        self._expected: set[str] = set()
        self._kicked: OrderedDict[str, None] = OrderedDict()
        self._kicks: set[asyncio.Task[None]] = set()
        self.ready = asyncio.Event()

    @property
    def keys(self) -> frozenset[str]:
        """The keys that are connected."""
        return frozenset(self._links.values())

    async def run(self) -> NoReturn:
        await keep_connected(self._connect, self._session, name="quorate-presence")

    # -- Waiting for those who were here -------------------------------------

    async def wait_until_reconnected(self, seconds_max: float) -> bool:
        """Wait until all who were connected are again, and subscribe; at most ``seconds_max``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                while True:
                    if await self._are_back():
                        return True
                    await asyncio.sleep(LOOK_SECONDS)
        self._expected.clear()
        return False

    async def _are_back(self) -> bool:
        connection = self._connection
        if connection is None:
            return False
        try:
            here = await self._look(connection)
        except RequestTimeout:
            return False  # Our own connection is about to be replaced as well.
        now = time.monotonic()
        settled = {link for link, at in self._seen_at.items() if at < now - SUBSCRIBE_SECONDS_MAX}
        for link in settled - {each.link for each in here}:
            self._remove(link)  # Its end was missed, or it would be expected for ever.
        back = {each.key_id for each in here if each.subscribes or each.link in settled}
        if not (self._expected | self.keys) <= back:
            return False
        self._expected.clear()
        return True

    # -- Kicking -------------------------------------------------------------

    async def disconnect(self, key_id: str) -> None:
        """End every connection of this key, and each that it may still make."""
        self._remember(key_id)
        if (connection := self._connection) is None:
            return  # The next session looks for it first.
        for link in [link for link, holder in self._links.items() if holder == key_id]:
            await self._end(connection, link)
        with suppress(RequestTimeout):
            await self._sweep(connection, await self._look(connection))

    def _remember(self, key_id: str) -> None:
        self._kicked[key_id] = None
        self._kicked.move_to_end(key_id)
        while len(self._kicked) > KICKED_KEYS_MAX:
            self._kicked.popitem(last=False)

    async def _check(self) -> None:
        """Remember those of the connected keys that were revoked unseen."""
        asked = {name for name in self.keys if _KEY_ID.fullmatch(name)}
        if self._find_active_keys is None or not asked:
            return
        try:
            for key_id in asked - set(await self._find_active_keys(asked)):
                self._remember(key_id)
        except Exception:
            log.exception("nats_keys_not_checked")

    async def _sweep(self, connection: Connection, here: Sequence[Connected]) -> None:
        for each in here:
            if each.key_id in self._kicked:
                await self._end(connection, each.link)

    async def _end(self, connection: Connection, link: Link) -> None:
        server_id, number = link
        with suppress(RequestTimeout):  # If the server is gone, so is the connection.
            body = orjson.dumps({"cid": number})
            await connection.request(f"$SYS.REQ.SERVER.{server_id}.KICK", body)

    # -- Listening to the server ---------------------------------------------

    async def _session(self, connection: Connection) -> None:
        client = connection.client
        try:
            await client.subscribe(_CONNECTED, cb=self._on_connected)
            await client.subscribe(_DISCONNECTED, cb=self._on_disconnected)
            await connection.flush()
            here = await self._look(connection)
            for each in here:
                self._add(each.link, each.key_id)
            self._connection = connection
            await self._check()
            await self._sweep(connection, here)
            self.ready.set()
            await connection.lost.wait()
        finally:
            self._connection = None
            self._expected |= self.keys
            self._links.clear()
            self._seen_at.clear()

    async def _look(self, connection: Connection) -> Sequence[Connected]:
        """Ask every server for its connections; raises Unanswered when none answers."""
        client = connection.client
        inbox = client.new_inbox()
        answers = await client.subscribe(inbox)
        asked = {"auth": True, "acc": ACCOUNT, "limit": CONNECTIONS_MAX}
        await client.publish(_CONNECTIONS, orjson.dumps(asked), reply=inbox)
        here: list[Connected] = []
        patience = FIRST_ANSWER_SECONDS_MAX
        try:
            while True:
                async with asyncio.timeout(patience):  # Its own timeout can lose a cancellation.
                    here += _connected(await answers.next_msg(timeout=None))
                patience = SERVERS_QUIET_SECONDS
        except TimeoutError:
            if patience == FIRST_ANSWER_SECONDS_MAX:
                raise RequestTimeout(_CONNECTIONS) from None
        except Exception as error:
            raise RequestTimeout(_CONNECTIONS) from error
        finally:
            with suppress(Exception):
                await answers.unsubscribe()
        return here

    async def _on_connected(self, message: Msg) -> None:
        link, key_id = _advised(message)
        self._add(link, key_id)
        if key_id in self._kicked and self._connection is not None:
            disconnect = asyncio.create_task(self._end(self._connection, link))
            self._kicks.add(disconnect)
            disconnect.add_done_callback(self._kicks.discard)

    async def _on_disconnected(self, message: Msg) -> None:
        link, _ = _advised(message)
        self._remove(link)

    def _add(self, link: Link, key_id: str) -> None:
        if key_id != self._ourselves:
            self._links[link] = key_id
            self._seen_at.setdefault(link, time.monotonic())

    def _remove(self, link: Link) -> None:
        self._links.pop(link, None)
        self._seen_at.pop(link, None)


def _connected(message: Msg) -> Sequence[Connected]:
    answer = orjson.loads(message.data)
    server_id = answer["server"]["id"]
    return [
        Connected(
            link=(server_id, each["cid"]),
            key_id=each.get("authorized_user", ""),
            subscribes=each["subscriptions"] > 0,
        )
        for each in answer["data"].get("connections") or ()
    ]


def _advised(message: Msg) -> tuple[Link, str]:
    advice = orjson.loads(message.data)
    client = advice["client"]
    return (advice["server"]["id"], client["id"]), client.get("user", "")

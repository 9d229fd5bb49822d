"""The connection of a FastStream broker to NATS. Each use of private parts of FastStream 0.7.8."""

import asyncio
from typing import TYPE_CHECKING, Any

from faststream.nats import NatsBroker, NatsRouter

from quorate.client.outages import Outage
from quorate.runtime.nats_client import TlsClient, abort_transport

if TYPE_CHECKING:
    from nats.aio.client import Client as NatsClient

FLUSH_SECONDS_MAX = 3


class TlsBroker(NatsBroker):
    """A broker that sends no key over plain text to a ``tls://`` address."""

    async def _connect(self) -> "NatsClient":
        client = TlsClient()
        await client.connect(**self._connection_kwargs)
        self.config.connect(client)
        return client

    async def stop(self, *exception: Any) -> None:  # noqa: ANN401 - see the base class.
        """Stop also when nats-py has closed the connection; FastStream 0.7.8 raises then."""
        if self._connection is not None and self._connection.is_closed:
            _drop_subscriptions(self)
        await super().stop(*exception)


def _drop_subscriptions(broker: NatsBroker) -> None:
    """Forget the subscriptions of a closed connection; unsubscribing would raise."""
    for subscriber in broker.subscribers:
        subscriber.subscription = None  # type: ignore[attr-defined]


class RouterConnection:
    """The connection of the broker that includes the router. Private parts of FastStream 0.7.8.

    nats-py 2.16 gives up reconnecting when a server rejects the login, for example because the
    service does not run yet. FastStream 0.7.8 does not notice: its ``stop`` raises, and the next
    ``start`` does nothing. So ``is_usable`` starts the broker again.
    """

    def __init__(self, router: NatsRouter) -> None:
        self._router = router
        self._flushed: NatsClient | None = None
        self._is_restarting = False
        self._outage = Outage("The connection of the router to NATS")
        self._lock = asyncio.Lock()  # Two restarts at a time would leave two connections.

    async def is_usable(self) -> bool:
        """Whether nats-server has the subscriptions; a later notification wakes the router."""
        async with self._lock:
            return await self._check()

    async def _check(self) -> bool:
        broker = self._router.parent
        while broker is not None and not isinstance(broker, NatsBroker):
            broker = broker.parent
        if broker is None:
            return False
        client = broker._connection  # noqa: SLF001
        is_closed = broker.running and client is not None and client.is_closed
        if is_closed or self._is_restarting:
            await self._restart(broker)
            client = broker._connection  # noqa: SLF001
        if client is None or not broker.running or not client.is_connected:
            return False
        if client is not self._flushed:
            try:
                await client.flush(FLUSH_SECONDS_MAX)
            except Exception as error:  # noqa: BLE001 - long polls remain, whatever NATS raises.
                self._outage.record_failure(error)
                return False
            self._flushed = client
            self._outage.record_success()
        return True

    async def _restart(self, broker: NatsBroker) -> None:
        self._is_restarting = True
        try:
            _drop_subscriptions(broker)
            if broker._connection is not None:  # noqa: SLF001
                abort_transport(broker._connection)  # noqa: SLF001 - nats-py leaves it open.
            broker._connection = None  # noqa: SLF001
            await broker.stop()
            await broker.start()
        except Exception as error:  # noqa: BLE001 - long polls remain, whatever NATS raises.
            self._outage.record_failure(error)
        else:
            self._is_restarting = False

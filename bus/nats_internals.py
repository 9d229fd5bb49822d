"""Every use that the service makes of private parts of nats-py, one function or method for each.

All of them were written for nats-py 2.16. Review this module before an upgrade of nats-py.
"""

import asyncio
from typing import Any

from nats.aio.client import PING_PROTO, Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from quorate.runtime.log_throttle import ThrottledWarning

SUBJECT_LOGGED_MAX = 120

_undecodable = ThrottledWarning("nats.message_undecodable")


class StrictClient(Client):
    """A client that drops messages it cannot decode, and that enforces TLS for ``tls://``."""

    def _connect_command(self) -> bytes:
        """Reject a server without TLS when the URL requires TLS.

        nats-py 2.16 leaves this decision to the server. The SDK enforces it in the same way, in
        client/transports/nats_internals.py.
        """
        server: Any = self._current_server
        if server.uri.scheme == "tls" and not self._server_info.get("tls_required"):
            raise NatsError(f"{server.uri.netloc} does not offer TLS")
        command: bytes = super()._connect_command()
        return command

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        """Return None for undecodable headers; nats-py 2.16 ends its reader instead."""
        try:
            return await super()._process_headers(headers)
        except (UnicodeDecodeError, IndexError):
            return None

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg | None:
        """Return None for an undecodable subject; nats-py 2.16 ends its reader instead."""
        try:
            message: Msg = super()._build_message(sid, subject, reply, data, headers)
        except UnicodeDecodeError:
            _undecodable.warn(subject=ascii(subject[:SUBJECT_LOGGED_MAX]))
            return None
        return message


def get_server_id(client: Client) -> str:
    """Return the id of this run of nats-server; nats-py 2.16 has no public getter."""
    return str(client._server_info.get("server_id", ""))  # noqa: SLF001


async def wait_for_pong(client: Client) -> None:
    """Send what is buffered and a PING, and wait for its PONG.

    ``flush()`` and ``rtt()`` of nats-py 2.16 are not used. They send the PING before the buffered
    messages, send nothing when the client's reader has died, and can lose a cancellation.
    """
    internals: Any = client
    pong: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    internals._pongs.append(pong)  # noqa: SLF001
    await internals._send_command(PING_PROTO)  # noqa: SLF001
    await internals._flush_pending()  # noqa: SLF001
    await asyncio.shield(pong)  # The PONG may arrive after a cancellation and needs its future.


def cancel_subscription_tasks(client: Client) -> None:
    """Cancel the callback tasks that a failed ``close()`` of nats-py 2.16 leaves running."""
    subscriptions: Any = client._subs  # noqa: SLF001
    for subscription in subscriptions.values():
        if (task := subscription._wait_for_msgs_task) is not None:  # noqa: SLF001
            task.cancel()


def abort_transport(client: Client) -> None:
    """Drop the socket and its unsent bytes; ``close()`` of nats-py 2.16 can leave it open."""
    stream: Any = getattr(client._transport, "_io_writer", None)  # noqa: SLF001
    if stream is not None:
        stream.transport.abort()

"""Every use that the service makes of private parts of nats-py, one function or method for each.

All of them were written for nats-py 2.16. bus/command_parser.py contains one more: it replaces
nats-py's parser on one connection. Review this module before an upgrade of nats-py. The uses
that the SDK shares are in runtime/nats_client.py.
"""

import asyncio
from typing import Any

from nats.aio.client import PING_PROTO, Client
from nats.aio.msg import Msg

from quorate.bus.command_parser import Admission, CommandParser
from quorate.runtime.log_throttle import ThrottledWarning
from quorate.runtime.nats_client import TlsClient

SUBJECT_LOGGED_MAX = 120

_undecodable = ThrottledWarning("nats.message_undecodable")


class StrictClient(TlsClient):
    """A client that also drops messages it cannot decode."""

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


def admit_messages(client: Client, admission: Admission) -> None:
    """Let ``admission`` decide which messages of this client are read, from now on."""
    parser = CommandParser(client, admission, unread=bytes(client._ps.buf))  # noqa: SLF001
    client._ps = parser  # noqa: SLF001


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


def mark_as_tls(client: Client) -> None:
    """Tell asyncio that the streams use TLS; else it logs a warning when the server disconnects.

    nats-py 2.16 creates the protocol without that knowledge.
    """
    writer: Any = client._transport._io_writer  # type: ignore[union-attr]  # noqa: SLF001
    writer.transport.get_protocol()._over_ssl = True  # noqa: SLF001

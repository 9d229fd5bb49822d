"""The uses of private parts of nats-py that the service and the SDK share.

They were written for nats-py 2.16. Review this module before an upgrade of nats-py, and with it
bus/nats_internals.py and client/transports/nats_internals.py.
"""

from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

TLS = "tls"


class TlsClient(Client):
    """A client that enforces TLS for ``tls://`` addresses.

    With ``tls://`` nats-py 2.16 speaks TLS only if the server asks for it, and else continues in
    plain text. An attacker on the network path can remove that request and then receives the key.
    This class sends no credentials over plain text to a ``tls://`` address.
    """

    def _connect_command(self) -> bytes:
        """Return the CONNECT message, which contains the key.

        nats-py calls this after the INFO message of the server.
        """
        server: Any = self._current_server
        if server.uri.scheme == TLS and not self._server_info.get("tls_required"):
            raise NatsError(f"{server.uri.netloc} does not offer TLS, so the key is not sent")
        command: bytes = super()._connect_command()
        return command


def abort_transport(client: Client) -> None:
    """Drop the socket and its unsent bytes; ``close()`` of nats-py 2.16 can leave it open."""
    stream: Any = getattr(client._transport, "_io_writer", None)  # noqa: SLF001
    if stream is not None:
        stream.transport.abort()

"""nats-py's client, held to what its address says.

With ``tls://`` nats-py speaks TLS if the server asks for it, and goes on without if it does not.
Whoever stands between would only have to leave the question out to be sent the key. So nothing is
sent in the clear to a server that was to speak TLS.
"""

from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

TLS = "tls"


class StrictClient(Client):
    def _connect_command(self) -> bytes:
        """What the key goes out with, as soon as the server has introduced itself."""
        server: Any = self._current_server
        if server.uri.scheme == TLS and not self._server_info.get("tls_required"):
            raise NatsError(f"{server.uri.netloc} does not speak TLS: no key is sent there")
        command: bytes = super()._connect_command()
        return command

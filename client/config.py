"""Timeouts and intervals of an agent, all in seconds."""

from quorate.client.retries import TIMEOUT_SECONDS_DEFAULT
from quorate.domain.shared.records import record


@record
class ClientConfig:
    """Timeouts and intervals, in seconds.

    * ``timeout_seconds``: the deadline of a request, all retries included.
    * ``heartbeat_seconds``: the interval between heartbeats. The default None means a third of the
      heartbeat timeout of the service (300 s unless configured otherwise).
    * ``shutdown_timeout_seconds``: how long ``Agent.connect`` may take at its end to release leases
      and to close connections.
    """

    timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT
    heartbeat_seconds: float | None = None
    shutdown_timeout_seconds: float = 3.0


DEFAULT = ClientConfig()

"""How patient an agent is. The defaults suit most; every number is in seconds."""

from quorate.client.retries import WITHIN_SECONDS_DEFAULT
from quorate.domain.shared.records import record


@record
class Settings:
    """* ``within_seconds``: how long a command may take, with all its retries.
    * ``heartbeat_seconds``: how often the agent says that it is alive; by default three times in
      the window after which the service takes it for gone (300 s unless configured otherwise).
    * ``leave_seconds``: how long leaving may take: leases are given back, connections closed.
    """

    within_seconds: float = WITHIN_SECONDS_DEFAULT
    heartbeat_seconds: float | None = None
    leave_seconds: float = 3.0


DEFAULT = Settings()

"""What a process of the service does: all of it, or a part.

One process does everything, unless ``--workers`` starts more:

* With PostgreSQL each worker does everything, and the leader among them does what one must do.
* With SQLite one process writes: the file allows one writer. Another serves agents over NATS and
  relays the outbox, and the workers serve HTTP. They send their commands to the writer. A second
  writer waits until the first one has ended.
"""

from quorate.domain.shared.records import record


@record
class Role:
    name: str
    writes: bool = False  # The log, and everything that is due.
    serves_agents: bool = False  # Logins and commands over NATS, and the relay of the outbox.
    serves_http: bool = False

    @property
    def is_part(self) -> bool:
        """Whether other processes do the rest."""
        return not (self.writes and self.serves_agents and self.serves_http)

    @property
    def uses_nats(self) -> bool:
        """Whether this process knows who is connected to NATS."""
        return self.serves_agents or self.serves_http


WHOLE = Role(name="service", writes=True, serves_agents=True, serves_http=True)
WRITER = Role(name="writer", writes=True)
NATS = Role(name="nats", serves_agents=True)
HTTP = Role(name="http", serves_http=True)
WRITERS = 2  # One writes, and the other is ready to take its place.


def split(workers: int) -> list[Role]:
    """Return the roles of all processes with this number of HTTP workers."""
    return [WRITER] * WRITERS + [NATS] + [HTTP] * workers

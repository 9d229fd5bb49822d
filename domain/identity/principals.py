"""Callers and their roles."""

from typing import Literal, TypeAlias

from quorate.domain.shared.records import record

Role: TypeAlias = Literal["admin", "tenant", "agent", "auditor", "mail"]
ROLES: tuple[Role, ...] = ("admin", "tenant", "agent", "auditor", "mail")
SYSTEM_ACTOR = "quorate"  # The actor of events that the service records without a caller.


@record
class Principal:
    """The caller that an API key authenticates."""

    key_id: str
    role: Role
    tenant: str
    agent_id: str | None = None
    agent_name: str | None = None

    @property
    def actor(self) -> str:
        """Return the actor in the log: the agent, or else the key."""
        return self.agent_id or self.key_id

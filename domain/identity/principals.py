"""Callers and their roles."""

import re
from typing import Literal, TypeAlias

from quorate.domain.shared.records import record

Role: TypeAlias = Literal["admin", "tenant", "agent", "auditor", "mail"]
ROLES: tuple[Role, ...] = ("admin", "tenant", "agent", "auditor", "mail")
PRESET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SYSTEM_ACTOR = "quorate"  # The actor of events that the service records without a caller.


@record
class Principal:
    """The caller that an API key authenticates."""

    key_id: str
    role: Role
    tenant: str
    agent_id: str | None = None
    agent_name: str | None = None
    preset: str | None = None  # The key is bound to this preset (``sessions/presets.py``).

    @property
    def actor(self) -> str:
        """Return the actor in the log: the agent, or else the key."""
        return self.agent_id or self.key_id
